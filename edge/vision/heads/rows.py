"""YOLO candidates that carry more than a box: what is chosen, its boxes, and the numbers that come after."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edge.vision.conventions.shapes import Rows
from edge.vision.heads.base import Context, Floats
from edge.vision.heads.boxes import Chosen, best_class, corners, in_order, survivors
from edge.vision.heads.yolo import finished
from edge.vision.prediction import Prediction


class Carried(NamedTuple):
    """The prediction, its boxes in input pixels ``(n, 4)`` and the further numbers of each row ``(n, more)``."""

    prediction: Prediction
    xyxy: Floats
    more: Floats


def carried(table: Floats, layout: Rows, context: Context) -> Carried:
    """``table`` is ``(4 + C + more, N)`` or ``(N, …)``, as the layout says."""
    n_labels = len(context.labels)
    if layout == "end2end":
        rows = table[(table[:, 4] >= context.lowest) & np.isfinite(table[:, :6]).all(axis=1)]
        chosen, rows = finished(rows, 4, 5, 0, context)
        prediction, kept = in_order(rows[:, :4], chosen, context)
        return Carried(prediction, rows[kept, :4], rows[kept, 6:])
    if layout == "v8":
        best = np.maximum.reduce(table[4 : 4 + n_labels], axis=0)
        near = np.flatnonzero(best >= context.lowest)
        rows = table.take(near, axis=1).T
        chosen = best_class(rows[:, 4 : 4 + n_labels], context)
        first = 4 + n_labels
    else:
        near = np.flatnonzero(table[:, 4] >= context.lowest)
        rows = table[near]
        chosen = best_class(rows[:, 5 : 5 + n_labels], context, weights=rows[:, 4])
        first = 5 + n_labels
    rows = rows[chosen.rows]
    xyxy = corners(rows[:, :4], "cxcywh")
    prediction, kept = survivors(xyxy, Chosen(np.arange(len(rows)), *chosen[1:]), context)
    return Carried(prediction, xyxy[kept], rows[kept, first:])


def wanted_width(layout: Rows, n_labels: int, more: int) -> int:
    """How many numbers a candidate has."""
    return {"v8": 4 + n_labels, "v5": 5 + n_labels, "end2end": 6}[layout] + more


def wants_table(shape: tuple[int, ...], layout: Rows, width: int) -> str:
    """'' where the shape is that of a table of this layout and width, else what is wanted."""
    axis = 1 if layout == "v8" else 2
    fits = len(shape) == 3 and shape[0] == 1 and shape[axis] == width  # noqa: PLR2004  (rank)
    return "" if fits else f"[1, {width}, N]" if layout == "v8" else f"[1, N, {width}]"
