"""How much sense an answer makes: confident, and the same for a picture and for one that means the same."""

from __future__ import annotations

import difflib

import numpy as np
from numpy.typing import NDArray

from edge.vision.prediction import Prediction

_TOP = 10
"""So many of the likeliest findings count: a crowd of weak ones is no evidence."""
_PRIOR_SCORE = 0.5


def sense(first: Prediction, second: Prediction, variance: float) -> float:
    """0 for nonsense, more the more confident and consistent. ``second`` is the answer to the other picture, brought
    back to the first one's frame. ``variance`` is of the pixels as the model was fed them (reconstructions).
    """
    if first.anomaly is not None:
        error = max(first.anomaly.score, second.anomaly.score if second.anomaly else 0.0)
        return float(np.clip(1.0 - error / variance, 0.0, 1.0)) if variance > 0 and np.isfinite(error) else 0.0
    match first.task:
        case "classify" | "series":
            return _classes(first, second)
        case "ocr":
            return _texts(first, second)
        case "segment" if not first.instances:
            return _regions(first, second)
        case _:
            return _objects(first, second)


def _classes(first: Prediction, second: Prediction) -> float:
    """Overlap of the two distributions (Bhattacharyya's coefficient) times the confidence of the first."""
    if not len(first) or not len(second):
        return 0.0
    scores = dict(zip(second.names, second.scores.tolist(), strict=True))
    overlap = sum(
        (score * scores.get(name, 0.0)) ** 0.5 for name, score in zip(first.names, first.scores.tolist(), strict=True)
    )
    total = max(1.0, float(first.scores.sum()), float(second.scores.sum()))
    return float(overlap / total * first.scores.max())


def _texts(first: Prediction, second: Prediction) -> float:
    if not first.texts or not second.texts:
        return 0.0
    alike = difflib.SequenceMatcher(None, " ".join(first.texts)[:200], " ".join(second.texts)[:200]).ratio()
    return float(alike * first.scores.mean())


def _regions(first: Prediction, second: Prediction) -> float:
    """Area by label, the same in both, weighted by score. One label all over the frame is worth little: it is what a
    model says that sees nothing.
    """
    frame = float(first.frame_width_px * first.frame_height_px)
    a, b = _areas(first), _areas(second)
    same = sum(min(a[name], b.get(name, 0.0)) for name in a)
    either = sum(max(a.get(name, 0.0), b.get(name, 0.0)) for name in {*a, *b})
    if not either:
        return 0.0
    covered = min(1.0, either / frame)
    score = float(np.average(first.scores, weights=first.areas_px + 1e-6))
    clutter = 1.0 / (1.0 + max(0, len(first) - _TOP) / _TOP)
    return same / either * score * clutter * (1.0 if covered < 0.98 else _PRIOR_SCORE)  # noqa: PLR2004  (all of it)


def _areas(found: Prediction) -> dict[str, float]:
    areas: dict[str, float] = {}
    for name, area in zip(found.names, found.areas_px.tolist(), strict=True):
        areas[name] = areas.get(name, 0.0) + area
    return areas


def _objects(first: Prediction, second: Prediction) -> float:
    """Squared scores of the likeliest objects, each times how well the other answer has it too."""
    if not len(first) or not len(second):
        return 0.0
    top = first.scores[:_TOP]
    overlap = _iou(first.boxes[:_TOP], second.boxes)
    same = first.label_ids[:_TOP, None] == second.label_ids[None]
    agreement = (overlap * same * np.sqrt(second.scores)[None]).max(axis=1)
    strong = float((top**2 * agreement).sum())
    # Where the model is fed wrongly it may be sure of very much: more findings than any picture has.
    clutter = 1.0 / (1.0 + max(0, int((first.scores > _PRIOR_SCORE).sum()) - 5 * _TOP) / _TOP)
    return strong * clutter


def _iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of boxes ``(n, 4)`` and ``(m, 4)``, ``(n, m)``."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    inner = np.prod(np.clip(high - low, 0, None), axis=2)
    area_a, area_b = (np.prod(x[:, 2:] - x[:, :2], axis=1) for x in (a, b))
    return np.asarray(inner / np.maximum(area_a[:, None] + area_b[None] - inner, 1e-6), np.float32)
