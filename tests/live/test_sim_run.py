"""A whole live run, small: broker, coordinator, agent as processes, camera and PLC on the wire, one fault, a score."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sims.scenario import BUNDLES

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not (BUNDLES / "surface").is_dir(), reason="the demo's model has not been trained yet"),
]

SCENARIO = """
[scenario]
name = "small"
seed = 3
parts = 14
[belt]
speed_mm_s = 400
pitch_mm = 200
decision_mm = 500
gate_mm = 560
end_mm = 700
[plc]
gate = "{gate}"
mode = "{mode}"
[model.policy.other]
min_score = 0.5
[link]
broker = "{broker}"
{faults}
[goals]
parts_min = 14
lost = 0
doubled = 0
wrong_part = 0
uninspected_not_held = 0
uninspected = {uninspected}
"""
KILL = '[[faults]]\nkind = "agent_kill"\nat_s = 2.5\nfor_s = 0.5\n'


def run(folder: Path, **values: str) -> tuple[int, dict, str]:
    settings = {"gate": "plc", "mode": "handshake", "broker": "auto", "faults": "", "uninspected": "0"} | values
    (folder / "small.toml").write_text(SCENARIO.format(**settings))
    command = [sys.executable, "-m", "edge.cli.main", "sim", "run", "small.toml", "--json", "--out", "out"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=110, check=False)
    assert done.stdout.startswith("{"), done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


def test_a_part_goes_all_the_way_and_a_killed_agent_lets_nothing_through(tmp_path: Path):
    status, document, stderr = run(tmp_path, faults=KILL, uninspected="10")
    assert status == 0, (document, stderr)
    score = document["score"]
    assert score["parts"] == 14
    assert score["uninspected"] >= 1  # while it was dead
    assert score["fates"]["passed"] >= 1
    assert score["latency_ms"]["p50"] > 0
    page = Path(document["report"])
    assert (tmp_path / page).stat().st_size > 50_000
    assert stderr == ""


def test_the_agents_own_gate_rejects_the_right_parts_over_the_wheels_broker(tmp_path: Path):
    status, document, stderr = run(tmp_path, gate="agent", broker="iotcore", uninspected="5")
    assert status == 0, (document, stderr)
    assert document["score"]["fates"].keys() <= {"passed", "rejected"}


def test_missed_goals_are_status_1_and_the_document_stays_whole(tmp_path: Path):
    status, document, _ = run(tmp_path, faults="[agent.plc]\ndeadline_ms = 1.0")  # too short for anybody
    assert status == 1
    assert [goal["name"] for goal in document["goals"] if not goal["ok"]] == ["uninspected"]
    assert document["score"]["uninspected"] == document["score"]["fates"]["rejected"] == 14
