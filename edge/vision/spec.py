"""What a model file does not say of itself: how pictures go in, what its numbers mean, where to draw the line.

These are the tables ``[input]``, ``[output]`` and ``[thresholds]`` of a bundle's ``model.toml``. They are checked
when they are made, so whoever holds one need not check again.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Task = Literal["classify", "detect", "segment"]
Color = Literal["bgr", "rgb", "gray"]
Fit = Literal["letterbox", "stretch", "crop"]
Anchor = Literal["center", "top_left"]
Activation = Literal["none", "softmax", "sigmoid"]

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


class YoloV8Head(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="yolov8"):
    """``float (1, 4 + C, N)``: N candidates as columns, each ``cx, cy, w, h`` in input pixels and C class scores
    (0..1, no objectness). Needs non-maximum suppression. What Ultralytics exports for YOLOv8 to YOLO12.

    ``output`` names the tensor where the model has several; by default the first.
    """

    output: str = ""


class End2EndHead(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="end2end"):
    """``float (1, N, 6)``: N rows ``x1, y1, x2, y2`` in input pixels, score, class number; already suppressed.

    What YOLOv10, YOLO26 and every export with NMS in the graph give. Empty rows have score 0.
    """

    output: str = ""


class ClassifyHead(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="classify"):
    """``float (1, C)`` or ``(1, C, 1, 1)``: one score a class; ``activation`` is what is still to be applied."""

    output: str = ""
    activation: Activation = "softmax"


class SegmentHead(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="segment"):
    """``float (1, C, h, w)``: one map a class, at the input's size or any lower resolution.

    ``activation`` is what is still to be applied: ``sigmoid`` and ``none`` treat the classes as independent,
    ``softmax`` makes them exclude each other. ``background`` is the channel that means 'nothing here'; it is not
    in the list of labels, so that C is the number of labels plus one where it is given.
    ``exclusive`` makes every pixel belong to its likeliest class only; by default it follows from ``softmax``.
    """

    output: str = ""
    activation: Activation = "sigmoid"
    background: Annotated[int, Meta(ge=0)] | None = None
    exclusive: bool | None = None


HeadSpec = YoloV8Head | End2EndHead | ClassifyHead | SegmentHead

HEAD_TASK: dict[type[HeadSpec], Task] = {
    YoloV8Head: "detect",
    End2EndHead: "detect",
    ClassifyHead: "classify",
    SegmentHead: "segment",
}


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
