"""Lines of text from a probability map (differentiable binarisation, see :class:`TextBoxesHead`).

Checked against a plain version of ``db_postprocess.py`` of PaddleOCR. That one grows a box with a polygon library; a
rectangle grown by d on every side is the same rotated rectangle, 2 d wider and higher, so none is needed here.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.vision.conventions.reading import TextBoxesHead
from edge.vision.heads.base import Context, Floats, Head, Outputs, Shapes, floats, pick
from edge.vision.prediction import Prediction

MAX_BLOBS = 1000
"""The largest so many are looked at (PaddleOCR's ``max_candidates``): noise must not cost minutes."""

MIN_FRAME_PX = 3.0
"""Lines thinner than this in the frame are dust, as in PaddleOCR's ``filter_tag_det_res``."""


def decode_text_boxes(head: TextBoxesHead, outputs: Outputs, context: Context) -> Prediction:
    """``(1, 1, h, w)``: one row a line, in reading order, with its quad from the line's top left clockwise."""
    chances = np.ascontiguousarray(floats(outputs, head.output)[0, 0])
    geometry = context.geometry
    # A map of lower resolution than the input: its pixels are larger.
    step = np.array(
        [geometry.input_width_px / chances.shape[1], geometry.input_height_px / chances.shape[0]], np.float32
    )
    width, height = geometry.frame_width_px, geometry.frame_height_px
    if head.one_line and max(width, height) > head.one_line * min(width, height):
        quads = np.array([[[0, 0], [width, 0], [width, height], [0, height]]], np.float32)
        scores = np.ones(1, np.float32)
    else:
        quads, scores = _rectangles(head, chances, float(context.lowest))
        quads = from_top_left(geometry.to_frame((quads * step).reshape(-1, 4)).reshape(-1, 4, 2))
    keep = np.flatnonzero(sides(quads).min(axis=1, initial=np.inf) > MIN_FRAME_PX)
    kept = keep[np.argsort(-scores[keep], kind="stable")][: context.thresholds.max_detections]
    kept = kept[reading_order(quads[kept])]
    lengths = sides(quads[kept])
    return Prediction(
        "detect",
        context.labels,
        width,
        height,
        around(quads[kept]),
        np.minimum(scores[kept], np.float32(1)),
        np.zeros(len(kept), np.int64),
        lengths.prod(axis=1),
        dropped=len(keep) - len(kept),
        mm_per_px=context.mm_per_px,
        quads=quads[kept],
    )


def _rectangles(head: TextBoxesHead, chances: Floats, least: float) -> tuple[Floats, Floats]:
    """Grown rectangles as corners ``(n, 4, 2)`` in map pixels, any corner first, and their scores."""
    mask = (chances > head.level).astype(np.uint8)
    if head.dilate:
        mask = np.asarray(cv2.dilate(mask, np.ones((2, 2), np.uint8)), np.uint8)
    found, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    blobs: list[Any] = sorted(found, key=len, reverse=True)[:MAX_BLOBS] if len(found) > MAX_BLOBS else list(found)
    quads, scores = [], []
    for blob in blobs:
        centre, (width, height), angle = cv2.minAreaRect(blob)
        if min(width, height) < head.min_side_px:
            continue
        score = _mean_inside(chances, cv2.boxPoints((centre, (width, height), angle)))
        if not score >= least:  # also NaN
            continue
        grow = 2 * head.unclip * width * height / (2 * (width + height))
        quads.append(cv2.boxPoints((centre, (width + grow, height + grow), angle)))
        scores.append(score)
    # A contour's points are pixel centres; corners are counted from the pixel's edge.
    corners = np.array(quads, np.float32).reshape(-1, 4, 2) + np.float32(0.5)
    return corners, np.array(scores, np.float32)


def _mean_inside(chances: Floats, corners: NDArray[Any]) -> float:
    height, width = chances.shape
    low = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, (width - 1, height - 1))
    high = np.clip(np.ceil(corners.max(axis=0)).astype(int), 0, (width - 1, height - 1))
    window = chances[low[1] : high[1] + 1, low[0] : high[0] + 1]
    mask = np.zeros(window.shape, np.uint8)
    cv2.fillPoly(mask, [(corners - low).astype(np.int32)], 1)
    return float(cv2.mean(window, mask)[0])


def from_top_left(quads: Floats) -> Floats:
    """The same rectangles ``(n, 4, 2)``, clockwise from the corner where a reader begins: of the two left ones the
    upper. A line that is upside down looks the same; telling is an orientation model's business.
    """
    centres = quads.mean(axis=1, keepdims=True)
    angles = np.arctan2(quads[..., 1] - centres[..., 1], quads[..., 0] - centres[..., 0])
    clockwise = np.take_along_axis(quads, np.argsort(angles, axis=1, kind="stable")[..., None], axis=1)
    # The two with the smallest x are neighbours, but for near diamonds; there, the sum decides as well as anything.
    by_x = np.argsort(clockwise[..., 0], axis=1, kind="stable")[:, :2]
    left_y = np.take_along_axis(clockwise[..., 1], by_x, axis=1)
    first = np.take_along_axis(by_x, left_y.argmin(axis=1, keepdims=True), axis=1)
    order = (first + np.arange(4)) % 4
    return np.asarray(np.take_along_axis(clockwise, order[..., None], axis=1), np.float32)


def sides(quads: Floats) -> Floats:
    """Width (along the line) and height of quads ``(n, 4, 2)``: ``(n, 2)``, the longer of each two."""
    ways = np.linalg.norm(np.roll(quads, -1, axis=1) - quads, axis=2)
    return np.asarray(np.maximum(ways[:, :2], ways[:, 2:]), np.float32)


def around(quads: Floats) -> Floats:
    """Upright boxes ``(n, 4)`` around quads ``(n, 4, 2)``."""
    return np.asarray(np.concatenate([quads.min(axis=1), quads.max(axis=1)], axis=1), np.float32)


def reading_order(quads: Floats) -> NDArray[np.int64]:
    """Rows ``(n,)`` from top to bottom, and from left to right among those whose middles are at one height.

    Two belong to one line of print when the middle of the lower one's begin is above the upper one's lower half: half
    a letter's height is more than print ever wanders, and less than any line is apart.
    """
    middles = quads[:, [0, 3], 1].mean(axis=1)
    heights = sides(quads)[:, 1]
    by_height = np.argsort(middles, kind="stable")
    lines = np.zeros(len(quads), np.int64)
    line, start, tall = 0, 0.0, 0.0
    for n, row in enumerate(by_height.tolist()):
        if n == 0 or middles[row] - start > 0.5 * min(tall, heights[row]):
            line, start, tall = line + 1, float(middles[row]), float(heights[row])
        lines[row] = line
    return np.lexsort((quads[:, 0, 0], lines)).astype(np.int64)


def _wants(head: TextBoxesHead, shapes: Shapes, n_labels: int) -> str:
    shape = pick(shapes, head.output)
    fits = len(shape) == 4 and shape[:2] == (1, 1) and 0 not in shape and n_labels == 1  # noqa: PLR2004  (rank)
    return "" if fits else "[1, 1, h, w] (and one label)"


TEXT_BOXES = Head(decode_text_boxes, _wants)
