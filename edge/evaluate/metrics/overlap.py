"""How much two things are the same: boxes, masks, points."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

COCO_SIGMAS = (
    *(0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072),
    *(0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089),
)
"""Spread of each of COCO's 17 points between people who marked them (cocodataset.org, keypoints evaluation)."""


def box_overlap(found: NDArray[Any], true: NDArray[Any], crowd: NDArray[np.bool_]) -> Floats:
    """Intersection over union ``(n, m)`` of boxes ``(n, 4)`` and ``(m, 4)``, left, top, right, bottom.

    Where the true one is a crowd, over the found one's area (pycocotools, maskApi.c, bbIou).
    """
    a, b = np.asarray(found, np.float64).reshape(-1, 4), np.asarray(true, np.float64).reshape(-1, 4)
    corner = np.maximum(a[:, None, :2], b[None, :, :2])
    far = np.minimum(a[:, None, 2:], b[None, :, 2:])
    inside = np.clip(far - corner, 0, None).prod(axis=2)
    area_a, area_b = (a[:, 2:] - a[:, :2]).prod(axis=1), (b[:, 2:] - b[:, :2]).prod(axis=1)
    return over(inside, area_a, area_b, crowd)


def over(inside: Floats, area_found: Floats, area_true: Floats, crowd: NDArray[np.bool_]) -> Floats:
    """Shared areas ``(n, m)`` to overlaps, by the same rule."""
    union = np.where(crowd[None, :], area_found[:, None], area_found[:, None] + area_true[None, :] - inside)
    return np.asarray(inside / np.maximum(union, 1e-12))


def sigmas_of(n_points: int) -> Floats:
    """COCO's for 17 points; else 1 / n for each, as Ultralytics does, which says nothing about what a point is."""
    return np.array(COCO_SIGMAS if n_points == len(COCO_SIGMAS) else [1 / n_points] * n_points)


def oks(found: NDArray[Any], true: NDArray[Any], areas: NDArray[Any], boxes: NDArray[Any]) -> Floats:
    """Object keypoint similarity ``(n, m)`` of points ``(n, k, 3)`` and ``(m, k, 3)``, by pycocotools' computeOks.

    A true point counts if its third number is above 0; an object without any is compared by how far points lie
    outside its doubled box. ``areas`` ``(m,)`` px², ``boxes`` ``(m, 4)``.
    """
    spread = (2 * sigmas_of(found.shape[1])) ** 2
    delta = np.asarray(found, np.float64)[:, None, :, :2] - np.asarray(true, np.float64)[None, :, :, :2]
    seen = np.asarray(np.asarray(true, np.float64)[:, :, 2] > 0, bool)
    size = boxes[:, 2:] - boxes[:, :2]
    low, high = (boxes[:, :2] - size)[None, :, None], (boxes[:, 2:] + size)[None, :, None]
    points = np.asarray(found, np.float64)[:, None, :, :2]
    outside = np.maximum(0, low - points) + np.maximum(0, points - high)
    none = ~np.asarray(seen.any(axis=1), bool)
    delta = np.where(none[None, :, None, None], outside, delta)
    off = (delta**2).sum(axis=3) / spread / (np.asarray(areas, np.float64)[None, :, None] + np.spacing(1)) / 2
    counts = np.where(none[:, None], True, seen)
    return np.asarray((np.exp(-off) * counts[None]).sum(axis=2) / counts.sum(axis=1)[None])
