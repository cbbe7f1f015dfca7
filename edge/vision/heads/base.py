"""What every head needs: the context of one frame, activations, and boxes made a prediction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import ModelError
from edge.vision.geometry import Geometry
from edge.vision.prediction import Prediction
from edge.vision.spec import Activation, Thresholds

Outputs = Mapping[str, NDArray[Any]]
"""Raw outputs by name, in the model's order."""

Shapes = Mapping[str, tuple[int, ...]]
"""Shapes of the outputs by name, in the model's order."""

Floats = NDArray[np.float32]

_ONE = np.float32(1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """What decoding needs besides the outputs.

    ``limits``: score threshold a label, float32 ``(C,)``; ``lowest`` is the lowest of them. ``blob`` is what went into
    the model, for heads that need it; ``data`` are the arrays of the bundle's files that the head names.
    """

    geometry: Geometry
    labels: tuple[str, ...]
    thresholds: Thresholds
    limits: NDArray[np.float32]
    mm_per_px: float | None = None
    blob: NDArray[Any] | None = None
    data: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    lowest: np.float32 = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lowest", self.limits.min(initial=np.float32(np.inf)))


@dataclass(frozen=True, slots=True)
class Head:
    """One convention.

    ``decode`` turns raw outputs into a prediction in frame pixels, vectorised. ``wants`` says which outputs it needs
    where these do not fit ('' where they do), for a number of labels; it is asked before the first frame.
    """

    decode: Callable[[Any, Outputs, Context], Prediction]
    wants: Callable[[Any, Shapes, int], str]
    maps: Callable[[Any, Outputs, Context], Floats] | None = None
    """For conventions that are maps over the input: raw outputs to float32 ``(C, h, w)`` that can be averaged where
    tiles of a large frame overlap."""
    from_maps: Callable[[Any, Floats, Context], Prediction] | None = None
    """And such maps to a prediction; ``decode`` is the one after the other. None where a prediction needs more than the
    maps."""
    needs_input: bool = False
    """``Context.blob`` is looked at."""


def limits_of(labels: tuple[str, ...], thresholds: Thresholds) -> NDArray[np.float32]:
    """Score threshold a label, float32 ``(C,)``."""
    return np.array([thresholds.labels.get(label, thresholds.score) for label in labels], np.float32)


def pick(outputs: Mapping[str, Any], name: str) -> Any:
    """The output called ``name``, or the first where the name is empty. Raises ModelError MODEL_OUTPUT_UNFIT."""
    if not name:
        return next(iter(outputs.values()))
    try:
        return outputs[name]
    except KeyError:
        names = ", ".join(outputs)
        raise ModelError("MODEL_OUTPUT_UNFIT", f"the model has no output {name!r}", f"it has {names}") from None


def floats(outputs: Outputs, name: str = "") -> Floats:
    """The output called ``name`` as float32 (no copy where it is already)."""
    return np.asarray(pick(outputs, name), np.float32)


def activate(values: NDArray[np.float32], activation: Activation, axis: int) -> NDArray[np.float32]:
    """Raw numbers to 0..1. Written so that large numbers do not overflow."""
    if activation == "sigmoid":
        # tanh saturates quietly on both sides, where 1 / (1 + exp(-x)) overflows for large negative x.
        return np.asarray(0.5 + 0.5 * np.tanh(0.5 * values), np.float32)
    if activation == "softmax":
        shifted = np.exp(values - values.max(axis=axis, keepdims=True))
        return np.asarray(shifted / shifted.sum(axis=axis, keepdims=True), np.float32)
    return np.clip(values, 0.0, 1.0)


def detections(
    xyxy: NDArray[np.float32], scores: NDArray[np.float32], label_ids: NDArray[np.int64], context: Context
) -> Prediction:
    """Sorted boxes in input pixels to a prediction; boxes that lie wholly in the padding are gone."""
    return placed(xyxy, scores, label_ids, context)[0]


def placed(
    xyxy: NDArray[np.float32], scores: NDArray[np.float32], label_ids: NDArray[np.int64], context: Context
) -> tuple[Prediction, NDArray[np.int64]]:
    """:func:`detections`, and which of the rows are in it."""
    geometry = context.geometry
    boxes = geometry.to_frame(xyxy)
    sides = boxes[:, 2:] - boxes[:, :2]
    areas = sides[:, 0] * sides[:, 1]
    # Boxes in the padding are rare, and row by row the question is dearer than the rest of this function.
    some = sides.min(initial=1) <= 0
    found = np.flatnonzero((sides > 0).all(axis=1)) if some else np.arange(len(boxes))
    keep = found[: context.thresholds.max_detections]
    if len(keep) < len(boxes):
        boxes, scores, label_ids, areas = boxes[keep], scores[keep], label_ids[keep], areas[keep]
    prediction = Prediction(
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
    return prediction, keep
