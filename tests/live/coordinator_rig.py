"""A coordinator in a thread, and a bare paho client in the role of an agent."""

from __future__ import annotations

import queue
import threading
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import sqlalchemy as sa
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge.coordinator.service import Coordinator, Options
from edge.events_fleet import FleetWanted
from edge.messages import Ack, Message, State, encode_record
from edge.shell.endpoint import Endpoint
from edge.topics import decode, encode, envelope, parse, topic

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

    def __init__(self, folder: Path, port: int, url: str = "") -> None:
        endpoint = Endpoint("127.0.0.1", port)
        options = Options("hall", url or f"sqlite:///{folder / 'ledger.db'}", endpoint, keys={"cell-1": KEY})
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
