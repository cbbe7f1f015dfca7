"""Semantic segmentation: one map a class, made into connected regions."""

from __future__ import annotations

from edge.vision.conventions.maps import SegmentHead
from edge.vision.heads.base import Context, Head, Outputs, Shapes, activate, floats, pick
from edge.vision.maps import regions_of
from edge.vision.prediction import Prediction


def decode_segment(head: SegmentHead, outputs: Outputs, context: Context) -> Prediction:
    """``(1, C, h, w)``: activation at the map's own resolution, then regions at the frame's."""
    maps = activate(floats(outputs, head.output)[0], head.activation, axis=0)
    exclusive = head.activation == "softmax" if head.exclusive is None else head.exclusive
    thresholds = context.thresholds
    min_area_px = thresholds.min_area_px
    if context.mm_per_px is not None:
        min_area_px = max(min_area_px, thresholds.min_area_mm2 / context.mm_per_px**2)
    regions = regions_of(
        maps,
        context.limits,
        context.geometry,
        background=head.background,
        exclusive=exclusive,
        min_area_px=min_area_px,
        max_regions=thresholds.max_detections,
    )
    return Prediction(
        "segment",
        context.labels,
        context.geometry.frame_width_px,
        context.geometry.frame_height_px,
        regions.boxes,
        regions.scores,
        regions.label_ids,
        regions.areas_px,
        regions.polygons,
        regions.dropped,
        context.mm_per_px,
    )


def _wants(head: SegmentHead, shapes: Shapes, n_labels: int) -> str:
    shape = pick(shapes, head.output)
    channels = n_labels + (head.background is not None)
    fits = len(shape) == 4 and shape[:2] == (1, channels) and 0 not in shape  # noqa: PLR2004  (rank)
    fits = fits and (head.background is None or head.background < channels)
    return "" if fits else f"[1, {channels}, h, w]"


SEGMENT = Head(decode_segment, _wants)
