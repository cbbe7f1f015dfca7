"""What a person setting up a camera wants to know of a picture, as pure functions on arrays.

Sharpness is the variance of the Laplacian (Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy",
ICPR 2000). It depends on the scene and its contrast, so it only compares pictures of the same scene: turn the lens until
it no longer rises. The chessboard is found with OpenCV's sector-based detector (Duda and Frese, BMVC 2018).
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edge.ports import Image

BINS = 64
DARK_LEVEL, BRIGHT_LEVEL = 2, 253
"""Grey values up to and from which a pixel counts as clipped; 0 and 255 alone miss what JPEG has smoothed."""

CLIPPED_PCT, DIM_MEAN, GLARING_MEAN, TILT_PCT = 1.0, 50.0, 205.0, 3.0

Region = tuple[int, int, int, int]
"""Left, top, right, bottom in px; right and bottom are not included."""


class Figures(Struct, frozen=True):
    """Of one picture or region: sharpness (grey levels squared), mean grey 0..255, clipped shares in per cent, and a
    histogram of ``BINS`` counts from black to white.
    """

    focus: float
    mean: float
    dark_pct: float
    bright_pct: float
    histogram: tuple[int, ...]


class Scale(Struct, frozen=True):
    """``mm_per_px`` and how it was found; ``tilt_pct`` is by how much it differs over a board (0 for two points)."""

    mm_per_px: float
    how: str
    tilt_pct: float = 0.0
    corners: tuple[tuple[float, float], ...] = ()


def figures_of(image: Image, region: Region | None = None) -> Figures:
    """Measure a BGR or grey picture, or a region of it, which is cut to the picture. An empty region is ignored."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) if image.ndim == 3 else image  # noqa: PLR2004 - rows, columns, BGR
    if region is not None:
        left, top, right, bottom = (max(0, edge) for edge in region)
        cut = grey[top:bottom, left:right]
        grey = np.ascontiguousarray(cut) if cut.size else grey
    counts = cv2.calcHist([grey], [0], None, [256], [0, 256]).ravel()
    total = float(counts.sum())
    return Figures(
        focus=float(cv2.Laplacian(grey, cv2.CV_64F).var()),
        mean=float(np.dot(counts, np.arange(256)) / total),
        dark_pct=100 * float(counts[: DARK_LEVEL + 1].sum()) / total,
        bright_pct=100 * float(counts[BRIGHT_LEVEL:].sum()) / total,
        histogram=tuple(int(n) for n in counts.reshape(BINS, -1).sum(axis=1)),
    )


def advice(figures: Figures) -> list[str]:
    """Sentences on the light; empty when there is nothing to say."""
    said = []
    if figures.bright_pct > CLIPPED_PCT:
        said.append(f"{figures.bright_pct:.1f} % is burnt out: shorten the exposure or dim the light")
    elif figures.mean > GLARING_MEAN:
        said.append("very bright: shorten the exposure")
    if figures.mean < DIM_MEAN:
        said.append("dark: more light, or a longer exposure if parts do not blur")
    elif figures.dark_pct > CLIPPED_PCT:
        said.append(f"{figures.dark_pct:.1f} % is fully black: shadows hide defects")
    return said


def scale_of_points(a: tuple[float, float], b: tuple[float, float], length_mm: float) -> Scale:
    """Mm per px from two points of the frame (px) whose distance is known. Raises ValueError."""
    distance_px = math.dist(a, b)
    if not math.isfinite(distance_px) or distance_px < 1:
        raise ValueError("the two points are the same")
    _check_length(length_mm)
    return Scale(length_mm / distance_px, f"{length_mm:g} mm over {distance_px:.1f} px")


def scale_of_board(image: Image, columns: int, rows: int, square_mm: float) -> Scale | None:
    """Mm per px from a chessboard of ``columns`` x ``rows`` inner corners; None when none is found. Raises ValueError."""
    if not (3 <= columns <= 100 and 3 <= rows <= 100):  # noqa: PLR2004 - what the detector takes
        raise ValueError("a board has 3 to 100 inner corners a side")
    _check_length(square_mm)
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) if image.ndim == 3 else image  # noqa: PLR2004
    found, corners = cv2.findChessboardCornersSB(grey, (columns, rows))
    if not found:
        return None
    grid: NDArray[np.float64] = np.asarray(corners, np.float64).reshape(rows, columns, 2)
    along = np.linalg.norm(np.diff(grid, axis=1), axis=2)
    across = np.linalg.norm(np.diff(grid, axis=0), axis=2)
    # Rows and columns are averaged first: one corner's noise is not a tilt of the camera.
    means = np.concatenate([along.mean(axis=1), along.mean(axis=0), across.mean(axis=1), across.mean(axis=0)])
    square_px = float(np.concatenate([along.ravel(), across.ravel()]).mean())
    return Scale(
        mm_per_px=square_mm / square_px,
        how=f"chessboard {columns} x {rows}, {square_mm:g} mm over {square_px:.2f} px",
        tilt_pct=100 * float(means.max() - means.min()) / square_px,
        corners=tuple((float(x), float(y)) for x, y in grid.reshape(-1, 2)),
    )


def _check_length(length_mm: float) -> None:
    if not (math.isfinite(length_mm) and 0 < length_mm <= 100_000):  # noqa: PLR2004 - a hundred metres
        raise ValueError(f"{length_mm:g} mm is no length of a target")
