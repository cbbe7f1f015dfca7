"""What a model's inputs beside the picture are told: sizes and scales, as ``[input] extra`` of a manifest says."""

from __future__ import annotations

from typing import Any, assert_never

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edge.vision.geometry import Geometry
from edge.vision.spec import Extra


class ExtraInput(Struct, frozen=True):
    """An input beside the picture: its name, what it is told, its shape (None: free) and numpy dtype."""

    name: str
    kind: Extra
    shape: tuple[int | None, ...]
    dtype: str

    @property
    def unfit(self) -> str:
        """Why it cannot be told this; '' where it can."""
        fits = len(self.shape) in {1, 2} and all(d in {None, w} for d, w in zip(self.shape[::-1], (2, 1), strict=False))
        if self.kind == "ones" or fits:
            return ""
        return f"{self.kind} is two numbers, the input takes {list(self.shape)}"

    def value(self, geometry: Geometry) -> NDArray[Any]:
        """What it is told with a frame of this geometry."""
        if self.kind == "ones":
            # A short one holds numbers, a longer one is a map over the picture.
            whole = (1, 1, geometry.input_height_px, geometry.input_width_px) if len(self.shape) > 2 else (1, 2)  # noqa: PLR2004  (rank)
            free = whole[len(whole) - len(self.shape) :]
            return np.ones([d or f for d, f in zip(self.shape, free, strict=True)], self.dtype)
        numbers = np.array(_two(self.kind, geometry)).astype(self.dtype)
        return numbers if len(self.shape) == 1 else numbers[None]


def _two(kind: Extra, geometry: Geometry) -> tuple[float, float]:
    match kind:
        case "input_size_hw":
            return geometry.input_height_px, geometry.input_width_px
        case "input_size_wh":
            return geometry.input_width_px, geometry.input_height_px
        case "frame_size_hw":
            return geometry.frame_height_px, geometry.frame_width_px
        case "frame_size_wh":
            return geometry.frame_width_px, geometry.frame_height_px
        case "scale_hw":
            return geometry.scale_y, geometry.scale_x
        case "ones":
            return 1.0, 1.0
        case _:
            assert_never(kind)
