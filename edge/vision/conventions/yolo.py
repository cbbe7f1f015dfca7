"""What YOLO exports give as one table of candidates or of finished rows."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from edge.vision.conventions.terms import BoxForm, Count, Score, Strides, Unit

Column = Literal["x1", "y1", "x2", "y2", "cx", "cy", "w", "h", "score", "label", "image", "skip"]

SIDES: dict[BoxForm, tuple[Column, ...]] = {
    "xyxy": ("x1", "y1", "x2", "y2"),
    "cxcywh": ("cx", "cy", "w", "h"),
    "xywh": ("x1", "y1", "w", "h"),
}
"""The columns that make a box."""


class YoloV8Head(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="yolov8"):
    """``float (1, 4 + C, N)``: N candidates as columns, each a box (``boxes``, ``unit``) and C class scores (no
    objectness). Needs non-maximum suppression. What Ultralytics exports for YOLOv8 to YOLO12 (``Detect.forward`` in
    ultralytics/nn/modules/head.py), and what YOLOv9 and YOLOv6 without objectness give.

    ``rows``: the same turned, ``(1, N, 4 + C)``. ``activation`` is what is still to be applied to the scores.
    ``output`` names the tensor where the model has several; by default the first.
    """

    output: str = ""
    rows: bool = False
    boxes: BoxForm = "cxcywh"
    unit: Unit = "input"
    activation: Score = "none"


class YoloV5Head(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="yolov5"):
    """``float (1, N, 5 + C)``: N candidates as rows, each a box (``boxes``, ``unit``), objectness and C class scores;
    the score is objectness times class. Needs non-maximum suppression. YOLOv5, v6 and v7 (``Detect.forward`` in
    yolov5/models/yolo.py, ``non_max_suppression`` in yolov5/utils/general.py).

    ``activation`` ``sigmoid``: objectness and class scores are logits still. ``softmax``: so are they, and the classes
    exclude each other. Exports of the raw maps with anchors are ``yolo_maps``.
    """

    output: str = ""
    boxes: BoxForm = "cxcywh"
    unit: Unit = "input"
    activation: Score = "none"


class YoloXHead(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="yolox"):
    """``float (1, N, 5 + C)``: a row a cell of the maps of ``strides``, stride after stride, row-major: x, y, w, h,
    objectness, C class scores; the score is objectness times class. Needs non-maximum suppression. With one class
    this is ``(1, N, 6)``, and not an end-to-end export.

    Raw (``decoded`` false): ``centre = (xy + cell) * stride``, ``size = exp(wh) * stride``, all in input pixels
    (``demo_postprocess`` in YOLOX/yolox/utils/demo_utils.py; P6 models add stride 64). ``decoded``: boxes are in
    input pixels already (exports with ``--decode_in_inference``). ``activation`` ``sigmoid``: scores are logits still.
    """

    output: str = ""
    strides: Strides = (8, 16, 32)
    decoded: bool = False
    activation: Literal["none", "sigmoid"] = "none"


class End2EndHead(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="end2end"):
    """``float (1, N, k)`` or ``(N, k)``: N rows with a box, score and class number; already suppressed. Empty rows
    have score 0.

    ``columns`` says what a row holds. By default what YOLOv10, YOLO26 and every Ultralytics export with NMS in the
    graph give. Others: YOLOv7 ``--end2end`` for ONNX Runtime (yolov7/utils/add_nms.py) and others that begin with the
    number of the image: ``image, x1, y1, x2, y2, label, score``; PaddleDetection's ``multiclass_nms3``: ``label, score,
    x1, y1, x2, y2``; EfficientDet of Google's automl: ``image, y1, x1, y2, x2, score, label`` with ``first_label = 1``;
    RT-DETR of Ultralytics: ``cx, cy, w, h, score, label``, normalised (``RTDETRDecoder.postprocess``; frames stretched);
    Caffe's and OpenVINO's ``DetectionOutput``: ``image, label, score, x1, y1, x2, y2``, normalised, ``first_label = 1``.
    Rows of an image other than 0 (-1: the end) are dropped. ``first_label``: the class number of the first label.
    """

    output: str = ""
    columns: Annotated[tuple[Column, ...], Meta(min_length=6, max_length=64)] = (
        "x1",
        "y1",
        "x2",
        "y2",
        "score",
        "label",
    )
    unit: Unit = "input"
    first_label: Count = 0

    def __post_init__(self) -> None:
        for column in ("score", "label"):
            if column not in self.columns:
                raise ValueError(f"columns must have {column!r}")
        twice = sorted({c for c in self.columns if c != "skip" and self.columns.count(c) > 1})
        if twice:
            raise ValueError(f"columns may have {twice[0]!r} once")
        if self.box_form is None:
            raise ValueError(f"columns must have a box: {', or '.join(' '.join(s) for s in SIDES.values())}")

    @property
    def box_form(self) -> BoxForm | None:
        """Which box the columns have."""
        return next((form for form, sides in SIDES.items() if set(sides) <= set(self.columns)), None)
