"""What YOLO exports give as maps, before their boxes are computed."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from edge.vision.conventions.terms import Score, Strides

Anchors = Annotated[tuple[tuple[float, ...], ...], Meta(min_length=1, max_length=8)]
"""Anchors of each map, in the maps' order: width, height, width, height, … in input pixels."""


def check_anchors(anchors: Anchors) -> None:
    """Raises ValueError unless every map has whole pairs of positive numbers."""
    if not all(row and len(row) % 2 == 0 and min(row) > 0 for row in anchors):
        raise ValueError("anchors are pairs of width and height above 0, a list a map")


class YoloMapsHead(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="yolo_maps"):
    """One map a scale with A anchors a cell, each x, y, w, h, objectness, C classes: ``float (1, A * (5 + C), h, w)``,
    ``(1, A, 5 + C, h, w)``, ``(1, A, h, w, 5 + C)`` or ``(1, h, w, A * (5 + C))``. Score: objectness times class.
    Needs non-maximum suppression. Maps are matched with the rows of ``anchors`` from the finest to the coarsest.

    ``form`` ``v5`` (YOLOv5 and v7; ``Detect.forward`` in yolov5/models/yolo.py): ``s = sigmoid(t)``,
    ``centre = (2 s_xy - 0.5 + cell) * stride``, ``size = (2 s_wh)^2 * anchor``. ``v3`` (YOLOv2 to v4; darknet,
    src/yolo_layer.c, ``get_yolo_box``): ``centre = (s_xy + cell) * stride``, ``size = exp(t_wh) * anchor``.
    ``scale_xy`` of YOLOv4 (1.2, 1.1, 1.05 there): ``centre = (s_xy * scale_xy - (scale_xy - 1) / 2 + cell) * stride``.
    ``activated``: sigmoid has been applied to all numbers already. ``classes`` is for the class scores alone
    (YOLOv2: softmax).
    """

    anchors: Anchors = (
        (10.0, 13.0, 16.0, 30.0, 33.0, 23.0),
        (30.0, 61.0, 62.0, 45.0, 59.0, 119.0),
        (116.0, 90.0, 156.0, 198.0, 373.0, 326.0),
    )
    form: Literal["v5", "v3"] = "v5"
    activated: bool = False
    classes: Literal["sigmoid", "softmax"] = "sigmoid"
    scale_xy: Annotated[float, Meta(ge=1.0, le=2.0)] = 1.0

    def __post_init__(self) -> None:
        check_anchors(self.anchors)


class YoloFastestHead(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="yolo_fastest"
):
    """YOLO-FastestV2: at each scale A anchors that share their classes: ``4 A`` box numbers, ``A`` objectnesses, ``C``
    classes, as three maps ``(1, c, h, w)`` or ``(1, h, w, c)``, or joined in this order in one. Boxes as ``v5`` of
    ``yolo_maps``. Score: objectness times class. Needs non-maximum suppression. (``handel_preds`` in
    Yolo-FastestV2/utils/utils.py.)

    ``activated``: sigmoid and softmax are in the graph, as its exporter (pytorch2onnx.py) has it.
    """

    anchors: Anchors = (
        (12.64, 19.39, 37.88, 51.48, 55.71, 138.31),
        (126.91, 78.23, 131.57, 214.55, 279.92, 258.87),
    )
    activated: bool = True

    def __post_init__(self) -> None:
        check_anchors(self.anchors)


class FastestDetHead(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="fastestdet"):
    """``float (1, 5 + C, h, w)``: a cell's objectness, x, y, w, h and C classes; no anchors.
    ``centre = (tanh(xy) + cell) / map size``, ``size = sigmoid(wh)``, in fractions of the input;
    score ``objectness^0.6 * class^0.4``. Needs non-maximum suppression. (``handle_preds`` in FastestDet/utils/tool.py;
    objectness and classes leave its graph as 0..1.)
    """

    output: str = ""
    activation: Score = "none"


class DistanceHead(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="distances"):
    """Cells that say how far it is to the four sides of their object: NanoDet, NanoDet-Plus, PicoDet, RTMDet, raw
    YOLOv8 maps. Needs non-maximum suppression.

    For each stride class scores and distances, as ``(1, n, c)``, ``(1, c, n)`` or ``(1, c, h, w)``, separate or joined
    (classes first) or, with all strides in one tensor, as ``(1, N, C + 4 bins)``. Distances left, top, right, bottom
    count strides. ``bins`` 1: they are numbers. Else each is a distribution over 0 .. bins - 1, given as logits: its
    expectation counts ("Generalized Focal Loss", Li et al. 2020; ``Integral`` in nanodet/model/head/gfl_head.py).
    ``offset``: where in a cell the point is: 0.5 the middle (NanoDet, PicoDet, YOLOv8), 0 the corner (NanoDet-Plus,
    ``get_single_level_center_priors`` in nanodet_plus_head.py; RTMDet).
    ``per_cell`` points a cell, side by side. ``in_pixels``: distances count input pixels. ``joined_order``: which
    comes first where classes and distances are in one tensor.
    """

    strides: Strides = (8, 16, 32)
    bins: Annotated[int, Meta(ge=1, le=64)] = 8
    offset: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.5
    activation: Literal["none", "sigmoid"] = "none"
    per_cell: Annotated[int, Meta(ge=1, le=16)] = 1
    in_pixels: bool = False
    joined_order: Literal["classes_first", "boxes_first"] = "classes_first"
