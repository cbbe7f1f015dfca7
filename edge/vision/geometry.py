"""Where a frame sits in a model's input, and the way back."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, assert_never

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edge.vision.spec import InputSpec

Floats = NDArray[np.float32]


class Geometry(Struct, frozen=True):
    """``input = frame * scale + offset`` on each axis, in pixels whose corners (not centres) are whole numbers.

    ``inner_*`` is the rectangle of the input that shows the frame (with ``crop`` all of it); the rest is padding.
    """

    frame_width_px: int
    frame_height_px: int
    input_width_px: int
    input_height_px: int
    scale_x: float
    scale_y: float
    offset_x: float
    offset_y: float

    def to_frame(self, xyxy: NDArray[Any]) -> Floats:
        """Boxes ``(n, 4)`` in input pixels to float32 boxes in frame pixels, clipped to the frame."""
        scale, offset, size = _vectors(self)
        boxes = ((xyxy - offset) / scale).astype(np.float32)
        np.maximum(boxes, 0, out=boxes)
        np.minimum(boxes, size, out=boxes)
        return boxes

    def to_input(self, xyxy: NDArray[Any]) -> Floats:
        """Boxes ``(n, 4)`` in frame pixels to input pixels, not clipped."""
        scale, offset, _ = _vectors(self)
        return (np.asarray(xyxy, np.float64) * scale + offset).astype(np.float32)


@lru_cache(maxsize=64)
def _vectors(geometry: Geometry) -> tuple[NDArray[np.float64], NDArray[np.float64], Floats]:
    """Scale, offset and frame size for x, y, x, y."""
    scale = np.array([geometry.scale_x, geometry.scale_y] * 2)
    offset = np.array([geometry.offset_x, geometry.offset_y] * 2)
    return scale, offset, np.array([geometry.frame_width_px, geometry.frame_height_px] * 2, np.float32)


def fit(spec: InputSpec, frame_width_px: int, frame_height_px: int) -> Geometry:
    """The geometry of one frame size.

    Sizes are rounded to whole pixels (at least 1), as training code does, and the scales follow from the rounded
    sizes, so that the way back is exact.
    """
    if spec.follow != "no":
        return _following(spec, frame_width_px, frame_height_px)
    ratio_x, ratio_y = spec.width_px / frame_width_px, spec.height_px / frame_height_px
    match spec.fit:
        case "stretch":
            scale_x, scale_y = ratio_x, ratio_y
            offset_x = offset_y = 0.0
        case "letterbox":
            ratio = min(ratio_x, ratio_y)
            width, height = _whole(frame_width_px * ratio), _whole(frame_height_px * ratio)
            scale_x, scale_y = width / frame_width_px, height / frame_height_px
            offset_x = float(_start(spec, spec.width_px - width))
            offset_y = float(_start(spec, spec.height_px - height))
        case "crop":
            ratio = max(ratio_x, ratio_y)
            width = min(_whole(spec.width_px / ratio), frame_width_px)
            height = min(_whole(spec.height_px / ratio), frame_height_px)
            scale_x, scale_y = spec.width_px / width, spec.height_px / height
            offset_x = -_start(spec, frame_width_px - width) * scale_x
            offset_y = -_start(spec, frame_height_px - height) * scale_y
        case _:
            assert_never(spec.fit)
    sizes = (frame_width_px, frame_height_px, spec.width_px, spec.height_px)
    return Geometry(*sizes, scale_x, scale_y, offset_x, offset_y)


def _following(spec: InputSpec, frame_width_px: int, frame_height_px: int) -> Geometry:
    """An input whose size follows the frame's, see :class:`InputSpec`."""
    unit = spec.multiple_px
    if spec.follow == "size":
        ratio = min(1.0, spec.width_px / frame_width_px, spec.height_px / frame_height_px)
        width = max(unit, round(frame_width_px * ratio / unit) * unit)
        height = max(unit, round(frame_height_px * ratio / unit) * unit)
        return Geometry(
            frame_width_px, frame_height_px, width, height, width / frame_width_px, height / frame_height_px, 0.0, 0.0
        )
    inner = min(spec.width_px, _whole(frame_width_px * spec.height_px / frame_height_px))
    width = min(spec.width_px, -(-inner // unit) * unit)
    scale_x, scale_y = inner / frame_width_px, spec.height_px / frame_height_px
    return Geometry(frame_width_px, frame_height_px, width, spec.height_px, scale_x, scale_y, 0.0, 0.0)


def _whole(length: float) -> int:
    # Half up and not to even: 0.5 px must not depend on which side of an even number it falls.
    return max(1, int(length + 0.5))


def _start(spec: InputSpec, spare_px: int) -> int:
    """Where to begin when ``spare_px`` are left over; an odd one goes to the right or below."""
    return spare_px // 2 if spec.anchor == "center" else 0
