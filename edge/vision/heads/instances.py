"""Instance segmentation: boxes with coefficients, and the prototypes that they weigh."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edge.vision.conventions.shapes import YoloSegHead
from edge.vision.heads.base import Context, Head, Outputs, Shapes, floats
from edge.vision.heads.rows import carried, wanted_width, wants_table
from edge.vision.masks import outline
from edge.vision.prediction import Prediction

_RANK_MAPS = 4


def decode_yolo_seg(head: YoloSegHead, outputs: Outputs, context: Context) -> Prediction:
    """Boxes as of a detector; masks only of those that stay. An object whose mask is empty is none."""
    table_name, maps_name = _names(head, {name: array.shape for name, array in outputs.items()})
    found = carried(floats(outputs, table_name)[0], head.layout, context)
    prototypes = floats(outputs, maps_name)[0]
    geometry = context.geometry
    outlines = [
        outline(coefficients, prototypes, box, geometry)
        for coefficients, box in zip(found.more, found.prediction.boxes, strict=True)
    ]
    thresholds = context.thresholds
    least_px = thresholds.min_area_px
    if context.mm_per_px is not None:
        least_px = max(least_px, thresholds.min_area_mm2 / context.mm_per_px**2)
    rows = np.array([i for i, one in enumerate(outlines) if one is not None and one.area_px >= least_px], np.int64)
    kept = [one for one in outlines if one is not None and one.area_px >= least_px]
    return replace(
        found.prediction.take(rows),
        task="segment",
        instances=True,
        areas_px=np.array([one.area_px for one in kept], np.float32),
        polygons=tuple(one.polygon for one in kept),
    )


def _names(head: YoloSegHead, shapes: Shapes) -> tuple[str, str]:
    """The outputs with candidates and with prototypes, '' where there is none."""
    maps = head.prototypes_output or next((n for n, s in shapes.items() if len(s) == _RANK_MAPS and s[0] == 1), "")
    return head.output or next((n for n in shapes if n != maps), ""), maps


def _wants(head: YoloSegHead, shapes: Shapes, n_labels: int) -> str:
    table, maps = _names(head, shapes)
    if not table or len(shapes.get(maps, ())) != _RANK_MAPS:
        return "[1, 4 + C + M, N] and prototypes [1, M, h, w]"
    more = shapes[maps][1]
    wanted = wants_table(shapes[table], head.layout, wanted_width(head.layout, n_labels, more))
    return wanted and f"{wanted} (M = {more} prototypes)"


YOLO_SEG = Head(decode_yolo_seg, _wants)
