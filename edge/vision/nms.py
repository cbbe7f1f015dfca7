"""Non-maximum suppression: of boxes of one label that overlap too much, only the likeliest stays."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

MAX_CANDIDATES = 3000
"""More candidates than this enter no suppression, its cost being quadratic; the least likely are left out."""


def suppress(
    xywh: NDArray[Any], scores: NDArray[np.float32], label_ids: NDArray[np.int64], iou: float
) -> NDArray[np.int64]:
    """Indices of the rows that stay, highest score first.

    ``xywh`` float ``(n, 4)``: left, top, width, height; ``scores`` ``(n,)``, ``label_ids`` ``(n,)``. Greedy, per
    label: a box goes when its intersection over union with a likelier one that stays is above ``iou``.
    """
    if len(scores) < 2:  # noqa: PLR2004  (nothing to compare)
        return np.arange(len(scores))
    if len(scores) > MAX_CANDIDATES:
        best = np.argsort(-scores, kind="stable")[:MAX_CANDIDATES]
        return best[suppress(xywh[best], scores[best], label_ids[best], iou)]
    # Its own score threshold is strict and would drop a score of 0; ours was applied before.
    # The stubs want lists; arrays are taken as they are and cost a fifth.
    batched: Any = cv2.dnn.NMSBoxesBatched
    kept = batched(xywh.astype(np.float64), scores, label_ids.astype(np.int32), -1.0, iou)
    return np.asarray(kept, np.int64)


def suppress_rotated(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    label_ids: NDArray[np.int64],
    iou: float,
    *,
    exact: bool = False,
) -> NDArray[np.int64]:
    """As :func:`suppress`, for rotated boxes float32 ``(n, 5)``: cx, cy, w, h, angle in radians, clockwise.

    The overlap is the probabilistic one (:func:`probiou`), or with ``exact`` that of the polygons.
    """
    order = np.argsort(-scores, kind="stable")[:MAX_CANDIDATES]
    if exact:
        return _suppress_polygons(boxes, scores, label_ids, iou, order)
    kept = []
    spread = _spread(boxes)
    while len(order):
        first, rest = order[0], order[1:]
        kept.append(first)
        rest_alike = label_ids[rest] == label_ids[first]
        near = rest[rest_alike]
        gone = np.zeros(len(rest), bool)
        gone[rest_alike] = probiou(boxes[first], spread[first], boxes[near], spread[near]) > iou
        order = rest[~gone]
    return np.array(kept, np.int64)


def _suppress_polygons(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    label_ids: NDArray[np.int64],
    iou: float,
    order: NDArray[np.int64],
) -> NDArray[np.int64]:
    kept = []
    for label in np.unique(label_ids[order]):
        rows = order[label_ids[order] == label]
        turned = [
            ((cx, cy), (w, h), angle)
            for cx, cy, w, h, angle in np.column_stack([boxes[rows, :4], np.degrees(boxes[rows, 4])]).tolist()
        ]
        chosen: Any = cv2.dnn.NMSBoxesRotated(turned, scores[rows].tolist(), -1.0, iou)
        kept.append(rows[np.asarray(chosen, np.int64).reshape(-1)])
    found = np.concatenate(kept) if kept else order
    return found[np.argsort(-scores[found], kind="stable")]


def _spread(boxes: NDArray[np.float32]) -> NDArray[np.float64]:
    """Covariances a, b, c ``(n, 3)`` of the Gaussians that stand for rotated boxes: matrix ``[[a, c], [c, b]]``."""
    w2, h2 = boxes[:, 2].astype(np.float64) ** 2 / 12, boxes[:, 3].astype(np.float64) ** 2 / 12
    cos, sin = np.cos(boxes[:, 4].astype(np.float64)), np.sin(boxes[:, 4].astype(np.float64))
    return np.stack([w2 * cos**2 + h2 * sin**2, w2 * sin**2 + h2 * cos**2, (w2 - h2) * cos * sin], axis=1)


def probiou(
    one: NDArray[np.float32],
    one_spread: NDArray[np.float64],
    others: NDArray[np.float32],
    others_spread: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Probabilistic overlap 0..1 of a rotated box with others: 1 less the Hellinger distance of their Gaussians
    (Llerena et al. 2021, "Gaussian Bounding Boxes and Probabilistic Intersection-over-Union", equations 5 and 8).
    """
    tiny = 1e-7
    a, b, c = (one_spread + others_spread).T
    dx, dy = (others[:, :2] - one[:2]).astype(np.float64).T
    both = a * b - c**2
    mahalanobis = (a * dy**2 + b * dx**2 - 2 * c * dx * dy) / (both + tiny) / 4
    dets = [np.maximum(s[..., 0] * s[..., 1] - s[..., 2] ** 2, 0) for s in (one_spread, others_spread)]
    shape = np.log(both / (4 * np.sqrt(dets[0] * dets[1]) + tiny) + tiny) / 2
    bhattacharyya = np.clip(mahalanobis + shape, tiny, 100.0)
    return np.asarray(1 - np.sqrt(1 - np.exp(-bhattacharyya) + tiny))
