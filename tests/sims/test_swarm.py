"""The swarm's own arithmetic: what counts as lost and doubled, which loads a ramp tries, what is said to be too slow."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from edge.errors import ConfigError
from sims.swarm.figures import Spread, StepReport, spread, why_slow
from sims.swarm.limits import enough_files, files_needed
from sims.swarm.plan import Stand
from sims.swarm.ramp import Loads
from sims.swarm.verify import compare

NONE = {"events": (0, 0), "evidence": (0, 0)}
STEP = StepReport(
    100, 1.0, 10.0, 1000, 100.0, Spread(1000, 3.0, 9.0, 20.0), Spread(1000, 0.1, 1.0, 2.0), 0, {}, ok=True
)


def row(seq: int, log: str = "a") -> tuple[str, int, tuple[int, int]]:
    return log, seq, (1, seq)


def test_all_there_once():
    found = compare([Stand("x", "a", {"results": (3, 3), **NONE})], {"results": [row(n) for n in (1, 2, 3)]}, {})
    assert (found.records, found.in_ledger, found.lost, found.doubled) == (3, 3, 0, 0)


def test_what_was_never_acknowledged_is_not_lost_yet():
    assert compare([Stand("x", "a", {"results": (3, 1), **NONE})], {"results": [row(1)]}, {}).lost == 0


def test_a_gap_explains_and_others_rows_are_others_business():
    stands = [Stand("x", "a", {"results": (3, 3), **NONE})]
    found = compare(stands, {"results": [row(1), row(3), row(9, "b")]}, {("a", "results"): {2}})
    assert (found.in_ledger, found.lost, found.gaps) == (2, 0, 1)


def test_one_part_under_two_numbers_is_doubled():
    stands = [Stand("x", "a", {"results": (2, 2), **NONE})]
    assert compare(stands, {"results": [("a", 1, (1, 1)), ("a", 2, (1, 1))]}, {}).doubled == 1


@given(st.integers(1, 60), st.data())
def test_every_row_taken_away_is_lost_and_every_one_added_is_doubled(last: int, data: st.DataObject):
    gone = data.draw(st.sets(st.integers(1, last)))
    twice = data.draw(st.sets(st.integers(1, last)).map(lambda some: some - gone))
    rows = [row(n) for n in range(1, last + 1) if n not in gone] + [row(n) for n in sorted(twice)]
    rows = data.draw(st.permutations(rows))
    found = compare([Stand("x", "a", {"results": (last, last), **NONE})], {"results": rows}, {})
    assert (found.lost, found.doubled) == (len(gone), len(twice))


def loads(ramp: str, agents: int, carries: float) -> list[tuple[int, float, bool]]:
    """What a ramp tries against something that carries so many results a second."""
    steps: list[StepReport] = []
    for many, rate in Loads(steps, ramp, agents, 1.0):
        steps.append(replace(STEP, agents=many, rate=rate, ok=many * rate <= carries))
    return [(step.agents, round(step.rate, 2), step.ok) for step in steps]


def test_one_load_without_a_ramp():
    assert loads("", 100, 1) == [(100, 1.0, False)]


def test_a_ramp_doubles_until_it_breaks_then_looks_in_between():
    assert loads("rate", 100, 350) == [(100, 1, True), (100, 2, True), (100, 4, False), (100, 2.83, True)]
    assert loads("agents", 320, 50) == [(10, 1, True), (20, 1, True), (40, 1, True), (80, 1, False), (56, 1, False)]


def test_a_ramp_ends_where_all_agents_are_carried_or_none():
    assert loads("agents", 64, 1e9)[-1] == (64, 1, True)
    assert loads("rate", 100, 1) == [(100, 1, False)]
    assert len(loads("rate", 1, 1e99)) < 20


def test_quantiles():
    assert spread(array("f")) == Spread(0)
    assert spread(array("f", range(101))) == Spread(101, 50.0, 95.0, 100.0)


def test_what_was_full_is_named():
    cores = {"broker": 0.1, "coordinator": 0.97, "swarm": 0.5, "others": 0.4}
    said = why_slow(replace(STEP, cores=cores), 2, limit_ms=2000)
    assert "coordinator used 0.97 of a core" in said and "2.0 of 2 cores were busy, 0.4 of them with others" in said
    late = replace(STEP, behind_ms=Spread(9, 1.0, 900.0, 1000.0), cores={"swarm": 1.0, "others": 0.1})
    assert why_slow(late, 4, limit_ms=2000).startswith("the swarm itself was 900 ms late")
    assert why_slow(STEP, 2, limit_ms=2000, connects_again=7) == "7 connections were lost and made again"
    assert why_slow(STEP, 2, limit_ms=2000) == "no CPU was full: disk or network"


def test_too_few_open_files_are_told_before_anything_starts():
    enough_files(10)
    assert files_needed(1000, disk=True) > 10 * files_needed(1000, disk=False) / 2
    with pytest.raises(ConfigError, match="SWARM_FILES"):
        enough_files(10**9)
