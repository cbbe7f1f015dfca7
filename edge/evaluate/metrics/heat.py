"""Anomaly maps against true pixels, over all thresholds at once, in memory that does not grow with the pictures."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

BINS = 4096
FPR_LIMIT = 0.3
"""Up to this share of good pixels the overlap of regions is looked at (Bergmann et al., IJCV 129, 2021, MVTec AD)."""


def _bins() -> NDArray[np.float64]:
    return np.zeros(BINS)


@dataclass(slots=True, eq=False)
class HeatCounts:
    """Pixels by value of the map, in equal steps of 0..1: good ones, bad ones, and bad ones as a share of their region."""

    good: NDArray[np.float64] = field(default_factory=_bins)
    bad: NDArray[np.float64] = field(default_factory=_bins)
    cover: NDArray[np.float64] = field(default_factory=_bins)
    regions: int = 0

    def add(self, heat: NDArray[np.float32], true: NDArray[np.int16]) -> None:
        """``heat`` ``(h, w)``, 0..1, of the frame's size; ``true`` ``(h, w)``: above 0 bad, 0 good, below not judged."""
        steps = np.minimum(np.clip(heat, 0, 1) * BINS, BINS - 1).astype(np.int64)
        self.good += np.bincount(steps[true == 0], minlength=BINS)
        spots = true > 0
        if not spots.any():
            return
        self.bad += np.bincount(steps[spots], minlength=BINS)
        n, marks = cv2.connectedComponents(spots.astype(np.uint8), connectivity=8)
        sizes = np.bincount(marks.ravel(), minlength=n)
        self.cover += np.bincount(steps[spots], weights=1 / sizes[marks[spots]], minlength=BINS)
        self.regions += n - 1

    def pixel_auroc(self) -> float | None:
        """The chance that a bad pixel is above a good one, ties (of one step) counting half."""
        if not self.good.any() or not self.bad.any():
            return None
        below = np.cumsum(self.good) - self.good
        return float((self.bad * (below + self.good / 2)).sum() / (self.bad.sum() * self.good.sum()))

    def region_overlap(self) -> float | None:
        """Area under mean overlap of regions over the share of good pixels marked, up to ``FPR_LIMIT``, as a share."""
        if not self.regions or not self.good.any():
            return None
        marked = np.concatenate([[0.0], np.cumsum(self.good[::-1]) / self.good.sum()])
        overlap = np.concatenate([[0.0], np.cumsum(self.cover[::-1]) / self.regions])
        inside = marked < FPR_LIMIT
        x = np.append(marked[inside], FPR_LIMIT)
        y = np.append(overlap[inside], np.interp(FPR_LIMIT, marked, overlap))
        return float((np.diff(x) * (y[1:] + y[:-1]) / 2).sum() / FPR_LIMIT)
