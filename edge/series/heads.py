"""From a series model's raw outputs to a :class:`~edge.vision.prediction.Prediction` of task ``series`` or ``raw``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import ModelError
from edge.series.conventions import (
    MAX_VALUES,
    SeriesClassHead,
    SeriesHead,
    SeriesRawHead,
    SeriesReconstructionHead,
    SeriesScoreHead,
    SeriesValueHead,
    Steps,
)
from edge.series.spec import Layout
from edge.series.windows import unshaped
from edge.vision.heads.base import activate, pick
from edge.vision.prediction import Anomaly, Prediction

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class SeriesContext:
    """What decoding needs besides the outputs. ``limits`` float32 ``(C,)``: score threshold a label. ``fed`` is the
    window ``(t, c)`` in the model's own input space, ``layout`` the one it went in by (both for reconstruction).
    """

    labels: tuple[str, ...]
    limits: Floats
    channels: tuple[str, ...]
    fed: NDArray[np.float64]
    layout: Layout


def decode(head: SeriesHead, outputs: Mapping[str, Any], context: SeriesContext) -> Prediction:
    """Raises ModelError MODEL_OUTPUT_UNFIT, MODEL_NOT_FINITE."""
    match head:
        case SeriesClassHead():
            return _class(head, outputs, context)
        case SeriesValueHead():
            return _values(head, outputs)
        case SeriesScoreHead():
            return _score(head, outputs)
        case SeriesReconstructionHead():
            return _reconstruction(head, outputs, context)
        case SeriesRawHead():
            return Prediction("raw", (), 0, 0, values=raw_values(outputs))


def raw_values(outputs: Mapping[str, Any]) -> dict[str, float]:
    """Numbers of small outputs: ``name`` of a single one, ``name[i]`` (or ``name[i,j]``) of several; at most 64 of one
    output, and as many of all.
    """
    values: dict[str, float] = {}
    for name, output in outputs.items():
        array = np.asarray(output)
        if array.dtype.kind not in "fiub" or not 0 < array.size <= MAX_VALUES:
            continue
        inner = array.reshape(array.shape[1:] if array.ndim > 1 and array.shape[0] == 1 else array.shape)
        for at, number in np.ndenumerate(inner):
            place = "" if array.size == 1 else f"[{','.join(map(str, at))}]"
            values[f"{name}{place}"] = float(number)
    return dict(list(values.items())[:MAX_VALUES])


def _class(head: SeriesClassHead, outputs: Mapping[str, Any], context: SeriesContext) -> Prediction:
    labels = context.labels
    rows = _class_rows(head, outputs, labels)
    _finite(rows)
    scores = _over(rows, head.steps)
    order = np.argsort(-scores, kind="stable")
    keep = scores[order] >= context.limits[order]
    keep[:1] = True
    kept = order[keep]
    return Prediction(
        "series",
        labels,
        0,
        0,
        np.zeros((len(kept), 4), np.float32),
        scores[kept],
        kept,
        np.zeros(len(kept), np.float32),
        steps=rows if head.steps == "each" else None,
    )


def _class_rows(head: SeriesClassHead, outputs: Mapping[str, Any], labels: tuple[str, ...]) -> Floats:
    """Scores float32 ``(steps, C)``."""
    if head.columns:
        singles = [np.asarray(pick(outputs, name), np.float32).reshape(-1)[:1] for name in head.columns]
        return activate(np.stack(singles, axis=1), head.activation, axis=1)
    output = pick(outputs, head.output)
    classes = head.classes or labels
    if head.labels_only:
        said = str(np.asarray(output).reshape(-1)[0])
        return np.array([[1.0 if _known(said, classes) == name else 0.0 for name in classes]], np.float32)
    if isinstance(output, list):  # a sequence of maps, one a row of the batch
        probabilities = {str(key): float(value) for key, value in output[0].items()}
        row = np.array([[probabilities.get(name, 0.0) for name in classes]], np.float32)
        return activate(row, head.activation, axis=1)
    array = np.asarray(output, np.float32)
    if array.size == 1 and len(labels) == 2:  # noqa: PLR2004  (one score of two classes)
        second = activate(array.reshape(1, 1), "none" if head.activation == "none" else "sigmoid", axis=1)
        return np.concatenate([1.0 - second, second], axis=1)
    return activate(array.reshape(-1, len(labels)), head.activation, axis=1)


def _known(said: str, classes: tuple[str, ...]) -> str:
    if said not in classes:
        raise ModelError(
            "MODEL_OUTPUT_UNFIT", f"the model says class {said[:40]!r}", f"it knows {', '.join(classes[:12])}"
        )
    return said


def _values(head: SeriesValueHead, outputs: Mapping[str, Any]) -> Prediction:
    rows = np.asarray(pick(outputs, head.output), np.float64).reshape(-1, len(head.values))
    scale = np.array([value.scale for value in head.values])
    offset = np.array([value.offset for value in head.values])
    low = np.array([-np.inf if value.low is None else value.low for value in head.values])
    high = np.array([np.inf if value.high is None else value.high for value in head.values])
    rows = np.clip(rows * scale + offset, low, high)
    _finite(rows)
    single = _over(rows, head.steps)
    named = {value.name: float(number) for value, number in zip(head.values, single, strict=True)}
    return Prediction("series", (), 0, 0, values=named, steps=rows.astype(np.float32) if head.steps == "each" else None)


def _score(head: SeriesScoreHead, outputs: Mapping[str, Any]) -> Prediction:
    rows = np.asarray(pick(outputs, head.output), np.float64).reshape(-1, 1) * head.sign
    _finite(rows)
    score = float(_over(rows, head.steps)[0])
    anomaly = Anomaly(score, _threshold(head.threshold))
    steps = rows.astype(np.float32) if head.steps == "each" else None
    return Prediction("series", (), 0, 0, values={"score": score}, anomaly=anomaly, steps=steps)


def _reconstruction(head: SeriesReconstructionHead, outputs: Mapping[str, Any], context: SeriesContext) -> Prediction:
    fed = context.fed
    again = unshaped(np.asarray(pick(outputs, head.output), np.float64), (fed.shape[0], fed.shape[1]), context.layout)
    _finite(again)
    apart = np.abs(again - fed)
    by_channel = apart.mean(axis=0)
    score = {"mse": float((apart**2).mean()), "mae": float(apart.mean()), "max": float(by_channel.max())}[head.error]
    values = {"score": score}
    if len(by_channel) < MAX_VALUES:
        values |= {f"error.{n}": float(e) for n, e in zip(context.channels, by_channel, strict=True)}
    return Prediction("series", (), 0, 0, values=values, anomaly=Anomaly(score, _threshold(head.threshold)))


def _over(rows: NDArray[Any], steps: Steps) -> NDArray[Any]:
    """``(steps, k)`` to ``(k,)``."""
    match steps:
        case "mean":
            return np.asarray(rows.mean(axis=0))
        case "max":
            return np.asarray(rows.max(axis=0))
        case "last" | "each":
            return np.asarray(rows[-1])


def _threshold(threshold: float | None) -> float:
    return float("inf") if threshold is None else threshold


def _finite(numbers: NDArray[Any]) -> None:
    if not np.isfinite(numbers).all():
        raise ModelError("MODEL_NOT_FINITE", "the model answers a window with numbers that are not finite")


def wants(head: SeriesHead, outputs: Mapping[str, Any], labels: tuple[str, ...], n_fed: int) -> str:
    """What is needed where a trial's outputs do not fit the head; '' where they do."""
    match head:
        case SeriesClassHead():
            return _class_wants(head, outputs, labels)
        case SeriesValueHead():
            return _size_wants(pick(outputs, head.output), len(head.values), head.steps, "values")
        case SeriesScoreHead():
            return _size_wants(pick(outputs, head.output), 1, head.steps, "score")
        case SeriesReconstructionHead():
            size = np.asarray(pick(outputs, head.output)).size
            return "" if size == n_fed else f"the input again, {n_fed} numbers,"
        case SeriesRawHead():
            return ""


def _class_wants(head: SeriesClassHead, outputs: Mapping[str, Any], labels: tuple[str, ...]) -> str:
    if head.classes and len(head.classes) != len(labels):
        return f"one of classes a label, {len(labels)},"
    if head.columns:
        absent = [name for name in head.columns if name not in outputs]
        return f"an output {absent[0]!r}" if absent else "" if len(head.columns) == len(labels) else "a column a label"
    output = pick(outputs, head.output)
    if head.labels_only:
        return "" if np.asarray(output).size == 1 else "one label"
    if isinstance(output, list):
        keys = {str(key) for key in output[0]} if output and isinstance(output[0], dict) else set()
        strange = sorted(keys - set(head.classes or labels))
        return f"a label or class for {strange[0]!r}" if strange else "" if keys else "a map from class to number"
    array = np.asarray(output)
    if array.dtype.kind not in "fiub":
        return "numbers (labels_only reads labels)"
    if array.size == 1 and len(labels) == 2:  # noqa: PLR2004  (one score of two classes)
        return ""
    return _size_wants(output, len(labels), head.steps, "scores")


def _size_wants(output: Any, n: int, steps: Steps, what: str) -> str:
    array = np.asarray(output)
    if array.dtype.kind not in "fiub" or array.size == 0 or array.size % n:
        return f"{n} {what}"
    per_step = array.ndim >= 1 and array.size > n
    if per_step and (array.shape[-1] != n and n > 1):
        return f"[1, T, {n}]"
    return "" if not per_step or steps != "last" or array.ndim >= 2 else f"{n} {what}"  # noqa: PLR2004  (a time axis)
