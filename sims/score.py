"""The score of a run against the truth. Pure: values in, values out.

What each word means:

* **escape**: a part that truly is a reject and ended among the good ones.
* **overkill**: a good part (no defect at all) that was rejected by its own verdict, ``fail`` or ``unsure``. Parts
  rejected because nobody inspected them are not overkill; borderline parts count in neither.
* **uninspected**: a part in the truth with no record in the ledger, or with decision ``none``;
  **uninspected_not_held**: one of those that ended among the good ones.
* **wrong_part**: the gate diverted a part whose own verdict was ``pass`` (other than by the ``no_verdict`` rule), or let
  through one whose verdict was ``fail``.
* **late**: a verdict was written to the PLC, and too late to be taken.
* **undelivered**: the ledger holds a verdict that never reached the PLC; the ``no_verdict`` rule took the part.
* **misframed**: a part was judged by a picture in which it was not, or not wholly: taken too late.
* **lost**: a record whose journal commit returned, yet it is neither in the ledger nor in a gap, nor held by the
  journal for sending again; those held are **pending**.
* **doubled**: two rows for one key, or two verdicts for one part.
* **latency**: from the PLC's scan that saw the part to the arrival of its first verdict in the PLC's registers.
* **recall**: of the defects on inspected parts, the share that a finding of that part's result overlaps, by kind and
  size; the size is the defect's visible size as a multiple of the reject limit of its kind.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from edge.domain import Decision, SeqRange
from sims.line import PartTruth
from sims.plc import NONE
from sims.score_model import DefectFact, Goal, Latency, Outcome, PartFact, RecallBin, Row, Score, StreamState

BINS: tuple[tuple[float, float], ...] = ((0.0, 0.5), (0.5, 1.0), (1.0, 1.5), (1.5, 2.5), (2.5, math.inf))
"""Bounds of visible size over reject limit; from 1.0 on a defect must be found."""

NEAR_PX = 4.0
"""A finding that comes so near to a defect's box touches it: a mask's edge is no sharper."""


def judge(
    facts: Sequence[PartFact],
    truth: Sequence[PartTruth],
    rows: Sequence[Row],
    offsets_px: Mapping[tuple[int, int], float],
    origin_utc_ms: int = 0,
    most_offset_px: float = math.inf,
) -> list[Outcome]:
    """Every part that reached the eye, with what became of it.

    ``offsets_px[frame_no, index]`` is how far right of the middle the part's centre was in that frame; up to
    ``most_offset_px`` either way it is wholly in view. Rows without a
    part number (coil mode) belong to the part that triggered last before their picture was taken; ``origin_utc_ms`` is
    when the line began.
    """
    by_part = _rows_by_part(truth, rows, origin_utc_ms)
    return [
        _outcome(facts[part.index], part, by_part.get(part.index, []), offsets_px, most_offset_px) for part in truth
    ]


def score(outcomes: Sequence[Outcome], streams: Sequence[StreamState]) -> Score:
    """Count."""
    grades = Counter(o.fact.grade for o in outcomes)
    escapes, overkill = sum(o.escape for o in outcomes), sum(o.overkill for o in outcomes)
    good = sum(o.fact.grade == "good" and not o.uninspected for o in outcomes)
    recall = _recall(outcomes)
    must = [one for one in recall if one.ratio_from >= 1.0]
    n_must, n_found = sum(one.defects for one in must), sum(one.found for one in must)
    doubled = sum(max(0, o.verdicts - 1) for o in outcomes) + sum(s.rows - _count(s.held) for s in streams)
    return Score(
        parts=len(outcomes),
        escapes=escapes,
        overkill=overkill,
        unsure=sum(o.decision == "unsure" for o in outcomes),
        uninspected=sum(o.uninspected for o in outcomes),
        uninspected_not_held=sum(o.uninspected and o.truth.fate == "passed" for o in outcomes),
        wrong_part=sum(o.wrong_part for o in outcomes),
        late=sum(o.late for o in outcomes),
        undelivered=sum(o.decision != "none" and not o.truth.written and o.truth.by == "no_verdict" for o in outcomes),
        misframed=sum(o.misframed for o in outcomes),
        lost=sum(_uncovered(s, [*s.held, *s.gaps, *([s.kept] if s.kept else [])]) for s in streams),
        pending=sum(_uncovered(s, [*s.held, *s.gaps]) for s in streams if s.kept),
        doubled=doubled,
        latency_ms=_latency([o.truth.latency_ms for o in outcomes if o.truth.latency_ms is not None]),
        grades={name: grades[name] for name in ("good", "borderline", "reject")},
        fates=dict(sorted(Counter(o.truth.fate for o in outcomes).items())),
        escape_pct=_pct(escapes, grades["reject"]),
        overkill_pct=_pct(overkill, good),
        recall_pct=round(100.0 * n_found / n_must, 2) if n_must else None,
        recall=tuple(recall),
    )


def check(result: Score, limits: Mapping[str, float]) -> tuple[Goal, ...]:
    """Every goal that was set, and whether it was met."""
    return tuple(_goal(name, limit, result) for name, limit in limits.items())


def _goal(name: str, limit: float, result: Score) -> Goal:
    values: dict[str, float | None] = {
        "p50_ms": result.latency_ms.p50,
        "p99_ms": result.latency_ms.p99,
        "max_ms": result.latency_ms.max,
        "rejects_min": result.grades["reject"],
    }
    value = values[name] if name in values else getattr(result, name.removesuffix("_min"))
    met = value is not None and (value >= limit if name.endswith("_min") else value <= limit)
    return Goal(name, limit, value, met)


def _rows_by_part(truth: Sequence[PartTruth], rows: Sequence[Row], origin_utc_ms: int) -> dict[int, list[Row]]:
    of_part_no = {part.part_no: part.index for part in truth}
    by_part: dict[int, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda one: (one.log, one.seq)):
        if row.part_no is not None:
            index = of_part_no.get(row.part_no)
        else:
            t_ns = (row.utc_ms - origin_utc_ms + 1) * 1_000_000
            before = [part.index for part in truth if part.trigger_ns <= t_ns]
            index = before[-1] if before else None
        if index is not None:
            by_part[index].append(row)
    return by_part


def _outcome(
    fact: PartFact,
    part: PartTruth,
    rows: list[Row],
    offsets_px: Mapping[tuple[int, int], float],
    most_offset_px: float,
) -> Outcome:
    verdicts = [row for row in rows if row.decision != "none"]
    row = verdicts[0] if verdicts else rows[0] if rows else None
    decision: Decision = row.decision if row is not None else "none"
    by_rule = part.by == "no_verdict"
    diverted_wrongly = part.fate == "rejected" and decision == "pass" and not by_rule
    let_through_wrongly = part.fate == "passed" and decision == "fail"
    return Outcome(
        truth=part,
        fact=fact,
        decision=decision,
        row=row,
        found=tuple(_found(defect, row, part.index, offsets_px) for defect in fact.defects) if row else (),
        escape=fact.grade == "reject" and part.fate == "passed",
        overkill=fact.grade == "good" and part.fate == "rejected" and decision in {"fail", "unsure"} and not by_rule,
        wrong_part=diverted_wrongly or let_through_wrongly,
        uninspected=decision == "none",
        late=bool(part.written) and part.code == NONE,
        misframed=bool(verdicts) and _is_out(verdicts[0].frame_no, part.index, offsets_px, most_offset_px),
        # the same code written twice is one verdict sent again because its answer was lost on the way
        verdicts=max(len(verdicts), len({one.code for one in part.written})),
    )


def _is_out(frame_no: int, index: int, offsets_px: Mapping[tuple[int, int], float], most_px: float) -> bool:
    offset_px = offsets_px.get((frame_no, index), math.inf if offsets_px else 0.0)
    return abs(offset_px) > most_px


def _found(defect: DefectFact, row: Row, index: int, offsets_px: Mapping[tuple[int, int], float]) -> bool:
    offset_px = offsets_px.get((row.frame_no, index))
    if offset_px is None:  # the picture is not known: the verdict must do
        return row.decision in {"fail", "unsure"}
    left, top, right, bottom = defect.box
    left, right = left + offset_px, right + offset_px
    return any(
        f.xyxy[0] <= right + NEAR_PX
        and f.xyxy[2] >= left - NEAR_PX
        and f.xyxy[1] <= bottom + NEAR_PX
        and f.xyxy[3] >= top - NEAR_PX
        for f in row.findings
    )


def _recall(outcomes: Sequence[Outcome]) -> list[RecallBin]:
    counts: dict[tuple[str, int], list[int]] = {}
    for outcome in outcomes:
        if outcome.uninspected:
            continue
        for defect, found in zip(outcome.fact.defects, outcome.found, strict=True):
            number = next(i for i, (low, high) in enumerate(BINS) if low <= defect.size_ratio < high)
            cell = counts.setdefault((defect.kind, number), [0, 0])
            cell[0] += 1
            cell[1] += found
    return [
        RecallBin(kind, BINS[number][0], BINS[number][1] if BINS[number][1] < math.inf else None, *cell)
        for (kind, number), cell in sorted(counts.items())
    ]


def _latency(values: list[float]) -> Latency:
    if not values:
        return Latency(None, None, None)
    ranked = sorted(values)

    def rank(share: float) -> float:
        return round(ranked[max(0, math.ceil(share * len(ranked)) - 1)], 2)

    return Latency(rank(0.5), rank(0.99), rank(1.0))


def _uncovered(stream: StreamState, ranges: Sequence[SeqRange]) -> int:
    """How many committed numbers no range covers."""
    covered, missing = 0, 0
    for part in sorted(ranges):
        if part.first > covered + 1:
            missing += max(0, min(part.first - 1, stream.committed) - covered)
        covered = max(covered, part.last)
    return missing + max(0, stream.committed - covered)


def _count(ranges: Sequence[SeqRange]) -> int:
    return sum(part.last - part.first + 1 for part in ranges)


def _pct(part: int, whole: int) -> float:
    return round(100.0 * part / whole, 2) if whole else 0.0
