"""Objects with points: YOLO poses, and faces with landmarks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edge.vision.conventions.shapes import RetinaFaceHead, ScrfdHead, YoloPoseHead, YuNetHead
from edge.vision.heads.base import Context, Floats, Head, Outputs, Shapes, activate, floats, pick
from edge.vision.heads.boxes import (
    Cells,
    Chosen,
    best_class,
    cells_of,
    cells_unfit,
    corners,
    survivors,
    to_frame_points,
)
from edge.vision.heads.distances import around
from edge.vision.heads.found import Found, boxes_and_scores, levels, parts, table
from edge.vision.heads.lists import foreground
from edge.vision.heads.priors import boxes_from, points_from, priors_of
from edge.vision.heads.rows import carried, wanted_width, wants_table
from edge.vision.prediction import Prediction


def with_points(prediction: Prediction, points: Floats, scores: Floats | None, context: Context) -> Prediction:
    """``points`` float32 ``(n, k, 2)`` in input pixels, their ``scores`` ``(n, k)``, else 1. Points beyond the frame
    lie on its border, as boxes do; what is not finite is at the origin with score 0.
    """
    found = np.ones((*points.shape[:2], 3), np.float32)
    with np.errstate(invalid="ignore"):
        found[..., :2] = to_frame_points(points, context.geometry)
    if scores is not None:
        found[..., 2] = np.clip(scores, 0, 1)
    found[~np.isfinite(found).all(axis=2)] = 0
    size = np.array([prediction.frame_width_px, prediction.frame_height_px], np.float32)
    found[..., :2] = np.clip(found[..., :2], 0, size)
    return replace(prediction, task="keypoints", keypoints=found)


def decode_yolo_pose(head: YoloPoseHead, outputs: Outputs, context: Context) -> Prediction:
    """Boxes as of a detector; then each row's points."""
    found = carried(floats(outputs, head.output)[0], head.layout, context)
    points = found.more.reshape(-1, head.points, head.values)
    scores = None
    if head.values == 3:  # noqa: PLR2004  (x, y, visibility)
        scores = activate(points[..., 2], head.activation, axis=0)
    return with_points(found.prediction, points[..., :2], scores, context)


def _wants_yolo_pose(head: YoloPoseHead, shapes: Shapes, n_labels: int) -> str:
    width = wanted_width(head.layout, n_labels, head.values * head.points)
    return wants_table(pick(shapes, head.output), head.layout, width)


def decode_yunet(head: YuNetHead, outputs: Outputs, context: Context) -> Prediction:
    """For each stride class and objectness, box and points in cells."""
    grid, tables = _per_stride(outputs, _yunet_widths(head), head.strides, 1, context)
    classes, objectness, boxes, points = tables
    score = np.sqrt(np.clip(classes, 0, 1) * np.clip(objectness, 0, 1))
    chosen = best_class(score, context)
    rows = chosen.rows
    stride, cell = grid.stride[rows], grid.xy[rows]
    with np.errstate(over="ignore"):  # what is not finite is dropped
        size = np.exp(boxes[rows, 2:]) * stride
    xyxy = corners(np.concatenate([(cell + boxes[rows, :2]) * stride, size], axis=1), "cxcywh")
    prediction, kept = survivors(xyxy, chosen, context)
    pairs = points[rows[kept]].reshape(-1, head.points, 2)
    return with_points(prediction, (pairs + cell[kept, None]) * stride[kept, None], None, context)


def _yunet_widths(head: YuNetHead) -> list[int]:
    return [1, 1, 4, 2 * head.points]


def _wants_yunet(head: YuNetHead, shapes: Shapes, n_labels: int) -> str:
    widths = _yunet_widths(head)
    if n_labels != 1:
        return "one label: yunet knows one class; it"
    return "" if len(levels(shapes, widths)) == len(head.strides) else _per_stride_words(head.strides, widths)


def decode_scrfd(head: ScrfdHead, outputs: Outputs, context: Context) -> Prediction:
    """For each stride scores, distances to the sides, and points, all from the cell's corner."""
    grid, tables = _per_stride(outputs, _scrfd_widths(head), head.strides, head.per_cell, context)
    scores, distances, points = tables
    chosen = best_class(scores, context)
    rows = chosen.rows
    prediction, kept = survivors(around(grid, rows, distances[rows], 0.0), chosen, context)
    pairs = points[rows[kept]].reshape(-1, head.points, 2)
    from_corner = (pairs + grid.xy[rows[kept], None]) * grid.stride[rows[kept], None]
    return with_points(prediction, from_corner, None, context)


def _scrfd_widths(head: ScrfdHead) -> list[int]:
    return [1, 4, 2 * head.points]


def _wants_scrfd(head: ScrfdHead, shapes: Shapes, n_labels: int) -> str:
    widths = _scrfd_widths(head)
    if n_labels != 1:
        return "one label: scrfd knows one class; it"
    return "" if len(levels(shapes, widths)) == len(head.strides) else _per_stride_words(head.strides, widths)


def _per_stride_words(strides: Sequence[int], widths: Sequence[int]) -> str:
    return f"for each of {len(strides)} strides " + ", ".join(f"[1, n, {width}]" for width in widths)


def _per_stride(
    outputs: Outputs, widths: list[int], strides: Sequence[int], per_cell: int, context: Context
) -> tuple[Cells, list[Floats]]:
    """The cells of all strides and their tables, the maps' rows one after the other."""
    found = levels({name: array.shape for name, array in outputs.items()}, widths)
    grid = cells_of(strides, context.geometry, per_cell)
    if tuple(level[0].n for level in found) != grid.counts:
        raise cells_unfit(sum(grid.counts), sum(level[0].n for level in found), strides)
    maps = [parts(level, outputs, widths) for level in found]
    return grid, [np.concatenate(tables) for tables in zip(*maps, strict=True)]


def decode_retinaface(head: RetinaFaceHead, outputs: Outputs, context: Context) -> Prediction:
    """As ``ssd`` with priors, and points from the same priors."""
    names = _retinaface_tables(head, {name: array.shape for name, array in outputs.items()}, len(context.labels))
    assert names is not None, "shapes were checked before"
    boxes, classes, points, overlap = _retinaface_parts(names, outputs)
    if overlap is not None:
        faces = activate(classes, head.activation, axis=1)[:, 1:]
        chosen: Chosen = best_class(np.sqrt(faces * np.clip(overlap, 0, 1)), context)
    else:
        chosen = foreground(classes, 0, head.activation, context)
    made = priors_of(head.strides, head.priors, context.geometry, len(boxes), head.rounded)
    xyxy = boxes_from(boxes[chosen.rows], made, chosen.rows, head.variances)
    prediction, kept = survivors(xyxy, chosen, context)
    rows = chosen.rows[kept]
    return with_points(prediction, points_from(points[rows], made, rows, head.variances), None, context)


def _retinaface_parts(names: tuple[Found, ...], outputs: Outputs) -> tuple[Floats, Floats, Floats, Floats | None]:
    """Boxes, scores, points and expected overlap of all priors."""
    boxes, classes, points, *rest = (one.rows(outputs) for one in names)
    overlap = rest[0] if rest else None
    return boxes[:, :4], classes, points[:, 4:] if names[0] == names[2] else points, overlap


def _retinaface_tables(head: RetinaFaceHead, shapes: Shapes, n_labels: int) -> tuple[Found, ...] | None:
    """Boxes, scores, points and, where there is one, the expected overlap; boxes and points may be one tensor."""
    joined = _only(shapes, 4 + 2 * head.points)
    if joined is not None:
        scores, overlap = _only(shapes, 1 + n_labels), _only(shapes, 1)
        found = (joined, scores, joined, *([overlap] if overlap else ()))
        return found if scores and all(one and one.n == joined.n for one in found) else None
    points = _only(shapes, 2 * head.points)
    if points is None:
        return None
    rest = {name: shape for name, shape in shapes.items() if name != points.name}
    pair = boxes_and_scores(rest, "", "", (1 + n_labels,))
    return None if pair is None or pair[0].n != points.n else (*pair, points)


def _only(shapes: Shapes, width: int) -> Found | None:
    """The first output whose rows have this width."""
    return next((t for n, s in shapes.items() if (t := table(n, s, (width,))) and not t.turned), None)


def _wants_retinaface(head: RetinaFaceHead, shapes: Shapes, n_labels: int) -> str:
    if _retinaface_tables(head, shapes, n_labels):
        return ""
    return f"boxes [1, N, 4], scores [1, N, {1 + n_labels}] and points [1, N, {2 * head.points}]"


YOLO_POSE = Head(decode_yolo_pose, _wants_yolo_pose)
YUNET = Head(decode_yunet, _wants_yunet)
SCRFD = Head(decode_scrfd, _wants_scrfd)
RETINAFACE = Head(decode_retinaface, _wants_retinaface)
