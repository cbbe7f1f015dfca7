"""Average precision by COCO's rules (pycocotools, cocoeval.py: evaluateImg and accumulate).

Per class, overlap threshold and range of sizes: detections of all pictures by falling score; each takes the true
object it overlaps most and that nobody took; true objects outside the range, and crowds, are neither found nor missed,
nor are unmatched detections outside the range. Precision is made to fall, and read at 101 recalls.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

IOUS: Floats = np.linspace(0.5, 0.95, 10)
RECALLS: Floats = np.linspace(0.0, 1.0, 101)
MAX_DETECTIONS = 100
SIZES: dict[str, tuple[float, float]] = {
    "all": (0.0, 1e10),
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e10),
}
"""Ranges of area in px²: their names for detection."""


@dataclass(frozen=True, slots=True, eq=False)
class Pairing:
    """One picture: n found, m true, and how much each pair overlaps.

    ``scores`` ``(n,)``, ``found_ids`` ``(n,)`` class numbers, ``found_areas`` ``(n,)`` px²; ``true_ids``, ``crowd``
    and ``true_areas`` ``(m,)``; ``overlaps`` ``(n, m)``, 0..1. ``crowd`` is all that is not to be found.
    """

    scores: Floats
    found_ids: NDArray[np.int64]
    found_areas: Floats
    true_ids: NDArray[np.int64]
    crowd: Bools
    true_areas: Floats
    overlaps: Floats


@dataclass(frozen=True, slots=True, eq=False)
class ClassCurve:
    """One class: ``precision`` ``(T, 101)`` at each overlap and recall, ``recall`` ``(T,)`` reached in the end,
    ``n_true`` objects. Only classes with a true object have one.
    """

    precision: Floats
    recall: Floats
    n_true: int

    @property
    def ap(self) -> float:
        """Mean over overlaps and recalls."""
        return float(self.precision.mean())

    @property
    def ap50(self) -> float:
        """At overlap 0.5."""
        return float(self.precision[0].mean())


def curves(
    images: Sequence[Pairing], size: str = "all", ious: Floats = IOUS, max_detections: int = MAX_DETECTIONS
) -> dict[int, ClassCurve]:
    """A curve for each class number that has a true object in this range of sizes."""
    low, high = SIZES[size]
    classes: dict[int, list[Pairing]] = defaultdict(list)
    for image in images:
        for number in np.union1d(image.found_ids, image.true_ids).tolist():
            classes[number].append(image)
    found = {n: _curve(n, classes[n], (low, high), ious, max_detections) for n in sorted(classes)}
    return {n: curve for n, curve in found.items() if curve is not None}


def mean_ap(by_class: dict[int, ClassCurve]) -> tuple[float | None, float | None]:
    """MAP over all overlaps, and at 0.5; None without a class."""
    if not by_class:
        return None, None
    return float(np.mean([c.ap for c in by_class.values()])), float(np.mean([c.ap50 for c in by_class.values()]))


def match(overlaps: Floats, ignored: Bools, crowd: Bools, ious: Floats) -> NDArray[np.int64]:
    """Which true object each detection takes, ``(T, n)``, -1 for none; detections by falling score ``(n, m)``.

    One that counts goes before one that is ignored; of equals the later, as there; only crowds are taken twice.
    """
    n, m = overlaps.shape
    taken = np.zeros((len(ious), m), bool)
    out = np.full((len(ious), n), -1, np.int64)
    if not m:
        return out
    rows = np.arange(len(ious))
    limits = np.minimum(ious, 1 - 1e-10)[:, None]
    for number in np.flatnonzero(overlaps.max(axis=1) >= limits.min()).tolist():
        able = (overlaps[number][None] >= limits) & (~taken | crowd[None])
        # Those that count are two better than any that is ignored: an overlap is at most one.
        worth = np.where(able, overlaps[number][None] + np.where(ignored, 0.0, 2.0)[None], -1.0)
        best = m - 1 - worth[:, ::-1].argmax(axis=1)
        hit = worth[rows, best] >= 0
        out[hit, number] = best[hit]
        taken[rows[hit], best[hit]] = True
    return out


def _curve(
    number: int, images: Sequence[Pairing], limits: tuple[float, float], ious: Floats, max_detections: int
) -> ClassCurve | None:
    n_true = 0
    scores, hits, ignores = [], [], []
    for image in images:
        truth = np.flatnonzero(image.true_ids == number)
        outside = (image.true_areas[truth] < limits[0]) | (image.true_areas[truth] > limits[1])
        crowd = image.crowd[truth]
        ignored = crowd | outside
        n_true += int((~ignored).sum())
        rows = np.flatnonzero(image.found_ids == number)
        rows = rows[np.argsort(-image.scores[rows], kind="stable")][:max_detections]
        if not len(rows):
            continue
        taken = match(image.overlaps[np.ix_(rows, truth)], ignored, crowd, ious)
        matched = taken >= 0
        areas = image.found_areas[rows]
        beyond = (areas < limits[0]) | (areas > limits[1])
        skip = np.where(matched, ignored[taken] if len(truth) else False, beyond[None])
        scores.append(image.scores[rows])
        hits.append(matched & ~skip)
        ignores.append(skip)
    if not n_true:
        return None
    if not scores:
        return ClassCurve(np.zeros((len(ious), len(RECALLS))), np.zeros(len(ious)), n_true)
    order = np.argsort(-np.concatenate(scores), kind="stable")
    right = np.cumsum(np.concatenate(hits, axis=1)[:, order], axis=1).astype(np.float64)
    wrong = np.cumsum(~(np.concatenate(hits, axis=1) | np.concatenate(ignores, axis=1))[:, order], axis=1)
    recall = right / n_true
    precision = right / (right + wrong + np.spacing(1))
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    read = np.zeros((len(ious), len(RECALLS)))
    for row in range(len(ious)):
        at = np.searchsorted(recall[row], RECALLS, side="left")
        there = at < precision.shape[1]
        read[row, there] = precision[row, at[there]]
    return ClassCurve(read, recall[:, -1], n_true)
