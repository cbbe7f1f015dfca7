"""YOLO exports that are one table: YOLOv8 and what followed it, YOLOv5 to v7, YOLOX, finished rows."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edge.vision.conventions.yolo import SIDES, End2EndHead, YoloV5Head, YoloV8Head, YoloXHead
from edge.vision.heads.base import Context, Floats, Head, Outputs, Shapes, activate, detections, floats, pick
from edge.vision.heads.boxes import (
    Chosen,
    best_class,
    cells_of,
    cells_unfit,
    corners,
    in_order,
    strong,
    survivors,
    to_input,
)
from edge.vision.nms import suppress
from edge.vision.prediction import Prediction
from edge.vision.spec import Activation

_PLAIN = ("cxcywh", "input", "none", False)


def decode_yolov8(head: YoloV8Head, outputs: Outputs, context: Context) -> Prediction:
    """``(1, 4 + C, N)``: threshold, boxes of what is left, suppression."""
    columns = floats(outputs, head.output)[0]
    if (head.boxes, head.unit, head.activation, head.rows) != _PLAIN:
        rows = columns if head.rows else columns.T
        chosen = best_class(rows[:, 4:], context, head.activation)
        xyxy = to_input(corners(rows[chosen.rows, :4], head.boxes), head.unit, context.geometry)
        return survivors(xyxy, chosen, context)[0]
    # The maximum over classes sends nearly all columns away before anything else is computed.
    best = np.maximum.reduce(columns[4:], axis=0)
    candidates = (best >= context.lowest).nonzero()[0]
    scores = best[candidates]
    picked = columns.take(candidates, axis=1)
    label_ids = picked[4:].argmax(axis=0)
    xywh = picked[:4].T.copy()
    keep = scores >= context.limits[label_ids]
    if not (keep.all() and np.isfinite(xywh).all()):  # seldom, and row by row it is dearer
        keep &= np.isfinite(xywh).all(axis=1)
        xywh, scores, label_ids = xywh[keep], scores[keep], label_ids[keep]
    xywh[:, :2] -= xywh[:, 2:] * np.float32(0.5)
    kept = suppress(xywh, scores, label_ids, context.thresholds.iou)
    xyxy = xywh[kept]
    xyxy[:, 2:] += xyxy[:, :2]
    return detections(xyxy, scores[kept], label_ids[kept], context)


def decode_yolov5(head: YoloV5Head, outputs: Outputs, context: Context) -> Prediction:
    """``(1, N, 5 + C)``: objectness sends most rows away, then classes, boxes, suppression."""
    rows = floats(outputs, head.output)[0]
    picked, chosen = _chosen(rows, head.activation, context)
    xyxy = to_input(corners(rows[picked, :4], head.boxes), head.unit, context.geometry)
    return survivors(xyxy, chosen, context)[0]


def decode_yolox(head: YoloXHead, outputs: Outputs, context: Context) -> Prediction:
    """``(1, N, 5 + C)``, cell after cell; only boxes of candidates are computed."""
    rows = floats(outputs, head.output)[0]
    picked, chosen = _chosen(rows, head.activation, context)
    boxes = rows[picked, :4]
    if not head.decoded:
        grid = cells_of(head.strides, context.geometry)
        if sum(grid.counts) != len(rows):
            raise cells_unfit(sum(grid.counts), len(rows), head.strides)
        stride = grid.stride[picked]
        with np.errstate(over="ignore"):  # a size that overflows is not finite, and such boxes are dropped
            size = np.exp(boxes[:, 2:]) * stride
        boxes = np.concatenate([(boxes[:, :2] + grid.xy[picked]) * stride, size], axis=1)
    return survivors(corners(boxes, "cxcywh"), chosen, context)[0]


def _chosen(rows: Floats, activation: Activation, context: Context) -> tuple[NDArray[np.int64], Chosen]:
    """Of rows ``(N, 5 + C)`` with objectness: indices of those above the threshold, and their classes."""
    activated = activation == "none"
    near = np.flatnonzero(strong(rows[:, 4], context.lowest, activated=activated))
    strongest = rows[near]
    objectness = strongest[:, 4] if activated else activate(strongest[:, 4], "sigmoid", axis=0)
    chosen = best_class(strongest[:, 5:], context, activation, objectness)
    return near[chosen.rows], chosen


def decode_end2end(head: End2EndHead, outputs: Outputs, context: Context) -> Prediction:
    """Finished rows: threshold and sort. Rows with a class the labels do not name are dropped."""
    table = floats(outputs, head.output).reshape(-1, len(head.columns))
    where = head.columns.index
    rows = table[(table[:, where("score")] >= context.lowest) & np.isfinite(table).all(axis=1)]
    if "image" in head.columns:
        rows = rows[rows[:, where("image")] == 0]
    chosen, rows = finished(rows, where("score"), where("label"), head.first_label, context)
    form = head.box_form
    assert form is not None, "the head was checked when it was made"
    boxes = corners(rows[:, [where(side) for side in SIDES[form]]], form)
    return in_order(to_input(boxes, head.unit, context.geometry), chosen, context)[0]


def finished(rows: Floats, score: int, label: int, first_label: int, context: Context) -> tuple[Chosen, Floats]:
    """Finite rows whose label is known and whose score reaches its threshold; ``score`` and ``label`` are columns."""
    numbers = rows[:, label] - np.float32(first_label)
    known = (numbers >= 0) & (numbers < len(context.labels))
    rows, label_ids = rows[known], numbers[known].astype(np.int64)
    keep = np.flatnonzero(rows[:, score] >= context.limits[label_ids])
    return Chosen(np.arange(len(keep)), rows[keep, score], label_ids[keep]), rows[keep]


def _wants_yolov8(head: YoloV8Head, shapes: Shapes, n_labels: int) -> str:
    shape, wanted = pick(shapes, head.output), 4 + n_labels
    fits = len(shape) == 3 and shape[0] == 1 and shape[2 if head.rows else 1] == wanted  # noqa: PLR2004  (rank, axis)
    return "" if fits else f"[1, N, {wanted}]" if head.rows else f"[1, {wanted}, N]"


def _wants_rows(head: YoloV5Head | YoloXHead, shapes: Shapes, n_labels: int) -> str:
    shape, wanted = pick(shapes, head.output), 5 + n_labels
    return "" if len(shape) == 3 and shape[0] == 1 and shape[2] == wanted else f"[1, N, {wanted}]"  # noqa: PLR2004  (rank, axis)


def _wants_end2end(head: End2EndHead, shapes: Shapes, _n_labels: int) -> str:
    shape, width = pick(shapes, head.output), len(head.columns)
    # (N, k), (1, N, k) or (1, 1, N, k)
    fits = len(shape) >= 2 and shape[-1] == width and math.prod(shape[:-2]) == 1  # noqa: PLR2004  (rank)
    return "" if fits else f"[1, N, {width}]"


YOLOV8 = Head(decode_yolov8, _wants_yolov8)
YOLOV5 = Head(decode_yolov5, _wants_rows)
YOLOX = Head(decode_yolox, _wants_rows)
END2END = Head(decode_end2end, _wants_end2end)
