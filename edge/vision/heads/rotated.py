"""Rotated boxes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edge.vision.conventions.shapes import YoloObbHead
from edge.vision.heads.base import Context, Floats, Head, Outputs, Shapes, floats, pick, placed
from edge.vision.heads.boxes import Chosen, Rows, best_class, to_frame_points
from edge.vision.heads.rows import wants_table
from edge.vision.heads.yolo import finished
from edge.vision.prediction import Prediction
from edge.vision.rotated import quads_of, suppress_rotated


def decode_yolo_obb(head: YoloObbHead, outputs: Outputs, context: Context) -> Prediction:
    """``(1, 4 + C + 1, N)``: threshold, suppression of rotated boxes, corners."""
    table = floats(outputs, head.output)[0]
    if head.layout == "end2end":
        rows = table[(table[:, 4] >= context.lowest) & np.isfinite(table).all(axis=1)]
        chosen, rows = finished(rows, 4, 5, 0, context)
        kept: Rows = np.argsort(-chosen.scores, kind="stable")
        return _rotated(rows[:, [0, 1, 2, 3, 6]], chosen, kept, context)
    best = np.maximum.reduce(table[4:-1], axis=0)
    rows = table.take(np.flatnonzero(best >= context.lowest), axis=1).T
    rows = rows[np.isfinite(rows).all(axis=1)]
    chosen = best_class(rows[:, 4:-1], context)
    five = rows[chosen.rows][:, [0, 1, 2, 3, -1]]
    kept = suppress_rotated(
        five, chosen.scores, chosen.label_ids, context.thresholds.iou, exact=head.overlap != "probiou"
    )
    return _rotated(five, chosen, kept, context)


def _rotated(five: Floats, chosen: Chosen, kept: Rows, context: Context) -> Prediction:
    """``five`` ``(n, 5)``: cx, cy, w, h in input pixels, angle; the rows ``kept``, in this order."""
    quads = quads_of(five[kept])
    upright = np.concatenate([quads.min(axis=1), quads.max(axis=1)], axis=1)
    prediction, rows = placed(upright, chosen.scores[kept], chosen.label_ids[kept], context)
    quads = to_frame_points(quads[rows], context.geometry)
    across, down = quads[:, 2] - quads[:, 0], quads[:, 3] - quads[:, 1]
    # Half the cross product of the diagonals, which holds for every quadrangle that a stretched picture makes of it.
    areas = np.abs(across[:, 0] * down[:, 1] - across[:, 1] * down[:, 0]) / 2
    return replace(prediction, quads=quads, areas_px=areas.astype(np.float32))


def _wants(head: YoloObbHead, shapes: Shapes, n_labels: int) -> str:
    width = 7 if head.layout == "end2end" else 5 + n_labels
    return wants_table(pick(shapes, head.output), head.layout, width)


YOLO_OBB = Head(decode_yolo_obb, _wants)
