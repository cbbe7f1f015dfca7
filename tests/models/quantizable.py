"""A network small enough for a test and large enough to be made int8, its manifest, and pictures for it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
from onnx import helper

from edge.models.bundle import About, Manifest
from edge.vision.conventions import SegmentHead
from edge.vision.spec import InputSpec, Thresholds
from tests.models import graphs

SIDE, WIDE = 32, 40


def three_layers(path: Path, loud: float = -1.0) -> Path:
    """Three convolutions that find what is dark. The second output channel is ``loud`` times the first, below nought: with one scale for
    both, the first drowns. An old operator set, weights among the inputs: as exporters of 2020 wrote it.
    """
    rng = np.random.default_rng(2)
    spread = rng.uniform(0.5, 1.5, (WIDE, 1, 1, 1)).astype(np.float32)
    first = np.full((WIDE, 1, 3, 3), -1 / 9, np.float32) * spread
    second = np.stack([np.full((WIDE, 1, 1), k / WIDE, np.float32) / spread[:, :, 0] for k in (1.0, loud)])
    nodes_ = [
        helper.make_node("Conv", ["images", "w1", "b1"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Conv", ["r", "same"], ["m"]),
        helper.make_node("Relu", ["m"], ["n"]),
        helper.make_node("Conv", ["n", "w2"], ["output0"]),
    ]
    weights = {
        "w1": first,
        "b1": spread.ravel(),
        "same": np.eye(WIDE, dtype=np.float32)[:, :, None, None],
        "w2": second,
    }
    inputs = [graphs.tensor("images", (1, 1, SIDE, SIDE)), *(graphs.tensor(n, v.shape) for n, v in weights.items())]
    graphs.save(path, nodes_, inputs, [graphs.tensor("output0", (1, 2, SIDE, SIDE))], weights)
    model = onnx.load(path)
    model.opset_import[0].version = 11
    model.ir_version = 6
    path.write_bytes(model.SerializeToString())
    return path


def manifest(**changes) -> Manifest:
    parts = {
        "model": About(name="dark", version="1.0.0", task="segment", labels=("hole", "loud")),
        "input": InputSpec(width_px=SIDE, height_px=SIDE, color="gray"),
        "output": SegmentHead(activation="none"),
        "thresholds": Thresholds(score=0.7, labels={"loud": 1.0}),
    }
    return Manifest(**(parts | changes))


def picture(i: int):
    image = np.full((SIDE, SIDE, 3), 230, np.uint8)
    cv2.circle(image, (8 + i % 16, 12 + i % 8), 5 + i % 3, (20, 20, 20), cv2.FILLED)
    return image


def layered(path: Path) -> Path:
    """A network of two products, without convolutions: says which third of the picture is the brightest."""
    thirds = np.repeat(np.eye(3, dtype=np.float32), [11, 11, 10], axis=0)  # (columns, thirds)
    first = np.tile(thirds, (SIDE, 1)) / 300
    nodes = [
        helper.make_node("Flatten", ["images"], ["f"]),
        helper.make_node("Gemm", ["f", "w1"], ["h"]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("MatMul", ["r", "w2"], ["output0"]),
    ]
    weights = {"w1": np.tile(first, (1, 30)), "w2": np.tile(np.eye(3, dtype=np.float32), (30, 1))}
    return graphs.save(
        path, nodes, [graphs.tensor("images", (1, 1, SIDE, SIDE))], [graphs.tensor("output0", (1, 3))], weights
    )
