"""The coordinator's process parts against a real broker, with a bare paho client in the role of an agent."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
import sqlalchemy as sa
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge.coordinator import schema
from edge.coordinator.service import Coordinator, Options
from edge.domain import KINDS
from edge.events_fleet import AskWanted, FleetView, FleetWanted, Replied, SettingsWanted
from edge.messages import (
    Ack,
    Ask,
    Desired,
    Evidence,
    Gap,
    Message,
    Reply,
    Reported,
    Result,
    State,
    encode_record,
    mac_ok,
)
from edge.shell.broker import Broker
from edge.shell.endpoint import Endpoint
from edge.topics import decode, encode, envelope, parse, topic

pytestmark = pytest.mark.live
WAIT_S = 10.0
KEY = b"k" * 32


class Agent:
    """The other side of the wire, by hand: no code of the real agent but the table of topics."""

    def __init__(self, port: int, name: str = "cell-1", log: str = "log-1") -> None:
        self.name = name
        self.log = log
        self.heard: queue.SimpleQueue[tuple[str, Message]] = queue.SimpleQueue()
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=MQTTProtocolVersion.MQTTv5)
        self.client.reconnect_delay_set(1, 1)
        ready = threading.Event()
        self.client.on_connect = lambda client, *_: client.subscribe(f"jidoka/v1/hall/{name}/+", qos=1)
        self.client.on_subscribe = lambda *_: ready.set()
        self.client.on_message = self._on_message
        self.client.connect("127.0.0.1", port, keepalive=10)
        self.client.loop_start()
        assert ready.wait(WAIT_S)

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        address = parse(message.topic)
        if address.kind in {"ack", "ask", "desired"}:
            self.heard.put((address.kind, decode(address.kind, message.payload)))

    def say(self, kind: str, message: Message) -> None:
        self.client.publish(topic("hall", self.name, kind), encode(kind, message), qos=1, retain=kind == "state")  # type: ignore[arg-type]

    def birth(self, conn_no: int = 1) -> None:
        self.say("state", State("online", self.log, 1, conn_no, ready=True, versions={"jidoka": "0.1.0"}))

    def send(self, kind: str, first: int, *records: Any) -> None:
        payload = envelope(self.log, kind, first, [encode_record(record) for record in records], 1)  # type: ignore[arg-type]
        self.client.publish(topic("hall", self.name, kind), payload, qos=1)  # type: ignore[arg-type]

    def wait(self, kind: str) -> Any:
        while True:
            heard, message = self.heard.get(timeout=WAIT_S)
            if heard == kind:
                return message

    def wait_ack(self, **upto: int) -> Ack:
        while True:
            ack = self.wait("ack")
            assert isinstance(ack, Ack)
            if all(ack.upto.get(kind) == n for kind, n in upto.items()):  # type: ignore[call-overload]
                return ack

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


class Running:
    """A coordinator in a thread."""

    def __init__(self, folder: Path, port: int) -> None:
        endpoint = Endpoint("127.0.0.1", port)
        options = Options("hall", f"sqlite:///{folder / 'ledger.db'}", endpoint, keys={"cell-1": KEY})
        self.said: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.service = Coordinator(options, lambda _level, code, _text: self.said.put(code))
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._ready.wait(WAIT_S)

    def _run(self) -> None:
        epoch = self.service.wait_for_lease()
        self.service.run(epoch, self._ready.set)

    def wait_said(self, code: str) -> None:
        while self.said.get(timeout=WAIT_S) != code:
            pass

    def agent(self, name: str = "cell-1") -> Any:
        answer = self.service.desk.request(lambda n: FleetWanted(n, name), WAIT_S)
        return answer.body

    def count(self, table: sa.Table) -> int:
        with self.service.ledger.engine.connect() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0

    def close(self) -> None:
        self.service.stop("test ends")
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive()
        self.service.close()
        self.service.desk.dispose()


@pytest.fixture(params=["mosquitto", "iotcore"])
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    with Broker(request.param) as made:
        yield made


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
