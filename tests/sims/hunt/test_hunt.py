"""The hunt on a plant with a planted defect: found, made small, written down, and the same again; on ours: nothing."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sims.hunt.draw import draw, kinds_of, runnable
from sims.hunt.found import written
from sims.hunt.play import INVARIANTS, Spec, play
from sims.hunt.search import Hunt, Plan, hunt
from sims.hunt.shrink import fewer, simpler, text_of, weight
from sims.scenario import load_scenario, scenario_of, shipped
from sims.virtual.books import WatchedJournal
from sims.virtual.fleet import Fleet
from sims.virtual.fleet_spec import FleetScenario, fleet_of, load_fleet

FLEET = fleet_of('[scenario]\nname = "small"\n[fleet]\nagents = 2\nseconds = 6\n')
JIDOKA = str(Path(sys.executable).parent / "jidoka")


class LyingJournal(WatchedJournal):
    """A disk that says 'synced' when it has only heard of it: what it said last is gone with the process."""

    def __init__(self, log: str, most_bytes: int) -> None:
        super().__init__(log, max_bytes=most_bytes)
        self._safe = copy.deepcopy(self._streams)

    def seal(self) -> None:
        self._safe = copy.deepcopy(self._streams)
        super().seal()
        super().commit()

    def commit(self) -> None:
        super().commit()
        self._safe = copy.deepcopy(self._streams)

    def lose_power(self) -> None:
        self._streams = copy.deepcopy(self._safe)
        super().lose_power()


def on_lying_disks(most_runs: int = 400) -> Hunt:
    plan = Plan((FLEET,), seconds=1e9, runs=600, shrink_runs=most_runs)
    return hunt(plan, player=lambda spec: play(spec, LyingJournal))


def test_a_disk_that_lies_is_found_and_the_scenario_made_small(tmp_path: Path) -> None:
    state = on_lying_disks()
    found = state.found
    assert found is not None
    assert found.invariant in {"lost", "differs"}
    small = fleet_of(found.toml)
    assert len(small.faults) == 1
    assert small.faults[0].kind in {"agent_kill", "power_cut"}
    assert small.fleet.agents <= 3
    assert small.wishes == ()
    assert len(found.toml.splitlines()) < 24
    text = Path(written(found, tmp_path).file or "").read_text()
    assert text.startswith(f"# Breaks '{found.invariant}'")
    again = play(fleet_of(text), LyingJournal)
    assert again.trace_hash == found.trace_hash
    assert again.named(frozenset({found.invariant}))
    assert play(fleet_of(text)).broken == (), "with an honest disk nothing is broken"


def test_shrinking_may_be_cut_short() -> None:
    state = on_lying_disks(most_runs=3)
    assert state.found is not None
    assert state.found.shrink_runs == 3
    assert on_lying_disks(most_runs=3).found == state.found, "the same hunt finds the same"
    assert state.found.trace_hash == play(fleet_of(state.found.toml), LyingJournal).trace_hash


def bases() -> tuple[Spec, ...]:
    lines = [load_scenario(str(file))[0] for file in shipped(fleets=False)]
    return (*lines, *(load_fleet(file) for file in shipped(fleets=True)))


def test_what_is_drawn_can_be_written_and_read() -> None:
    kinds: set[str] = set()
    for number in range(90):
        spec = draw(bases(), 1, number)
        assert runnable(spec)
        again = fleet_of(text_of(spec)) if isinstance(spec, FleetScenario) else scenario_of(text_of(spec))
        assert again == spec
        kinds.update(kinds_of(spec))
    assert {"wish", "power_cut", "plc_gone", "camera_dark", "agent_kill"} <= kinds


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 500), st.integers(0, 3))
def test_everything_simpler_can_be_read_too(number: int, seed: int) -> None:
    spec = draw(bases(), seed, number)
    for one in simpler(spec):
        if runnable(one) and weight(one) < weight(spec):
            assert (fleet_of(text_of(one)) if isinstance(one, FleetScenario) else scenario_of(text_of(one))) == one


def test_fewer_goes_from_none_to_all_but_one() -> None:
    assert list(fewer((1, 2, 3))) == [(), (2, 3), (1, 3), (1, 2)]
    assert list(fewer(())) == []


def test_ours_breaks_nothing_and_watching_changes_nothing() -> None:
    state = hunt(Plan(bases(), seed=7, runs=12, seconds=1e9))
    assert state.found is None, state.found
    assert state.runs == 12
    spec = draw((FLEET,), 1, 5)
    assert isinstance(spec, FleetScenario)
    watched = Fleet(spec)
    assert watched.run().score.broken == 0
    assert watched.broken == []


def test_a_core_that_raises_is_found() -> None:
    def broken_maker(_log: str, _most: int) -> WatchedJournal:
        raise ZeroDivisionError("planted")

    played = play(draw((FLEET,), 1, 0), broken_maker)
    assert [one.name for one in played.broken] == ["crashed"]
    assert "planted" in played.broken[0].what
    assert played.named(frozenset({"lost"})) is None


def test_the_command(tmp_path: Path) -> None:
    command = [JIDOKA, "sim", "hunt", "fleet", "--runs", "4", "--jobs", "2", "--json", "-o", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    document = json.loads(done.stdout)
    assert (document["runs"], document["found"]) == (4, None)
    wrong = subprocess.run([JIDOKA, "sim", "hunt", "--invariant", "sunny"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 3
    assert "HUNT_INVARIANT" in wrong.stderr


@pytest.mark.parametrize("name", INVARIANTS)
def test_the_help_names_every_invariant(name: str) -> None:
    from sims.hunt.cli import hunt as command

    assert name in (command.__doc__ or "")
