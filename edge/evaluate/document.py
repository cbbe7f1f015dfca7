"""An evaluation as the JSON document of ``model eval --json``, and as lines of a table."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from edge.evaluate.metrics.intervals import Share
from edge.evaluate.results import Evaluation, Figure, Inspection, Record, Table
from edge.evaluate.truth import Dataset

WORST = 20


def to_document(evaluation: Evaluation, dataset: Dataset, model: dict[str, Any]) -> dict[str, Any]:
    """``model``, ``dataset``, ``metrics`` (by key, 0..1), ``intervals`` of those that are counts, ``inspection``
    (escapes, overkill, the promised threshold; None without good and bad pictures), ``tables``, ``confusion``,
    ``worst``, ``errors``, ``notes``, ``ms_per_picture``.
    """
    scored, matrix = evaluation.scored, evaluation.scored.matrix
    shares = {f.key: msgspec.to_builtins(f.share) for f in scored.figures if f.share is not None}
    return {
        "model": model | {"task": evaluation.task},
        "dataset": {
            "path": str(dataset.root),
            "kind": dataset.kind,
            "pictures": len(dataset.samples),
            "judged": len(evaluation.records),
            "classes": list(dataset.classes),
            "understood": list(dataset.said),
        },
        "metrics": {f.key: _rounded(f.value) for f in scored.figures},
        "intervals": shares,
        "inspection": None if evaluation.inspection is None else _finite(msgspec.to_builtins(evaluation.inspection)),
        "tables": {
            t.key: [dict(zip(t.columns, map(_rounded, row), strict=True)) for row in t.rows] for t in scored.tables
        },
        "confusion": None if matrix is None else {"labels": list(matrix.labels), "counts": matrix.counts.tolist()},
        "worst": [_worst(record) for record in worst_first(evaluation)[:WORST]],
        "errors": msgspec.to_builtins(evaluation.failed),
        "notes": list(evaluation.notes),
        "ms_per_picture": evaluation.ms_per_picture,
    }


def worst_first(evaluation: Evaluation) -> list[Record]:
    """Escapes first, those that look best to the model first of all; then overkill; then what was wrong most."""
    escapes, overkill = sides(evaluation)
    rest = sorted((r for r in evaluation.records if r.fault > 0), key=lambda r: -r.fault)
    seen = {id(r) for r in (*escapes, *overkill)}
    return [*escapes, *overkill, *(r for r in rest if id(r) not in seen)]


def sides(evaluation: Evaluation) -> tuple[list[Record], list[Record]]:
    """Escapes, lowest score first, and overkill, highest score first; nothing without good and bad pictures."""
    if evaluation.inspection is None:
        return [], []
    escapes = [r for r in evaluation.records if r.bad and r.rejected is False]
    overkill = [r for r in evaluation.records if r.bad is False and r.rejected]
    return sorted(escapes, key=lambda r: r.score or 0.0), sorted(overkill, key=lambda r: -(r.score or 0.0))


def lines(evaluation: Evaluation) -> list[tuple[str, str, str]]:
    """Name, value and interval of everything that matters, inspection first."""
    out = [] if evaluation.inspection is None else _inspection_lines(evaluation.inspection)
    out += [(f.name, said(f), "" if f.share is None else interval(f.share)) for f in evaluation.scored.figures]
    out.append(("milliseconds a picture", f"{evaluation.ms_per_picture:.1f}", ""))
    return out


def _inspection_lines(found: Inspection) -> list[tuple[str, str, str]]:
    out = [("pictures, good and bad", f"{found.n_good} and {found.n_bad}", "")]
    for name, share in (("escapes", found.escapes), ("overkill", found.overkill)):
        if share is not None:
            out.append((name, f"{share.count} of {share.of}, {percent(share.share)}", interval(share)))
    if found.auroc is not None:
        out.append(("AUROC of pictures", f"{found.auroc:.4f}", ""))
    return [*out, *promise_lines(found)]


def promise_lines(found: Inspection) -> list[tuple[str, str, str]]:
    """What threshold keeps the stated escape rate, and how sure that is."""
    promise = found.promise
    name = f"threshold for at most {promise.rate:.3g} escapes".replace(f"{promise.rate:.3g}", percent(promise.rate))
    if promise.threshold is None or promise.escapes is None or promise.overkill is None:
        return [(name, "not reachable", promise.why)]
    overkill = f"overkill {promise.overkill.count} of {promise.overkill.of}"
    out = [(name, f"{promise.threshold:.4g}, {overkill}", f"escapes {interval(promise.escapes)}")]
    sure = f"shown with {promise.confidence:.0%} confidence"
    if promise.shown_threshold is None or promise.shown_overkill is None:
        out.append((sure, "not with these pictures", promise.why))
    elif promise.shown:
        out.append((sure, "by this threshold", ""))
    else:
        cost = f"overkill {promise.shown_overkill.count} of {promise.shown_overkill.of}"
        out.append((sure, f"only at {promise.shown_threshold:.4g}, {cost}", ""))
    return out


def said(figure: Figure) -> str:
    """The value for people."""
    if figure.value is None:
        return "–"
    return percent(figure.value) if figure.percent else f"{figure.value:.4g}"


def cell(value: str | float | None) -> str:
    """Of a :class:`Table`."""
    if value is None:
        return "–"
    return percent(value) if isinstance(value, float) else str(value)


def table_rows(table: Table) -> list[tuple[str, ...]]:
    """For a terminal."""
    return [tuple(cell(value) for value in row) for row in table.rows]


def percent(share: float | None) -> str:
    """``93.1 %``; more digits where they matter."""
    if share is None:
        return "–"
    digits = 2 if 0 < share < 0.01 or 0.99 < share < 1 else 1  # noqa: PLR2004  (near the ends)
    text = f"{100 * share:.{digits}f}"
    return f"{'100.0' if text == '100.00' else text} %"


def interval(share: Share) -> str:
    """``0.0 % to 8.8 % (95 %)``."""
    return f"{percent(share.low)} to {percent(share.high)} ({share.confidence:.0%})"


def _worst(record: Record) -> dict[str, Any]:
    return {
        "source": record.name,
        "bad": record.bad,
        "rejected": record.rejected,
        "score": _rounded(record.score),
        "note": record.note,
    }


def _rounded(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) and math.isfinite(value) else value


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, float):
        return _rounded(value) if math.isfinite(value) else None
    return value
