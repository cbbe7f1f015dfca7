"""What a live run writes for the agent, and what it reads of what was left behind."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config import load_agent
from edge.domain import SeqRange
from edge.models.toml import dump_toml
from edge.shell.journal import Journal
from sims.live_config import agent_tables
from sims.live_ledger import journal_heads, ranges
from sims.scenario import load_scenario, shipped


@pytest.mark.parametrize("name", [file.stem for file in shipped(fleets=False)])
def test_the_agents_settings_of_every_scenario_are_valid(name: str, tmp_path: Path):
    scenario, _ = load_scenario(name)
    tables = agent_tables(scenario, tmp_path / "model", camera_url="http://127.0.0.1:9", plc_port=502, broker_port=1883)
    (tmp_path / "agent.toml").write_text(dump_toml(tables))
    loaded = load_agent(tmp_path / "agent.toml")
    plc = loaded.config.plc
    assert plc is not None
    assert (plc.mode, plc.gate, plc.no_verdict) == (scenario.plc.mode, scenario.plc.gate, scenario.plc.no_verdict)
    to_decision_ms = (scenario.belt.decision_mm - scenario.belt.camera_mm) / scenario.belt.speed_mm_s * 1000
    assert 0 < plc.deadline_ms < to_decision_ms


def test_a_scenarios_own_agent_tables_override_key_by_key():
    scenario, _ = load_scenario("demo")
    assert scenario.agent["evidence"]
    tables = agent_tables(scenario, Path("m"), camera_url="http://x", plc_port=1, broker_port=2)
    assert tables["evidence"] == scenario.agent["evidence"]
    assert tables["link"]["port"] == 2


def test_the_journals_heads_say_what_is_committed_and_what_is_kept(tmp_path: Path):
    journal = Journal(tmp_path)
    for number in range(5):
        journal.append("results", b"%d" % number)
    assert journal.flush(5.0)
    journal.free("results", 2)
    journal.close()
    heads = journal_heads(tmp_path)
    assert heads[journal.log, "results"] == (5, SeqRange(3, 5))
    assert heads[journal.log, "events"] == (0, None)


@given(st.lists(st.integers(1, 60)))
def test_ranges_hold_the_same_numbers(numbers: list[int]):
    found = ranges(numbers)
    assert {n for part in found for n in range(part.first, part.last + 1)} == set(numbers)
    assert all(a.last + 1 < b.first for a, b in itertools.pairwise(found))
