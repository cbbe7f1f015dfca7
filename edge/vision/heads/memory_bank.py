"""Features of a frame's places against those of good pictures (see :class:`MemoryBankHead`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import ModelError
from edge.vision.conventions.anomaly import MemoryBankHead
from edge.vision.heads.anomaly import judged
from edge.vision.heads.base import Context, Floats, Head, Outputs, Shapes
from edge.vision.prediction import Prediction

_RANK = 4


def decode_memory_bank(head: MemoryBankHead, outputs: Outputs, context: Context) -> Prediction:
    """Distances to the nearest good place."""
    return from_maps(head, maps_of_distances(head, outputs, context), context)


def maps_of_distances(head: MemoryBankHead, outputs: Outputs, context: Context) -> Floats:
    """``(1, h, w)``."""
    return distances_of(head, outputs, context.data)[None]


def from_maps(_head: MemoryBankHead, maps: Floats, context: Context) -> Prediction:
    """From such a map on."""
    return judged(maps[0], None, context)


def distances_of(head: MemoryBankHead, outputs: Outputs, data: Mapping[str, NDArray[Any]]) -> Floats:
    """``(h, w)``: each cell's distance. Raises ModelError MODEL_OUTPUT_UNFIT where the bank is not of these features."""
    cells = cells_of(head, outputs)
    height, width, depth = cells.shape
    if "bank" not in data or data["bank"].ndim != 2 or data["bank"].shape[1] != depth or not len(data["bank"]):  # noqa: PLR2004  (rows of numbers)
        why = f"{head.bank} needs an array 'bank' with rows of {depth} numbers"
        raise ModelError("MODEL_OUTPUT_UNFIT", "the memory bank does not fit the model", why, "make the bundle again")
    rows = standardised(cells.reshape(-1, depth), data)
    return np.asarray(np.sqrt(nearest(rows, np.asarray(data["bank"], np.float32))).reshape(height, width), np.float32)


def standardised(rows: Floats, data: Mapping[str, NDArray[Any]]) -> Floats:
    """``(x - mean) * gain``, ``(n, d)``."""
    mean, gain = data.get("mean"), data.get("gain")
    if mean is not None:
        rows = rows - mean.astype(np.float32)
    return rows if gain is None else np.asarray(rows * gain.astype(np.float32), np.float32)


def nearest(rows: Floats, bank: Floats) -> Floats:
    """Squared Euclidean distance of each row ``(n, d)`` to the nearest of the bank ``(m, d)``, ``(n,)``."""
    # |a - b|^2 = |a|^2 - 2 a b + |b|^2: one matrix product instead of n * m * d differences.
    cross = rows @ (bank.T * np.float32(-2))
    cross += np.square(bank).sum(axis=1)
    squares = cross.min(axis=1) + np.square(rows).sum(axis=1)
    return np.asarray(np.maximum(squares, 0), np.float32)


def cells_of(head: MemoryBankHead, outputs: Outputs) -> Floats:
    """All features of each cell side by side, ``(h, w, d)``, at the resolution of the first output."""
    maps = [_last(np.asarray(outputs[name], np.float32)[0], head) for name in _names(head, outputs)]
    height, width = maps[0].shape[:2]
    averaged = [pooled(one, head.pool) for one in maps]
    sized = [one if one.shape[:2] == (height, width) else _resized(one, width, height) for one in averaged]
    return np.concatenate(sized, axis=2)


def pooled(cells: Floats, side: int) -> Floats:
    """Averages over ``side`` x ``side`` cells: a place is known by its surroundings. At the border over what is there."""
    if side < 2:  # noqa: PLR2004  (nothing to average)
        return cells
    averaged = [cv2.blur(part, (side, side), borderType=cv2.BORDER_REPLICATE) for part in _bunches(cells)]
    return _joined(averaged, cells.shape)


def _resized(cells: Floats, width: int, height: int) -> Floats:
    parts = [cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR) for part in _bunches(cells)]
    return _joined(parts, (height, width, cells.shape[2]))


def _bunches(cells: Floats) -> list[Floats]:
    """OpenCV takes four channels of a picture at a time in its resize."""
    return [np.ascontiguousarray(cells[:, :, at : at + 4]) for at in range(0, cells.shape[2], 4)]


def _joined(parts: Sequence[Any], shape: Sequence[int]) -> Floats:
    return np.concatenate([np.asarray(p, np.float32).reshape(shape[0], shape[1], -1) for p in parts], axis=2)


def _last(array: Floats, head: MemoryBankHead) -> Floats:
    """Channels last."""
    return array if head.layout == "nhwc" else np.ascontiguousarray(array.transpose(1, 2, 0))


def _names(head: MemoryBankHead, outputs: Mapping[str, Any]) -> tuple[str, ...]:
    return head.features or tuple(outputs)


def _wants(head: MemoryBankHead, shapes: Shapes, _n_labels: int) -> str:
    wanted = "feature maps [1, c, h, w]" if head.layout == "nchw" else "feature maps [1, h, w, c]"
    names = _names(head, shapes)
    fits = bool(names) and all(n in shapes and len(shapes[n]) == _RANK and shapes[n][0] == 1 for n in names)
    return "" if fits and all(0 not in shapes[n] for n in names) else wanted


MEMORY_BANK = Head(decode_memory_bank, _wants, maps=maps_of_distances, from_maps=from_maps)
