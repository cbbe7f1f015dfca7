"""One score a class for the whole frame."""

from __future__ import annotations

import math

import numpy as np

from edge.vision.conventions.whole import ClassifyHead
from edge.vision.heads.base import Context, Head, Outputs, Shapes, activate, floats, pick
from edge.vision.prediction import Prediction

_BOTH = 2


def decode_classify(head: ClassifyHead, outputs: Outputs, context: Context) -> Prediction:
    """``(1, C)``: every class at or above its threshold, and always the likeliest one."""
    output = floats(outputs, head.output).reshape(-1)
    scores = np.nan_to_num(activate(output, head.activation, axis=0), nan=0.0, posinf=1.0, neginf=0.0)
    if len(scores) == 1 and len(context.labels) == _BOTH:
        scores = np.concatenate([1 - scores, scores])
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


def _wants(head: ClassifyHead, shapes: Shapes, n_labels: int) -> str:
    shape = pick(shapes, head.output)
    if n_labels == _BOTH and math.prod(shape) == 1 and head.activation != "softmax":
        return ""
    fits = len(shape) >= 2 and shape[:2] == (1, n_labels) and set(shape[2:]) <= {1}  # noqa: PLR2004  (rank)
    return "" if fits else f"[1, {n_labels}]"


CLASSIFY = Head(decode_classify, _wants)
