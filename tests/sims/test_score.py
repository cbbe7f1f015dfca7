"""The score: each word of its definition, tried from both sides."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.domain import Decision, Finding, SeqRange
from sims.line import PartTruth, Written
from sims.plc import FAIL, NONE, PASS
from sims.score import check, judge, score
from sims.score_model import DefectFact, Goal, Outcome, PartFact, Report, Row, StreamState
from sims.world import Fate

CODES = {"pass": PASS, "fail": FAIL, "none": NONE, "unsure": 3}


def truth(
    index: int, fate: Fate = "passed", by: str = "verdict", *, code: int = PASS, ms: float | None = 20.0
) -> PartTruth:
    written = () if ms is None else (Written(round((index * 100 + ms) * 1e6), code or PASS),)
    taken = code if ms is not None else NONE
    return PartTruth(index, 100 + index, index * 100_000_000, 0, written, taken, "", by, fate, 0, agent_dead=False)


def row(index: int, decision: Decision = "pass", *, seq: int = 0, findings: tuple[Finding, ...] = ()) -> Row:
    return Row("log", seq or index + 1, decision, 0, index, index, 1, 100 + index, findings)


def one(fact: PartFact, part: PartTruth, *rows: Row) -> Outcome:
    return judge([fact], [part], rows, {})[0]


GOOD, BORDER, BAD = PartFact(0, "good"), PartFact(0, "borderline"), PartFact(0, "reject")


@pytest.mark.parametrize(
    ("fact", "decision", "fate", "by", "words"),
    [
        (GOOD, "pass", "passed", "verdict", set()),
        (GOOD, "fail", "rejected", "verdict", {"overkill"}),
        (GOOD, "unsure", "rejected", "verdict", {"overkill"}),
        (GOOD, "none", "rejected", "no_verdict", {"uninspected"}),
        (GOOD, "none", "passed", "no_verdict", {"uninspected"}),
        (GOOD, "fail", "rejected", "no_verdict", set()),
        (GOOD, "pass", "rejected", "verdict", {"wrong_part"}),
        (GOOD, "pass", "rejected", "no_verdict", set()),
        (BAD, "pass", "passed", "verdict", {"escape"}),
        (BAD, "fail", "rejected", "verdict", set()),
        (BAD, "fail", "passed", "verdict", {"escape", "wrong_part"}),
        (BAD, "none", "passed", "no_verdict", {"escape", "uninspected"}),
        (BAD, "none", "held", "no_verdict", {"uninspected"}),
        (BORDER, "pass", "passed", "verdict", set()),
        (BORDER, "fail", "rejected", "verdict", set()),
    ],
)
def test_what_counts_as_what(fact: PartFact, decision: Decision, fate: Fate, by: str, words: set[str]):
    outcome = one(fact, truth(0, fate, by), row(0, decision))
    assert {word for word in ("escape", "overkill", "wrong_part", "uninspected") if getattr(outcome, word)} == words


def test_a_part_without_a_record_is_uninspected_and_only_the_good_bin_is_unsafe():
    outcomes = judge([GOOD, PartFact(1, "good")], [truth(0, "rejected", "no_verdict"), truth(1, "passed")], [], {})
    result = score(outcomes, [])
    assert (result.uninspected, result.uninspected_not_held) == (2, 1)


def test_a_verdict_that_the_plc_did_not_take_is_late():
    part = PartTruth(0, 100, 0, 0, (Written(5, PASS),), NONE, "reject", "no_verdict", "rejected", 0, agent_dead=False)
    outcome = one(GOOD, part, row(0))
    assert outcome.late
    assert score([outcome], []).undelivered == 0


def test_a_verdict_that_never_reached_the_plc_is_undelivered():
    outcome = one(GOOD, truth(0, "rejected", "no_verdict", ms=None), row(0))
    assert score([outcome], []).undelivered == 1


def test_two_verdicts_for_one_part_are_doubled_and_one_sent_again_is_not():
    again = PartTruth(
        0, 100, 0, 0, (Written(5, FAIL), Written(9, FAIL)), FAIL, "", "verdict", "rejected", 0, agent_dead=False
    )
    changed = msgspec.structs.replace(again, written=(Written(5, FAIL), Written(9, PASS)))
    assert score([one(BAD, again, row(0, "fail"))], []).doubled == 0
    assert score([one(BAD, changed, row(0, "fail"))], []).doubled == 1
    assert score([one(BAD, again, row(0, "fail"), row(0, "fail", seq=9))], []).doubled == 1
    assert score([one(BAD, again, row(0, "none"), row(0, "fail", seq=9))], []).doubled == 0


def stream(
    committed: int, held: list[tuple[int, int]], gaps: list[tuple[int, int]] | None = None, rows: int | None = None
):
    ranges = tuple(SeqRange(*pair) for pair in held)
    count = sum(b - a + 1 for a, b in held) if rows is None else rows
    return StreamState("log", "results", committed, ranges, tuple(SeqRange(*pair) for pair in gaps or []), count)


@pytest.mark.parametrize(
    ("state", "lost"),
    [
        (stream(0, []), 0),
        (stream(10, [(1, 10)]), 0),
        (stream(10, [(1, 9)]), 1),
        (stream(10, []), 10),
        (stream(10, [(1, 3), (7, 10)]), 3),
        (stream(10, [(1, 3), (7, 10)], [(4, 6)]), 0),
        (stream(10, [(2, 12)]), 1),
        (stream(10, [], [(1, 20)]), 0),
    ],
)
def test_lost_is_what_the_journal_committed_and_nobody_explains(state: StreamState, lost: int):
    assert score([], [state]).lost == lost


def test_what_the_journal_still_holds_is_pending_not_lost():
    state = msgspec.structs.replace(stream(10, [(1, 4)]), kept=SeqRange(7, 10))
    result = score([], [state])
    assert (result.lost, result.pending) == (2, 6)


def test_two_rows_for_one_key_are_doubled():
    assert score([], [stream(10, [(1, 10)], rows=12)]).doubled == 2


@given(st.integers(0, 40), st.sets(st.integers(1, 50)), st.sets(st.integers(1, 50)))
def test_lost_agrees_with_counting_one_by_one(committed: int, held: set[int], gaps: set[int]):
    state = stream(committed, [(n, n) for n in held], [(n, n) for n in gaps])
    assert score([], [state]).lost == len(set(range(1, committed + 1)) - held - gaps)


def test_latency_is_ranked_over_parts_with_a_verdict():
    parts = [truth(i, ms=float(i + 1)) for i in range(100)] + [truth(100, ms=None)]
    facts = [PartFact(i, "good") for i in range(101)]
    result = score(judge(facts, parts, [row(i) for i in range(101)], {}), [])
    assert (result.latency_ms.p50, result.latency_ms.p99, result.latency_ms.max) == (50.0, 99.0, 100.0)
    assert score([], []).latency_ms.p99 is None


def finding(*xyxy: float) -> Finding:
    return Finding("scratch", 0.9, xyxy)  # type: ignore[arg-type]


def test_a_defect_is_found_where_it_is_and_not_elsewhere():
    fact = PartFact(
        0, "reject", (DefectFact("pit", 1.2, (100, 100, 110, 110)), DefectFact("stain", 0.4, (10, 10, 20, 20)))
    )
    hit = row(0, "fail", findings=(finding(125, 95, 140, 120),))
    outcome = judge([fact], [truth(0, "rejected", code=FAIL)], [hit], {(0, 0): 20.0})[0]
    assert outcome.found == (True, False)
    missed = judge([fact], [truth(0, "rejected", code=FAIL)], [hit], {(0, 0): -20.0})[0]
    assert missed.found == (False, False)
    bins = {(b.kind, b.ratio_from): (b.defects, b.found) for b in score([outcome, missed], []).recall}
    assert bins == {("pit", 1.0): (2, 1), ("stain", 0.0): (2, 0)}
    assert score([outcome, missed], []).recall_pct == 50.0


def test_a_part_judged_by_a_picture_it_is_not_wholly_in_is_misframed():
    def misframed(offsets: dict[tuple[int, int], float], decision: Decision = "pass") -> int:
        outcomes = judge([GOOD], [truth(0)], [row(0, decision)], offsets, most_offset_px=160.0)
        return score(outcomes, []).misframed

    assert misframed({(0, 0): -160.0}) == 0
    assert misframed({(0, 0): 161.0}) == 1
    assert misframed({(0, 1): 3.0}) == 1  # another part was in it
    assert misframed({(0, 0): 161.0}, "none") == 0
    assert misframed({}) == 0  # no picture is known of any part


def test_rows_without_a_number_belong_to_the_part_that_triggered_last():
    parts = [truth(i) for i in range(3)]
    facts = [PartFact(i, "good") for i in range(3)]
    rows = [
        Row("log", i + 1, decision, 5_000 + i * 100 + 4, i, i, 1)
        for i, decision in enumerate(("pass", "fail", "unsure"))
    ]
    assert [o.decision for o in judge(facts, parts, rows, {}, origin_utc_ms=5_000)] == ["pass", "fail", "unsure"]


def test_percentages_are_of_what_could_have_gone_wrong():
    facts = [PartFact(0, "good"), PartFact(1, "good"), PartFact(2, "reject"), PartFact(3, "borderline")]
    parts = [truth(0, "rejected", code=FAIL), truth(1), truth(2), truth(3)]
    rows = [row(0, "fail"), row(1), row(2), row(3)]
    result = score(judge(facts, parts, rows, {}), [])
    assert (result.overkill_pct, result.escape_pct) == (50.0, 100.0)


def test_goals_are_limits_and_minima():
    result = score([one(BAD, truth(0), row(0))], [])
    goals = check(
        result, {"escapes": 0, "lost": 0, "parts_min": 1, "rejects_min": 2, "p99_ms": 20.0, "recall_pct_min": 90}
    )
    assert [(g.name, g.ok) for g in goals] == [
        ("escapes", False),
        ("lost", True),
        ("parts_min", True),
        ("rejects_min", False),
        ("p99_ms", True),
        ("recall_pct_min", False),  # no defect was seen at all: nothing is proven
    ]
    assert not Report("x", "live", 1, goals, result, None, None).ok


def test_the_document_has_the_agreed_keys():
    result = score([], [])
    document = msgspec.json.decode(
        msgspec.json.encode(Report("x", "live", 1, (Goal("lost", 0, 0, ok=True),), result, None, None))
    )
    assert set(document) == {"scenario", "mode", "seed", "goals", "score", "trace_hash", "report"}
    assert set(document["goals"][0]) == {"name", "limit", "value", "ok"}
    agreed = {
        "parts",
        "escapes",
        "overkill",
        "unsure",
        "uninspected",
        "wrong_part",
        "late",
        "lost",
        "doubled",
        "latency_ms",
    }
    assert agreed <= set(document["score"])
    assert set(document["score"]["latency_ms"]) == {"p50", "p99", "max"}
