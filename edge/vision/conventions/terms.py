"""Words that several conventions share."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

BoxForm = Literal["cxcywh", "xyxy", "yxyx", "xywh"]
"""Order of a box's four numbers: centre and size, two corners, two corners with y first, corner and size."""

Unit = Literal["input", "normalised", "frame"]
"""What a coordinate counts: pixels of the model's input, fractions of the input's sides, or pixels of the frame (where
the model itself goes back, being told the frame's size by a second input)."""

Score = Literal["none", "sigmoid", "softmax"]
"""What is still to be applied to class scores; ``none``: they are 0..1 already."""

Stride = Annotated[int, Meta(ge=1, le=1024)]
Strides = Annotated[tuple[Stride, ...], Meta(min_length=1, max_length=8)]
"""Input pixels a cell of each map, in the order in which the model gives the maps."""

Count = Annotated[int, Meta(ge=0, le=1024)]
