"""Outlines of single objects: from a mask at low resolution inside a box to pixels of the frame."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.vision.geometry import Geometry
from edge.vision.maps import polygon_of
from edge.vision.prediction import Polygon

Floats = NDArray[np.float32]


class Outline(NamedTuple):
    """The outer outline of a mask's largest part, and how many pixels of the frame all its parts have."""

    polygon: Polygon
    area_px: float


def outline(coefficients: Floats, prototypes: Floats, box: Floats, geometry: Geometry) -> Outline | None:
    """The mask ``sum(coefficients * prototypes) > 0`` inside ``box``; None where it has no pixel.

    ``coefficients`` ``(M,)``; ``prototypes`` ``(M, h, w)``, stretched over the model's input; ``box`` ``(4,)`` in frame
    pixels, inside the frame. Interpolation is linear and comes before the threshold, as it must: the other way round
    edges are steps of a prototype's cell.
    """
    left, top, right, bottom = (int(v) for v in np.round(box))  # a pixel is inside where its centre is
    if right <= left or bottom <= top:
        return None
    height, width = prototypes.shape[1:]
    step_x, step_y = geometry.input_width_px / width, geometry.input_height_px / height
    # Frame pixel's centre -> input -> prototype cell, whose centre is at a half as well.
    gain_x, gain_y = geometry.scale_x / step_x, geometry.scale_y / step_y
    first_x = ((left + 0.5) * geometry.scale_x + geometry.offset_x) / step_x - 0.5
    first_y = ((top + 0.5) * geometry.scale_y + geometry.offset_y) / step_y - 0.5
    x0, x1 = _span(first_x, first_x + (right - left - 1) * gain_x, width)
    y0, y1 = _span(first_y, first_y + (bottom - top - 1) * gain_y, height)
    part = prototypes[:, y0:y1, x0:x1]
    cells = (coefficients @ part.reshape(len(part), -1)).reshape(part.shape[1:])
    to_cells = np.array([[gain_x, 0.0, first_x - x0], [0.0, gain_y, first_y - y0]])
    values = cv2.warpAffine(
        cells,
        to_cells,
        (right - left, bottom - top),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    mask = np.asarray(values > 0).view(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return None
    largest = max(contours, key=cv2.contourArea)
    points = np.asarray(largest, np.int32)[:, 0, :]
    corner = np.array([left, top], np.float32)
    return Outline(polygon_of(points) + corner, float(np.count_nonzero(mask)))


def _span(first: float, last: float, size: int) -> tuple[int, int]:
    """Cells that interpolation between ``first`` and ``last`` touches, at least one."""
    start = min(max(int(np.floor(first)), 0), size - 1)
    return start, max(min(int(np.floor(last)) + 2, size), start + 1)
