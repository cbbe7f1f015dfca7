"""From a prediction's arrays to the few small values that enter a core."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from math import inf
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edge.domain import MAX_FINDINGS, MAX_TEXT_CHARS, MAX_VALUES, AnomalyScore, Finding, Inference
from edge.vision.prediction import Prediction


class Zone(Struct, frozen=True):
    """A named part of the frame: the corners of a polygon, x and y in frame pixels, at least three."""

    name: str
    polygon: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        if len(self.polygon) < 3:  # noqa: PLR2004  (a triangle)
            raise ValueError(f"zone {self.name!r} needs at least three corners")


def to_inference(prediction: Prediction, zones: Sequence[Zone] = ()) -> Inference:
    """At most ``MAX_FINDINGS`` findings, highest score first; the rest is counted as dropped.

    A finding's zone is the first whose polygon holds the centre of its box. What further models saw in a row follows
    the row; what they saw beside all rows comes last.
    """
    findings = _findings(prediction, zones)
    timings, seen = prediction.timings, prediction.anomaly
    return Inference(
        tuple(findings[:MAX_FINDINGS]),
        dropped=_dropped(prediction) + max(0, len(findings) - MAX_FINDINGS),
        preprocess_ms=timings.preprocess_ms,
        infer_ms=timings.infer_ms,
        postprocess_ms=timings.postprocess_ms,
        anomaly=None if seen is None else AnomalyScore(seen.score, None if seen.threshold == inf else seen.threshold),
        values=dict(islice(prediction.values.items(), MAX_VALUES)),
    )


def _findings(prediction: Prediction, zones: Sequence[Zone]) -> list[Finding]:
    """All of them, further models' as well. A model alone has at most ``MAX_FINDINGS`` rows anyway."""
    n = len(prediction)
    areas_mm2 = prediction.areas_mm2
    rows = zip(
        prediction.names,
        prediction.scores.tolist(),
        prediction.boxes.tolist(),
        prediction.areas_px.tolist(),
        [None] * n if areas_mm2 is None else areas_mm2.tolist(),
        zone_names(prediction.boxes, zones),
        [text[:MAX_TEXT_CHARS] for text in prediction.texts] or [""] * n,
        strict=True,
    )
    own = [Finding(label, score, tuple(box), *rest) for label, score, box, *rest in rows]
    if not prediction.nested and not prediction.beside:
        return own
    found = []
    for row, finding in enumerate(own):
        found.append(finding)
        if row < len(prediction.nested):
            found += _findings(prediction.nested[row], zones)
    for other in prediction.beside:
        found += _findings(other, zones)
    return found


def _dropped(prediction: Prediction) -> int:
    return prediction.dropped + sum(_dropped(other) for other in (*prediction.nested, *prediction.beside))


def zone_names(boxes: NDArray[np.float32], zones: Sequence[Zone]) -> list[str | None]:
    """For each box ``(n, 4)`` the name of the first zone its centre lies in, or None."""
    if not zones:
        return [None] * len(boxes)
    x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
    names = np.full(len(boxes), None, object)
    for zone in reversed(zones):
        names[_inside(x, y, zone)] = zone.name
    return list(names)


def _inside(x: NDArray[Any], y: NDArray[Any], zone: Zone) -> NDArray[np.bool_]:
    """Even-odd rule: a ray to the right crosses the outline an odd number of times. Shapes ``(n,)``."""
    corners = np.array(zone.polygon, np.float64)
    x0, y0 = corners.T[:, :, None]
    x1, y1 = np.roll(corners, -1, axis=0).T[:, :, None]
    spans = (y0 > y) != (y1 > y)
    with np.errstate(divide="ignore", invalid="ignore"):  # level edges span nothing and are masked
        crossing = x < (x1 - x0) * (y - y0) / (y1 - y0) + x0
    return np.asarray((spans & crossing).sum(axis=0) % 2 == 1)
