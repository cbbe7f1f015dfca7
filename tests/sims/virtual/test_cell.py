"""A line in virtual time: the same scenario files, real model and score as live, and the same trace for the same seed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sims.faults import KINDS
from sims.scenario import load_scenario, scenario_of
from sims.score_model import Report
from sims.virtual.cell import Cell

SHORT = """
[scenario]
name = "short"
parts = {parts}
seed = 5
[model]
bundle = "builtin:surface"
[model.policy.other]
min_score = 0.3
"""


def run(text: str, seed: int = 5) -> Report:
    return Cell(scenario_of(text), Path("short.toml"), seed).run()[0]


def test_cell_meets_its_goals_and_does_the_same_twice() -> None:
    scenario, file = load_scenario("cell")
    report, story = Cell(scenario, file, scenario.scenario.seed).run()
    assert report.ok, report.goals
    assert report.mode == "virtual"
    assert report.score.latency_ms.p50 is not None
    assert 5 < report.score.latency_ms.p50 < 60
    assert story.evidence
    assert not story.notes
    again = Cell(scenario, file, scenario.scenario.seed).run()[0]
    assert again == report


def test_the_command_gives_the_live_document(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONHASHSEED": "12"}
    command = [str(Path(sys.executable).parent / "jidoka"), "sim", "run", "cell", "--virtual", "--json"]
    done = subprocess.run([*command, "--out", str(tmp_path)], env=env, capture_output=True, text=True, check=True)
    document = json.loads(done.stdout)
    assert set(document) == {"scenario", "mode", "seed", "goals", "score", "trace_hash", "report"}
    assert Path(document["report"]).read_text(encoding="utf-8").startswith("<!")
    scenario, file = load_scenario("cell")
    assert document["trace_hash"] == Cell(scenario, file, scenario.scenario.seed).run()[0].trace_hash


def test_another_seed_is_another_run() -> None:
    text = SHORT.format(parts=4)
    assert run(text, 5).trace_hash != run(text, 6).trace_hash


@pytest.mark.parametrize("mode", ["coil", "agent"])
def test_other_ways_to_the_gate(mode: str) -> None:
    scenario, file = load_scenario("coil" if mode == "coil" else "gate-agent")
    report, _ = Cell(scenario, file, scenario.scenario.seed).run()
    assert report.ok, report.goals


def test_everything_that_goes_wrong_in_a_plant() -> None:
    scenario, file = load_scenario("faults")
    report, story = Cell(scenario, file, scenario.scenario.seed).run()
    assert report.ok, report.goals
    assert len(story.faults) == len(scenario.faults)


@pytest.mark.parametrize("kind", KINDS)
def test_each_fault_alone_loses_nothing(kind: str) -> None:
    text = SHORT.format(parts=18) + f'[[faults]]\nkind = "{kind}"\nat_s = 1.5\nfor_s = 2\n'
    score = run(text).score
    assert (score.parts, score.lost, score.doubled, score.wrong_part, score.uninspected_not_held) == (18, 0, 0, 0, 0)
