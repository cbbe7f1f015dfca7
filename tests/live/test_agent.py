"""The real daemon, started as a user starts it, against real brokers; a bare paho client plays everybody else."""

from __future__ import annotations

import json
import os
import queue
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge.errors import RemoteError
from edge.messages import Ack, Ask, Desired, Envelope, Metrics, Reply, Reported, State, decode_record
from edge.models import bundle
from edge.shell.broker import Broker
from edge.topics import TABLE, decode, encode, parse, topic
from edge.vision.conventions import SegmentHead
from edge.vision.spec import InputSpec
from tests.models.graphs import darkness

pytestmark = pytest.mark.live
WAIT_S = 20.0
FRAMES = 30
MANIFEST = bundle.Manifest(
    model=bundle.About(name="dark", version="1.0.0", task="segment", labels=("hole",)),
    input=InputSpec(width_px=64, height_px=64, color="gray", scale=1 / 255, fit="stretch"),
    output=SegmentHead(activation="none"),
)
AGENT = """
[agent]
id = "cell"
site = "hall"
[sources.camera]
driver = "opencv"
deliver = "every"
[sources.camera.options]
source = "parts.avi"
loop = {loop}
rate_hz = {rate_hz}
[model]
path = "dark"
[policy.other]
min_score = 0.5
[evidence]
max_fps = 50.0
[link]
port = {port}
keepalive_s = 2
"""


class Plant:
    """Everything on the other side of the broker."""

    def __init__(self, port: int) -> None:
        self.heard: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self.states: list[State] = []
        self.seqs: dict[str, set[int]] = {"results": set(), "events": set(), "evidence": set()}
        self.records: dict[str, list[Any]] = {"results": [], "events": [], "evidence": []}
        self.client = paho.Client(CallbackAPIVersion.VERSION2, "plant", protocol=MQTTProtocolVersion.MQTTv5)
        ready = threading.Event()
        self.client.on_connect = lambda client, *_: client.subscribe("jidoka/v1/hall/cell/+", qos=1)
        self.client.on_subscribe = lambda *_: ready.set()
        self.client.on_message = self._on_message
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert ready.wait(WAIT_S)

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        try:
            kind = parse(message.topic).kind
            body = decode(kind, message.payload)
        except RemoteError:
            return  # our own nonsense comes back to us
        if kind in {"ack", "ask", "desired"}:
            return
        if isinstance(body, State):
            self.states.append(body)
        if isinstance(body, Envelope):
            for n, raw in enumerate(body.body):
                self.seqs[kind].add(body.first_seq + n)
                self.records[kind].append(decode_record(body.kind, bytes(raw)))
        self.heard.put((kind, body))

    def say(self, kind: str, message: Any, *, retain: bool = False) -> None:
        self.client.publish(topic("hall", "cell", kind), encode(kind, message), qos=1, retain=retain)  # type: ignore[arg-type]

    def until(self, wanted: Any) -> Any:
        """The first message that ``wanted`` likes."""
        while True:
            kind, body = self.heard.get(timeout=WAIT_S)
            if wanted(kind, body):
                return body

    def ask(self, op: str, **args: Any) -> Reply:
        name = f"{op}-{random.randrange(10**9)}"
        self.say("ask", Ask(name, "cell", op, args=args))
        return self.until(lambda _, body: isinstance(body, Reply) and body.id == name)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


class Daemon:
    """``jidoka run`` in a folder of its own."""

    def __init__(self, folder: Path, *, port: int, loop: bool = True, rate_hz: float = 20.0) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        bundle.write(folder / "dark", MANIFEST, darkness(folder / "darkness.onnx"))
        writer = cv2.VideoWriter(str(folder / "parts.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 20, (64, 64))
        for n in range(FRAMES):
            frame = np.full((64, 64, 3), 255, np.uint8)
            if n % 3 == 0:
                frame[16:48, 16:48] = 0
            writer.write(frame)
        writer.release()
        text = AGENT.format(port=port, loop=str(loop).lower(), rate_hz=rate_hz)
        (folder / "agent.toml").write_text(text)
        self.start()

    def start(self) -> None:
        environment = {**os.environ, "JIDOKA_CACHE_DIR": str(self.folder.parent / "cache")}
        command = [sys.executable, "-m", "edge.cli.main", "run", str(self.folder / "agent.toml")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stderr=log, stdout=log, env=environment)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(WAIT_S)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(WAIT_S)

    def log(self) -> str:
        return (self.folder / "log").read_text()


@pytest.fixture(params=["mosquitto", "iotcore"])
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    from edge.errors import LinkError

    try:
        with Broker(kind=request.param) as started:
            yield started
    except LinkError as error:
        if error.code != "BROKER_ABSENT":
            raise
        pytest.skip(str(error))


@pytest.fixture
def plant(broker: Broker) -> Iterator[Plant]:
    found = Plant(broker.port)
    yield found
    found.close()


@pytest.fixture
def daemon(broker: Broker, tmp_path: Path) -> Iterator[Daemon]:
    started = Daemon(tmp_path / "cell", port=broker.port)
    yield started
    if started.process.poll() is None:
        started.kill()


def ready(plant: Plant) -> State:
    return plant.until(lambda _, body: isinstance(body, State) and body.ready)


def test_a_finite_run_reports_every_frame_and_leaves_when_the_ledger_has_all(broker, plant, tmp_path):
    daemon = Daemon(tmp_path / "cell", port=broker.port, loop=False, rate_hz=0.0)
    try:
        birth = plant.until(lambda _, body: isinstance(body, State))
        assert (birth.status, birth.boot_no, birth.conn_no) == ("online", 1, 1)
        while len(plant.seqs["results"]) < FRAMES:
            plant.until(lambda kind, _: kind == "results")
        assert daemon.process.poll() is None, "it waits for the coordinator"
        while daemon.process.poll() is None:
            upto = {kind: max(seqs, default=0) for kind, seqs in plant.seqs.items()}
            plant.say("ack", Ack("ledger-1", birth.log, upto))
            try:
                plant.heard.get(timeout=0.2)
            except queue.Empty:
                continue
        assert daemon.process.wait(WAIT_S) == 0
        decisions = [record.decision for record in plant.records["results"]]
        assert decisions == ["fail", "pass", "pass"] * (FRAMES // 3)
        assert plant.records["evidence"], "failed frames have pictures"
        jpeg = np.frombuffer(plant.records["evidence"][0].jpeg, np.uint8)
        assert cv2.imdecode(jpeg, cv2.IMREAD_COLOR).shape == (64, 64, 3)
        while plant.states[-1].status != "stopped":
            plant.until(lambda kind, _: kind == "state")
    finally:
        if daemon.process.poll() is None:
            daemon.kill()


def test_settings_asks_and_metrics(plant, daemon):
    birth = ready(plant)
    assert plant.ask("ping").body["ready"] is True
    plant.say("desired", Desired("ledger-1", 1, {"policy.other.min_score": 0.99}), retain=True)
    reported = plant.until(lambda _, body: isinstance(body, Reported) and body.rev == 1)
    assert reported.ok and reported.settings["policy.other.min_score"] == 0.99
    plant.say("desired", Desired("ledger-1", 2, {"agent.data_dir": "/tmp"}), retain=True)
    refused = plant.until(lambda _, body: isinstance(body, Reported) and body.rev == 2)
    assert (refused.ok, refused.code) == (False, "SETTING_UNKNOWN")
    snapshot = plant.ask("snapshot")
    assert snapshot.ok and snapshot.body["evidence_seq"] >= 1
    assert plant.ask("pause").ok
    paused = plant.until(lambda _, body: isinstance(body, State) and body.paused)
    assert not paused.ready and paused.log == birth.log
    assert plant.ask("resume").ok
    assert plant.ask("dance").code == "CMD_UNKNOWN"
    assert daemon.stop() == 0
    assert plant.until(lambda _, body: isinstance(body, State) and body.status == "stopped")


def test_killed_it_comes_back_with_everything_and_the_will_speaks_meanwhile(plant, daemon):
    birth = ready(plant)
    plant.until(lambda kind, _: kind == "results")
    daemon.kill()
    assert plant.until(lambda _, body: isinstance(body, State) and body.status == "offline").log == birth.log
    daemon.start()
    again = ready(plant)
    assert (again.log, again.boot_no) == (birth.log, 2)
    assert again.conn_no > birth.conn_no
    results = max(plant.seqs["results"])
    plant.until(lambda kind, body: kind == "results" and body.first_seq + body.n - 1 > results)
    assert plant.seqs["results"] == set(range(1, max(plant.seqs["results"]) + 1)), (
        "sent again from the start: no ack came"
    )
    daemon.stop()


def test_a_broker_that_restarts_costs_nothing(broker, plant, daemon):
    ready(plant)
    plant.until(lambda kind, _: kind == "results")
    broker.kill()
    broker.restart()
    plant.until(lambda _, body: isinstance(body, State) and body.conn_no == 2)
    plant.until(lambda kind, _: kind == "results")
    assert plant.ask("ping").ok
    while plant.seqs["results"] != set(range(1, max(plant.seqs["results"]) + 1)):
        plant.until(lambda kind, _: kind == "results")  # those we slept through come again, as nobody acknowledged them
    assert daemon.stop() == 0


def test_nonsense_on_every_topic_moves_nothing(plant, daemon):
    ready(plant)
    rng = random.Random(5)
    nasty = [b"", b"{}", b"[]", b"\xff\xfe", b'{"t":"ask"}', b"[" * 9000, rng.randbytes(500), b'{"v":99}']
    for row in TABLE:
        for payload in nasty:
            plant.client.publish(topic("hall", "cell", row.kind), payload, qos=1)
        if row.kind != "evidence":
            plant.client.publish(topic("hall", "cell", row.kind), b"x" * (row.max_bytes + 1), qos=1)
    plant.client.publish("jidoka/v1/hall/cell/unheard-of", b"1", qos=1)
    plant.say("state", State("offline", "other-log", 9, 9))
    assert plant.ask("ping").ok
    assert daemon.process.poll() is None
    metrics = plant.until(
        lambda _, body: isinstance(body, Metrics) and body.counters.get("refused_message_malformed", 0) > 0
    )
    assert metrics.counters["refused_message_too_large"] >= 1
    assert daemon.stop() == 0


def test_two_agents_with_one_id_one_of_them_leaves_room_and_says_so(broker, plant, daemon, tmp_path):
    if broker.kind == "iotcore":
        pytest.skip("the wheel's broker tells neither of two clients with one id of the other")
    first = ready(plant)
    twin = Daemon(tmp_path / "twin", port=broker.port)
    try:
        left = plant.until(lambda _, body: isinstance(body, State) and body.status == "stopped")
        stays = plant.until(lambda _, body: isinstance(body, State) and body.ready and body.log != left.log)
        assert {left.log, stays.log} > {first.log}
        loser = daemon if left.log == first.log else twin
        line = next(line for line in loser.log().splitlines() if "AGENT_ID_TAKEN" in line)
        assert json.loads(line)["level"] == "error"
        assert plant.ask("ping").ok
    finally:
        twin.kill()
    assert daemon.stop() == 0
