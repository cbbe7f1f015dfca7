"""Objects that are more than upright boxes: rotated ones, outlines, points."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from edge.vision.conventions.terms import Score, Strides
from edge.vision.conventions.yolo_maps import check_anchors

Rows = Literal["v8", "v5", "end2end"]
"""``v8``: columns of box and C scores, ``(1, 4 + C + more, N)``. ``v5``: rows of box, objectness and C scores,
``(1, N, 5 + C + more)``. ``end2end``: finished rows, ``(1, N, 6 + more)``: x1, y1, x2, y2, score, class number."""

Points = Annotated[int, Meta(ge=1, le=1024)]

Rounded = Literal["up", "down"]
"""Cells of a side that a stride does not divide: padded convolutions round up, unpadded ones and pooling down."""


class YoloObbHead(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="yolo_obb"):
    """Rotated boxes: ``float (1, 4 + C + 1, N)``: cx, cy, w, h in input pixels, C scores, angle in radians, clockwise
    as seen in the picture (``OBB`` in ultralytics/nn/modules/head.py). Needs suppression, by probabilistic IoU
    ("Gaussian Bounding Boxes and Probabilistic Intersection-over-Union", Llerena et al. 2021; ``batch_probiou``).
    ``end2end``: finished rows ``(1, N, 7)``: cx, cy, w, h, score, class number, angle.
    """

    output: str = ""
    layout: Literal["v8", "end2end"] = "v8"
    overlap: Literal["probiou", "polygon"] = "probiou"


class YoloSegHead(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="yolo_seg"):
    """Instances: candidates with M mask coefficients each after what ``layout`` says, boxes in input pixels, and
    prototypes ``float (1, M, h, w)``. A mask is the sum of prototypes times coefficients, above 0 (sigmoid above
    0.5), inside its box ("YOLACT", Bolya et al. 2019; ``process_mask`` in ultralytics/utils/ops.py).
    """

    output: str = ""
    prototypes_output: str = ""
    layout: Rows = "v8"


class YoloPoseHead(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="yolo_pose"):
    """Objects with K points each: after what ``layout`` says ``3 K`` numbers x, y in input pixels and visibility 0..1
    (``Pose`` in ultralytics/nn/modules/head.py), or ``2 K`` without the visibility (``values = 2``).
    ``activation`` is what is still to be applied to the visibility.
    """

    output: str = ""
    layout: Rows = "v8"
    points: Points = 17
    values: Literal[2, 3] = 3
    activation: Literal["none", "sigmoid"] = "none"


class YuNetHead(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="yunet"):
    """Faces with five points: for each stride ``cls (1, n, 1)``, ``obj (1, n, 1)``, ``bbox (1, n, 4)`` and
    ``kps (1, n, 10)``, found by name and shape, 0..1 scores. ``score = sqrt(cls * obj)``, ``centre = (cell + xy) *
    stride``, ``size = exp(wh) * stride``, ``point = (cell + xy) * stride`` (``FaceDetectorYN`` in
    opencv/modules/objdetect/src/face_detect.cpp). Needs non-maximum suppression.
    """

    strides: Strides = (8, 16, 32)
    points: Points = 5


class ScrfdHead(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="scrfd"):
    """Faces with five points: for each stride scores ``(n, 1)``, distances to the sides ``(n, 4)`` and points
    ``(n, 10)``, all counting strides from the cell's corner, ``per_cell`` rows a cell, found by shape (``scrfd.py`` in
    insightface/detection/scrfd/tools). Needs non-maximum suppression.
    """

    strides: Strides = (8, 16, 32)
    per_cell: Annotated[int, Meta(ge=1, le=16)] = 2
    points: Points = 5


class RetinaFaceHead(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="retinaface"):
    """Faces with five points as offsets to priors, see ``ssd``: boxes ``(1, N, 4)``, scores ``(1, N, 2)`` (background,
    face; 0..1), points ``(1, N, 10)``: ``point = prior centre + d * variances[0] * prior size`` (``decode_landm`` in
    Pytorch_Retinaface/utils/box_utils.py). Needs non-maximum suppression.

    Boxes and points may be one tensor ``(N, 14)``. Where there is a third tensor ``(N, 1)``, the overlap the model
    expects, the score is ``sqrt(face * overlap)``, and maps are rounded down (``rounded``): YuNet before 2023
    (``FaceDetectorYNImpl`` of OpenCV 4.5.4, modules/objdetect/src/face_detect.cpp; libfacedetection.train).
    """

    strides: Strides = (8, 16, 32)
    priors: tuple[tuple[float, ...], ...] = (
        (16.0, 16.0, 32.0, 32.0),
        (64.0, 64.0, 128.0, 128.0),
        (256.0, 256.0, 512.0, 512.0),
    )
    variances: tuple[float, float] = (0.1, 0.2)
    activation: Score = "none"
    points: Points = 5
    rounded: Rounded = "up"

    def __post_init__(self) -> None:
        check_anchors(self.priors)
        if len(self.priors) != len(self.strides):
            raise ValueError(f"priors has {len(self.priors)} rows, strides {len(self.strides)}")


class MediaPipeHead(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="mediapipe"):
    """Faces, palms and persons of MediaPipe with K points: ``float (1, N, 4 + 2 K)`` and scores ``(1, N, 1)``, logits, of
    all maps at once or map by map. All numbers count input pixels from the cell's middle: cx, cy, w, h, then x, y of
    each point (``DecodeBoxes`` with ``reverse_output_order`` in mediapipe/calculators/tensor/
    tensors_to_detections_calculator.cc). ``per_cell`` rows a cell of each of ``strides`` (``ssd_anchors_calculator.cc``:
    layers of one stride are one map, two anchors each). Needs non-maximum suppression (MediaPipe averages instead).

    BlazeFace: short range as by default, back camera strides 16, 32, full range stride 4 with one a cell; palms: 8, 16
    (192 px) or 8, 16, 32 with 2, 2, 6 (256 px), ``points = 7``; persons: 8, 16, 32 with 2, 2, 6, ``points = 4``.
    """

    strides: Strides = (8, 16)
    per_cell: Annotated[tuple[Annotated[int, Meta(ge=1, le=64)], ...], Meta(min_length=1, max_length=8)] = (2, 6)
    points: Points = 6
    activation: Literal["none", "sigmoid"] = "sigmoid"

    def __post_init__(self) -> None:
        if len(self.per_cell) != len(self.strides):
            raise ValueError(f"per_cell has {len(self.per_cell)} numbers, strides {len(self.strides)}")
