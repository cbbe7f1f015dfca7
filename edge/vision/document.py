"""A prediction as the JSON object that ``infer --json`` prints: one object an input, keys that never change."""

from __future__ import annotations

from typing import Any

from edge.domain import Verdict
from edge.errors import JidokaError
from edge.vision.prediction import Anomaly, Prediction


def to_document(source: str, prediction: Prediction, verdict: Verdict | None = None) -> dict[str, Any]:
    """``source``, ``verdict`` (None without a policy), ``reasons``, ``detections``, ``regions`` and ``classes`` (empty
    unless the task's own), what else the task has (``texts``, ``codes``, ``anomaly``, ``keypoints``, ``values``, ``steps``), each
    list sorted by score, and ``ms``. Pixels and areas have two decimals, scores four.
    """
    document: dict[str, Any] = {
        "source": source,
        "verdict": None if verdict is None else verdict.decision,
        "reasons": [] if verdict is None else [_reason(r) for r in verdict.reasons],
        "detections": [],
        "regions": [],
        "classes": [],
    }
    document.update(lists_of(prediction))
    timings = prediction.timings
    document["ms"] = {
        "preprocess": round(timings.preprocess_ms, 3),
        "infer": round(timings.infer_ms, 3),
        "postprocess": round(timings.postprocess_ms, 3),
    }
    if timings.stages:
        document["ms"]["stages"] = {name: round(ms, 3) for name, ms in timings.stages}
    return document


def lists_of(prediction: Prediction) -> dict[str, Any]:
    """The task's own lists and objects, with those that further models saw in the same picture."""
    lists = _own_lists(prediction)
    for other in prediction.beside:
        for key, found in lists_of(other).items():
            both = isinstance(lists.get(key), list) and isinstance(found, list)
            lists[key] = [*lists[key], *found] if both else lists.get(key, found)
    return lists


def _own_lists(prediction: Prediction) -> dict[str, Any]:
    task = prediction.task
    lists: dict[str, Any] = {}
    if task in {"detect", "keypoints"} or prediction.instances:
        lists["detections"] = _detections(prediction)
    if task == "keypoints":
        lists["keypoints"] = _keypoints(prediction)
    if task in {"segment", "anomaly"}:
        lists["regions"] = _regions(prediction)
    if task == "classify" or (task == "series" and len(prediction)):
        lists["classes"] = [{"label": n, "score": s} for n, s in _named(prediction)]
    if task == "ocr":
        texts = zip(prediction.texts, _scores(prediction), _quads(prediction), strict=True)
        lists["texts"] = [{"text": t, "score": s, "quad": q} for t, s, q in texts]
    if task == "codes":
        codes = zip(prediction.texts, prediction.formats, _quads(prediction), strict=True)
        lists["codes"] = [{"text": t, "format": f, "quad": q} for t, f, q in codes]
    if prediction.anomaly is not None:
        lists["anomaly"] = _anomaly(prediction.anomaly)
    if prediction.values or task in {"series", "raw"}:
        lists["values"] = {name: round(value, 6) for name, value in prediction.values.items()}
    if prediction.steps is not None:
        lists["steps"] = [[round(number, 6) for number in step] for step in prediction.steps.tolist()]
    return lists


def _detections(prediction: Prediction) -> list[dict[str, Any]]:
    boxes = [_rounded(b) for b in prediction.boxes.tolist()]
    rows = [{"label": n, "score": s, "xyxy": b} for (n, s), b in zip(_named(prediction), boxes, strict=True)]
    if prediction.quads is not None:
        for row, quad in zip(rows, _quads(prediction), strict=True):
            row["quad"] = quad
    for row, inner in zip(rows, prediction.nested, strict=False):
        if inner.task != "raw" or inner.values:  # else no stage looked at it
            row["found"] = lists_of(inner)
    return rows


def _keypoints(prediction: Prediction) -> list[dict[str, Any]]:
    points = [] if prediction.keypoints is None else prediction.keypoints.tolist()
    boxes = [_rounded(b) for b in prediction.boxes.tolist()]
    return [
        {"label": n, "score": s, "xyxy": b, "points": [[round(x, 2), round(y, 2), round(p, 4)] for x, y, p in k]}
        for (n, s), b, k in zip(_named(prediction), boxes, points, strict=True)
    ]


def _regions(prediction: Prediction) -> list[dict[str, Any]]:
    areas = _rounded(prediction.areas_px.tolist())
    mm2 = prediction.areas_mm2
    areas_mm2 = [None] * len(areas) if mm2 is None else [round(a, 4) for a in mm2.tolist()]
    boxes = [_rounded(b) for b in prediction.boxes.tolist()]
    polygons = [[_rounded(p) for p in polygon.tolist()] for polygon in prediction.polygons]
    return [
        {"label": n, "score": s, "area_px": a, "area_mm2": m, "xyxy": b, "polygon": p}
        for (n, s), a, m, b, p in zip(_named(prediction), areas, areas_mm2, boxes, polygons, strict=True)
    ]


def _anomaly(anomaly: Anomaly) -> dict[str, Any]:
    known = anomaly.threshold != float("inf")
    top = anomaly.map_max
    return {
        "score": float(f"{anomaly.score:.6g}"),
        "threshold": float(f"{anomaly.threshold:.6g}") if known else None,
        "map_max": None if top is None else float(f"{top:.6g}"),
    }


def _named(prediction: Prediction) -> list[tuple[str, float]]:
    return list(zip(prediction.names, _scores(prediction), strict=True))


def _scores(prediction: Prediction) -> list[float]:
    return [round(s, 4) for s in prediction.scores.tolist()]


def _quads(prediction: Prediction) -> list[list[list[float]]]:
    quads = prediction.quads
    return [] if quads is None else [[_rounded(corner) for corner in quad] for quad in quads.tolist()]


def error_document(source: str, error: JidokaError) -> dict[str, Any]:
    """What takes the place of an input that could not be used."""
    return {"source": source, "error": {"code": error.code, "what": "; ".join(filter(None, (error.what, error.why)))}}


def _reason(reason: Any) -> dict[str, Any]:
    said = {"rule": reason.rule, "label": reason.label, "seen": reason.seen, "limit": reason.limit}
    return said | ({"text": reason.text, "wanted": reason.wanted} if reason.wanted else {})


def _rounded(values: list[float]) -> list[float]:
    return [round(v, 2) for v in values]
