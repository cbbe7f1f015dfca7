"""Cutting found things out of a frame, upright, and moving back what was found in the cut-out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.ports import Image
from edge.vision.prediction import Prediction

Floats = NDArray[np.float32]

MIN_CROP_PX = 2
"""Nothing can be seen in less."""

MAX_CROP_PX = 8192

TALL = 1.5
"""So many times as high as wide, and a line of text runs downwards: it is laid down (PaddleOCR's rule)."""


@dataclass(frozen=True, slots=True, eq=False)
class Crop:
    """A piece of a frame. ``to_frame`` is the 3 x 3 matrix from its pixels (corners whole numbers) to the frame's."""

    image: Image
    to_frame: NDArray[Any]

    def turned(self, quarters: int) -> Crop:
        """The same piece, turned clockwise by so many quarters."""
        height, width = self.image.shape[:2]
        match quarters % 4:
            case 0:
                return self
            case 1:
                back = np.array([[0, 1, 0], [-1, 0, height], [0, 0, 1]], np.float64)
            case 2:
                back = np.array([[-1, 0, width], [0, -1, height], [0, 0, 1]], np.float64)
            case _:
                back = np.array([[0, -1, width], [1, 0, 0], [0, 0, 1]], np.float64)
        return Crop(np.ascontiguousarray(np.rot90(self.image, -quarters)), self.to_frame @ back)


def cut_box(image: Image, box: Floats, margin: float) -> Crop | None:
    """An upright box (left, top, right, bottom in frame pixels), larger by ``margin`` of its sides on each side, inside
    the frame. None where nothing is left. A view, not a copy.
    """
    if not np.isfinite(box).all():
        return None
    height, width = image.shape[:2]
    grow = (box[2:] - box[:2]) * margin
    left, top = np.maximum(np.floor(box[:2] - grow), 0).astype(int).tolist()
    right, bottom = np.minimum(np.ceil(box[2:] + grow), (width, height)).astype(int).tolist()
    if min(right - left, bottom - top) < MIN_CROP_PX:
        return None
    return Crop(image[top:bottom, left:right], _move(left, top))


def cut_quad(image: Image, quad: Floats, margin: float, *, lay_down: bool = False) -> Crop | None:
    """A rotated box ``(4, 2)``, clockwise from its own top left, straightened. ``lay_down`` turns what is tall by a
    quarter to the left.
    """
    if not np.isfinite(quad).all():
        return None
    along, down = (quad[1] + quad[2] - quad[0] - quad[3]) / 2, (quad[2] + quad[3] - quad[0] - quad[1]) / 2
    quad = quad + margin * np.array([-along - down, along - down, along + down, down - along], np.float32)
    ways = np.linalg.norm(np.roll(quad, -1, axis=0) - quad, axis=1)
    width, height = (int(v) for v in np.round(np.maximum(ways[:2], ways[2:])))
    if min(width, height) < MIN_CROP_PX or max(width, height) > MAX_CROP_PX:
        return None
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    to_crop = cv2.getPerspectiveTransform(quad.astype(np.float32), corners)
    # OpenCV counts pixel centres as whole numbers, we count corners.
    shifted = _move(-0.5, -0.5) @ to_crop @ _move(0.5, 0.5)
    piece = cv2.warpPerspective(image, shifted, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    crop = Crop(np.asarray(piece, np.uint8), np.linalg.inv(to_crop))
    return crop.turned(-1) if lay_down and height >= TALL * width else crop


def corners_of(crop: Crop) -> Floats:
    """The crop's corners in the frame, ``(4, 2)``, clockwise from its own top left."""
    height, width = crop.image.shape[:2]
    return _points(np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32), crop.to_frame)


def into_frame(found: Prediction, crop: Crop, frame_width_px: int, frame_height_px: int) -> Prediction:
    """What was found in a crop, in pixels of the frame. Boxes become the upright boxes around."""
    matrix = crop.to_frame
    left, top, right, bottom = found.boxes.T
    corners = np.stack([left, top, right, top, right, bottom, left, bottom], axis=1).reshape(-1, 4, 2)
    moved = _points(corners, matrix)
    size = np.array([frame_width_px, frame_height_px] * 2, np.float32)
    boxes = np.concatenate([moved.min(axis=1), moved.max(axis=1)], axis=1) if len(found) else found.boxes
    keypoints = found.keypoints
    if keypoints is not None:
        keypoints = np.concatenate([_points(keypoints[..., :2], matrix), keypoints[..., 2:]], axis=-1)
    return replace(
        found,
        frame_width_px=frame_width_px,
        frame_height_px=frame_height_px,
        boxes=np.clip(boxes, 0, size),
        areas_px=found.areas_px * np.float32(abs(np.linalg.det(matrix[:2, :2]))),
        polygons=tuple(_points(polygon, matrix) for polygon in found.polygons),
        quads=None if found.quads is None else _points(found.quads, matrix),
        keypoints=keypoints,
        nested=tuple(into_frame(inner, crop, frame_width_px, frame_height_px) for inner in found.nested),
        beside=tuple(into_frame(other, crop, frame_width_px, frame_height_px) for other in found.beside),
    )


def _points(points: Floats, matrix: NDArray[np.float64]) -> Floats:
    """Points ``(…, 2)`` through a 3 x 3 matrix."""
    if not points.size:
        return points
    ends: Any = np.concatenate([points, np.ones((*points.shape[:-1], 1))], axis=-1) @ matrix.T
    return np.asarray(ends[..., :2] / ends[..., 2:], np.float32)


def _move(x: float, y: float) -> NDArray[np.float64]:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], np.float64)
