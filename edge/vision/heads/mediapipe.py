"""MediaPipe's detectors: boxes and points counted in pixels from the middles of cells."""

from __future__ import annotations

import numpy as np

from edge.vision.conventions.shapes import MediaPipeHead
from edge.vision.geometry import Geometry
from edge.vision.heads.base import Context, Floats, Head, Outputs, Shapes
from edge.vision.heads.boxes import best_class, cells, cells_unfit, corners, survivors
from edge.vision.heads.found import levels, parts
from edge.vision.heads.points import with_points
from edge.vision.prediction import Prediction


def decode_mediapipe(head: MediaPipeHead, outputs: Outputs, context: Context) -> Prediction:
    """Scores send most rows away; boxes and points of the rest, moved to their cells."""
    widths = _widths(head)
    found = levels({name: array.shape for name, array in outputs.items()}, widths)
    tables = [parts(level, outputs, widths) for level in found]
    numbers, scores = (np.concatenate(one) for one in zip(*tables, strict=True))
    middles = _middles(head, context.geometry)
    if len(middles) != len(numbers):
        raise cells_unfit(len(middles), len(numbers), head.strides)
    chosen = best_class(scores, context, head.activation)
    rows = numbers[chosen.rows]
    middle = middles[chosen.rows]
    boxes = np.concatenate([rows[:, :2] + middle, rows[:, 2:4]], axis=1)
    prediction, kept = survivors(corners(boxes, "cxcywh"), chosen, context)
    points = rows[kept, 4:].reshape(-1, head.points, 2) + middle[kept, None]
    return with_points(prediction, points, None, context)


def _middles(head: MediaPipeHead, geometry: Geometry) -> Floats:
    """Of the cells of all maps, float32 ``(N, 2)``, in input pixels, each as often as it has rows."""
    grids = [
        cells((stride,), geometry.input_width_px, geometry.input_height_px, per_cell)
        for stride, per_cell in zip(head.strides, head.per_cell, strict=True)
    ]
    return np.concatenate([(grid.xy + np.float32(0.5)) * grid.stride for grid in grids])


def _widths(head: MediaPipeHead) -> list[int]:
    return [4 + 2 * head.points, 1]


def _wants(head: MediaPipeHead, shapes: Shapes, n_labels: int) -> str:
    if n_labels != 1:
        return "one label: these detectors know one class; they"
    width = _widths(head)[0]
    return "" if levels(shapes, _widths(head)) else f"[1, N, {width}] and [1, N, 1]"


MEDIAPIPE = Head(decode_mediapipe, _wants)
