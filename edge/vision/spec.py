"""What a model file does not say of itself: how pictures go in, what its numbers mean, where to draw the line.

These are the tables ``[input]`` and ``[thresholds]`` of a bundle's ``model.toml``; ``[output]`` is one of
:mod:`edge.vision.heads`. They are checked when they are made, so whoever holds one need not check again.
"""

from __future__ import annotations

import math
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

    ``anomaly`` and ``anomaly_map`` are in the model's own unit: from there on a frame, or a place of its map, is
    anomalous. Without the second, the first counts for both where they are of one unit.
    """

    score: Fraction = 0.25
    iou: Fraction = 0.5
    max_detections: Annotated[int, Meta(ge=1, le=300)] = 300
    min_area_px: NotNegative = 0.0
    min_area_mm2: NotNegative = 0.0
    labels: dict[str, Fraction] = {}
    anomaly: float | None = None
    anomaly_map: float | None = None

    def __post_init__(self) -> None:
        if not all(math.isfinite(v) for v in (self.anomaly or 0.0, self.anomaly_map or 0.0)):
            raise ValueError("thresholds must be finite numbers")

    def check_labels(self, labels: tuple[str, ...]) -> None:
        """Raises ValueError for a threshold of a label that is none of ``labels``."""
        unknown = set(self.labels) - set(labels)
        if unknown:
            raise ValueError(f"[thresholds] names unknown labels: {', '.join(sorted(unknown))}")


class Tiling(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Large pictures in pieces of ``width_px`` x ``height_px`` frame pixels, each brought to the model's input as a frame
    of its own, so that small things stay large enough to be seen. Neighbours share at least ``overlap`` of a tile:
    choose it so that the largest thing looked for fits into the shared strip. A frame that is not larger than a tile
    goes in whole.

    ``same`` is the intersection over the smaller of two boxes of one label above which they are one thing seen twice.
    """

    width_px: Side
    height_px: Side
    overlap: Annotated[float, Meta(ge=0.0, le=0.9)] = 0.25
    same: Annotated[float, Meta(gt=0.0, le=1.0)] = 0.5


class Calibration(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where an anomaly threshold comes from: so many good pictures, and the share of good parts that it will call
    anomalous: the rate wished for, the rate expected, and the interval that holds it with 95 % confidence.

    ``method`` is ``order statistic`` (no assumption on the scores) or ``log-normal tail`` or ``normal tail`` (fewer
    pictures than the rate needs: the tail is extrapolated). ``pictures_sha256`` is that of the pictures' own, sorted.
    """

    pictures: Annotated[int, Meta(ge=1)]
    false_alarms: Annotated[float, Meta(gt=0.0, lt=1.0)]
    expected: Fraction
    low: Fraction
    high: Fraction
    method: str
    pictures_sha256: str = ""
