"""Semantic segmentation: one map a class, or a map of class numbers, made into connected regions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge.vision.conventions.maps import LabelMapHead, SegmentHead
from edge.vision.heads.base import Context, Floats, Head, Outputs, Shapes, activate, floats, pick
from edge.vision.maps import Regions, labels_of, regions_of, regions_of_numbers, winners_of
from edge.vision.prediction import Prediction

_RANK = 4


def decode_segment(head: SegmentHead, outputs: Outputs, context: Context) -> Prediction:
    """``(1, C, h, w)``: activation at the map's own resolution, then regions at the frame's."""
    planes = _planes(head, outputs)
    # The highest logit is the highest probability: of a good part the exponentials need not be computed.
    if _is_exclusive(head) and head.background is not None and winners_of(planes)[0].tolist() == [head.background]:
        return _prediction(None, context)
    return from_maps(head, activate(planes, head.activation, axis=0), context)


def maps_of_segment(head: SegmentHead, outputs: Outputs, _context: Context) -> Floats:
    """Probabilities ``(C, h, w)``, stretched over the model's input."""
    return activate(_planes(head, outputs), head.activation, axis=0)


def from_maps(head: SegmentHead, maps: Floats, context: Context) -> Prediction:
    """From probabilities on."""
    regions = regions_of(
        maps,
        context.limits,
        context.geometry,
        background=head.background,
        exclusive=_is_exclusive(head),
        min_area_px=smallest_px(context),
        max_regions=context.thresholds.max_detections,
    )
    return _prediction(regions, context)


def decode_label_map(head: LabelMapHead, outputs: Outputs, context: Context) -> Prediction:
    """``(1, h, w)``: regions of the numbers that labels have."""
    regions = regions_of_numbers(
        _numbers(head, outputs),
        _labels(head, len(context.labels)),
        context.geometry,
        min_area_px=smallest_px(context),
        max_regions=context.thresholds.max_detections,
    )
    return _prediction(regions, context)


def maps_of_labels(head: LabelMapHead, outputs: Outputs, context: Context) -> Floats:
    """One map a label and a last one for all else, 0 or 1: votes that can be averaged."""
    numbers = _numbers(head, outputs)
    votes = np.zeros((len(context.labels) + 1, *numbers.shape), np.float32)
    for number, label in _labels(head, len(context.labels)).items():
        np.equal(numbers, number, out=votes[label], casting="unsafe")
    votes[-1] = 1 - votes[:-1].sum(axis=0)
    return votes


def from_votes(_head: LabelMapHead, maps: Floats, context: Context) -> Prediction:
    """From such votes on: every cell belongs to the label with most of them."""
    _, which = winners_of(maps)
    every = {label: label for label in range(len(context.labels))}
    regions = regions_of_numbers(
        which,
        every,
        context.geometry,
        min_area_px=smallest_px(context),
        max_regions=context.thresholds.max_detections,
    )
    return _prediction(regions, context)


def smallest_px(context: Context) -> float:
    """The least area of a region, in pixels of the frame."""
    thresholds = context.thresholds
    if context.mm_per_px is None:
        return thresholds.min_area_px
    return max(thresholds.min_area_px, thresholds.min_area_mm2 / context.mm_per_px**2)


def _is_exclusive(head: SegmentHead) -> bool:
    return head.activation == "softmax" if head.exclusive is None else head.exclusive


def _planes(head: SegmentHead, outputs: Outputs) -> Floats:
    """``(C, h, w)`` as it came, channels first."""
    output = floats(outputs, head.output)
    if output.ndim < _RANK:
        return output
    # Channels apart, or each of them would be read with gaps of all the others.
    return output[0] if head.layout == "nchw" else np.ascontiguousarray(output[0].transpose(2, 0, 1))


def _numbers(head: LabelMapHead, outputs: Outputs) -> NDArray[np.int32]:
    output = np.asarray(pick(outputs, head.output))
    plane = output.reshape(_plane(output.shape))
    if plane.dtype.kind == "f":
        plane = np.rint(np.nan_to_num(plane, nan=-1.0))
    return np.asarray(np.clip(plane, -1, np.iinfo(np.int32).max), np.int32)


def _plane(shape: tuple[int, ...]) -> tuple[int, int] | None:
    """Height and width of a map of numbers, None for what is none."""
    match shape:
        case (int(h), int(w)) | (1, int(h), int(w)) | (1, 1, int(h), int(w)) | (1, int(h), int(w), 1) if h and w:
            return h, w
        case _:
            return None


def _labels(head: LabelMapHead, n_labels: int) -> dict[int, int]:
    named = head.background is None or head.background_named
    return labels_of(n_labels if named else n_labels + 1, n_labels, head.background)


def _prediction(regions: Regions | None, context: Context) -> Prediction:
    geometry = context.geometry
    if regions is None:
        return Prediction("segment", context.labels, geometry.frame_width_px, geometry.frame_height_px)
    return Prediction(
        "segment",
        context.labels,
        geometry.frame_width_px,
        geometry.frame_height_px,
        regions.boxes,
        np.minimum(regions.scores, np.float32(1.0)),
        regions.label_ids,
        regions.areas_px,
        regions.polygons,
        regions.dropped,
        context.mm_per_px,
    )


def _wants(head: SegmentHead, shapes: Shapes, n_labels: int) -> str:
    shape = pick(shapes, head.output)
    spared = n_labels + (head.background is not None)
    nhwc = head.layout == "nhwc"
    if len(shape) == _RANK - 1 and n_labels == spared == 1:
        shape = (shape[0], 1, *shape[1:])
    elif nhwc and len(shape) == _RANK:
        shape = (shape[0], shape[3], *shape[1:3])
    fits = len(shape) == _RANK and shape[0] == 1 and shape[1] in {n_labels, spared} and 0 not in shape
    fits = fits and (head.background is None or head.background < shape[1])
    if fits:
        return ""
    counted = f"{spared} (or {n_labels} with the background among the labels)" if spared > n_labels else str(spared)
    return f"[1, h, w, {counted}]" if nhwc else f"[1, {counted}, h, w]"


def _wants_numbers(head: LabelMapHead, shapes: Shapes, _n_labels: int) -> str:
    return "" if _plane(pick(shapes, head.output)) else "[1, h, w]"


SEGMENT = Head(decode_segment, _wants, maps=maps_of_segment, from_maps=from_maps)
LABEL_MAP = Head(decode_label_map, _wants_numbers, maps=maps_of_labels, from_maps=from_votes)
