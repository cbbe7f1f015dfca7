"""Where a map over a model's input lies in the frame: the part of the frame that it covers, and its values there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.vision.geometry import Geometry

Floats = NDArray[np.float32]
Cell = TypeVar("Cell", bound=np.generic)

ROUNDING = 1e-6  # of a pixel


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A rectangle of the frame, ``left`` and ``top`` included, and the way from its pixels to the map's."""

    left: int
    top: int
    width: int
    height: int
    to_map: NDArray[np.float64]


def window_of(hot: NDArray[np.bool_], geometry: Geometry) -> Window | None:
    """The part of the frame that interpolation from hot cells can reach; None if that is padding only."""
    height, width = hot.shape
    step_x, step_y = geometry.input_width_px / width, geometry.input_height_px / height
    columns, rows = np.flatnonzero(hot.any(axis=0)), np.flatnonzero(hot.any(axis=1))
    # A cell's centre is at (i + 0.5) * step of the input; its influence ends at the centres of its neighbours, and at
    # the border it reaches outwards as far as the picture does.
    left = 0.0 if columns[0] == 0 else (columns[0] - 0.5) * step_x
    right = geometry.input_width_px if columns[-1] == width - 1 else (columns[-1] + 1.5) * step_x
    top = 0.0 if rows[0] == 0 else (rows[0] - 0.5) * step_y
    bottom = geometry.input_height_px if rows[-1] == height - 1 else (rows[-1] + 1.5) * step_y
    # Whole pixels of the frame; a rounding error must not add a row that the model never saw.
    x0 = max(math.floor((left - geometry.offset_x) / geometry.scale_x + ROUNDING), 0)
    y0 = max(math.floor((top - geometry.offset_y) / geometry.scale_y + ROUNDING), 0)
    x1 = min(math.ceil((right - geometry.offset_x) / geometry.scale_x - ROUNDING), geometry.frame_width_px)
    y1 = min(math.ceil((bottom - geometry.offset_y) / geometry.scale_y - ROUNDING), geometry.frame_height_px)
    if x1 <= x0 or y1 <= y0:
        return None
    # Frame pixel (x0 + i, centre +0.5) -> input -> map cell (centre -0.5).
    gain_x, gain_y = geometry.scale_x / step_x, geometry.scale_y / step_y
    shift_x = ((x0 + 0.5) * geometry.scale_x + geometry.offset_x) / step_x - 0.5
    shift_y = ((y0 + 0.5) * geometry.scale_y + geometry.offset_y) / step_y - 0.5
    to_map = np.array([[gain_x, 0.0, shift_x], [0.0, gain_y, shift_y]])
    return Window(x0, y0, x1 - x0, y1 - y0, to_map)


def sample(cells: Floats, window: Window) -> Floats:
    """The map at every pixel of the window, interpolated linearly, float32 ``(height, width)``."""
    return np.asarray(
        cv2.warpAffine(
            cells,
            window.to_map,
            (window.width, window.height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
    )


def inside_frame(cells: NDArray[Cell], geometry: Geometry) -> NDArray[Cell]:
    """The cells of a map over the model's input whose centres lie in the frame's rectangle, as a view; at least one:
    what a model says of the padding is not about the frame.
    """
    height, width = cells.shape
    rows = _span(geometry.offset_y, geometry.scale_y * geometry.frame_height_px, geometry.input_height_px, height)
    columns = _span(geometry.offset_x, geometry.scale_x * geometry.frame_width_px, geometry.input_width_px, width)
    return cells[rows, columns]


def _span(start_px: float, length_px: float, side_px: int, cells: int) -> slice:
    step = side_px / cells
    first = math.ceil(start_px / step - 0.5 - ROUNDING)
    last = math.ceil((start_px + length_px) / step - 0.5 - ROUNDING)
    first = min(max(first, 0), cells - 1)
    return slice(first, min(max(last, first + 1), cells))


def over_frame(cells: Floats, geometry: Geometry, most_px: int) -> Floats:
    """A map over the model's input as one that is stretched over the frame instead, ``(h, w)`` with about as many cells
    and at most ``most_px`` a side. Where the model never saw the frame, the nearest cell's value.
    """
    fraction_x = geometry.scale_x * geometry.frame_width_px / geometry.input_width_px
    fraction_y = geometry.scale_y * geometry.frame_height_px / geometry.input_height_px
    width = min(max(round(cells.shape[1] * fraction_x), 1), most_px)
    height = min(max(round(cells.shape[0] * fraction_y), 1), most_px)
    gain_x, gain_y = cells.shape[1] * fraction_x / width, cells.shape[0] * fraction_y / height
    shift_x = gain_x / 2 + geometry.offset_x / geometry.input_width_px * cells.shape[1] - 0.5
    shift_y = gain_y / 2 + geometry.offset_y / geometry.input_height_px * cells.shape[0] - 0.5
    to_map = np.array([[gain_x, 0.0, shift_x], [0.0, gain_y, shift_y]])
    return sample(cells, Window(0, 0, width, height, to_map))
