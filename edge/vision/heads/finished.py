"""Detections that are finished in the graph and given as several tensors."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.vision.conventions.lists import IndexedHead, ListedHead, ListedMasksHead, ListedPointsHead
from edge.vision.heads.base import Context, Head, Outputs, Shapes
from edge.vision.heads.boxes import Chosen, corners, in_order, to_input
from edge.vision.heads.found import AUX_WORDS, Found, boxes_and_scores
from edge.vision.heads.yolo import finished
from edge.vision.prediction import Prediction

_LABEL_WORDS = re.compile(r"label|class|\bcls", re.IGNORECASE)
_SCORE_WORDS = re.compile(r"score|conf|prob", re.IGNORECASE)
_COUNT_WORDS = re.compile(r"num|count|valid", re.IGNORECASE)
_BOX_WIDTHS = {4, 5}
_INDEX = 3
"""Image, class, box."""


@dataclass(frozen=True, slots=True)
class _Names:
    boxes: str
    labels: str
    scores: str
    """'' where the boxes have a fifth number."""
    count: str


Listed = ListedHead | ListedMasksHead | ListedPointsHead
Rows = NDArray[np.int64]


def decode_listed(head: ListedHead, outputs: Outputs, context: Context) -> Prediction:
    """Threshold and sort; rows with a class the labels do not name are dropped."""
    return listed_rows(head, outputs, context)[0]


def listed_rows(head: Listed, outputs: Outputs, context: Context) -> tuple[Prediction, Rows]:
    """What is found, and which rows of the model's lists they are. ``outputs`` without masks and points."""
    names = _names(head, {name: array.shape for name, array in outputs.items()})
    assert names is not None, "shapes were checked before"
    names = _told_apart(head, names, outputs)
    boxes = np.asarray(outputs[names.boxes], np.float32)
    boxes = boxes.reshape(-1, boxes.shape[-1])
    labels = np.asarray(outputs[names.labels], np.float32).reshape(-1, 1)
    scores = np.asarray(outputs[names.scores], np.float32).reshape(-1, 1) if names.scores else boxes[:, 4:5]
    n = min(len(boxes), len(labels), len(scores))
    if names.count:
        count = float(np.asarray(outputs[names.count]).reshape(-1)[0])
        n = min(n, max(0, int(count))) if math.isfinite(count) else 0
    number = np.arange(n, dtype=np.float32)[:, None]
    rows = np.concatenate([boxes[:n, :4], scores[:n], labels[:n], number], axis=1)
    rows = rows[(rows[:, 4] >= context.lowest) & np.isfinite(rows).all(axis=1)]
    chosen, rows = finished(rows, 4, 5, head.first_label, context)
    xyxy = to_input(corners(rows[:, :4], head.boxes), head.unit, context.geometry)
    prediction, kept = in_order(xyxy, chosen, context)
    return prediction, rows[kept, -1].astype(np.int64)


def _told_apart(head: Listed, names: _Names, outputs: Outputs) -> _Names:
    """Where names do not tell scores from labels, the numbers do: labels are whole."""
    if not names.scores or head.labels_output or head.scores_output:
        return names
    if _LABEL_WORDS.search(names.labels) or _SCORE_WORDS.search(names.scores):
        return names
    one, other = outputs[names.labels], outputs[names.scores]
    if _whole(one) or not _whole(other):
        return names
    return _Names(names.boxes, names.scores, names.labels, names.count)


def _whole(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> bool:
    return array.dtype.kind in "iu" or bool((np.asarray(array, np.float32) % 1 == 0).all())


def _names(head: Listed, shapes: Shapes) -> _Names | None:
    """Which output is what; where several could be, names decide, then the order boxes, labels, scores."""
    usable = {n: _bare(s) for n, s in shapes.items() if not AUX_WORDS.search(n) or n in _said(head)}
    boxes = head.boxes_output or next(
        (n for n, s in usable.items() if len(s) == 2 and s[1] in _BOX_WIDTHS),  # noqa: PLR2004  (rank)
        "",
    )
    if not boxes or len(usable.get(boxes, ())) != 2:  # noqa: PLR2004  (rank)
        return None
    rows, width = usable[boxes]
    flat = [n for n, s in usable.items() if n != boxes and s in {(rows,), (rows, 1)}]
    labels = head.labels_output or next((n for n in flat if _LABEL_WORDS.search(n)), "")
    scores = head.scores_output or next((n for n in flat if n != labels and _SCORE_WORDS.search(n)), "")
    left = [n for n in flat if n not in {labels, scores} and not _COUNT_WORDS.search(n)]
    if not labels and left:
        labels = left.pop(0)
    if not scores and left and width == 4:  # noqa: PLR2004  (the fifth is the score)
        scores = left.pop(0)
    count = head.count_output or next(
        (n for n, s in usable.items() if math.prod(s) == 1 and _COUNT_WORDS.search(n)), ""
    )
    return _Names(boxes, labels, scores, count) if labels and (scores or width > 4) else None  # noqa: PLR2004


def _said(head: Listed) -> set[str]:
    return {head.boxes_output, head.scores_output, head.labels_output, head.count_output}


def _bare(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Without the leading 1 of the batch, but never less than one axis."""
    return shape[1:] if len(shape) > 1 and shape[0] == 1 and shape not in {(1, 4), (1, 5)} else shape


def wants_listed(head: Listed, shapes: Shapes, _n_labels: int) -> str:
    """What the lists must be where these are not; '' where they are."""
    return "" if _names(head, shapes) else "boxes [N, 4], labels [N] and scores [N]"


def decode_indexed(head: IndexedHead, outputs: Outputs, context: Context) -> Prediction:
    """What the graph's suppression chose: threshold and sort."""
    shapes = {name: array.shape for name, array in outputs.items()}
    names = _indexed(head, shapes, len(context.labels))
    assert names is not None, "shapes were checked before"
    boxes, scores = names[0].rows(outputs), names[1].rows(outputs)
    chosen = np.asarray(outputs[names[2]]).reshape(-1, 3).astype(np.int64)
    image, label, box = chosen.T
    known = (image == 0) & (label >= 0) & (label < len(context.labels)) & (box >= 0) & (box < len(boxes))
    label, box = label[known], box[known]
    found = scores[box, label]
    keep = found >= context.limits[label]
    picked = Chosen(box[keep], found[keep], label[keep])
    return in_order(to_input(corners(boxes[picked.rows], head.boxes), head.unit, context.geometry), picked, context)[0]


def _indexed(head: IndexedHead, shapes: Shapes, n_labels: int) -> tuple[Found, Found, str] | None:
    indices = head.indices_output or next((n for n, s in shapes.items() if s and s[-1] == _INDEX), "")
    rest = {name: shape for name, shape in shapes.items() if name != indices}
    found = boxes_and_scores(rest, head.boxes_output, head.scores_output, (n_labels,))
    return None if found is None or not indices else (*found, indices)


def _wants_indexed(head: IndexedHead, shapes: Shapes, n_labels: int) -> str:
    wanted = f"boxes [1, N, 4], scores [1, {n_labels}, N] and indices [k, 3]"
    return "" if _indexed(head, shapes, n_labels) else wanted


LISTED = Head(decode_listed, wants_listed)
INDEXED = Head(decode_indexed, _wants_indexed)
