"""A window of samples as a picture: one strip a channel, each in its own range."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH_PX, STRIP_PX, EDGE_PX, MOST_STRIPS = 640, 96, 6, 12
TOP_PX = 34
"""Room for the verdict that an overlay writes there."""
GROUND, LINE, GRID = (255, 255, 255), (140, 60, 20), (225, 225, 225)


def plot(samples: NDArray[Any]) -> NDArray[np.uint8]:
    """``(T, C)`` float, gaps as NaN, to uint8 BGR; the first twelve channels. Samples closer than a pixel are drawn all
    the same, so that a spike is seen.
    """
    columns = np.asarray(samples, np.float64).reshape(len(samples), -1).T[:MOST_STRIPS]
    height = max(240, STRIP_PX * len(columns)) + TOP_PX
    image = np.full((height, WIDTH_PX, 3), GROUND, np.uint8)
    strip_px = (height - TOP_PX) / len(columns)
    x = np.linspace(EDGE_PX, WIDTH_PX - EDGE_PX, max(2, columns.shape[1]))[: columns.shape[1]]
    for number, column in enumerate(columns):
        top = TOP_PX + number * strip_px
        cv2.line(image, (0, int(top)), (WIDTH_PX, int(top)), GRID, 1)
        there = np.isfinite(column)
        if not there.any():
            continue
        low, high = column[there].min(), column[there].max()
        share = (column - low) / (high - low) if high > low else np.full(len(column), 0.5)
        y = top + strip_px - EDGE_PX - share * (strip_px - 2 * EDGE_PX)
        for run in np.split(np.arange(len(column)), np.flatnonzero(np.diff(there.astype(np.int8))) + 1):
            if there[run[0]]:
                points = np.stack([x[run], y[run]], axis=1)
                cv2.polylines(image, [np.rint(points * 16).astype(np.int32)], False, LINE, 1, cv2.LINE_AA, 4)
    return image
