"""``[output]`` of a manifest: how a model's outputs are to be read, one struct a convention.

Only what is said of them; reading them is :mod:`edge.vision.heads`. Apart, because a manifest is read before anything
that knows arrays is imported.
"""

from __future__ import annotations

from typing import Any

from edge.vision.conventions.anomaly import AnomalyHead, MemoryBankHead, ReconstructionHead
from edge.vision.conventions.lists import (
    DetrHead,
    IndexedHead,
    ListedHead,
    ListedMasksHead,
    ListedPointsHead,
    SsdHead,
)
from edge.vision.conventions.maps import LabelMapHead, SegmentHead
from edge.vision.conventions.posture import HeatmapsHead, LandmarksHead, SimccHead
from edge.vision.conventions.reading import CodesHead, CtcHead, TextBoxesHead
from edge.vision.conventions.shapes import (
    MediaPipeHead,
    RetinaFaceHead,
    ScrfdHead,
    YoloObbHead,
    YoloPoseHead,
    YoloSegHead,
    YuNetHead,
)
from edge.vision.conventions.whole import ClassifyHead, RawHead
from edge.vision.conventions.yolo import End2EndHead, YoloV5Head, YoloV8Head, YoloXHead
from edge.vision.conventions.yolo_maps import DistanceHead, FastestDetHead, YoloFastestHead, YoloMapsHead
from edge.vision.spec import Task

HeadSpec = (
    YoloV8Head
    | End2EndHead  # one a line, so that changes stay apart
    | YoloV5Head
    | YoloXHead
    | YoloMapsHead
    | YoloFastestHead
    | FastestDetHead
    | DistanceHead
    | SsdHead
    | ListedHead
    | ListedMasksHead
    | ListedPointsHead
    | IndexedHead
    | DetrHead
    | YoloObbHead
    | YoloSegHead
    | YoloPoseHead
    | YuNetHead
    | ScrfdHead
    | RetinaFaceHead
    | MediaPipeHead
    | LandmarksHead
    | HeatmapsHead
    | SimccHead
    | ClassifyHead
    | RawHead
    | SegmentHead
    | LabelMapHead
    | AnomalyHead
    | ReconstructionHead
    | MemoryBankHead
    | TextBoxesHead
    | CtcHead
    | CodesHead
)

HEAD_TASK: dict[type[Any], Task] = {
    AnomalyHead: "anomaly",
    ClassifyHead: "classify",
    CodesHead: "codes",
    CtcHead: "ocr",
    DetrHead: "detect",
    DistanceHead: "detect",
    End2EndHead: "detect",
    FastestDetHead: "detect",
    HeatmapsHead: "keypoints",
    IndexedHead: "detect",
    LabelMapHead: "segment",
    LandmarksHead: "keypoints",
    ListedHead: "detect",
    ListedMasksHead: "segment",
    ListedPointsHead: "keypoints",
    MediaPipeHead: "keypoints",
    MemoryBankHead: "anomaly",
    RawHead: "raw",
    ReconstructionHead: "anomaly",
    RetinaFaceHead: "keypoints",
    ScrfdHead: "keypoints",
    SegmentHead: "segment",
    SimccHead: "keypoints",
    SsdHead: "detect",
    TextBoxesHead: "detect",
    YoloFastestHead: "detect",
    YoloMapsHead: "detect",
    YoloObbHead: "detect",
    YoloPoseHead: "keypoints",
    YoloSegHead: "segment",
    YoloV5Head: "detect",
    YoloV8Head: "detect",
    YoloXHead: "detect",
    YuNetHead: "keypoints",
}


def outputs_named(head: HeadSpec) -> set[str]:
    """The outputs a head asks for by name; others are found by what they look like."""
    names = {getattr(head, f) for f in head.__struct_fields__ if f == "output" or f.endswith("_output")}
    return names - {""}


def files_of(head: HeadSpec) -> tuple[str, ...]:
    """Files of the bundle that a head needs as arrays (``.npz``)."""
    return (head.bank,) if isinstance(head, MemoryBankHead) else ()


__all__ = [
    "HEAD_TASK",
    "AnomalyHead",
    "ClassifyHead",
    "CodesHead",
    "CtcHead",
    "DetrHead",
    "DistanceHead",
    "End2EndHead",
    "FastestDetHead",
    "HeadSpec",
    "HeatmapsHead",
    "IndexedHead",
    "LabelMapHead",
    "LandmarksHead",
    "ListedHead",
    "ListedMasksHead",
    "ListedPointsHead",
    "MediaPipeHead",
    "MemoryBankHead",
    "RawHead",
    "ReconstructionHead",
    "RetinaFaceHead",
    "ScrfdHead",
    "SegmentHead",
    "SimccHead",
    "SsdHead",
    "TextBoxesHead",
    "YoloFastestHead",
    "YoloMapsHead",
    "YoloObbHead",
    "YoloPoseHead",
    "YoloSegHead",
    "YoloV5Head",
    "YoloV8Head",
    "YoloXHead",
    "YuNetHead",
    "files_of",
    "outputs_named",
]
