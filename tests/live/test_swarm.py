"""The swarm against real brokers and a real coordinator: nothing lost, nothing doubled, everybody says goodbye."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edge.errors import LinkError
from edge.shell.broker import Broker

pytestmark = pytest.mark.live

COMMAND = [sys.executable, "-m", "edge.cli.main", "sim", "swarm", "--json"]


def swarm(*options: str) -> tuple[int, dict, str]:
    done = subprocess.run([*COMMAND, *options], capture_output=True, text=True, timeout=110, check=False)
    assert done.stdout.startswith("{"), done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


@pytest.mark.parametrize("broker", ["mosquitto", "iotcore"])
def test_twenty_agents_lose_and_double_nothing(broker: str):
    try:
        Broker(broker)  # type: ignore[arg-type]
    except LinkError as error:
        pytest.skip(str(error))
    options = ("--agents", "20", "--seconds", "5", "--rate", "4", "--broker", broker, "--processes", "4", "--herd")
    status, document, stderr = swarm(*options, "--evidence", "5", "--fails", "0.2", "--asks", "4")
    assert (status, document["ok"], document["missed"]) == (0, True, []), (document, stderr)
    assert (document["lost"], document["doubled"], document["unacknowledged"]) == (0, 0, 0)
    assert (document["online"], document["stopped"], document["broker"]) == (20, 20, broker)
    assert document["results"] == document["steps"][0]["results"] >= 360
    assert document["records"]["evidence"] > 20
    assert document["records"]["events"] >= 20, "each said that it started"
    asked = document["asked"]
    assert asked["asks"] == asked["answered"] > 0 and asked["settings"] == asked["applied"] > 0 == asked["failed"]
    lag = document["lag_ms"]
    assert lag["n"] == document["results"] and 0 < lag["p50"] <= lag["p95"] <= lag["max"]
    assert {"broker", "coordinator", "swarm", "others"} <= set(document["steps"][0]["cores"])
    assert set(document["memory_mb"]) == {"broker", "coordinator", "swarm"}


def test_ctrl_c_ends_the_load_and_not_the_good_order(tmp_path: Path):
    options = ["--agents", "5", "--seconds", "60", "--disk", "--out", str(tmp_path / "out")]
    with subprocess.Popen([*COMMAND[:-1], *options], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("5 agents"):
                os.kill(process.pid, signal.SIGINT)
                break
        rest = process.stderr.read()
        assert process.wait(60) == 130, rest
    assert sorted(one.name for one in (tmp_path / "out" / "journals").iterdir()) == [
        f"swarm-{n:05d}" for n in range(1, 6)
    ]


def test_a_broker_that_is_killed_in_the_middle_costs_time_and_no_record():
    with Broker("auto") as broker:
        options = ["--agents", "10", "--rate", "5", "--seconds", "6", "--asks", "0", "--limit", "30"]
        command = [*COMMAND[:-1], *options, "--broker", f"127.0.0.1:{broker.port}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None and process.stdout is not None
            for line in process.stderr:
                if line.startswith("10 agents"):
                    broker.kill()
                    broker.restart()
                    break
            rest, told = process.stderr.read(), process.stdout.read()
            assert process.wait(60) == 0, rest
    assert "0 lost, 0 doubled, 0 not acknowledged; 10 said goodbye" in told, told
    assert "LINK_LOST" in rest


def test_where_nothing_listens_one_line_says_so():
    options = ["--agents", "2", "--broker", "127.0.0.1:1", "--coordinator", "none"]
    done = subprocess.run([*COMMAND, *options], capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 5, done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("SWARM_OFFLINE: no agent reached mqtt://127.0.0.1:1")
