"""A fleet under the virtual clock: the same seed does the same, and whatever breaks, nothing acknowledged is lost."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sims.virtual.coordinator_machine import CoordinatorMachine
from sims.virtual.fleet import Fleet
from sims.virtual.fleet_spec import fleet_of
from sims.virtual.machine import AgentMachine

SMALL = """
[scenario]
name = "small"
[fleet]
agents = {agents}
seconds = {seconds}
start_within_s = 1
settle_s = 200
"""


def fleet(faults: str = "", *, agents: int = 8, seconds: float = 20, seed: int = 1) -> Fleet:
    return Fleet(fleet_of(SMALL.format(agents=agents, seconds=seconds) + faults), seed)


def test_everything_is_in_the_ledger_once() -> None:
    report = fleet().run()
    score = report.score
    assert score.parts > 100
    assert (score.results, score.lost, score.pending, score.doubled, score.resent) == (score.parts, 0, 0, 0, 0)


def test_another_seed_is_another_run() -> None:
    assert fleet(seed=1).run().trace_hash != fleet(seed=2).run().trace_hash


def test_the_same_seed_does_the_same_in_every_process() -> None:
    code = (
        "from tests.sims.virtual.test_fleet import *;"
        "print(fleet(ALL_FAULTS, agents=4, seconds=30).run().trace_hash, end='')"
    )
    code = "import sys; sys.path.insert(0, '.');" + code

    def trace_hash(hash_seed: str) -> str:
        env = {**os.environ, "PYTHONHASHSEED": hash_seed}
        return subprocess.run([sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True).stdout

    first = trace_hash("0")
    assert len(first) == 32
    assert trace_hash("7") == first
    assert fleet(ALL_FAULTS, agents=4, seconds=30).run().trace_hash == first


def fault(kind: str, at_s: float, for_s: float, **more: float) -> str:
    extra = "".join(f"{name} = {value}\n" for name, value in more.items())
    return f'[[faults]]\nkind = "{kind}"\nat_s = {at_s}\nfor_s = {for_s}\n{extra}'


ALL_FAULTS = "".join(
    (
        fault("broker_restart", 3, 2),
        fault("agent_kill", 7, 1, share=0.5),
        fault("partition", 9, 4, share=0.5),
        fault("power_cut", 15, 2, share=0.25),
        fault("coordinator_kill", 18, 2),
        fault("disk_slow", 21, 3, value=50),
        fault("ledger_slow", 22, 3, value=100),
        fault("clock_step", 25, 1, value=-3600),
    )
)


@pytest.mark.parametrize("kind", ["agent_kill", "power_cut", "broker_restart", "coordinator_kill"])
def test_what_was_committed_survives(kind: str) -> None:
    run = fleet(fault(kind, 6.03, 2) + fault(kind, 11, 3))
    score = run.run().score
    assert (score.lost, score.pending, score.doubled) == (0, 0, 0)
    assert score.results > 0.5 * score.parts
    if kind in {"agent_kill", "power_cut"}:
        assert score.starts == 3 * score.agents
        assert all(agent.process is not None for agent in run.agents)


def test_ten_minutes_apart_end_with_everything_in_the_ledger_once() -> None:
    score = fleet(fault("partition", 5, 600), agents=3, seconds=620).run().score
    assert (score.lost, score.pending, score.doubled) == (0, 0, 0)
    assert score.results == score.parts > 1700
    assert score.lag_ms.max is not None
    assert score.lag_ms.max > 590_000


def test_a_full_day_of_faults() -> None:
    score = fleet(ALL_FAULTS, seconds=40).run().score
    assert (score.lost, score.pending, score.doubled) == (0, 0, 0)


KINDS = ["agent_kill", "power_cut", "broker_restart", "coordinator_kill", "partition", "ledger_slow", "disk_slow"]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(st.sampled_from(KINDS), st.floats(0.1, 15), st.floats(0.1, 5), st.floats(0.2, 1)),
        max_size=5,
        unique_by=lambda one: one[0],
    ),
    st.integers(0, 1000),
)
def test_no_order_of_faults_loses_or_doubles(faults: list[tuple[str, float, float, float]], seed: int) -> None:
    text = "".join(fault(kind, at, lasts, share=share, value=40) for kind, at, lasts, share in faults)
    score = fleet(text, agents=3, seconds=16, seed=seed).run().score
    assert (score.lost, score.pending, score.doubled) == (0, 0, 0)


def test_a_standby_takes_over_when_the_lease_has_run_out_and_nothing_is_doubled() -> None:
    run = fleet(agents=3, seconds=40)
    host = run.coordinator.host
    standby = CoordinatorMachine(
        run.kernel, run.net, host.site, run.ledger, lease=host.lease, name="coordinator-b", spec=host.spec
    )
    run.until(5)
    standby.start(run.kernel.now_ns)
    run.until(10)
    assert (host.lease.holder, host.lease.epoch) == ("coordinator-a/1", 1)
    run.coordinator.kill()
    run.until(15)
    assert host.lease.holder == "coordinator-a/1"  # nobody on another machine can know that it is dead
    run.until(24)
    assert (host.lease.holder, host.lease.epoch) == ("coordinator-b/1", 2)
    score = run.run().score
    assert (score.lost, score.pending, score.doubled) == (0, 0, 0)
    assert score.results == score.parts


def test_two_machines_with_one_agent_id_make_one_of_them_leave() -> None:
    run = fleet(agents=1, seconds=400)
    first = run.agents[0]
    host = first.host
    second = AgentMachine(run.kernel, run.net, host.settings, host.plan, hardware="b")
    assert second.journal.log != first.journal.log
    run.until(10)
    second.start(run.kernel.now_ns)
    run.until(400)
    assert any(why == "AGENT_ID_TAKEN" for _, _, why in [*first.left, *second.left])


def test_a_clock_that_is_stepped_changes_labels_and_nothing_else() -> None:
    plain, stepped = fleet().run().score, fleet(fault("clock_step", 10, 1, value=3600)).run().score
    assert (stepped.results, stepped.lost, stepped.doubled) == (plain.results, 0, 0)
    assert stepped.lag_ms != plain.lag_ms
