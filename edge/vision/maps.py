"""From class maps, often of low resolution, to connected regions at the frame's resolution.

Good parts are the common case, so the first look is at the map as it came: linear interpolation never exceeds its
neighbours, hence a class whose map stays below the threshold has no region and costs nothing more. Otherwise only
the rectangle around what is above it is brought to the frame's resolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.vision.geometry import Geometry
from edge.vision.prediction import Polygon
from edge.vision.stretch import ROUNDING, Window, sample, window_of

Floats = NDArray[np.float32]
Mask = NDArray[np.uint8]

_FEW = 32
"""Up to so many components a look at each one's rectangle is three times as fast as one pass over all of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """n connected regions (8-neighbourhood), highest score first; arrays as in ``Prediction``."""

    boxes: Floats
    scores: Floats
    label_ids: NDArray[np.int64]
    areas_px: Floats
    polygons: tuple[Polygon, ...]
    dropped: int = 0


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

    ``maps`` float32 ``(C, h, w)``, stretched over the whole model input. ``limits`` float32, one a label; see
    :func:`labels_of`. A pixel belongs to a class where the map, interpolated linearly, reaches the class's limit and,
    with ``exclusive``, no other channel is higher of those that are the highest in at least one cell. A region's score
    is its highest pixel, which interpolation never raises above the map's.
    """
    named = labels_of(len(maps), len(limits), background)
    if exclusive:
        found = _exclusive(maps, named, limits, geometry, min_area_px)
    else:
        found = _independent(maps, named, limits, geometry, min_area_px)
    return merge(found, max_regions)


def labels_of(channels: int, n_labels: int, background: int | None) -> dict[int, int]:
    """Label by channel. The background has none, whether the list of labels counts it (as many labels as channels)
    or not (one less).
    """
    counted = background is None or channels == n_labels
    kept = [c for c in range(channels) if c != background]
    return {c: c if counted else label for label, c in enumerate(kept)}


def winners_of(maps: Floats) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    """Which channels are the highest in at least one cell, ascending, and which one it is in each, ``(h, w)``; of
    equal ones the first. One pass a channel: numpy's argmax takes seven times as long over the first axis.
    """
    best, which = maps[0].copy(), np.zeros(maps.shape[1:], np.int32)
    for channel in range(1, len(maps)):
        higher = cv2.compare(maps[channel], best, cv2.CMP_GT).view(np.bool_)
        which[higher] = channel
        np.maximum(best, maps[channel], out=best)
    return np.flatnonzero(np.bincount(which.ravel(), minlength=len(maps))), which


def _independent(
    maps: Floats, named: dict[int, int], limits: Floats, geometry: Geometry, min_area_px: float
) -> list[Regions]:
    found: list[Regions] = []
    for channel, label_id in named.items():
        limit = float(limits[label_id])
        hot = maps[channel] >= limit
        window = window_of(hot, geometry) if hot.any() else None
        if window is not None:
            values = sample(maps[channel], window)
            found.append(_components((values >= limit).view(np.uint8), values, label_id, min_area_px, window))
    return found


def _exclusive(
    maps: Floats, named: dict[int, int], limits: Floats, geometry: Geometry, min_area_px: float
) -> list[Regions]:
    """Only channels that are the highest somewhere take part: of 150 classes, a picture shows five."""
    present = winners_of(maps)[0].tolist()
    shown = [c for c in present if c in named]
    hot = np.zeros(maps.shape[1:], np.bool_)
    for channel in shown:
        hot |= maps[channel] >= limits[named[channel]]
    window = window_of(hot, geometry) if hot.any() else None
    if window is None:
        return []
    best = sample(maps[present[0]], window)
    which = np.full(best.shape, present[0], np.int32)
    for channel in present[1:]:
        values = sample(maps[channel], window)
        which[cv2.compare(values, best, cv2.CMP_GT).view(np.bool_)] = channel
        np.maximum(best, values, out=best)
    found: list[Regions] = []
    for channel in shown:
        mask = ((which == channel) & (best >= limits[named[channel]])).view(np.uint8)
        found.append(_components(mask, best, named[channel], min_area_px, window))
    return found


def regions_of_numbers(
    numbers: NDArray[Any],
    labels: dict[int, int],
    geometry: Geometry,
    *,
    min_area_px: float = 0.0,
    max_regions: int = 300,
) -> Regions:
    """Regions of a map ``(h, w)`` of class numbers, stretched over the whole model input; ``labels`` by number. A pixel
    of the frame has the number of the cell its centre lies in. Scores are 1.
    """
    everything = window_of(np.ones(numbers.shape, np.bool_), geometry)
    if everything is None:
        return merge([], 0)
    window = everything
    (gain_x, _, shift_x), (_, gain_y, shift_y) = window.to_map.tolist()
    # Centres of cells are whole numbers there.
    columns = np.floor(np.arange(window.width) * gain_x + shift_x + 0.5 + ROUNDING).astype(np.intp)
    rows = np.floor(np.arange(window.height) * gain_y + shift_y + 0.5 + ROUNDING).astype(np.intp)
    columns, rows = columns.clip(0, numbers.shape[1] - 1), rows.clip(0, numbers.shape[0] - 1)
    present = [n for n in np.unique(numbers).tolist() if n in labels]
    if not present:
        return merge([], 0)
    spread = numbers[rows][:, columns]
    ones = np.ones(spread.shape, np.float32)
    found = [_components((spread == n).view(np.uint8), ones, labels[n], min_area_px, window) for n in present]
    return merge(found, max_regions)


def _components(mask: Mask, values: Floats, label_id: int, min_area_px: float, window: Window) -> Regions:
    left, top, width, height = cv2.boundingRect(mask)
    if not width:
        return merge([], 0)
    mask, values = mask[top : top + height, left : left + width], values[top : top + height, left : left + width]
    found = cv2.connectedComponentsWithStats(mask, connectivity=8, ltype=cv2.CV_32S)
    marks, stats = np.asarray(found[1], np.int32), np.asarray(found[2], np.int32)
    areas = stats[:, cv2.CC_STAT_AREA].astype(np.float32)
    big = areas >= min_area_px
    big[0] = False  # component 0 is what is outside
    ids = np.flatnonzero(big)
    if not len(ids):
        return merge([], 0)
    corner = np.array([window.left + left, window.top + top], np.float32)
    sides = stats[ids][:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]]
    start = stats[ids][:, [cv2.CC_STAT_LEFT, cv2.CC_STAT_TOP]] + corner
    boxes = np.concatenate([start, start + sides], axis=1).astype(np.float32)
    outlines = _outlines(mask, marks, corner)
    polygons = tuple(outlines[i] for i in ids.tolist())
    label_ids = np.full(len(ids), label_id, np.int64)
    return Regions(boxes, _peaks(marks, values, stats)[ids], label_ids, areas[ids], polygons)


def _peaks(marks: NDArray[np.int32], values: Floats, stats: NDArray[np.int32]) -> Floats:
    """The highest value of each component, ``(count,)``; that of 0, the outside, is not of interest."""
    peaks = np.full(len(stats), -np.inf, np.float32)
    if len(stats) > _FEW:
        np.maximum.at(peaks, marks.ravel(), np.ascontiguousarray(values).ravel())
        return peaks
    for mark, (left, top, width, height) in enumerate(stats[1:, :4].tolist(), start=1):
        rectangle = (slice(top, top + height), slice(left, left + width))
        peaks[mark] = values[rectangle].max(where=marks[rectangle] == mark, initial=-np.inf)
    return peaks


def _outlines(mask: Mask, marks: NDArray[np.int32], corner: Floats) -> dict[int, Polygon]:
    """Outer outline by component, in one pass over the mask. Points are pixel centres."""
    # Two levels: outer outlines have no parent, even those of a region that lies in another one's hole.
    contours, hierarchy = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    outlines: dict[int, Polygon] = {}
    for contour, parent in zip(contours, hierarchy[0, :, 3].tolist(), strict=True):
        if parent < 0:
            points = np.asarray(contour, np.int32)[:, 0, :]
            outlines[int(marks[points[0, 1], points[0, 0]])] = polygon_of(points) + corner
    return outlines


def polygon_of(points: NDArray[np.int32]) -> Polygon:
    """Points as pixel centres, at least three: what is one or two pixels large becomes the rectangle of its pixels."""
    if len(points) >= 3:  # noqa: PLR2004  (a triangle)
        return points.astype(np.float32) + np.float32(0.5)
    x0, y0 = points.min(axis=0)
    x1, y1 = points.max(axis=0) + 1
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)


def merge(found: Sequence[Regions], max_regions: int) -> Regions:
    """All of them, the best ``max_regions`` by score."""
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
