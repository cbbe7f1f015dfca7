"""The coordinator's process parts against a real broker, with a bare paho client in the role of an agent."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.coordinator import schema
from edge.domain import KINDS
from edge.errors import LinkError
from edge.events_fleet import AskWanted, FleetView, FleetWanted, Replied, SettingsWanted
from edge.messages import (
    Ask,
    Desired,
    Evidence,
    Gap,
    Reply,
    Reported,
    Result,
    mac_ok,
)
from edge.shell.broker import Broker
from tests.live.coordinator_rig import KEY, WAIT_S, Agent, Running

pytestmark = pytest.mark.live


@pytest.fixture(params=["mosquitto", "iotcore"])
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    try:
        with Broker(request.param) as made:
            yield made
    except LinkError as error:
        if error.code != "BROKER_ABSENT":
            raise
        pytest.skip(str(error))


@pytest.fixture
def running(broker: Broker, tmp_path: Path) -> Iterator[Running]:
    made = Running(tmp_path, broker.port)
    yield made
    made.close()


@pytest.fixture
def agent(broker: Broker, running: Running) -> Iterator[Agent]:  # noqa: ARG001 - it must run first
    made = Agent(broker.port)
    yield made
    made.close()


def result(n: int) -> Result:
    return Result("pass", 1_700_000_000_000 + n, "cam", n, n, 1)


def test_birth_results_gap_and_evidence_are_acknowledged(running: Running, agent: Agent) -> None:
    agent.birth()
    ack = agent.wait_ack(results=0, events=0, evidence=0)
    assert (ack.log, ack.ledger, set(ack.upto)) == ("log-1", running.service.ledger.ledger_id, set(KINDS))
    agent.send("results", 1, result(1), result(2))
    agent.wait_ack(results=2)
    agent.send("results", 5, result(5))
    agent.wait_ack(results=2)
    agent.send("events", 1, Gap("results", 3, 4, "evicted", 1))
    agent.wait_ack(results=5, events=1)
    agent.send("evidence", 1, Evidence("cam", 5, 1, "fail", b"\xff\xd8" + b"x" * 500_000))
    agent.wait_ack(evidence=1)
    agent.send("results", 1, result(1), result(2))
    agent.wait_ack(results=5)
    agent.birth(conn_no=2)
    agent.wait_ack(results=5, events=1, evidence=1)
    assert (running.count(schema.results), running.count(schema.evidence)) == (3, 1)
    seen = running.agent()
    assert (seen.status, seen.ready, seen.conn_no) == ("online", True, 2)


def test_settings_travel_signed_and_come_back_applied_or_refused(running: Running, agent: Agent) -> None:
    agent.birth()
    agent.wait_ack(results=0)
    desk = running.service.desk
    answer = desk.request(lambda n: SettingsWanted(n, "cell-1", {"threshold": 0.7}), WAIT_S)
    assert isinstance(answer.body, Replied)
    desired = agent.wait("desired")
    assert isinstance(desired, Desired)
    assert (desired.rev, desired.settings) == (1, {"threshold": 0.7})
    assert mac_ok(KEY, "hall", "cell-1", desired)
    assert running.agent().settings == "waiting"
    agent.say("reported", Reported(desired.ledger, 1, False, "SETTING_RANGE", "too high", {"threshold": 0.5}))
    running.wait_said("SETTING_RANGE")
    seen = running.agent()
    assert (seen.settings, seen.code, [d.name for d in seen.differs]) == ("refused", "SETTING_RANGE", ["threshold"])


def test_an_ask_is_answered_by_the_agent(running: Running, agent: Agent) -> None:
    agent.birth()
    agent.wait_ack(results=0)

    def answer() -> None:
        ask = agent.wait("ask")
        assert isinstance(ask, Ask)
        assert mac_ok(KEY, "hall", "cell-1", ask)
        agent.say("reply", Reply(ask.id, True, body={"pong": True}))

    helper = threading.Thread(target=answer)
    helper.start()
    got = running.service.desk.request(lambda n: AskWanted(n, "ask-1", "cell-1", "ping", 5.0), WAIT_S)
    helper.join(WAIT_S)
    assert isinstance(got.body, Replied)
    assert (got.body.ok, got.body.body) == (True, {"pong": True})


def test_foreign_bytes_are_counted_and_nothing_else(running: Running, agent: Agent) -> None:
    for kind, payload in (
        ("results", b"{"),
        ("state", b"\xff" * 40),
        ("metrics", b"[" * 9000),
        ("reply", b"x" * 70_000),
    ):
        agent.client.publish(f"jidoka/v1/hall/cell-1/{kind}", payload, qos=1)
    agent.client.publish("jidoka/v1/hall/we#ird/state".replace("#", "%"), b"{}", qos=1)
    agent.send("results", 1, result(1))
    agent.wait_ack(results=1)
    answer = running.service.desk.request(FleetWanted, WAIT_S)
    assert isinstance(answer.body, FleetView)
    counters = answer.body.counters
    assert counters["refused_message_malformed"] == 3
    assert counters["refused_message_too_large"] == 1
    assert counters["refused_topic_foreign"] == 1


def test_a_broker_restart_loses_nothing_that_was_wanted(running: Running, broker: Broker) -> None:
    first = Agent(broker.port)
    first.birth()
    first.wait_ack(results=0)
    running.service.desk.request(lambda n: SettingsWanted(n, "cell-1", {"rate": 2}), WAIT_S)
    first.close()
    broker.kill()
    running.wait_said("LINK_LOST")
    assert running.agent().status == "unknown"
    broker.start()
    running.wait_said("LINK_BACK")
    second = Agent(broker.port)
    second.birth(conn_no=2)
    assert second.wait("desired").settings == {"rate": 2}
    second.wait_ack(results=0)
    assert running.agent().status == "online"
    second.close()
