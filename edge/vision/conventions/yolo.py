"""What YOLO exports give."""

from __future__ import annotations

from msgspec import Struct


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
