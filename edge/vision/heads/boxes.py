"""What heads of boxes share: choosing candidates, forms of boxes, cells of maps, and the way to a prediction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple, assert_never

import numpy as np
from numpy.typing import NDArray

from edge.errors import ModelError
from edge.vision.conventions.terms import BoxForm, Score, Unit
from edge.vision.geometry import Geometry
from edge.vision.heads.base import Context, Floats, activate, placed
from edge.vision.nms import suppress
from edge.vision.prediction import Prediction

Rows = NDArray[np.int64]

_SLACK = 1e-3
"""Of a logit: what is sent away before the activation is computed must not depend on its rounding."""


class Chosen(NamedTuple):
    """Candidates above their label's threshold: row of each, int64 ``(n,)``, its score 0..1 and its label."""

    rows: Rows
    scores: Floats
    label_ids: NDArray[np.int64]

    def take(self, rows: Rows) -> Chosen:
        """Some of them, in this order."""
        return Chosen(self.rows[rows], self.scores[rows], self.label_ids[rows])

    @classmethod
    def joined(cls, several: Sequence[Chosen]) -> Chosen:
        """Those of several maps, one after the other."""
        rows, scores, label_ids = zip(*several, strict=True)
        return cls(np.concatenate(rows), np.concatenate(scores), np.concatenate(label_ids))


def best_class(
    classes: Floats, context: Context, activation: Score = "none", weights: Floats | None = None, power: float = 1.0
) -> Chosen:
    """The likeliest class of each row of ``(N, C)`` that reaches its threshold, rows in their order.

    ``weights`` ``(N,)``, 0..1, is objectness: the score is ``weights * class^power``.
    """
    rows: Rows | None = None
    if weights is not None:
        # No class is above 1, so that weak objectness sends nearly all rows away before classes are looked at.
        rows = np.flatnonzero(weights >= context.lowest)
        classes, weights = classes[rows], weights[rows]
    if activation == "softmax":
        classes = activate(classes, "softmax", axis=1)
    if classes.strides[0] < classes.strides[1]:  # rows lie side by side: the maximum is cheap, its index is not
        best = classes.max(axis=1, initial=-np.inf)
        near = np.flatnonzero(best >= _floor(context.lowest, activation, power))
        best, label_ids = best[near], classes[near].argmax(axis=1)
    else:
        label_ids = classes.argmax(axis=1)
        best = classes[np.arange(len(classes)), label_ids]
        near = np.flatnonzero(best >= _floor(context.lowest, activation, power))
        best, label_ids = best[near], label_ids[near]
    scores = activate(best, "sigmoid", axis=0) if activation == "sigmoid" else best
    if power != 1.0:
        scores = np.maximum(scores, np.float32(0)) ** np.float32(power)
    if weights is not None:
        scores = scores * weights[near]
    keep = scores >= context.limits[label_ids]
    near, scores, label_ids = near[keep], scores[keep], label_ids[keep].astype(np.int64)
    return Chosen(near if rows is None else rows[near], np.asarray(scores, np.float32), label_ids)


def every_class(classes: Floats, context: Context, activation: Score = "none") -> Chosen:
    """As :func:`best_class`, but a row counts once for each of its classes that reaches the class's threshold."""
    if activation == "softmax":
        classes = activate(classes, "softmax", axis=1)
    rows, label_ids = np.nonzero(classes >= _floor(context.lowest, activation, 1.0))
    scores = classes[rows, label_ids]
    if activation == "sigmoid":
        scores = activate(scores, "sigmoid", axis=0)
    keep = scores >= context.limits[label_ids]
    return Chosen(rows[keep], scores[keep], label_ids[keep])


def _floor(lowest: np.floating[Any], activation: Score, power: float) -> float:
    """What a raw class score must reach to have a chance."""
    limit = math.pow(float(lowest), 1 / power)
    if activation != "sigmoid":
        return limit if power == 1.0 else limit - _SLACK
    return logit(limit)


def logit(probability: float) -> float:
    """The raw number whose sigmoid is (a little below) ``probability``."""
    if probability <= 0:
        return -math.inf
    return math.inf if probability > 1 else math.log(probability / max(1 - probability, 1e-9)) - _SLACK


def strong(raw: NDArray[np.float32], lowest: np.floating[Any], *, activated: bool) -> NDArray[np.bool_]:
    """Where objectness, a logit unless ``activated``, can reach the threshold."""
    return np.asarray(raw >= (float(lowest) if activated else logit(float(lowest))))


def corners(boxes: Floats, form: BoxForm) -> Floats:
    """Boxes ``(n, 4)`` of any form as left, top, right, bottom."""
    first, second = boxes[:, :2], boxes[:, 2:]
    match form:
        case "xyxy":
            return boxes
        case "yxyx":
            return boxes[:, [1, 0, 3, 2]]
        case "xywh":
            return np.concatenate([first, first + second], axis=1)
        case "cxcywh":
            half = second * np.float32(0.5)
            return np.concatenate([first - half, first + half], axis=1)
        case _:
            assert_never(form)


def to_input(xyxy: Floats, unit: Unit, geometry: Geometry) -> Floats:
    """Boxes ``(n, 4)`` in any unit as boxes in pixels of the model's input."""
    match unit:
        case "input":
            return xyxy
        case "normalised":
            return xyxy * np.array([geometry.input_width_px, geometry.input_height_px] * 2, np.float32)
        case "frame":
            return geometry.to_input(xyxy)
        case _:
            assert_never(unit)


def survivors(xyxy: Floats, chosen: Chosen, context: Context) -> tuple[Prediction, Rows]:
    """Suppress and place; with the prediction, which of ``chosen`` its rows are. ``xyxy`` in input pixels."""
    kept = unsuppressed(xyxy, chosen, context)
    prediction, placed_rows = placed(xyxy[kept], chosen.scores[kept], chosen.label_ids[kept], context)
    return prediction, kept[placed_rows]


def unsuppressed(xyxy: Floats, chosen: Chosen, context: Context) -> Rows:
    """Which of the candidates stay, likeliest first; those whose box is not finite do not."""
    finite = np.isfinite(xyxy).all(axis=1)
    if not finite.all():
        sound = np.flatnonzero(finite)
        return sound[unsuppressed(xyxy[sound], chosen.take(sound), context)]
    xywh = np.concatenate([xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]], axis=1)
    return suppress(xywh, chosen.scores, chosen.label_ids, context.thresholds.iou)


def in_order(xyxy: Floats, chosen: Chosen, context: Context) -> tuple[Prediction, Rows]:
    """As :func:`survivors` for what needs no suppression."""
    kept = np.flatnonzero(np.isfinite(xyxy).all(axis=1))
    kept = kept[np.argsort(-chosen.scores[kept], kind="stable")]
    prediction, placed_rows = placed(xyxy[kept], chosen.scores[kept], chosen.label_ids[kept], context)
    return prediction, kept[placed_rows]


class Cells(NamedTuple):
    """Cells of several maps, map after map, row-major: column and row, float32 ``(N, 2)``; stride, float32 ``(N, 1)``;
    how many each map has.
    """

    xy: Floats
    stride: Floats
    counts: tuple[int, ...]


@lru_cache(maxsize=64)
def cells(
    strides: Sequence[int], width_px: int, height_px: int, per_cell: int = 1, rounded: Literal["up", "down"] = "up"
) -> Cells:
    """The cells of an input of this size; ``per_cell`` rows each. Sides that a stride does not divide are rounded up,
    as padded convolutions do, or down.
    """
    grids, counts = [], []
    for stride in strides:
        spare = stride - 1 if rounded == "up" else 0
        columns, rows = (width_px + spare) // stride, (height_px + spare) // stride
        xy = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(-1, 2)
        grids.append(np.repeat(xy, per_cell, axis=0))
        counts.append(len(grids[-1]))
    made = np.concatenate(grids).astype(np.float32)
    step = np.repeat(np.array(strides, np.float32), counts)[:, None]
    made.setflags(write=False)  # shared by all who ask
    step.setflags(write=False)
    return Cells(made, step, tuple(counts))


def cells_of(strides: Sequence[int], geometry: Geometry, per_cell: int = 1) -> Cells:
    """:func:`cells` of a frame's input."""
    return cells(tuple(strides), geometry.input_width_px, geometry.input_height_px, per_cell)


def to_frame_points(points: Floats, geometry: Geometry) -> Floats:
    """Points ``(..., 2)`` in input pixels to frame pixels, not clipped."""
    scale = np.array([geometry.scale_x, geometry.scale_y], np.float32)
    offset = np.array([geometry.offset_x, geometry.offset_y], np.float32)
    return np.asarray((points - offset) / scale, np.float32)


def cells_unfit(wanted: int, seen: int, strides: Sequence[int]) -> ModelError:
    """For outputs that have another number of rows than an input of this size must give."""
    return ModelError(
        "MODEL_OUTPUT_UNFIT",
        f"the model gives {seen} candidates",
        f"strides {list(strides)} make {wanted} of this input",
        "correct strides or the input's size in the manifest",
    )
