"""From a model's raw outputs to a :class:`Prediction`: one pure function a convention, and a table of them.

A new convention is a struct in :mod:`edge.vision.spec`, a function here, a row in ``HEADS`` and, where bare files
are to be recognised, a rule in :mod:`edge.models.inspect`. Numpy runs over all candidates; Python sees only rows
that passed the threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import ModelError
from edge.vision.geometry import Geometry
from edge.vision.maps import regions_of
from edge.vision.nms import suppress
from edge.vision.prediction import Prediction
from edge.vision.spec import (
    Activation,
    ClassifyHead,
    End2EndHead,
    HeadSpec,
    SegmentHead,
    Thresholds,
    YoloV8Head,
)

Outputs = Mapping[str, NDArray[Any]]
"""Raw outputs by name, in the model's order."""

Shape = tuple[int, ...]

_ONE = np.float32(1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """What decoding needs besides the outputs.

    ``limits``: score threshold a label, float32 ``(C,)``; ``lowest`` is the lowest of them.
    """

    geometry: Geometry
    labels: tuple[str, ...]
    thresholds: Thresholds
    limits: NDArray[np.float32]
    mm_per_px: float | None = None
    lowest: np.float32 = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lowest", np.min(self.limits))


def limits_of(labels: tuple[str, ...], thresholds: Thresholds) -> NDArray[np.float32]:
    """Score threshold a label, float32 ``(C,)``."""
    return np.array([thresholds.labels.get(label, thresholds.score) for label in labels], np.float32)


def decode(head: HeadSpec, outputs: Outputs, context: Context) -> Prediction:
    """Raw outputs to a prediction in frame pixels. Raises ModelError MODEL_OUTPUT_UNFIT."""
    output = pick(head, outputs)
    check_shape(head, output.shape, len(context.labels))
    if output.dtype != np.float32:
        output = output.astype(np.float32)
    return HEADS[type(head)].decode(head, output, context)


def pick(head: HeadSpec, outputs: Outputs) -> NDArray[Any]:
    """The tensor a head is about: the named one, else the first."""
    if not head.output:
        return next(iter(outputs.values()))
    try:
        return outputs[head.output]
    except KeyError:
        names = ", ".join(outputs)
        raise ModelError("MODEL_OUTPUT_UNFIT", f"the model has no output {head.output!r}", f"it has {names}") from None


def check_shape(head: HeadSpec, shape: Shape, n_labels: int) -> None:
    """Raises ModelError MODEL_OUTPUT_UNFIT if an output of this shape is not what the head needs."""
    wanted = HEADS[type(head)].wants(head, shape, n_labels)
    if wanted:
        raise ModelError(
            "MODEL_OUTPUT_UNFIT",
            f"the model's output has shape {list(shape)}",
            f"{wanted} is needed for {n_labels} labels",
            "check head and labels in the manifest",
        )


def decode_yolov8(_head: HeadSpec, output: NDArray[np.float32], context: Context) -> Prediction:
    """``(1, 4 + C, N)``: threshold, boxes of what is left, suppression."""
    columns = output[0]
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
    return _detections(xyxy, scores[kept], label_ids[kept], context)


def decode_end2end(_head: HeadSpec, output: NDArray[np.float32], context: Context) -> Prediction:
    """``(1, N, 6)``: threshold and sort. Rows with a class the labels do not name are dropped."""
    rows = output[0]
    rows = rows[(rows[:, 4] >= context.lowest) & np.isfinite(rows).all(axis=1)]
    rows = rows[(rows[:, 5] >= 0) & (rows[:, 5] < len(context.labels))]
    label_ids = rows[:, 5].astype(np.int64)
    keep = np.flatnonzero(rows[:, 4] >= context.limits[label_ids])
    kept = keep[np.argsort(-rows[keep, 4], kind="stable")]
    return _detections(rows[kept, :4], rows[kept, 4], label_ids[kept], context)


def decode_classify(head: HeadSpec, output: NDArray[np.float32], context: Context) -> Prediction:
    """``(1, C)``: every class at or above its threshold, and always the likeliest one."""
    assert isinstance(head, ClassifyHead)
    scores = np.nan_to_num(activate(output.reshape(-1), head.activation, axis=0), nan=0.0, posinf=1.0, neginf=0.0)
    order = np.argsort(-scores, kind="stable")
    keep = scores[order] >= context.limits[order]
    keep[:1] = True
    order = order[keep]
    kept = order[: context.thresholds.max_detections]
    geometry = context.geometry
    width, height = geometry.frame_width_px, geometry.frame_height_px
    return Prediction(
        "classify",
        context.labels,
        width,
        height,
        np.tile(np.array([[0, 0, width, height]], np.float32), (len(kept), 1)),
        scores[kept],
        kept,
        np.full(len(kept), width * height, np.float32),
        dropped=len(order) - len(kept),
        mm_per_px=context.mm_per_px,
    )


def decode_segment(head: HeadSpec, output: NDArray[np.float32], context: Context) -> Prediction:
    """``(1, C, h, w)``: activation at the map's own resolution, then regions at the frame's."""
    assert isinstance(head, SegmentHead)
    maps = activate(output[0], head.activation, axis=0)
    exclusive = head.activation == "softmax" if head.exclusive is None else head.exclusive
    thresholds = context.thresholds
    min_area_px = thresholds.min_area_px
    if context.mm_per_px is not None:
        min_area_px = max(min_area_px, thresholds.min_area_mm2 / context.mm_per_px**2)
    regions = regions_of(
        maps,
        context.limits,
        context.geometry,
        background=head.background,
        exclusive=exclusive,
        min_area_px=min_area_px,
        max_regions=thresholds.max_detections,
    )
    return Prediction(
        "segment",
        context.labels,
        context.geometry.frame_width_px,
        context.geometry.frame_height_px,
        regions.boxes,
        regions.scores,
        regions.label_ids,
        regions.areas_px,
        regions.polygons,
        regions.dropped,
        context.mm_per_px,
    )


def activate(values: NDArray[np.float32], activation: Activation, axis: int) -> NDArray[np.float32]:
    """Raw numbers to 0..1. Written so that large numbers do not overflow."""
    if activation == "sigmoid":
        # tanh saturates quietly on both sides, where 1 / (1 + exp(-x)) overflows for large negative x.
        return np.asarray(0.5 + 0.5 * np.tanh(0.5 * values), np.float32)
    if activation == "softmax":
        shifted = np.exp(values - values.max(axis=axis, keepdims=True))
        return np.asarray(shifted / shifted.sum(axis=axis, keepdims=True), np.float32)
    return np.clip(values, 0.0, 1.0)


def _detections(
    xyxy: NDArray[np.float32], scores: NDArray[np.float32], label_ids: NDArray[np.int64], context: Context
) -> Prediction:
    """Sorted boxes in input pixels to a prediction; boxes that lie wholly in the padding are gone."""
    geometry = context.geometry
    boxes = geometry.to_frame(xyxy)
    sides = boxes[:, 2:] - boxes[:, :2]
    areas = sides[:, 0] * sides[:, 1]
    found = np.flatnonzero(sides.min(axis=1) > 0)
    keep = found[: context.thresholds.max_detections]
    if len(keep) < len(boxes):
        boxes, scores, label_ids, areas = boxes[keep], scores[keep], label_ids[keep], areas[keep]
    return Prediction(
        "detect",
        context.labels,
        geometry.frame_width_px,
        geometry.frame_height_px,
        boxes,
        np.minimum(scores, _ONE),
        label_ids,
        areas,
        dropped=len(found) - len(keep),
        mm_per_px=context.mm_per_px,
    )


def _wants_yolov8(_head: HeadSpec, shape: Shape, n_labels: int) -> str:
    wanted = 4 + n_labels
    return "" if len(shape) == 3 and shape[:2] == (1, wanted) else f"[1, {wanted}, N]"  # noqa: PLR2004  (rank)


def _wants_end2end(_head: HeadSpec, shape: Shape, _n_labels: int) -> str:
    return "" if len(shape) == 3 and shape[0] == 1 and shape[2] == 6 else "[1, N, 6]"  # noqa: PLR2004  (rank, columns)


def _wants_classify(_head: HeadSpec, shape: Shape, n_labels: int) -> str:
    fits = len(shape) >= 2 and shape[:2] == (1, n_labels) and set(shape[2:]) <= {1}  # noqa: PLR2004  (rank)
    return "" if fits else f"[1, {n_labels}]"


def _wants_segment(head: HeadSpec, shape: Shape, n_labels: int) -> str:
    assert isinstance(head, SegmentHead)
    channels = n_labels + (head.background is not None)
    fits = len(shape) == 4 and shape[:2] == (1, channels) and 0 not in shape  # noqa: PLR2004  (rank)
    fits = fits and (head.background is None or head.background < channels)
    return "" if fits else f"[1, {channels}, h, w]"


@dataclass(frozen=True, slots=True)
class Head:
    """One convention: how to read it, and what shape it must have ('' if it fits, else what is wanted)."""

    decode: Callable[[HeadSpec, NDArray[np.float32], Context], Prediction]
    wants: Callable[[HeadSpec, Shape, int], str]


HEADS: dict[type[HeadSpec], Head] = {
    YoloV8Head: Head(decode_yolov8, _wants_yolov8),
    End2EndHead: Head(decode_end2end, _wants_end2end),
    ClassifyHead: Head(decode_classify, _wants_classify),
    SegmentHead: Head(decode_segment, _wants_segment),
}
