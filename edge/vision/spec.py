"""What a model file does not say of itself: how pictures go in, what its numbers mean, where to draw the line.

These are the tables ``[input]`` and ``[thresholds]`` of a bundle's ``model.toml``; ``[output]`` is one of
:mod:`edge.vision.heads`. They are checked when they are made, so whoever holds one need not check again.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Task = Literal["classify", "detect", "segment", "keypoints", "anomaly", "ocr", "codes", "series", "raw"]
"""What a model is for; decides which list of the JSON document its rows are in."""

Color = Literal["bgr", "rgb", "gray"]
Fit = Literal["letterbox", "stretch", "crop"]
Anchor = Literal["center", "top_left"]
Layout = Literal["nchw", "nhwc"]
Activation = Literal["none", "softmax", "sigmoid"]

Extra = Literal["input_size_hw", "input_size_wh", "frame_size_hw", "frame_size_wh", "scale_hw", "ones"]
"""What a second input of a model is told, see :class:`InputSpec`."""

MAX_SIDE_PX = 8192
"""Largest side of a model's input; beyond it a single float32 blob would take most of a small machine's memory."""

Side = Annotated[int, Meta(ge=1, le=MAX_SIDE_PX)]
Fraction = Annotated[float, Meta(ge=0.0, le=1.0)]
NotNegative = Annotated[float, Meta(ge=0.0)]


class InputSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From a camera frame to the model's input, a blob ``(1, channels, height_px, width_px)``.

    A pixel ``p`` (0..255) becomes ``(p * scale - mean) / std``, with ``mean`` and ``std`` per channel in the order
    of ``color`` (one number counts for all channels).

    ``fit``: ``letterbox`` keeps the proportions and fills the rest with ``pad_value``; ``stretch`` does not keep
    them; ``crop`` keeps them and cuts off what is too much. ``anchor`` says where the picture sits: in the middle,
    or at the top left with all padding (or cutting) to the right and below. ``resample`` is ``linear``, which most
    models were trained with, or ``area``, which does not alias when a large frame is made small.

    ``layout`` is the blob's: ``nhwc`` is ``(1, height_px, width_px, channels)``.

    ``follow`` is for inputs of free size. ``size``: both sides follow the frame, which keeps its proportions, is never
    enlarged, and has sides of at most ``width_px`` and ``height_px``, rounded to multiples of ``multiple_px`` (there
    is no padding: ``fit`` has no say). ``width``: the height is ``height_px``, the width follows the frame's
    proportions up to ``width_px`` and is padded to a multiple of ``multiple_px`` with ``pad_value`` on the right.

    ``extra``: what other inputs of the model are given, by name. ``input_size_*`` and ``frame_size_*``: height and
    width (or the other way round) of the model's input, or of the frame; ``scale_hw``: input over frame, for height and
    width; ``ones``: 1 everywhere. A model that goes back to the frame by itself (RT-DETR's ``orig_target_sizes``,
    Paddle's ``im_shape`` and ``scale_factor``, YOLOv3's ``image_shape``) is best told the input's size and a scale of
    ones: then its boxes are in input pixels, whatever ``fit`` is.
    """

    width_px: Side
    height_px: Side
    color: Color = "rgb"
    scale: float = 1 / 255
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    fit: Fit = "letterbox"
    anchor: Anchor = "center"
    pad_value: Annotated[int, Meta(ge=0, le=255)] = 114
    resample: Literal["linear", "area"] = "linear"
    layout: Layout = "nchw"
    follow: Literal["no", "size", "width"] = "no"
    multiple_px: Annotated[int, Meta(ge=1, le=1024)] = 32
    extra: dict[str, Extra] = {}

    def __post_init__(self) -> None:
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in {1, self.channels}:
                raise ValueError(f"{name} has {len(values)} numbers, {self.color} needs 1 or {self.channels}")
        if not self.scale or not all(self.std):
            raise ValueError("scale and std must not be 0")

    @property
    def channels(self) -> int:
        """1 for grey, else 3."""
        return 1 if self.color == "gray" else 3


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What counts as found. Everything below is dropped before anything else looks at it.

    ``labels`` overrides ``score`` for single labels. ``iou`` is the overlap above which the weaker of two boxes of
    one label is dropped. Areas are of regions: in pixels of the frame, or mm² where mm per px is known.
    """

    score: Fraction = 0.25
    iou: Fraction = 0.5
    max_detections: Annotated[int, Meta(ge=1, le=300)] = 300
    min_area_px: NotNegative = 0.0
    min_area_mm2: NotNegative = 0.0
    labels: dict[str, Fraction] = {}
