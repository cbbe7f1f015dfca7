"""``[output]`` of a manifest: how a model's outputs are to be read, one struct a convention.

Only what is said of them; reading them is :mod:`edge.vision.heads`. Apart, because a manifest is read before anything
that knows arrays is imported.
"""

from __future__ import annotations

from typing import Any

from edge.vision.conventions.maps import SegmentHead
from edge.vision.conventions.whole import ClassifyHead
from edge.vision.conventions.yolo import End2EndHead, YoloV8Head
from edge.vision.spec import Task

HeadSpec = (
    YoloV8Head
    | End2EndHead  # one a line, so that changes stay apart
    | ClassifyHead
    | SegmentHead
)

HEAD_TASK: dict[type[Any], Task] = {
    ClassifyHead: "classify",
    End2EndHead: "detect",
    SegmentHead: "segment",
    YoloV8Head: "detect",
}

__all__ = [
    "HEAD_TASK",
    "ClassifyHead",
    "End2EndHead",
    "HeadSpec",
    "SegmentHead",
    "YoloV8Head",
]
