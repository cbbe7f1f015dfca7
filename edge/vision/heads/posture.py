"""Points of the one object that fills the picture: numbers, heat maps, bins."""

from __future__ import annotations

import math

import numpy as np

from edge.vision.conventions.posture import HeatmapsHead, LandmarksHead, SimccHead
from edge.vision.heads.base import Context, Floats, Head, Outputs, Shapes, activate, floats, pick, placed
from edge.vision.heads.points import with_points
from edge.vision.prediction import Prediction

_RANK_MAPS, _RANK_BINS = 4, 3
_LEAST_SIDE_PX = 1.0
"""Points in a row, or in one place, are an object as well."""


def decode_landmarks(head: LandmarksHead, outputs: Outputs, context: Context) -> Prediction:
    """One object, whose box is what its points span."""
    rows = floats(outputs, head.output).reshape(head.points, head.values)
    places = rows[:, [1, 0]] if head.order == "yx" else rows[:, :2]
    sides = np.array([context.geometry.input_width_px, context.geometry.input_height_px], np.float32)
    if head.unit == "centred":
        places = (places + np.float32(1)) * np.float32(0.5)
    if head.unit != "input":
        places = places * sides
    scores = rows[:, 2] if head.values == 3 and head.third == "score" else None  # noqa: PLR2004  (x, y, score)
    whole = None
    if head.score_output:
        raw = floats(outputs, head.score_output).reshape(-1)[:1]
        whole = float(activate(raw, head.activation, axis=0)[0])
    return _one(places, scores, whole, context)


def _wants_landmarks(head: LandmarksHead, shapes: Shapes, n_labels: int) -> str:
    n = head.points * head.values
    if n_labels != 1:
        return "one label: landmarks are of one kind of object; they"
    if head.score_output and math.prod(pick(shapes, head.score_output)) != 1:
        return f"one number {head.score_output!r}"
    return "" if math.prod(pick(shapes, head.output)) == n else f"{n} numbers, [1, {n}],"


def decode_heatmaps(head: HeatmapsHead, outputs: Outputs, context: Context) -> Prediction:
    """The highest cell of each map, and a part of a cell further towards the higher neighbour."""
    maps = floats(outputs, head.output)[0]
    n, height, width = maps.shape
    flat = maps.reshape(n, -1)
    best = flat.argmax(axis=1)
    y, x = np.divmod(best, width)
    rows = np.arange(n)
    middle = flat[rows, best]
    right, left = maps[rows, y, np.minimum(x + 1, width - 1)], maps[rows, y, np.maximum(x - 1, 0)]
    below, above = maps[rows, np.minimum(y + 1, height - 1), x], maps[rows, np.maximum(y - 1, 0), x]
    inner = np.stack([(x > 0) & (x < width - 1), (y > 0) & (y < height - 1)], axis=1)
    rise = np.sign(np.stack([right - left, below - above], axis=1)) * inner
    moved = np.stack([x, y], axis=1) + rise * np.float32(head.shift)
    step = np.array([context.geometry.input_width_px / width, context.geometry.input_height_px / height], np.float32)
    # Targets are drawn at round(pixel / step), pixels counted from their middles: a cell is no square of pixels here.
    places = moved.astype(np.float32) * step + np.float32(0.5)
    return _one(places, middle, None, context)


def _wants_heatmaps(head: HeatmapsHead, shapes: Shapes, n_labels: int) -> str:
    shape = pick(shapes, head.output)
    if n_labels != 1:
        return "one label: these points are of one kind of object; they"
    fits = len(shape) == _RANK_MAPS and shape[:2] == (1, head.points) and min(shape[2:]) > 0
    return "" if fits else f"[1, {head.points}, h, w]"


def decode_simcc(head: SimccHead, outputs: Outputs, context: Context) -> Prediction:
    """The likeliest column and row of each point."""
    names = _bins(head, {name: array.shape for name, array in outputs.items()})
    assert names is not None, "shapes were checked before"
    columns, rows = (floats(outputs, name)[0] for name in names)
    places = np.stack([columns.argmax(axis=1), rows.argmax(axis=1)], axis=1).astype(np.float32)
    scores = np.minimum(columns.max(axis=1), rows.max(axis=1))
    return _one(places / np.float32(head.split), scores, None, context)


def _bins(head: SimccHead, shapes: Shapes) -> tuple[str, str] | None:
    """The outputs with columns and with rows: by name, else in this order."""
    fitting = [n for n, s in shapes.items() if len(s) == _RANK_BINS and s[:2] == (1, head.points) and s[2] > 0]
    x = head.x_output or next((n for n in fitting if n.lower().endswith("x")), "")
    y = head.y_output or next((n for n in fitting if n.lower().endswith("y") and n != x), "")
    left = [n for n in fitting if n not in {x, y}]
    x = x or (left.pop(0) if left else "")
    y = y or (left.pop(0) if left else "")
    return (x, y) if x in fitting and y in fitting else None


def _wants_simcc(head: SimccHead, shapes: Shapes, n_labels: int) -> str:
    if n_labels != 1:
        return "one label: these points are of one kind of object; they"
    return "" if _bins(head, shapes) else f"[1, {head.points}, columns] and [1, {head.points}, rows]"


def _one(places: Floats, scores: Floats | None, whole: float | None, context: Context) -> Prediction:
    """One object with these points ``(K, 2)`` in input pixels; none where its score does not reach the threshold."""
    finite = np.isfinite(places).all(axis=1)
    if scores is not None:
        scores = np.clip(np.where(finite, scores, 0), 0, 1).astype(np.float32)
    score = whole if whole is not None else 1.0 if scores is None else float(scores.mean())
    found = finite.any() and score >= float(context.limits[0])
    seen = places[finite]
    half = np.float32(_LEAST_SIDE_PX / 2)
    box = np.empty((0, 4), np.float32)
    if found:
        middle, reach = (seen.max(axis=0) + seen.min(axis=0)) / 2, (seen.max(axis=0) - seen.min(axis=0)) / 2
        reach = np.maximum(reach, half)
        box = np.concatenate([middle - reach, middle + reach])[None]
    n = len(box)
    prediction, kept = placed(box.astype(np.float32), np.full(n, score, np.float32), np.zeros(n, np.int64), context)
    points = np.repeat(places[None], len(kept), axis=0)
    return with_points(prediction, points, None if scores is None else np.repeat(scores[None], len(kept), 0), context)


LANDMARKS = Head(decode_landmarks, _wants_landmarks)
HEATMAPS = Head(decode_heatmaps, _wants_heatmaps)
SIMCC = Head(decode_simcc, _wants_simcc)
