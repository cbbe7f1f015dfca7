"""How unlike good pictures a frame is: from maps, scores, reconstructions and distances to one kind of prediction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from edge.errors import ModelError
from edge.vision.conventions.anomaly import AnomalyHead, ReconstructionHead
from edge.vision.heads.base import Context, Floats, Head, Outputs, Shapes, pick
from edge.vision.heads.segment import smallest_px
from edge.vision.maps import regions_of
from edge.vision.prediction import Anomaly, Prediction
from edge.vision.stretch import inside_frame, over_frame

LABEL = "anomaly"
"""What a region is called where the manifest names no label."""
UNKNOWN = float("inf")
"""A threshold that is not known."""
_HALF = 0.5
_RANK = 4
_IS_MAP = 2  # so many sides above 1
_HEAT_MOST_PX = 1024


def decode_anomaly(head: AnomalyHead, outputs: Outputs, context: Context) -> Prediction:
    """A map, a score, or both."""
    map_name, score_name = _found(head, {name: array.shape for name, array in outputs.items()})
    cells = None if map_name is None else _cells(outputs[map_name])
    score = None if score_name is None else float(np.asarray(outputs[score_name], np.float64).reshape(-1)[0])
    return judged(cells, score, context, normalised=head.normalised)


def decode_reconstruction(head: ReconstructionHead, outputs: Outputs, context: Context) -> Prediction:
    """The squared error, inside the frame's rectangle."""
    errors = errors_of(head, outputs, context)
    return judged(errors, _score(head, errors, context), context, score_is_of_map=head.score == "quantile")


def maps_of_anomaly(head: AnomalyHead, outputs: Outputs, _context: Context) -> Floats:
    """The map as ``(1, h, w)``; none, ``(0, 1, 1)``, where there is only a score."""
    name, _ = _found(head, {name: array.shape for name, array in outputs.items()})
    return np.empty((0, 1, 1), np.float32) if name is None else _cells(outputs[name])[None]


def maps_of_errors(head: ReconstructionHead, outputs: Outputs, context: Context) -> Floats:
    """``(1, h, w)``."""
    return errors_of(head, outputs, context)[None]


def errors_of(head: ReconstructionHead, outputs: Outputs, context: Context) -> Floats:
    """``(h, w)`` over the whole input: squared difference, averaged over the channels."""
    blob, output = context.blob, np.asarray(pick(outputs, head.output))
    if blob is None or output.shape != blob.shape:
        wanted = "its input" if blob is None else f"its input, {list(blob.shape)}"
        why = f"it has shape {list(output.shape)}, a reconstruction has that of {wanted}"
        raise ModelError("MODEL_OUTPUT_UNFIT", "the output is no reconstruction", why, "check [output] in model.toml")
    planes_first = blob.shape[1] in {1, 3}
    difference = output[0].astype(np.float32) - blob[0].astype(np.float32)
    errors = np.asarray(np.square(difference).mean(axis=0 if planes_first else 2), np.float32)
    if head.blur_px > 1:
        errors = np.asarray(cv2.blur(errors, (head.blur_px, head.blur_px)), np.float32)
    return errors


def _score(head: ReconstructionHead, errors: Floats, context: Context) -> float:
    seen = inside_frame(errors, context.geometry)
    return float(seen.mean(dtype=np.float64) if head.score == "mean" else np.quantile(seen, head.quantile))


def judged(
    cells: Floats | None,
    score: float | None,
    context: Context,
    *,
    normalised: bool = False,
    score_is_of_map: bool | None = None,
) -> Prediction:
    """A prediction from a map ``(h, w)`` over the model's input, a score, or both, in the model's unit. Without a score
    it is the map's maximum inside the frame. ``score_is_of_map``: both are of one scale, so that the score's threshold
    counts for the map where it has none of its own; by default where there is no score.
    """
    thresholds, geometry = context.thresholds, context.geometry
    of_map = score is None if score_is_of_map is None else score_is_of_map
    default = _HALF if normalised else UNKNOWN
    limit = default if thresholds.anomaly is None else thresholds.anomaly
    map_limit = thresholds.anomaly_map
    if map_limit is None:
        map_limit = limit if of_map or normalised else UNKNOWN
    frame = (geometry.frame_width_px, geometry.frame_height_px)
    labels = context.labels[:1] or (LABEL,)
    if not (np.isfinite(0.0 if score is None else score) and (cells is None or np.isfinite(cells).all())):
        # No score is below no number, so that a part would pass: better no verdict.
        raise ModelError("MODEL_NOT_FINITE", "the model answers with numbers that are not finite")
    if cells is None:
        assert score is not None
        return Prediction("anomaly", labels, *frame, anomaly=Anomaly(score, limit), mm_per_px=context.mm_per_px)
    top = float(inside_frame(cells, geometry).max())
    heat = as_share(over_frame(cells, geometry, _HEAT_MOST_PX), map_limit if map_limit != UNKNOWN else top / 2)
    regions = regions_of(
        cells[None],
        np.array([map_limit], np.float32),
        geometry,
        min_area_px=smallest_px(context),
        max_regions=thresholds.max_detections,
    )
    return Prediction(
        "anomaly",
        labels,
        *frame,
        regions.boxes,
        np.clip(regions.scores, 0, 1) if normalised else as_share(regions.scores, map_limit),
        regions.label_ids,
        regions.areas_px,
        regions.polygons,
        regions.dropped,
        context.mm_per_px,
        anomaly=Anomaly(top if score is None else score, limit, top, heat),
    )


def as_share(values: Floats, limit: float) -> Floats:
    """Raw values to 0..1: ``v / (v + limit)``. One half at the limit, two thirds at twice, nine tenths at nine times, so
    that order is never lost, as clipping would. With a limit that is not above 0 a proportion says nothing: 0 below, 1
    from it on.
    """
    if not 0 < limit < UNKNOWN:
        return (values >= limit).astype(np.float32)
    positive = np.maximum(values, 0)
    return np.asarray(positive / (positive + np.float32(limit)), np.float32)


def _cells(output: Any) -> Floats:
    """The last two sides that are larger than 1, or the last two."""
    array = np.asarray(output, np.float32)
    shape = [d for d in array.shape if d > 1]
    return array.reshape(shape if len(shape) == _IS_MAP else array.shape[-2:])


def _found(head: AnomalyHead, shapes: Mapping[str, tuple[int, ...]]) -> tuple[str | None, str | None]:
    """The outputs that are the map and the score."""
    masks = {"pred_label", "pred_mask"} - {head.map_output, head.score_output}
    maps = [n for n, shape in shapes.items() if n not in masks and _is_map(shape)]
    scores = [n for n, shape in shapes.items() if n not in masks and shape and set(shape) == {1}]
    return _chosen(head.map_output, "anomaly_map", maps), _chosen(head.score_output, "pred_score", scores)


def _chosen(name: str, usual: str, fitting: list[str]) -> str | None:
    if name:
        return name if name in fitting else None
    return usual if usual in fitting else next(iter(fitting), None)


def _is_map(shape: tuple[int, ...]) -> bool:
    return 2 <= len(shape) <= _RANK and 0 not in shape and sum(d > 1 for d in shape) == _IS_MAP  # noqa: PLR2004  (h, w)


def _wants(head: AnomalyHead, shapes: Shapes, _n_labels: int) -> str:
    map_name, score_name = _found(head, shapes)
    if (head.map_output and map_name is None) or (head.score_output and score_name is None):
        return "a map [1, 1, h, w] as map_output and one number as score_output"
    return "" if map_name or score_name else "a map [1, 1, h, w] or one number"


def _wants_picture(head: ReconstructionHead, shapes: Shapes, _n_labels: int) -> str:
    shape = pick(shapes, head.output)
    fits = len(shape) == _RANK and shape[0] == 1 and 0 not in shape and bool({shape[1], shape[3]} & {1, 3})
    return "" if fits else "a picture like the input, [1, 1 or 3, h, w],"


ANOMALY = Head(decode_anomaly, _wants, maps=maps_of_anomaly)
RECONSTRUCTION = Head(decode_reconstruction, _wants_picture, maps=maps_of_errors, needs_input=True)
