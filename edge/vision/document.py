"""A prediction as the JSON object that ``infer --json`` prints: one object an input, keys that never change."""

from __future__ import annotations

from typing import Any

from edge.domain import Verdict
from edge.errors import JidokaError
from edge.vision.prediction import Prediction


def to_document(source: str, prediction: Prediction, verdict: Verdict | None = None) -> dict[str, Any]:
    """``source``, ``verdict`` (None without a policy), ``reasons``, the three lists (empty unless the task's own),
    each sorted by score, and ``ms``. Pixels and areas have two decimals, scores four.
    """
    document: dict[str, Any] = {
        "source": source,
        "verdict": None if verdict is None else verdict.decision,
        "reasons": [] if verdict is None else [_reason(r) for r in verdict.reasons],
        "detections": [],
        "regions": [],
        "classes": [],
    }
    names = prediction.names
    scores = [round(s, 4) for s in prediction.scores.tolist()]
    boxes = [_rounded(b) for b in prediction.boxes.tolist()]
    match prediction.task:
        case "detect":
            rows = zip(names, scores, boxes, strict=True)
            document["detections"] = [{"label": n, "score": s, "xyxy": b} for n, s, b in rows]
        case "classify":
            document["classes"] = [{"label": n, "score": s} for n, s in zip(names, scores, strict=True)]
        case "segment":
            areas = _rounded(prediction.areas_px.tolist())
            mm2 = prediction.areas_mm2
            areas_mm2 = [None] * len(areas) if mm2 is None else [round(a, 4) for a in mm2.tolist()]
            polygons = [[_rounded(p) for p in polygon.tolist()] for polygon in prediction.polygons]
            document["regions"] = [
                {"label": n, "score": s, "area_px": a, "area_mm2": m, "xyxy": b, "polygon": p}
                for n, s, a, m, b, p in zip(names, scores, areas, areas_mm2, boxes, polygons, strict=True)
            ]
    timings = prediction.timings
    document["ms"] = {
        "preprocess": round(timings.preprocess_ms, 3),
        "infer": round(timings.infer_ms, 3),
        "postprocess": round(timings.postprocess_ms, 3),
    }
    return document


def error_document(source: str, error: JidokaError) -> dict[str, Any]:
    """What takes the place of an input that could not be used."""
    return {"source": source, "error": {"code": error.code, "what": "; ".join(filter(None, (error.what, error.why)))}}


def _reason(reason: Any) -> dict[str, Any]:
    return {"rule": reason.rule, "label": reason.label, "seen": reason.seen, "limit": reason.limit}


def _rounded(values: list[float]) -> list[float]:
    return [round(v, 2) for v in values]
