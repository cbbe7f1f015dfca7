"""Prior boxes of SSD and its kin, and the way from offsets to boxes and points."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from edge.vision.conventions.shapes import Rounded
from edge.vision.geometry import Geometry
from edge.vision.heads.base import Floats
from edge.vision.heads.boxes import Rows, cells, cells_unfit, corners


@lru_cache(maxsize=32)
def priors(
    strides: tuple[int, ...],
    sizes: tuple[tuple[float, ...], ...],
    width_px: int,
    height_px: int,
    rounded: Rounded = "up",
) -> tuple[Floats, Floats]:
    """Centres and sizes in input pixels, float32 ``(N, 2)`` each: map after map, cell after cell, the sizes of the map
    side by side.
    """
    centres, extents = [], []
    for stride, row in zip(strides, sizes, strict=True):
        pairs = np.array(row, np.float32).reshape(-1, 2)
        grid = cells((stride,), width_px, height_px, 1, rounded)
        centres.append(np.repeat((grid.xy + np.float32(0.5)) * stride, len(pairs), axis=0))
        extents.append(np.tile(pairs, (len(grid.xy), 1)))
    made = np.concatenate(centres), np.concatenate(extents)
    for array in made:
        array.setflags(write=False)  # shared by all who ask
    return made


def priors_of(
    strides: Sequence[int], sizes: tuple[tuple[float, ...], ...], geometry: Geometry, n: int, rounded: Rounded = "up"
) -> tuple[Floats, Floats]:
    """:func:`priors` of a frame's input. Raises ModelError MODEL_OUTPUT_UNFIT unless they are ``n``."""
    made = priors(tuple(strides), sizes, geometry.input_width_px, geometry.input_height_px, rounded)
    if len(made[0]) != n:
        raise cells_unfit(len(made[0]), n, strides)
    return made


def boxes_from(offsets: Floats, made: tuple[Floats, Floats], rows: Rows, variances: tuple[float, float]) -> Floats:
    """Boxes in input pixels of the offsets ``(n, 4)`` to the priors ``rows``."""
    centre, size = made[0][rows], made[1][rows]
    moved = centre + offsets[:, :2] * np.float32(variances[0]) * size
    with np.errstate(over="ignore"):  # what is not finite is dropped
        grown = size * np.exp(offsets[:, 2:] * np.float32(variances[1]))
    return corners(np.concatenate([moved, grown], axis=1), "cxcywh")


def points_from(offsets: Floats, made: tuple[Floats, Floats], rows: Rows, variances: tuple[float, float]) -> Floats:
    """Points ``(n, k, 2)`` in input pixels of the offsets ``(n, 2 k)``."""
    centre, size = made[0][rows][:, None], made[1][rows][:, None]
    pairs = offsets.reshape(len(offsets), offsets.shape[1] // 2, 2)
    return np.asarray(centre + pairs * np.float32(variances[0]) * size, np.float32)
