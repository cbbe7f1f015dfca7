"""Pixels and regions: how well what was marked covers what is there."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

IGNORE = -1
"""In a truth ``(h, w)`` of class numbers from 1 and 0 for nothing: pixels that nobody can judge."""

SIDES_PX = (0.0, 8.0, 16.0, 32.0, 64.0)
"""Regions are told apart by the side of a square of their area: lower ends of the bins."""


@dataclass(frozen=True, slots=True)
class Region:
    """One true region: its class number, its area, and the share of its pixels that was marked at all (0..1)."""

    class_no: int
    area_px: int
    covered: float

    @property
    def side_px(self) -> float:
        """Of a square of the same area."""
        return float(self.area_px**0.5)


def pixel_counts(true: NDArray[np.int16], found: NDArray[np.int16], n: int) -> NDArray[np.int64]:
    """Confusion of pixels ``(n + 1, n + 1)``, rows the truth, 0 for nothing; ignored pixels are left out."""
    flat = true.ravel().astype(np.int64) * (n + 1) + found.ravel()
    counted = flat[true.ravel() != IGNORE]
    return np.bincount(counted, minlength=(n + 1) ** 2).reshape(n + 1, n + 1).astype(np.int64)


def iou_and_dice(counts: NDArray[np.int64]) -> tuple[list[float | None], list[float | None]]:
    """Per class number (nothing included): intersection over union, and Dice; None where neither side has a pixel."""
    right = np.diagonal(counts)
    both = counts.sum(axis=0) + counts.sum(axis=1)
    ious = [int(r) / int(b - r) if b else None for r, b in zip(right, both, strict=True)]
    dices = [2 * int(r) / int(b) if b else None for r, b in zip(right, both, strict=True)]
    return ious, dices


def regions_of(true: NDArray[np.int16], found: NDArray[np.int16]) -> list[Region]:
    """The connected regions (8 neighbours) of the truth, each class for itself; what is marked counts in any class."""
    out = []
    for number in np.unique(true[true > 0]).tolist():
        count, marks, stats, _ = cv2.connectedComponentsWithStats((true == number).astype(np.uint8), connectivity=8)
        covered = np.bincount(marks[found > 0], minlength=count)
        areas = stats[:, cv2.CC_STAT_AREA]
        out += [Region(number, int(areas[i]), float(covered[i] / areas[i])) for i in range(1, count)]
    return out


def false_regions(true: NDArray[np.int16], found: NDArray[np.int16]) -> int:
    """Marked regions that touch nothing true (and nothing ignored)."""
    count, marks = cv2.connectedComponents((found > 0).astype(np.uint8), connectivity=8)
    return int(count - 1 - len(np.setdiff1d(np.unique(marks[true != 0]), [0])))
