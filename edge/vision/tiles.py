"""Large frames in pieces: where they lie, and what was found in them put together again.

An object on a seam is in the strip that two tiles share, so that at least one of them sees it whole if it fits into the
strip; the pieces that others see of it are then part of it (after SAHI: Akyon et al., Slicing Aided Hyper Inference,
ICIP 2022, which suppresses by intersection over the smaller). One that is larger than the strip is seen by nobody
whole: pieces that end at facing borders of their tiles and continue each other are united. Maps are averaged where
tiles overlap, with weights that fall towards a tile's inner borders, where a network knows only half the surroundings.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import ImageError
from edge.vision.geometry import Geometry
from edge.vision.prediction import Polygon, Prediction
from edge.vision.region import Region
from edge.vision.spec import Tiling
from edge.vision.stretch import Window, sample

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

MAX_TILES = 400
MAX_PIECES = 1500
"""So many likeliest pieces of all tiles are put together; the work grows with their square."""
MAX_CELLS = 64 * 1024**2
"""Of the canvas that maps are stitched on, all channels: 256 MB. Larger ones are stitched coarser."""
_AT_BORDER = 0.015
"""Of a tile's side: detectors draw the end of what is cut off some pixels before or beyond the border."""
_ALIKE = 0.5  # of the smaller extent along a seam: pieces of one thing


def tiles_of(width_px: int, height_px: int, tiling: Tiling) -> list[Region]:
    """Rectangles of one size that cover a frame, row by row, evenly spread. Raises ImageError IMAGE_TOO_LARGE."""
    columns = _starts(width_px, tiling.width_px, tiling.overlap)
    rows = _starts(height_px, tiling.height_px, tiling.overlap)
    if len(columns) * len(rows) > MAX_TILES:
        raise ImageError(
            "IMAGE_TOO_LARGE",
            f"the frame of {width_px} x {height_px} px takes {len(columns) * len(rows)} tiles",
            f"at most {MAX_TILES} are looked at",
            "make [tiling] width_px and height_px larger",
        )
    width, height = min(width_px, tiling.width_px), min(height_px, tiling.height_px)
    return [(x, y, x + width, y + height) for y in rows for x in columns]


def _starts(length: int, tile: int, overlap: float) -> list[int]:
    if length <= tile:
        return [0]
    step = max(1, tile - math.ceil(tile * overlap))
    n = 1 + math.ceil((length - tile) / step)
    return [round(i * (length - tile) / (n - 1)) for i in range(n)]


def put_together(
    parts: Sequence[Prediction], tiles: Sequence[Region], same: float, iou: float, most: int
) -> Prediction:
    """What was found in tiles (``parts``, already in frame pixels, one a tile) as one prediction of the frame.

    ``same``: above this intersection over the smaller of two boxes of one label, a piece that its tile's border cuts
    is part of the other; ``iou``: above this one two whole ones are one thing seen twice. At most ``most`` rows.
    """
    whole = _joined(parts)
    owner = np.repeat(np.arange(len(parts)), [len(p) for p in parts])
    order = np.argsort(-whole.scores, kind="stable")[:MAX_PIECES]
    lost = whole.dropped + len(whole) - len(order)
    whole, owner = whole.take(order), owner[order]
    cut = _cut(whole, np.array(tiles, np.float32)[owner])
    whole, owner, cut = _united(whole, owner, cut)
    rows = _different(whole, owner, np.asarray(cut.any(axis=1)), same, iou)
    rows = rows[np.argsort(-whole.scores[rows], kind="stable")]
    return replace(whole.take(rows[:most]), dropped=lost + max(0, len(rows) - most))


def _joined(parts: Sequence[Prediction]) -> Prediction:
    first = parts[0]
    quads = [p.quads for p in parts if p.quads is not None]
    keypoints = [p.keypoints for p in parts if p.keypoints is not None]
    return replace(
        first,
        boxes=np.concatenate([p.boxes for p in parts]),
        scores=np.concatenate([p.scores for p in parts]),
        label_ids=np.concatenate([p.label_ids for p in parts]),
        areas_px=np.concatenate([p.areas_px for p in parts]),
        polygons=tuple(polygon for p in parts for polygon in p.polygons),
        quads=np.concatenate(quads) if len(quads) == len(parts) else None,
        keypoints=np.concatenate(keypoints) if len(keypoints) == len(parts) else None,
        dropped=sum(p.dropped for p in parts),
    )


def _cut(found: Prediction, tiles: Floats) -> Bools:
    """Whether each row ends at the left, top, right, bottom of its tile, where the frame goes on, ``(n, 4)``."""
    frame = np.array([0, 0, found.frame_width_px, found.frame_height_px], np.float32)
    sides = np.tile(tiles[:, 2:] - tiles[:, :2], 2)
    at_border = np.abs(found.boxes - tiles) <= np.maximum(sides * _AT_BORDER, 2)
    return np.asarray(at_border & (tiles != frame))


def _united(found: Prediction, owner: NDArray[np.intp], cut: Bools) -> tuple[Prediction, NDArray[np.intp], Bools]:
    """Pieces that continue each other over a seam become the first (likeliest) of them, with the hull of all."""
    boxes, n = found.boxes, len(found)
    alike = (found.label_ids[:, None] == found.label_ids) & (owner[:, None] != owner)
    links = np.zeros((n, n), np.bool_)
    for axis in (0, 1):  # the seam is crossed along x, along y
        ends, begins = cut[:, axis + 2], cut[:, axis]
        meet = boxes[:, None, axis + 2] > boxes[None, :, axis]
        behind = boxes[:, None, axis] < boxes[None, :, axis]
        across = _shared(boxes[:, 1 - axis], boxes[:, 3 - axis])
        links |= alike & ends[:, None] & begins & meet & behind & (across >= _ALIKE)
    group = np.arange(n)
    for i, j in np.argwhere(links).tolist():
        group[group == max(group[i], group[j])] = min(group[i], group[j])
    kept, boxes = np.flatnonzero(group == np.arange(n)), boxes.copy()
    areas, cut, polygons = found.areas_px.copy(), cut.copy(), list(found.polygons)
    for first in kept.tolist():
        members = np.flatnonzero(group == first)
        if len(members) > 1:
            hull = np.concatenate([boxes[members, :2].min(axis=0), boxes[members, 2:].max(axis=0)])
            sides = hull[2:] - hull[:2]
            boxes[first], areas[first] = hull, sides[0] * sides[1]
            # It ends at a border of a tile only where the outermost piece does.
            cut[first] = [
                bool((cut[members, s] & (np.abs(found.boxes[members, s] - hull[s]) < 1)).any()) for s in range(4)
            ]
            if polygons:
                polygons[first], areas[first] = _union([found.polygons[i] for i in members.tolist()])
            owner = np.where(np.arange(n) == first, -1 - first, owner)  # of no tile: it is compared with all
    united = replace(found, boxes=boxes, areas_px=areas, polygons=tuple(polygons))
    return united.take(kept), owner[kept], cut[kept]


def _different(found: Prediction, owner: NDArray[np.intp], cut: Bools, same: float, iou: float) -> NDArray[np.intp]:
    """Rows that are not another one once more. Whole things go first, as a piece of one may be likelier than the whole;
    then the larger pieces. Within a tile the model's own suppression has spoken.
    """
    boxes, areas = found.boxes, np.prod(found.boxes[:, 2:] - found.boxes[:, :2], axis=1)
    order = np.lexsort((np.where(cut, -areas, -found.scores), cut))
    comparable = (found.label_ids[:, None] == found.label_ids) & (owner[:, None] != owner)
    corner = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:]) - np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    inter = np.prod(np.maximum(corner, 0), axis=2)
    of_smaller = inter / np.maximum(np.minimum(areas[:, None], areas), 1e-9)
    of_both = inter / np.maximum(areas[:, None] + areas - inter, 1e-9)
    # [i, j]: j goes where i stays.
    again = comparable & ((of_both > iou) | (cut[None, :] & (of_smaller > same)))
    gone = np.zeros(len(found), np.bool_)
    kept = []
    for i in order.tolist():
        if not gone[i]:
            kept.append(i)
            gone |= again[i]
    return np.array(kept, np.intp)


def _shared(low: Floats, high: Floats) -> Floats:
    """Of all pairs of extents: their common length, as a share of the smaller one, ``(n, n)``."""
    common = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
    return np.asarray(common / np.maximum(np.minimum((high - low)[:, None], high - low), 1e-9), np.float32)


def _union(polygons: Sequence[Polygon]) -> tuple[Polygon, float]:
    """The outline of all together, and its area: drawn and traced, as outlines that touch have no simple union."""
    corner = np.floor(np.min([p.min(axis=0) for p in polygons], axis=0))
    size = np.ceil(np.max([p.max(axis=0) for p in polygons], axis=0)) - corner + 1
    mask = np.zeros((int(size[1]), int(size[0])), np.uint8)
    for polygon in polygons:
        cv2.fillPoly(mask, [np.round(polygon - corner - 0.5).astype(np.int32)], (1,))
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    largest = max(contours, key=cv2.contourArea)[:, 0, :].astype(np.float32)
    return np.asarray(largest + corner + 0.5, np.float32), float(np.count_nonzero(mask))


class Canvas:
    """Maps of tiles, averaged into one over the frame."""

    def __init__(self, width_px: int, height_px: int, maps: Floats, tile: Geometry, overlap: float) -> None:
        """``maps`` ``(C, h, w)`` of a first tile, and its geometry, say how fine it is to be."""
        channels, height, width = maps.shape
        fine_x = min(1.0, width / tile.input_width_px * tile.scale_x)
        fine_y = min(1.0, height / tile.input_height_px * tile.scale_y)
        spare = MAX_CELLS / max(1.0, channels * width_px * fine_x * height_px * fine_y)
        coarser = min(1.0, math.sqrt(spare))
        self._width = max(1, round(width_px * fine_x * coarser))
        self._height = max(1, round(height_px * fine_y * coarser))
        self._frame = (width_px, height_px)
        self._overlap = overlap
        self._sums = np.zeros((channels, self._height, self._width), np.float32)
        self._weights = np.zeros((self._height, self._width), np.float32)

    def add(self, maps: Floats, geometry: Geometry, tile: Region) -> None:
        """The maps ``(C, h, w)`` over the model's input of one tile."""
        step_x, step_y = self._frame[0] / self._width, self._frame[1] / self._height
        columns = _within(tile[0], tile[2], step_x, self._width)
        rows = _within(tile[1], tile[3], step_y, self._height)
        size = (columns.stop - columns.start, rows.stop - rows.start)
        if min(size) <= 0:
            return
        to_map = np.array(
            [
                [
                    *_affine(
                        columns.start,
                        step_x,
                        tile[0],
                        geometry.scale_x,
                        geometry.offset_x,
                        maps.shape[2] / geometry.input_width_px,
                    )
                ],
                [
                    *_affine(
                        rows.start,
                        step_y,
                        tile[1],
                        geometry.scale_y,
                        geometry.offset_y,
                        maps.shape[1] / geometry.input_height_px,
                    )
                ],
            ]
        )
        window = Window(0, 0, *size, np.array([[to_map[0, 0], 0, to_map[0, 1]], [0, to_map[1, 0], to_map[1, 1]]]))
        across = _ramp(columns, step_x, tile[0], tile[2], self._frame[0], self._overlap)
        down = _ramp(rows, step_y, tile[1], tile[3], self._frame[1], self._overlap)
        weight = down[:, None] * across
        for sums, cells in zip(self._sums, maps, strict=True):
            sums[rows, columns] += sample(cells, window) * weight
        self._weights[rows, columns] += weight

    def maps(self) -> tuple[Floats, Geometry]:
        """The average ``(C, h, w)``, and its geometry: it is stretched over the frame."""
        np.divide(self._sums, np.maximum(self._weights, 1e-12), out=self._sums)
        width, height = self._frame
        stretched = (self._width / width, self._height / height, 0.0, 0.0)
        return self._sums, Geometry(width, height, self._width, self._height, *stretched)


def _within(start: int, stop: int, step: float, cells: int) -> slice:
    """Cells of the canvas whose centres lie in a tile."""
    return slice(max(0, math.ceil(start / step - 0.5)), min(cells, math.ceil(stop / step - 0.5)))


def _affine(
    first: int, step: float, start: int, scale: float, offset: float, cells_per_px: float
) -> tuple[float, float]:
    """Gain and shift from a canvas cell (counted from ``first``) to a cell of the tile's map: by the centres."""
    gain = step * scale * cells_per_px
    shift = (((first + 0.5) * step - start) * scale + offset) * cells_per_px - 0.5
    return gain, shift


def _ramp(cells: slice, step: float, start: int, stop: int, frame: int, overlap: float) -> Floats:
    """Weights along one side: 1 inside, falling over the shared strip; not towards the frame's own border."""
    at = (np.arange(cells.start, cells.stop) + 0.5) * step
    reach = max(1.0, (stop - start) * overlap)
    left = np.ones_like(at) if start == 0 else (at - start) / reach
    right = np.ones_like(at) if stop == frame else (stop - at) / reach
    return np.clip(np.minimum(left, right), 1e-3, 1).astype(np.float32)
