"""Small models trained with numpy alone, in closed form, and written as ONNX by hand: enough to try the way of real data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import helper

from tests.models.graphs import save, tensor

BANDS, SPECTRUM = 64, 512


def ridge(x: np.ndarray, y: np.ndarray, strength: float = 1.0) -> np.ndarray:
    """Weights ``(features + 1, targets)``, the last row being the intercept."""
    x1 = np.hstack([x, np.ones((len(x), 1))])
    return np.linalg.solve(x1.T @ x1 + strength * np.eye(x1.shape[1]), x1.T @ y)


def linear_classifier(path: Path, weights: np.ndarray) -> Path:
    """``x (1, n)`` to logits ``(1, C)``."""
    given = {"w": weights[:-1].astype(np.float32), "b": weights[-1].astype(np.float32)}
    nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["logits"])]
    n, c = given["w"].shape
    return save(path, nodes, [tensor("x", (None, n))], [tensor("logits", (None, c))], given)


def bands(window: np.ndarray) -> np.ndarray:
    """Log power of 64 bands of the spectrum: what :func:`vibration` computes in its graph."""
    power = np.abs(np.fft.rfft(window))[:SPECTRUM] ** 2
    return np.log(power.reshape(BANDS, -1).mean(axis=1) + 1e-6)


def vibration(path: Path, weights: np.ndarray) -> Path:
    """``x (1, 1, 1024)`` to class logits, the spectrum being taken in the graph."""
    given = {
        "column": np.array([1, 1024, 1], np.int64),
        "two": np.array([-1], np.int64),
        "from": np.array([0], np.int64),
        "to": np.array([SPECTRUM], np.int64),
        "axis": np.array([2], np.int64),
        "little": np.float32(1e-6),
        "w": weights[:-1].astype(np.float32),
        "b": weights[-1].astype(np.float32),
    }
    nodes = [
        helper.make_node("Reshape", ["x", "column"], ["s"]),
        helper.make_node("DFT", ["s"], ["f"], axis=1, onesided=1),
        helper.make_node("Mul", ["f", "f"], ["ff"]),
        helper.make_node("ReduceSum", ["ff", "two"], ["p"], keepdims=1),
        helper.make_node("Transpose", ["p"], ["pt"], perm=[0, 2, 1]),
        helper.make_node("Slice", ["pt", "from", "to", "axis"], ["ps"]),
        helper.make_node("AveragePool", ["ps"], ["pool"], kernel_shape=[8], strides=[8]),
        helper.make_node("Add", ["pool", "little"], ["pl"]),
        helper.make_node("Log", ["pl"], ["log"]),
        helper.make_node("Flatten", ["log"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w", "b"], ["logits"]),
    ]
    c = given["b"].shape[0]
    return save(path, nodes, [tensor("x", (1, 1, 1024))], [tensor("logits", (1, c))], given)


def life(path: Path, weights: np.ndarray) -> Path:
    """``x (1, T, c)``, T free, to one number: of the mean over time and its square."""
    given = {"w": weights[:-1].astype(np.float32), "b": weights[-1].astype(np.float32)}
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[1], keepdims=0),
        helper.make_node("Mul", ["m", "m"], ["mm"]),
        helper.make_node("Concat", ["m", "mm"], ["f"], axis=1),
        helper.make_node("Gemm", ["f", "w", "b"], ["life"]),
    ]
    return save(path, nodes, [tensor("x", (1, None, len(given["w"]) // 2))], [tensor("life", (1, 1))], given)


def subspace(rows: np.ndarray, k: int) -> np.ndarray:
    """Projection ``(n, n)`` on the first k principal directions of centred ``rows (m, n)``."""
    directions = np.linalg.svd(rows, full_matrices=False)[2][:k]
    return directions.T @ directions


def autoencoder(path: Path, projection: np.ndarray, shape: tuple[int | str, ...]) -> Path:
    """``x (…, n)`` to its projection of the same shape."""
    given = {"p": projection.astype(np.float32)}
    return save(
        path, [helper.make_node("MatMul", ["x", "p"], ["y"])], [tensor("x", shape)], [tensor("y", shape)], given
    )
