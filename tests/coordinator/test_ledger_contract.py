"""One contract, three ledgers: the SQL one on a file and in PostgreSQL, and its twin in memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.coordinator.ledger import SqlLedger
from edge.domain import ModelRef, SeqRange
from edge.events_fleet import AgentKnown
from edge.messages import Desired, Event, Evidence, Gap, Result, State, encode_record
from edge.ports import Batch, Upto
from sims.memory_ledger import MemoryLedger


@pytest.fixture(params=["sqlite", "postgres", "memory"])
def ledger(request, tmp_path) -> Iterator[SqlLedger | MemoryLedger]:
    if request.param == "memory":
        yield MemoryLedger()
        return
    on_file = request.param == "sqlite"
    made = SqlLedger(f"sqlite:///{tmp_path / 'ledger.db'}" if on_file else request.getfixturevalue("postgres_url"))
    yield made
    made.close()


def batch(kind: str, first: int, *records, agent: str = "a1", log: str = "l1") -> Batch:
    payloads = [r if isinstance(r, bytes) else encode_record(r) for r in records]
    return Batch("hall", agent, log, kind, first, payloads, 1_000)  # type: ignore[arg-type]


def result(n: int) -> Result:
    return Result("fail", 1_000 + n, "cam", n, n, 1, part_no=n, model=ModelRef("m", "1.0.0", "ab" * 32))


def upto_of(uptos: list[Upto]) -> dict[tuple[str, str, str], int]:
    return {(u.agent, u.log, u.kind): u.upto for u in uptos}


def test_nothing_known_of_a_new_log(ledger) -> None:
    assert ledger.positions("hall", "a1", "l1") == []
    assert ledger.commit([]) == []
    assert ledger.ledger_id


def test_all_kinds_are_stored_and_acknowledged(ledger) -> None:
    evidence = Evidence("cam", 1, 5, "fail", b"\xff\xd8jpeg", part_id=1, decision="fail")
    uptos = ledger.commit(
        [
            batch("results", 1, result(1), result(2)),
            batch("evidence", 1, evidence),
            batch("events", 1, Event("A_B", "info", 1)),
        ]
    )
    assert upto_of(uptos) == {("a1", "l1", "results"): 2, ("a1", "l1", "evidence"): 1, ("a1", "l1", "events"): 1}
    assert sorted(u.kind for u in ledger.positions("hall", "a1", "l1")) == ["events", "evidence", "results"]


def test_the_same_again_changes_nothing(ledger) -> None:
    for _ in range(3):
        assert upto_of(ledger.commit([batch("results", 1, result(1), result(2))])) == {("a1", "l1", "results"): 2}


def test_a_hole_holds_upto_back_until_it_is_filled(ledger) -> None:
    assert upto_of(ledger.commit([batch("results", 3, result(3))])) == {("a1", "l1", "results"): 0}
    assert upto_of(ledger.commit([batch("results", 1, result(1))])) == {("a1", "l1", "results"): 1}
    assert upto_of(ledger.commit([batch("results", 2, result(2))])) == {("a1", "l1", "results"): 3}


def test_a_gap_explains_a_hole_and_is_remembered(ledger) -> None:
    ledger.commit([batch("results", 6, result(6))])
    uptos = ledger.commit([batch("events", 1, Gap("results", 1, 5, "evicted", 7))])
    assert upto_of(uptos) == {("a1", "l1", "events"): 1, ("a1", "l1", "results"): 6}
    assert ledger.gaps("hall", "a1", "l1", "results") == [SeqRange(1, 5)]
    assert ledger.gaps("hall", "a1", "l1", "evidence") == []
    ledger.commit([batch("events", 1, Gap("results", 1, 5, "evicted", 7))])
    assert ledger.gaps("hall", "a1", "l1", "results") == [SeqRange(1, 5)]


def test_logs_and_agents_do_not_mix(ledger) -> None:
    ledger.commit([batch("results", 1, result(1)), batch("results", 1, result(1), agent="a2", log="l2")])
    ledger.commit([batch("results", 1, result(1), result(2), log="l3")])
    assert [(u.log, u.upto) for u in ledger.positions("hall", "a1", "l1")] == [("l1", 1)]
    assert [(u.log, u.upto) for u in ledger.positions("hall", "a1", "l3")] == [("l3", 2)]
    assert ledger.positions("hall", "a2", "l1") == []
    assert ledger.positions("other", "a1", "l1") == []


def test_unreadable_records_are_kept_counted_and_acknowledged(ledger) -> None:
    bad = [b"{", b'{"t":"later"}', encode_record(result(2**70)), encode_record(Event("A_B", "info", 1, "a\0b"))]
    assert upto_of(ledger.commit([batch("events", 1, *bad)])) == {("a1", "l1", "events"): 4}
    assert ledger.malformed == 4


def test_desired_and_agents_are_remembered(ledger) -> None:
    wanted = Desired(ledger.ledger_id, 3, {"threshold": 0.5, "on": True})
    known = AgentKnown(State("online", "l1", 2, 3, devices={"plc": "up"}), None, 5, 6)
    ledger.save_desired("hall", "a1", wanted)
    ledger.save_agent("hall", "a1", known)
    ledger.save_agent("hall", "a1", known)
    assert ledger.load_desired("hall") == {"a1": wanted}
    assert ledger.load_agents("hall") == {"a1": known}
    assert ledger.load_desired("other") == {}


numbers = itertools.count()
pieces = st.lists(st.tuples(st.integers(1, 25), st.integers(1, 5), st.booleans()), min_size=1, max_size=12)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(pieces, st.randoms(use_true_random=False))
def test_any_order_any_repetition_same_upto(ledger, parts, rng) -> None:
    """Every example uses logs of its own in the one ledger: making a file each would take the time of the test."""
    logs = [f"log-{next(numbers)}" for _ in range(2)]

    def make(log: str) -> list[Batch]:
        seq = 0
        made = []
        for first, n, is_gap in parts:
            if is_gap:
                seq += 1
                made.append(batch("events", seq, Gap("results", first, first + n, "x", 1), log=log))
            else:
                made.append(batch("results", first, *(result(i) for i in range(first, first + n)), log=log))
        return made

    straight = make(logs[0])
    twisted = make(logs[1]) * 2
    rng.shuffle(twisted)
    ledger.commit(straight)
    for item in twisted:
        ledger.commit([item])
    ends = [{u.kind: u.upto for u in ledger.positions("hall", "a1", log)} for log in logs]
    assert ends[0] == ends[1]
    covered = {i for first, n, is_gap in parts for i in range(first, first + n + is_gap)}
    assert ends[0].get("results", 0) == next(i for i in range(1, 99) if i not in covered) - 1
