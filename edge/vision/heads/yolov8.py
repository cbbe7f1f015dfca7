"""YOLOv8 and what followed it: candidates as columns, and rows that are suppressed in the graph."""

from __future__ import annotations

import cv2
import numpy as np

from edge.vision.conventions.yolo import End2EndHead, YoloV8Head
from edge.vision.heads.base import Context, Head, Outputs, Shapes, detections, floats, pick
from edge.vision.nms import suppress
from edge.vision.prediction import Prediction


def decode_yolov8(head: YoloV8Head, outputs: Outputs, context: Context) -> Prediction:
    """``(1, 4 + C, N)``: threshold, boxes of what is left, suppression."""
    columns = floats(outputs, head.output)[0]
    # The maximum over classes sends nearly all columns away before anything else is computed.
    best = np.asarray(cv2.reduce(columns[4:], 0, cv2.REDUCE_MAX), np.float32)[0]
    candidates = (best >= context.lowest).nonzero()[0]
    scores = best[candidates]
    picked = columns.take(candidates, axis=1)
    label_ids = picked[4:].argmax(axis=0)
    xywh = picked[:4].T.copy()
    keep = np.isfinite(xywh).all(axis=1) & (scores >= context.limits[label_ids])
    if not keep.all():
        xywh, scores, label_ids = xywh[keep], scores[keep], label_ids[keep]
    xywh[:, :2] -= xywh[:, 2:] * np.float32(0.5)
    kept = suppress(xywh, scores, label_ids, context.thresholds.iou)
    xyxy = xywh[kept]
    xyxy[:, 2:] += xyxy[:, :2]
    return detections(xyxy, scores[kept], label_ids[kept], context)


def decode_end2end(head: End2EndHead, outputs: Outputs, context: Context) -> Prediction:
    """``(1, N, 6)``: threshold and sort. Rows with a class the labels do not name are dropped."""
    rows = floats(outputs, head.output)[0]
    rows = rows[(rows[:, 4] >= context.lowest) & np.isfinite(rows).all(axis=1)]
    rows = rows[(rows[:, 5] >= 0) & (rows[:, 5] < len(context.labels))]
    label_ids = rows[:, 5].astype(np.int64)
    keep = np.flatnonzero(rows[:, 4] >= context.limits[label_ids])
    kept = keep[np.argsort(-rows[keep, 4], kind="stable")]
    return detections(rows[kept, :4], rows[kept, 4], label_ids[kept], context)


def _wants_yolov8(head: YoloV8Head, shapes: Shapes, n_labels: int) -> str:
    shape, wanted = pick(shapes, head.output), 4 + n_labels
    return "" if len(shape) == 3 and shape[:2] == (1, wanted) else f"[1, {wanted}, N]"  # noqa: PLR2004  (rank)


def _wants_end2end(head: End2EndHead, shapes: Shapes, _n_labels: int) -> str:
    shape = pick(shapes, head.output)
    return "" if len(shape) == 3 and shape[0] == 1 and shape[2] == 6 else "[1, N, 6]"  # noqa: PLR2004  (rank, columns)


YOLOV8 = Head(decode_yolov8, _wants_yolov8)
END2END = Head(decode_end2end, _wants_end2end)
