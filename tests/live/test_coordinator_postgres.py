"""The coordinator on PostgreSQL, from the wire to the row, with the database gone for a while in between."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from edge.coordinator import schema
from edge.events_fleet import FleetView, FleetWanted
from edge.messages import Evidence, Result
from edge.shell.broker import Broker
from tests.live.coordinator_rig import WAIT_S, Agent, Running
from tests.postgres_rig import postgres_server

pytestmark = pytest.mark.live


def result(n: int) -> Result:
    return Result("pass", 1_700_000_000_000 + n, "cam", n, n, 1)


def whole(running: Running) -> FleetView:
    answer = running.service.desk.request(FleetWanted, WAIT_S)
    assert isinstance(answer.body, FleetView)
    return answer.body


def test_nothing_is_acknowledged_while_the_database_is_gone_and_all_of_it_afterwards(tmp_path: Path) -> None:
    with postgres_server() as server, Broker("auto") as broker:
        running = Running(tmp_path, broker.port, server.url("postgres"))
        agent = Agent(broker.port)
        agent.birth()
        agent.wait_ack(results=0, events=0, evidence=0)
        agent.send("results", 1, result(1), result(2))
        agent.send("evidence", 1, Evidence("cam", 2, 1, "fail", b"\xff\xd8" + b"x" * 500_000))
        agent.wait_ack(evidence=1)
        server.stop(signal.SIGQUIT)
        agent.send("results", 3, result(3))
        running.wait_said("STORE_UNREACHABLE")
        assert "STORE_UNREACHABLE" in str(whole(running).why_not)
        server.start()
        agent.send("results", 3, result(3))  # as an agent does that hears no ack
        agent.wait_ack(results=3)
        running.wait_said("STORE_BACK")
        assert whole(running).why_not == ()
        assert (running.count(schema.results), running.count(schema.evidence)) == (3, 1)
        agent.close()
        running.close()
