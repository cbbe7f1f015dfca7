"""From class maps, often of low resolution, to connected regions at the frame's resolution.

Good parts are the common case, so the first look is at the map as it came: linear interpolation never exceeds its
neighbours, hence a class whose map stays below the threshold has no region and costs nothing more. Otherwise only
the rectangle around what is above it is brought to the frame's resolution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.vision.geometry import Geometry
from edge.vision.prediction import Polygon

Floats = NDArray[np.float32]
Mask = NDArray[np.uint8]

_ROUNDING = 1e-6  # of a pixel


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """n connected regions (8-neighbourhood), highest score first; arrays as in ``Prediction``."""

    boxes: Floats
    scores: Floats
    label_ids: NDArray[np.int64]
    areas_px: Floats
    polygons: tuple[Polygon, ...]
    dropped: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class _Window:
    """A rectangle of the frame, ``left`` and ``top`` included, and the way from its pixels to the map's."""

    left: int
    top: int
    width: int
    height: int
    to_map: NDArray[np.float64]


def regions_of(
    maps: Floats,
    limits: Floats,
    geometry: Geometry,
    *,
    background: int | None = None,
    exclusive: bool = False,
    min_area_px: float = 0.0,
    max_regions: int = 300,
) -> Regions:
    """Regions of all classes.

    ``maps`` float32 ``(C, h, w)``, 0..1, stretched over the whole model input. ``limits`` float32, one a label;
    channel ``background`` has none. A pixel belongs to a class where the map, interpolated linearly, reaches the
    class's limit and, with ``exclusive``, no other channel is higher. A region's score is its highest pixel.
    """
    channels = [c for c in range(len(maps)) if c != background]
    found: list[Regions] = []
    for label_id, channel in enumerate(channels):
        limit = float(limits[label_id])
        hot = maps[channel] >= limit
        if not hot.any():
            continue
        window = _window(hot, geometry)
        if window is None:
            continue
        values = _sample(maps[channel], window)
        inside = values >= limit
        # A map above one half is the highest of maps that sum to one; others have to be looked at.
        if exclusive:
            for other in range(len(maps)):
                if other != channel:
                    rival = _sample(maps[other], window)
                    np.logical_and(inside, values >= rival if other > channel else values > rival, out=inside)
        found.append(_components(inside.view(np.uint8), values, label_id, min_area_px, window))
    return _merge(found, max_regions)


def _window(hot: NDArray[np.bool_], geometry: Geometry) -> _Window | None:
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
    x0 = max(math.floor((left - geometry.offset_x) / geometry.scale_x + _ROUNDING), 0)
    y0 = max(math.floor((top - geometry.offset_y) / geometry.scale_y + _ROUNDING), 0)
    x1 = min(math.ceil((right - geometry.offset_x) / geometry.scale_x - _ROUNDING), geometry.frame_width_px)
    y1 = min(math.ceil((bottom - geometry.offset_y) / geometry.scale_y - _ROUNDING), geometry.frame_height_px)
    if x1 <= x0 or y1 <= y0:
        return None
    # Frame pixel (x0 + i, centre +0.5) -> input -> map cell (centre -0.5).
    gain_x, gain_y = geometry.scale_x / step_x, geometry.scale_y / step_y
    shift_x = ((x0 + 0.5) * geometry.scale_x + geometry.offset_x) / step_x - 0.5
    shift_y = ((y0 + 0.5) * geometry.scale_y + geometry.offset_y) / step_y - 0.5
    to_map = np.array([[gain_x, 0.0, shift_x], [0.0, gain_y, shift_y]])
    return _Window(x0, y0, x1 - x0, y1 - y0, to_map)


def _sample(cells: Floats, window: _Window) -> Floats:
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


def _components(mask: Mask, values: Floats, label_id: int, min_area_px: float, window: _Window) -> Regions:
    found = cv2.connectedComponentsWithStats(mask, connectivity=8, ltype=cv2.CV_32S)
    count, marks, stats = found[0], np.asarray(found[1], np.int32), np.asarray(found[2], np.int32)
    areas = stats[:, cv2.CC_STAT_AREA].astype(np.float32)
    big = areas >= min_area_px
    big[0] = False  # component 0 is what is outside
    ids = np.flatnonzero(big)
    if not len(ids):
        return _merge([], 0)
    peaks = np.zeros(count, np.float32)
    spots = np.flatnonzero(mask)
    np.maximum.at(peaks, marks.ravel()[spots], values.ravel()[spots])
    corner = np.array([window.left, window.top], np.float32)
    sides = stats[ids][:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]]
    start = stats[ids][:, [cv2.CC_STAT_LEFT, cv2.CC_STAT_TOP]] + corner
    boxes = np.concatenate([start, start + sides], axis=1).astype(np.float32)
    outlines = _outlines(mask, marks, corner)
    polygons = tuple(outlines[i] for i in ids.tolist())
    label_ids = np.full(len(ids), label_id, np.int64)
    return Regions(boxes, np.minimum(peaks[ids], np.float32(1.0)), label_ids, areas[ids], polygons)


def _outlines(mask: Mask, marks: NDArray[np.int32], corner: Floats) -> dict[int, Polygon]:
    """Outer outline by component, in one pass over the mask. Points are pixel centres."""
    # Two levels: outer outlines have no parent, even those of a region that lies in another one's hole.
    contours, hierarchy = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    outlines: dict[int, Polygon] = {}
    for contour, parent in zip(contours, hierarchy[0, :, 3].tolist(), strict=True):
        if parent < 0:
            points = np.asarray(contour, np.int32)[:, 0, :]
            outlines[int(marks[points[0, 1], points[0, 0]])] = _polygon(points) + corner
    return outlines


def _polygon(points: NDArray[np.int32]) -> Polygon:
    """At least three points: a region one or two pixels large becomes the rectangle of its pixels."""
    if len(points) >= 3:  # noqa: PLR2004  (a triangle)
        return points.astype(np.float32) + np.float32(0.5)
    x0, y0 = points.min(axis=0)
    x1, y1 = points.max(axis=0) + 1
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)


def _merge(found: list[Regions], max_regions: int) -> Regions:
    if not found:
        empty = np.empty(0, np.float32)
        return Regions(np.empty((0, 4), np.float32), empty, np.empty(0, np.int64), empty, ())
    scores = np.concatenate([r.scores for r in found])
    order = np.argsort(-scores, kind="stable")
    kept = order[:max_regions]
    polygons = [p for r in found for p in r.polygons]
    return Regions(
        np.concatenate([r.boxes for r in found])[kept],
        scores[kept],
        np.concatenate([r.label_ids for r in found])[kept],
        np.concatenate([r.areas_px for r in found])[kept],
        tuple(polygons[i] for i in kept.tolist()),
        len(order) - len(kept),
    )
