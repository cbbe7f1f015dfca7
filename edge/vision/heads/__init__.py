"""From a model's raw outputs to a :class:`Prediction`: one pure function a convention, and a table of them.

A new convention is a struct with its parameters in :mod:`edge.vision.conventions`, a file here (``decode``, ``wants``,
and where it is described), a row in ``HEADS`` and, where bare files are to be recognised, a rule in
:mod:`edge.models.inspect`. A third party's comes by entry point (``jidoka.heads``) and is a :class:`Head` too. Numpy
runs over all candidates; Python sees only rows that passed the threshold.
"""

from __future__ import annotations

from typing import Any

from edge.errors import ModelError
from edge.vision.conventions import (
    HEAD_TASK,
    AnomalyHead,
    ClassifyHead,
    CodesHead,
    CtcHead,
    DetrHead,
    DistanceHead,
    End2EndHead,
    FastestDetHead,
    HeadSpec,
    HeatmapsHead,
    IndexedHead,
    LabelMapHead,
    LandmarksHead,
    ListedHead,
    ListedMasksHead,
    ListedPointsHead,
    MediaPipeHead,
    MemoryBankHead,
    RawHead,
    ReconstructionHead,
    RetinaFaceHead,
    ScrfdHead,
    SegmentHead,
    SimccHead,
    SsdHead,
    TextBoxesHead,
    YoloFastestHead,
    YoloMapsHead,
    YoloObbHead,
    YoloPoseHead,
    YoloSegHead,
    YoloV5Head,
    YoloV8Head,
    YoloXHead,
    YuNetHead,
)
from edge.vision.heads.anomaly import ANOMALY, RECONSTRUCTION
from edge.vision.heads.base import Context, Head, Outputs, Shapes, limits_of
from edge.vision.heads.classify import CLASSIFY
from edge.vision.heads.codes import CODES
from edge.vision.heads.ctc import CTC
from edge.vision.heads.distances import DISTANCES
from edge.vision.heads.finished import INDEXED, LISTED
from edge.vision.heads.instances import YOLO_SEG
from edge.vision.heads.listed import LISTED_MASKS, LISTED_POINTS
from edge.vision.heads.lists import DETR, SSD
from edge.vision.heads.mediapipe import MEDIAPIPE
from edge.vision.heads.memory_bank import MEMORY_BANK
from edge.vision.heads.points import RETINAFACE, SCRFD, YOLO_POSE, YUNET
from edge.vision.heads.posture import HEATMAPS, LANDMARKS, SIMCC
from edge.vision.heads.raw import RAW
from edge.vision.heads.rotated import YOLO_OBB
from edge.vision.heads.segment import LABEL_MAP, SEGMENT
from edge.vision.heads.text_boxes import TEXT_BOXES
from edge.vision.heads.unread import UNREAD
from edge.vision.heads.yolo import END2END, YOLOV5, YOLOV8, YOLOX
from edge.vision.heads.yolo_maps import FASTESTDET, YOLO_FASTEST, YOLO_MAPS
from edge.vision.prediction import Prediction

HEADS: dict[type[Any], Head] = {
    AnomalyHead: ANOMALY,
    ClassifyHead: CLASSIFY,
    CodesHead: CODES,
    CtcHead: CTC,
    DetrHead: DETR,
    DistanceHead: DISTANCES,
    End2EndHead: END2END,
    FastestDetHead: FASTESTDET,
    HeatmapsHead: HEATMAPS,
    IndexedHead: INDEXED,
    LandmarksHead: LANDMARKS,
    ListedHead: LISTED,
    ListedMasksHead: LISTED_MASKS,
    ListedPointsHead: LISTED_POINTS,
    MediaPipeHead: MEDIAPIPE,
    RetinaFaceHead: RETINAFACE,
    ScrfdHead: SCRFD,
    LabelMapHead: LABEL_MAP,
    MemoryBankHead: MEMORY_BANK,
    ReconstructionHead: RECONSTRUCTION,
    RawHead: RAW,
    SegmentHead: SEGMENT,
    SimccHead: SIMCC,
    TextBoxesHead: TEXT_BOXES,
    SsdHead: SSD,
    YoloFastestHead: YOLO_FASTEST,
    YoloMapsHead: YOLO_MAPS,
    YoloObbHead: YOLO_OBB,
    YoloPoseHead: YOLO_POSE,
    YoloSegHead: YOLO_SEG,
    YoloV5Head: YOLOV5,
    YoloV8Head: YOLOV8,
    YoloXHead: YOLOX,
    YuNetHead: YUNET,
}
HEADS.update({kind: UNREAD for kind in HEAD_TASK if kind not in HEADS})


def decode(head: HeadSpec, outputs: Outputs, context: Context) -> Prediction:
    """Raw outputs to a prediction in frame pixels. Raises ModelError MODEL_OUTPUT_UNFIT."""
    check_shapes(head, {name: array.shape for name, array in outputs.items()}, len(context.labels))
    return HEADS[type(head)].decode(head, outputs, context)


def check_shapes(head: HeadSpec, shapes: Shapes, n_labels: int) -> None:
    """Raises ModelError MODEL_OUTPUT_UNFIT if outputs of these shapes are not what the head needs."""
    wanted = HEADS[type(head)].wants(head, shapes, n_labels)
    if wanted:
        seen = ", ".join(f"{name} {list(shape)}" for name, shape in list(shapes.items())[:8])
        what = "the model's output has shape" if len(shapes) == 1 else "the model's outputs have shapes"
        why = f"{wanted} is needed for {n_labels} labels"
        raise ModelError("MODEL_OUTPUT_UNFIT", f"{what} {seen}", why, "check head and labels in the manifest")


__all__ = ["HEADS", "Context", "Head", "Outputs", "Shapes", "check_shapes", "decode", "limits_of"]
