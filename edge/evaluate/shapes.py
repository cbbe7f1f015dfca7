"""The truth of one frame as arrays of its size: boxes, masks, points, whatever form the data set has them in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import InputError
from edge.evaluate.datasets.masks import load_mask
from edge.evaluate.metrics.pixels import IGNORE
from edge.evaluate.truth import Outline, Rle, Sample, Thing
from edge.vision.prediction import Prediction

Mask = NDArray[np.uint8]

_FINE = 4  # sub-pixels a side, so that filling outlines whose corners are fractions is right to an eighth of a pixel
_MAX_FINE = 16_000_000
_UNSURE = 255
_HALF = 127


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """A mask cut out: uint8 ``(h, w)`` 0 or 1, its left top corner in the frame."""

    left: int
    top: int
    mask: Mask

    @property
    def area(self) -> int:
        """Pixels in it."""
        return int(cv2.countNonZero(self.mask))


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """m true objects of one frame, in its pixels. ``patches`` and ``points`` only where all have them."""

    labels: tuple[str, ...]
    boxes: NDArray[np.float64]
    areas_px: NDArray[np.float64]
    crowd: NDArray[np.bool_]
    patches: tuple[Patch, ...] | None = None
    points: NDArray[np.float32] | None = None


def truth_of(sample: Sample, height: int, width: int, label: str) -> Truth:
    """The objects of a sample: as listed, else the connected regions of its mask, which are ``label``."""
    things = sample.things
    if things is None:
        return _from_mask(sample, height, width, label)
    scale = np.array([width, height, width, height], np.float64)
    boxes = np.array([np.array(t.box) * (scale if t.relative else 1.0) for t in things], np.float64).reshape(-1, 4)
    patches = None
    if things and all(thing.shape is not None for thing in things):
        patches = tuple(patch_of(thing.shape, height, width) for thing in things if thing.shape is not None)
    sides = boxes[:, 2:] - boxes[:, :2]
    areas = [
        thing.area_px if thing.area_px is not None else patches[i].area if patches else sides[i].prod()
        for i, thing in enumerate(things)
    ]
    points = None
    if (
        things
        and all(t.points is not None for t in things)
        and len({len(t.points) for t in things if t.points is not None}) == 1
    ):
        points = np.stack([_points(thing, width, height) for thing in things])
    crowd = np.array([thing.crowd for thing in things], bool)
    return Truth(tuple(t.label for t in things), boxes, np.array(areas, np.float64), crowd, patches, points)


def mask_of(
    sample: Sample, height: int, width: int, numbers: dict[str, int], classes: tuple[str, ...]
) -> NDArray[np.int16]:
    """The truth by pixel, int16 ``(h, w)``: 0 nothing, class numbers by name from ``numbers``, IGNORE.

    A mask that only says marked or not is of the picture's class where that has a number, else of class 1.
    Raises InputError DATASET_INVALID for a mask of another size.
    """
    out = np.zeros((height, width), np.int16)
    if sample.mask is not None:
        mask = _sized(sample.mask, height, width)
        if not sample.indexed:
            out[_marked(sample.mask, mask)] = numbers.get(sample.label or "", 1)
            return out
        table = np.full(256, 0, np.int16)
        for number, name in enumerate(classes, 1):
            table[number] = numbers.get(name, IGNORE)
        table[_UNSURE] = IGNORE
        return np.asarray(table[mask], np.int16)
    for thing in sample.things or ():
        patch = _whole(thing, height, width)
        window = out[patch.top : patch.top + patch.mask.shape[0], patch.left : patch.left + patch.mask.shape[1]]
        window[patch.mask > 0] = IGNORE if thing.crowd else numbers.get(thing.label, IGNORE)
    return out


def found_mask(prediction: Prediction, numbers: dict[str, int]) -> NDArray[np.int16]:
    """What a prediction marks, int16 ``(h, w)``: largest first, so that what lies in another's hole is seen.

    Outlines are outer ones: a hole that nothing else fills counts as marked.
    """
    out = np.zeros((prediction.frame_height_px, prediction.frame_width_px), np.int16)
    names = prediction.names
    for row in np.argsort(-prediction.areas_px, kind="stable").tolist():
        outline = np.round(prediction.polygons[row] - 0.5).astype(np.int32)
        cv2.fillPoly(out, [outline], numbers.get(names[row], 1))
    return out


def found_patches(prediction: Prediction) -> tuple[Patch, ...]:
    """One a row, of its outline. The points of outlines are pixel centres."""
    return tuple(_filled(np.round(polygon - 0.5).astype(np.int32)) for polygon in prediction.polygons)


def shared(found: tuple[Patch, ...], true: tuple[Patch, ...], near: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Common pixels ``(n, m)``; only pairs that are ``near`` (whose boxes touch) are looked at."""
    out = np.zeros((len(found), len(true)))
    for i, j in zip(*np.nonzero(near), strict=True):
        a, b = found[i], true[j]
        x0, y0 = max(a.left, b.left), max(a.top, b.top)
        x1 = min(a.left + a.mask.shape[1], b.left + b.mask.shape[1])
        y1 = min(a.top + a.mask.shape[0], b.top + b.mask.shape[0])
        if x0 < x1 and y0 < y1:
            first = a.mask[y0 - a.top : y1 - a.top, x0 - a.left : x1 - a.left]
            second = b.mask[y0 - b.top : y1 - b.top, x0 - b.left : x1 - b.left]
            out[i, j] = cv2.countNonZero(cv2.bitwise_and(first, second))
    return out


def patch_of(shape: Rle | Outline, height: int, width: int) -> Patch:
    """A true shape as pixels. A pixel belongs to an outline if its centre is inside (to an eighth of a pixel)."""
    if isinstance(shape, Rle):
        flat = np.repeat(np.arange(len(shape.counts)) % 2, shape.counts).astype(np.uint8)
        return Patch(0, 0, np.ascontiguousarray(flat.reshape(shape.width, shape.height).T[:height, :width]))
    size = np.array([width, height], np.float32) if shape.relative else np.float32(1)
    polygons = [np.clip(p * size, 0, [width, height]) for p in shape.polygons]
    low = np.floor(np.min([p.min(axis=0) for p in polygons], axis=0)).astype(int)
    high = np.maximum(np.ceil(np.max([p.max(axis=0) for p in polygons], axis=0)).astype(int), low + 1)
    columns, rows = (high - low).tolist()
    fine = _FINE if columns * rows * _FINE**2 <= _MAX_FINE else 1
    canvas = np.zeros((rows * fine, columns * fine), np.uint8)
    for polygon in polygons:
        # One after the other: filled together, an overlap would count as a hole.
        cv2.fillPoly(canvas, [np.floor((polygon - low) * fine).astype(np.int32)], 1)
    return Patch(int(low[0]), int(low[1]), np.ascontiguousarray(canvas[fine // 2 :: fine, fine // 2 :: fine]))


def _from_mask(sample: Sample, height: int, width: int, label: str) -> Truth:
    marked = np.zeros((height, width), np.uint8)
    if sample.mask is not None:
        mask = _sized(sample.mask, height, width)
        marked = _marked(sample.mask, mask).astype(np.uint8)
    count, marks, stats, _ = cv2.connectedComponentsWithStats(marked, connectivity=8)
    boxes = stats[1:, :4].astype(np.float64)
    boxes[:, 2:] += boxes[:, :2]
    patches = []
    for number, (x, y, w, h) in enumerate(stats[1:, :4].tolist(), 1):
        patches.append(Patch(x, y, (marks[y : y + h, x : x + w] == number).astype(np.uint8)))
    areas = stats[1:, cv2.CC_STAT_AREA].astype(np.float64)
    return Truth((label,) * (count - 1), boxes, areas, np.zeros(count - 1, bool), tuple(patches))


def _sized(file: Path, height: int, width: int) -> NDArray[np.uint8]:
    mask = load_mask(file)
    if mask.shape != (height, width):
        why = f"it is {mask.shape[1]} x {mask.shape[0]} px, the picture {width} x {height}"
        raise InputError("DATASET_INVALID", f"mask {file} does not fit its picture", why)
    return mask


def _marked(file: Path, mask: NDArray[np.uint8]) -> NDArray[np.bool_]:
    # A JPEG mask has a fringe of small values around what is white.
    return np.asarray(mask > (_HALF if file.suffix.lower() in {".jpg", ".jpeg"} else 0))


def _whole(thing: Thing, height: int, width: int) -> Patch:
    """The pixels of an object, of its box where it has no outline."""
    if thing.shape is not None:
        return patch_of(thing.shape, height, width)
    x0, y0, x1, y1 = np.array(thing.box) * (np.array([width, height] * 2) if thing.relative else 1.0)
    corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)
    return patch_of(Outline((corners,)), height, width)


def _filled(outline: NDArray[np.int32]) -> Patch:
    low, high = np.maximum(outline.min(axis=0), 0), outline.max(axis=0)
    mask = np.zeros((max(int(high[1] - low[1]), 0) + 1, max(int(high[0] - low[0]), 0) + 1), np.uint8)
    cv2.fillPoly(mask, [outline - low.astype(np.int32)], 1)
    return Patch(int(low[0]), int(low[1]), mask)


def _points(thing: Thing, width: int, height: int) -> NDArray[np.float32]:
    assert thing.points is not None
    return thing.points * np.array([width, height, 1] if thing.relative else [1, 1, 1], np.float32)
