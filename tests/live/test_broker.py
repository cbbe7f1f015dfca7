"""Both brokers as child processes, spoken to by real paho clients."""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge.errors import LinkError
from edge.shell.broker import Broker, find_mosquitto

pytestmark = pytest.mark.live
WAIT_S = 5.0
KINDS = [
    pytest.param("mosquitto", marks=pytest.mark.skipif(not find_mosquitto(), reason="Mosquitto is not installed")),
    pytest.param("iotcore", marks=pytest.mark.skipif(not find_spec("iotcore"), reason="iotcore is not installed")),
]


class Peer:
    """A paho client whose callbacks put and return."""

    def __init__(self, name: str, *, reconnects: bool = False) -> None:
        self.connected: queue.Queue[bool] = queue.Queue()
        self.subscribed: queue.Queue[bool] = queue.Queue()
        self.messages: queue.Queue[MQTTMessage] = queue.Queue()
        self.client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=name,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=reconnects,
        )
        self.client.reconnect_delay_set(0.05, 0.05)  # type: ignore[arg-type] # any number of seconds is taken
        self.client.on_connect = self._on_connect
        self.client.on_subscribe = self._on_subscribe
        self.client.on_message = self._on_message
        self.client.on_socket_open = _no_delay

    def _on_connect(self, _c: Client, _u: Any, _f: Any, reason: Any, _p: Any) -> None:
        self.connected.put(not reason.is_failure)

    def _on_subscribe(self, *_: Any) -> None:
        self.subscribed.put(True)

    def _on_message(self, _c: Client, _u: Any, message: MQTTMessage) -> None:
        self.messages.put(message)

    def subscribe(self, topic: str) -> None:
        self.client.subscribe(topic, qos=1)
        assert self.subscribed.get(timeout=WAIT_S)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self.client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(WAIT_S)

    def next(self) -> MQTTMessage:
        return self.messages.get(timeout=WAIT_S)


def _no_delay(_c: Client, _u: Any, sock: Any) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


@contextmanager
def peer(broker: Broker, name: str, *, reconnects: bool = False) -> Iterator[Peer]:
    one = Peer(name, reconnects=reconnects)
    one.client.connect(broker.host, broker.port, keepalive=10)
    one.client.loop_start()
    try:
        assert one.connected.get(timeout=WAIT_S)
        yield one
    finally:
        one.client.disconnect()
        one.client.loop_stop()


@pytest.fixture(params=KINDS)
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    with Broker(request.param) as started:
        yield started


def test_a_message_goes_through_at_qos_1(broker: Broker) -> None:
    with peer(broker, "reader") as reader, peer(broker, "writer") as writer:
        reader.subscribe("a/#")
        writer.publish("a/b", b"\x00\xff" * 500)
        message = reader.next()
    assert (message.topic, message.payload, message.qos, message.retain) == ("a/b", b"\x00\xff" * 500, 1, False)


def test_a_large_message_goes_through(broker: Broker) -> None:
    payload = os.urandom(4 * 1024 * 1024)
    with peer(broker, "reader") as reader, peer(broker, "writer") as writer:
        reader.subscribe("evidence")
        writer.publish("evidence", payload)
        assert reader.next().payload == payload


def test_a_retained_message_waits_for_its_reader(broker: Broker) -> None:
    with peer(broker, "writer") as writer:
        writer.publish("state", b"old", retain=True)
        writer.publish("state", b"new", retain=True)
    with peer(broker, "reader") as reader:
        reader.subscribe("state")
        message = reader.next()
    assert (message.payload, message.retain) == (b"new", True)


def test_the_will_of_a_client_that_vanished_is_published(broker: Broker) -> None:
    with peer(broker, "watcher") as watcher:
        watcher.subscribe("state/lost")
        lost = Peer("lost")
        lost.client.will_set("state/lost", b"offline", qos=1, retain=True)
        lost.client.connect(broker.host, broker.port, keepalive=10)
        lost.client.loop_start()
        assert lost.connected.get(timeout=WAIT_S)
        wire = lost.client.socket()
        assert wire is not None
        # No DISCONNECT: the connection breaks under the client.
        wire.shutdown(socket.SHUT_RDWR)
        lost.client.loop_stop()
        assert watcher.next().payload == b"offline"


def test_killed_it_comes_back_on_its_port_and_clients_reconnect(broker: Broker) -> None:
    port, before = broker.port, broker.pid
    with peer(broker, "steady", reconnects=True) as steady:
        broker.kill()
        assert not broker.is_running
        assert broker.pid is None
        broker.restart()
        assert broker.port == port
        assert broker.pid not in {None, before}
        assert steady.connected.get(timeout=WAIT_S)
        steady.subscribe("b")
        steady.publish("b", b"again")
        assert steady.next().payload == b"again"


def test_its_death_is_noticed(broker: Broker) -> None:
    pid = broker.pid
    assert pid is not None
    assert not broker.wait(0)
    os.kill(pid, signal.SIGKILL)
    assert broker.wait(WAIT_S)
    assert not broker.is_running


def test_a_taken_port_is_said(broker: Broker) -> None:
    with pytest.raises(LinkError) as caught:
        Broker(broker.kind, port=broker.port).start()
    assert caught.value.code == "PORT_TAKEN"
    assert "an MQTT broker listens there already" in caught.value.why
    assert str(broker.port) in caught.value.what


def test_starting_and_stopping_twice_is_harmless(broker: Broker) -> None:
    pid = broker.pid
    assert broker.start().pid == pid
    broker.stop()
    broker.stop()
    assert not broker.is_running


def test_what_iotcore_cannot_do_is_told(broker: Broker) -> None:
    assert bool(broker.notes) == (broker.kind == "iotcore")


@pytest.mark.skipif(not find_mosquitto(), reason="Mosquitto is not installed")
def test_mosquitto_with_a_data_folder_keeps_retained_messages(tmp_path: Path) -> None:
    folder = tmp_path / "with a space"
    with Broker("mosquitto", data_dir=folder) as broker:
        with peer(broker, "writer") as writer:
            writer.publish("kept", b"1", retain=True)
        broker.restart()
        with peer(broker, "reader") as reader:
            reader.subscribe("kept")
            assert reader.next().payload == b"1"
    assert (folder / "mosquitto.db").exists()


@pytest.mark.skipif(not find_mosquitto(), reason="Mosquitto is not installed")
def test_what_the_broker_said_is_in_the_error(tmp_path: Path) -> None:
    (tmp_path / "mosquitto.conf").mkdir()
    with pytest.raises(LinkError) as caught:
        Broker("mosquitto", data_dir=tmp_path).start()
    assert caught.value.code == "BROKER_FAILED"
    (tmp_path / "mosquitto.conf").rmdir()
    (tmp_path / "mosquitto.db").write_bytes(b"this is no database, and long enough to be read as a header")
    with pytest.raises(LinkError) as caught:
        Broker("mosquitto", data_dir=tmp_path).start()
    assert caught.value.code == "BROKER_FAILED"
    assert "mosquitto.db" in caught.value.why or "rror" in caught.value.why


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "broker.example"])
def test_only_loopback_is_served(host: str) -> None:
    with pytest.raises(LinkError) as caught:
        Broker(host=host)
    assert caught.value.code == "BROKER_NOT_LOOPBACK"


@pytest.mark.parametrize("kind", KINDS)
def test_it_ends_with_a_parent_that_is_killed(kind: str) -> None:
    code = f"from edge.shell.broker import Broker\nb = Broker({kind!r}).start()\nprint(b.port, flush=True)\nb.wait()\n"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        port = int(parent.stdout.readline())
        with socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as link:
            parent.kill()
            link.settimeout(WAIT_S)
            # The broker's death closes the connection, with or without a reset.
            with suppress(ConnectionResetError):
                assert link.recv(1) == b""


@pytest.mark.parametrize("kind", KINDS)
def test_the_command_says_where_it_listens_and_ends_when_asked(kind: str) -> None:
    command = [sys.executable, "-c", "import sys; from edge.cli.main import main; sys.exit(main())"]
    command += ["broker", "run", "--kind", kind, "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        errors = process.stderr.read()
    assert f'"kind":"{kind}"' in line
    assert process.returncode == 130
    assert "Traceback" not in errors
