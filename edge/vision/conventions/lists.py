"""Boxes and scores in tensors of their own."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from edge.vision.conventions.terms import BoxForm, Count, Score, Strides, Unit
from edge.vision.conventions.yolo_maps import check_anchors


class SsdHead(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="ssd"):
    """``scores (1, N, C)`` or ``(1, C, N)`` and ``boxes (1, N, 4)`` or ``(1, N, 1, 4)``, found by name and shape unless
    ``boxes_output`` and ``scores_output`` name them. Needs non-maximum suppression.

    Without ``priors`` boxes are finished (``boxes``, ``unit``): UltraFace, YOLOv4 of pytorch-YOLOv4, YOLO-NAS (``unit =
    "input"``), PicoDet without NMS. With ``priors`` they are offsets to prior boxes (SSD, Liu et al. 2016; ``decode`` in
    ssd.pytorch/layers/box_utils.py): ``centre = prior centre + d_xy * variances[0] * prior size``,
    ``size = prior size * exp(d_wh * variances[1])``. The priors of a map of ``strides`` (rounded up) lie at its cells'
    middles, cell after cell row-major, with the sizes of its row of ``priors``: width, height, … in input pixels.
    ``background``: the class that means nothing; it is not in the list of labels.
    """

    boxes_output: str = ""
    scores_output: str = ""
    boxes: BoxForm = "xyxy"
    unit: Unit = "normalised"
    activation: Score = "none"
    background: Annotated[int, Meta(ge=0)] | None = 0
    priors: tuple[tuple[float, ...], ...] = ()
    strides: Strides = (8, 16, 32, 64)
    variances: tuple[float, float] = (0.1, 0.2)

    def __post_init__(self) -> None:
        if self.priors:
            check_anchors(self.priors)
            if len(self.priors) != len(self.strides):
                raise ValueError(f"priors has {len(self.priors)} rows, strides {len(self.strides)}")


class ListedHead(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="listed"):
    """Finished detections as several tensors: boxes ``(N, 4)``, scores ``(N)``, class numbers ``(N)``, perhaps their
    number, each with or without a leading 1; already suppressed. Found by name and shape unless named here.

    torchvision: ``boxes`` xyxy in input pixels, ``labels`` from 1 (``first_label``, 0 being background). TensorFlow's
    object detection API: ``detection_boxes`` yxyx normalised, ``detection_classes`` from 1, ``num_detections``
    (research/object_detection, exporter_lib). SSD-MobileNet of the ONNX zoo has the same. mmdeploy: ``dets`` ``(N, 5)``,
    the fifth being the score, ``labels`` from 0. RT-DETR's own export (tools/export_onnx.py): ``labels, boxes, scores``
    and an input ``orig_target_sizes``.
    """

    boxes_output: str = ""
    scores_output: str = ""
    labels_output: str = ""
    count_output: str = ""
    boxes: BoxForm = "xyxy"
    unit: Unit = "input"
    first_label: Count = 0


class ListedMasksHead(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="listed_masks"
):
    """As ``listed``, with a mask of 0..1 for each row: instances. ``(N, 1, h, w)``, ``(N, h, w)`` or ``(N, C, h, w)`` (one
    a class, of which the row's counts), stretched over the row's box (28 x 28: Mask R-CNN of the ONNX zoo, its README)
    or, with ``whole``, over the input (torchvision pastes them: ``paste_masks_in_image`` in models/detection/
    roi_heads.py). Above ``limit`` a pixel belongs to the object.
    """

    boxes_output: str = ""
    scores_output: str = ""
    labels_output: str = ""
    count_output: str = ""
    masks_output: str = ""
    boxes: BoxForm = "xyxy"
    unit: Unit = "input"
    first_label: Count = 0
    whole: bool = False
    limit: Annotated[float, Meta(gt=0.0, lt=1.0)] = 0.5


class ListedPointsHead(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="listed_points"
):
    """As ``listed``, with K points a row, ``(N, K, 3)`` or ``(N, K, 2)``: x, y in the boxes' unit (torchvision's Keypoint
    R-CNN: ``keypoints``; its third number says 1 for all, and ``keypoints_scores`` ``(N, K)`` are logits of a softmax over
    a map, so that both are no score: every point counts 1).
    """

    boxes_output: str = ""
    scores_output: str = ""
    labels_output: str = ""
    count_output: str = ""
    points_output: str = ""
    boxes: BoxForm = "xyxy"
    unit: Unit = "input"
    first_label: Count = 0


class DetrHead(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="detr"):
    """``logits (1, N, C)`` or, with a class for 'no object', ``(1, N, C + 1)``, and ``boxes (1, N, 4)``, normalised
    ``cx, cy, w, h``; or both joined as ``(1, N, 4 + C)``. A set prediction: no suppression.

    ``softmax``: the last class is 'no object', and a query has one class (DETR, Carion et al. 2020; ``PostProcess`` in
    detr/models/detr.py). ``sigmoid``: the best of all pairs of query and class (Deformable DETR, RT-DETR, D-FINE,
    RF-DETR). ``none``: as ``sigmoid``, applied already (RT-DETR of Ultralytics). ``no_object``: there is a class that
    means nothing, the last one; by default it follows from ``softmax``. Where class numbers have holes, labels do too.
    """

    boxes_output: str = ""
    scores_output: str = ""
    activation: Score = "softmax"
    no_object: bool | None = None
    boxes: BoxForm = "cxcywh"
    unit: Unit = "normalised"


class IndexedHead(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="indexed"):
    """``boxes (1, N, 4)``, ``scores (1, C, N)`` and what ONNX's NonMaxSuppression chose of them: ``indices (k, 3)`` or
    ``(1, k, 3)``, integers: image, class, box (operator specification, NonMaxSuppression-11). YOLOv3 and tiny YOLOv3 of
    the ONNX zoo (``yxyx``; with an input ``image_shape``). Found by name and shape unless named here.
    """

    boxes_output: str = ""
    scores_output: str = ""
    indices_output: str = ""
    boxes: BoxForm = "yxyx"
    unit: Unit = "input"
