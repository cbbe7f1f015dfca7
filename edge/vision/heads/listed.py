"""Finished lists that have a mask or points for each row."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.vision.conventions.lists import ListedMasksHead, ListedPointsHead
from edge.vision.geometry import Geometry
from edge.vision.heads.base import Context, Floats, Head, Outputs, Shapes
from edge.vision.heads.boxes import to_input
from edge.vision.heads.finished import listed_rows, wants_listed
from edge.vision.heads.points import with_points
from edge.vision.masks import Outline, outline
from edge.vision.prediction import Prediction

_ONE = np.ones(1, np.float32)


def decode_listed_masks(head: ListedMasksHead, outputs: Outputs, context: Context) -> Prediction:
    """Objects as ``listed`` has them, each with the outline of its mask. An object whose mask is empty is none."""
    name = _masks(head, _shapes(outputs))
    lists = {key: array for key, array in outputs.items() if key != name}
    prediction, rows = listed_rows(head, lists, context)
    masks = _of_rows(np.asarray(outputs[name]), rows, prediction.label_ids + head.first_label)
    outlines = [
        _outline(mask, box, head, context.geometry)
        for mask, box in zip(masks, prediction.boxes, strict=True)  # at most max_detections
    ]
    thresholds = context.thresholds
    least_px = thresholds.min_area_px
    if context.mm_per_px is not None:
        least_px = max(least_px, thresholds.min_area_mm2 / context.mm_per_px**2)
    kept = [(i, one) for i, one in enumerate(outlines) if one is not None and one.area_px >= least_px]
    return replace(
        prediction.take(np.array([i for i, _ in kept], np.int64)),
        task="segment",
        instances=True,
        areas_px=np.array([one.area_px for _, one in kept], np.float32),
        polygons=tuple(one.polygon for _, one in kept),
    )


def _of_rows(masks: NDArray[Any], rows: NDArray[np.int64], classes: NDArray[np.int64]) -> Floats:
    """The masks of these rows, float32 ``(n, h, w)``: of several a row, that of its class."""
    while masks.ndim > 4 and masks.shape[0] == 1:  # noqa: PLR2004  (a batch of one)
        masks = masks[0]
    if masks.ndim == 3:  # noqa: PLR2004  (no axis of classes)
        masks = masks[:, None]
    picked = masks[rows]
    at = np.minimum(classes, picked.shape[1] - 1) if picked.shape[1] > 1 else np.zeros(len(rows), np.int64)
    return np.asarray(picked[np.arange(len(rows)), at], np.float32)


def _outline(mask: Floats, box: Floats, head: ListedMasksHead, geometry: Geometry) -> Outline | None:
    """Of one object's mask, over the input or over its box."""
    if not head.whole:
        left, top, right, bottom = (float(v) for v in box)
        width, height = mask.shape[1], mask.shape[0]
        # A geometry of its own: the mask is the input, and the box is what of the frame it shows.
        scale_x, scale_y = width / max(right - left, 1e-6), height / max(bottom - top, 1e-6)
        geometry = Geometry(
            geometry.frame_width_px,
            geometry.frame_height_px,
            width,
            height,
            scale_x,
            scale_y,
            -left * scale_x,
            -top * scale_y,
        )
    return outline(_ONE, mask[None] - np.float32(head.limit), box, geometry)


def _masks(head: ListedMasksHead, shapes: Shapes) -> str:
    """The output with masks: named, or the one of rank three or four that has more than a few cells."""
    if head.masks_output:
        return head.masks_output
    return next((n for n, s in shapes.items() if len(s) >= 3 and min(s[-2:]) > 5), "")  # noqa: PLR2004  (no boxes)


def _wants_masks(head: ListedMasksHead, shapes: Shapes, n_labels: int) -> str:
    name = _masks(head, shapes)
    lists = {key: shape for key, shape in shapes.items() if key != name}
    if len(shapes.get(name, ())) not in {3, 4, 5}:
        return "boxes [N, 4], labels [N], scores [N] and masks [N, 1, h, w]"
    return wants_listed(head, lists, n_labels)


def decode_listed_points(head: ListedPointsHead, outputs: Outputs, context: Context) -> Prediction:
    """Objects as ``listed`` has them, each with its points."""
    name = _points(head, _shapes(outputs))
    boxes = {key: array for key, array in outputs.items() if key != name and not _aside(key)}
    prediction, rows = listed_rows(head, boxes, context)
    points = np.asarray(outputs[name], np.float32)
    points = points.reshape(-1, *points.shape[-2:])[rows, :, :2]
    flat = points.reshape(-1, 2)
    if head.boxes == "yxyx":
        flat = flat[:, ::-1]
    moved = to_input(np.concatenate([flat, flat], axis=1), head.unit, context.geometry)[:, :2]
    return with_points(prediction, moved.reshape(points.shape), None, context)


def _aside(name: str) -> bool:
    """Scores of points are not scores of objects."""
    return "keypoints_scores" in name.lower()


def _points(head: ListedPointsHead, shapes: Shapes) -> str:
    if head.points_output:
        return head.points_output
    return next((n for n, s in shapes.items() if len(s) >= 3 and s[-1] in {2, 3} and s[-2] > 1), "")  # noqa: PLR2004


def _wants_points(head: ListedPointsHead, shapes: Shapes, n_labels: int) -> str:
    name = _points(head, shapes)
    if len(shapes.get(name, ())) not in {3, 4}:
        return "boxes [N, 4], labels [N], scores [N] and points [N, K, 3]"
    return wants_listed(head, {k: s for k, s in shapes.items() if k != name and not _aside(k)}, n_labels)


def _shapes(outputs: Outputs) -> Shapes:
    return {name: array.shape for name, array in outputs.items()}


LISTED_MASKS = Head(decode_listed_masks, _wants_masks)
LISTED_POINTS = Head(decode_listed_points, _wants_points)
