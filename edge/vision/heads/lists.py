"""Boxes and scores in tensors of their own: SSD and DETR."""

from __future__ import annotations

import numpy as np

from edge.vision.conventions.lists import DetrHead, SsdHead
from edge.vision.heads.base import Context, Floats, Head, Outputs, Shapes, activate
from edge.vision.heads.boxes import Chosen, best_class, corners, every_class, in_order, survivors, to_input
from edge.vision.heads.found import Found, boxes_and_scores, table
from edge.vision.heads.priors import boxes_from, priors_of
from edge.vision.prediction import Prediction


def decode_ssd(head: SsdHead, outputs: Outputs, context: Context) -> Prediction:
    """Scores send most rows away; boxes of the rest, finished or from priors; suppression."""
    found = _ssd_tables(head, _shapes(outputs), len(context.labels))
    assert found is not None, "shapes were checked before"
    boxes, classes = found[0].rows(outputs), found[1].rows(outputs)
    chosen = foreground(classes, head.background, head.activation, context)
    picked = boxes[chosen.rows]
    if head.priors:
        made = priors_of(head.strides, head.priors, context.geometry, len(boxes))
        xyxy = boxes_from(picked, made, chosen.rows, head.variances)
    else:
        xyxy = to_input(corners(picked, head.boxes), head.unit, context.geometry)
    return survivors(xyxy, chosen, context)[0]


def foreground(classes: Floats, background: int | None, activation: str, context: Context) -> Chosen:
    """The best class of each row ``(N, C)``, one column of which may be background."""
    if activation == "softmax":  # background takes its share before it is taken away
        classes, activation = activate(classes, "softmax", axis=1), "none"
    if background is not None:
        side = [classes[:, :background], classes[:, background + 1 :]]
        classes = side[1] if background == 0 else side[0] if not side[1].size else np.concatenate(side, axis=1)
    return best_class(classes, context, "sigmoid" if activation == "sigmoid" else "none")


def _ssd_tables(head: SsdHead, shapes: Shapes, n_labels: int) -> tuple[Found, Found] | None:
    width = n_labels + (head.background is not None)
    return boxes_and_scores(shapes, head.boxes_output, head.scores_output, (width,))


def _wants_ssd(head: SsdHead, shapes: Shapes, n_labels: int) -> str:
    width = n_labels + (head.background is not None)
    if head.background is not None and head.background >= width:
        return f"background below {width}"
    return "" if _ssd_tables(head, shapes, n_labels) else f"boxes [1, N, 4] and scores [1, N, {width}]"


def decode_detr(head: DetrHead, outputs: Outputs, context: Context) -> Prediction:
    """Queries whose class, or pairs of query and class whose score, is high enough; no suppression."""
    n_labels = len(context.labels)
    joined = _joined(head, _shapes(outputs), n_labels)
    if joined is not None:
        rows = joined.rows(outputs)
        boxes, classes = rows[:, :4], rows[:, 4:]
    else:
        found = boxes_and_scores(_shapes(outputs), head.boxes_output, head.scores_output, (n_labels + _spare(head),))
        assert found is not None, "shapes were checked before"
        boxes, classes = found[0].rows(outputs), found[1].rows(outputs)
    if head.activation == "softmax":
        classes = activate(classes, "softmax", axis=1)[:, :n_labels]
        chosen = best_class(classes, context)
    elif joined is not None:
        chosen = best_class(classes[:, :n_labels], context, head.activation)
    else:
        chosen = every_class(classes[:, :n_labels], context, head.activation)
    xyxy = to_input(corners(boxes[chosen.rows], head.boxes), head.unit, context.geometry)
    return in_order(xyxy, chosen, context)[0]


def _spare(head: DetrHead) -> int:
    """1 where there is a class for 'no object'."""
    return int(head.activation == "softmax" if head.no_object is None else head.no_object)


def _joined(head: DetrHead, shapes: Shapes, n_labels: int) -> Found | None:
    wanted = 4 + n_labels + _spare(head)
    if head.boxes_output or len(shapes) != 1:
        return None
    name, shape = next(iter(shapes.items()))
    one = table(name, shape, (wanted,))
    return one if one is not None and not one.turned else None


def _wants_detr(head: DetrHead, shapes: Shapes, n_labels: int) -> str:
    width = n_labels + _spare(head)
    fits = _joined(head, shapes, n_labels) or boxes_and_scores(shapes, head.boxes_output, head.scores_output, (width,))
    return "" if fits else f"boxes [1, N, 4] and scores [1, N, {width}], or [1, N, {4 + width}]"


def _shapes(outputs: Outputs) -> Shapes:
    return {name: array.shape for name, array in outputs.items()}


SSD = Head(decode_ssd, _wants_ssd)
DETR = Head(decode_detr, _wants_detr)
