"""Results a second into the ledger through a real broker, beside a bare paho subscriber that only counts.

::

    publisher (process, bare socket, packets made beforehand) ──▶ Mosquitto ──▶ coordinator ──▶ ledger.db ──▶ ack
                                                                         └──▶ bare subscriber (counts messages)

Both are measured alone, one after the other, from the first publish to the last ack, or the last message counted.
Each result has two findings. "single" is one result a message; "batch" is what an agent sends when it catches up.
The stages are the same envelopes through the same functions with no broker, in this process. The ledger is an SQLite
file, or with --ledger a PostgreSQL database, which keeps the rows.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import paho.mqtt.client as paho
from figures import Row, main, median
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge.coordinator.ledger import SqlLedger
from edge.coordinator.rows import to_row
from edge.core.ingest import plan
from edge.domain import Finding, ModelRef, Reason
from edge.messages import Envelope, Latency, Result, encode_record
from edge.ports import Batch
from edge.shell.broker import Broker
from edge.topics import decode, envelope

AGENTS = 8
BATCH = 64
PATIENCE_S = 120.0
MODEL = ModelRef("plates", "1.2.0", "ab" * 32)
FOUND = tuple(Finding("scratch", 0.91 - n / 10, (101.5, 220.25, 140.0, 260.5), 812.0) for n in range(2))


def result(n: int) -> bytes:
    why = (Reason("score", "scratch", 0.91, 0.5),)
    latency = Latency(8.1, 0.2, 1.4, 24.9, 0.4, 35.0)
    return encode_record(
        Result("fail", 1_764_000_000_000 + n, "top", n, n, 3, n % 65536, 77, why, FOUND, MODEL, "a", 4, latency)
    )


def envelopes(log: str, total: int, size: int) -> list[bytes]:
    """``total`` results of one agent in envelopes of ``size``."""
    records = [result(n) for n in range(1, total + 1)]
    return [envelope(log, "results", at + 1, records[at : at + size], 0) for at in range(0, total, size)]


def client(name: str, port: int) -> paho.Client:
    made = paho.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=MQTTProtocolVersion.MQTTv5)
    made.max_inflight_messages_set(2000)
    made.on_socket_open = lambda _c, _d, sock: sock.setsockopt(6, 1, 1)  # TCP_NODELAY
    made.connect("127.0.0.1", port)
    return made


def packet(first: int, body: bytes) -> bytes:
    """A control packet: first byte, remaining length (MQTT 5 §1.5.5), body."""
    length, left = b"", len(body)
    while left > 127:
        length += bytes((left & 127 | 128,))
        left >>= 7
    return bytes((first,)) + length + bytes((left,)) + body


def text(value: str) -> bytes:
    return len(value).to_bytes(2, "big") + value.encode()


def publish(port: int, per_agent: int, size: int, log: str, go: Any, began: Any) -> None:
    """A process: publish with QoS 1 as fast as the broker takes it, interleaved over the agents.

    The packets are made beforehand and written to a bare socket: with paho here, publishing was what was measured.
    """
    made = envelopes(log, per_agent, size)
    topics = [text(f"jidoka/v1/bench/a{agent}/results") for agent in range(AGENTS)]
    numbers = iter(range(1, 65_536))
    pairs = ((topic, payload) for payload in made for topic in topics)
    packets = [packet(0x32, topic + next(numbers).to_bytes(2, "big") + b"\0" + payload) for topic, payload in pairs]
    with socket.create_connection(("127.0.0.1", port)) as link:
        link.sendall(packet(0x10, text("MQTT") + b"\x05\x02\0\0\0" + text("publisher")))
        link.recv(1024)
        answers = threading.Thread(target=drain, args=(link, 4 * len(packets)))
        answers.start()
        go.wait()
        began.value = time.monotonic()
        link.sendall(b"".join(packets))
        answers.join()


def drain(link: socket.socket, least: int) -> None:
    """Take the PUBACKs, of at least four bytes each."""
    while least > 0 and (got := link.recv(65_536)):
        least -= len(got)


@contextmanager
def publishing(port: int, per_agent: int, size: int, log: str) -> Iterator[tuple[Any, Any]]:
    context = multiprocessing.get_context("spawn")
    go, began = context.Event(), context.Value("d", 0.0)
    child = context.Process(target=publish, args=(port, per_agent, size, log, go, began))
    child.start()
    yield go, began
    child.join(PATIENCE_S)


class Listener:
    """Counts messages of one filter, or waits until every agent's ack reached ``last``."""

    def __init__(self, port: int, topic: str, last: int) -> None:
        self.count = 0
        self.done = threading.Event()
        self.done_s = 0.0
        self._last = last
        self._acked: set[str] = set()
        self._ready = threading.Event()
        self._client = client(f"listener-{topic.replace('/', '.').replace('+', 'x')}", port)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._on_ack if topic.endswith("ack") else self._on_result
        self._client.subscribe(topic, qos=1)
        self._client.loop_start()
        assert self._ready.wait(10)

    def _on_result(self, *_: Any) -> None:
        self.count += 1
        if self.count == self._last:
            self._end()

    def _on_ack(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        if json.loads(message.payload)["upto"].get("results") == self._last:
            self._acked.add(message.topic)
            if len(self._acked) == AGENTS:
                self._end()

    def _end(self) -> None:
        self.done_s = time.monotonic()
        self.done.set()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def timed(port: int, per_agent: int, size: int, log: str, topic: str, last: int) -> float:
    """Seconds from the first publish until the listener has what it waits for."""
    with publishing(port, per_agent, size, log) as (go, began):
        listener = Listener(port, topic, last)
        go.set()
        if not listener.done.wait(PATIENCE_S):
            raise RuntimeError(f"not done within {PATIENCE_S:g} s ({topic})")
        listener.close()
    return listener.done_s - began.value


@contextmanager
def coordinator(port: int, folder: Path, ledger: str) -> Iterator[str]:
    command = [str(Path(sys.executable).with_name("jidoka")), "coordinator", "--broker", f"mqtt://127.0.0.1:{port}"]
    command += ["--site", "bench", "--data", str(folder), "--http", "127.0.0.1:0", "--json"]
    command += ["--db", ledger] if ledger else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        try:
            yield json.loads(child.stdout.readline())["url"]
        finally:
            child.terminate()
            child.wait(20)


def counter(url: str, name: str) -> float:
    with urlopen(f"{url}/metrics") as answer:  # noqa: S310 - our own, on loopback
        lines = answer.read().decode().splitlines()
    return next((float(line.split()[1]) for line in lines if line.startswith(f"{name} ")), 0.0)


def through_broker(folder: Path, name: str, per_agent: int, size: int, rounds: int, ledger: str) -> list[Row]:
    total = per_agent * AGENTS
    run = f"{name}-{time.time_ns()}"  # a ledger that was used before knows the logs of then
    ours, bare, commits, commit_s = [], [], [], []
    with Broker("auto", data_dir=folder / f"broker-{name}") as broker:
        with coordinator(broker.port, folder / f"coordinator-{name}", ledger) as url:
            for turn in range(rounds):
                before = counter(url, "jidoka_commits_total"), counter(url, "jidoka_commit_seconds_total")
                seconds = timed(broker.port, per_agent, size, f"{run}-{turn}", "jidoka/v1/bench/+/ack", per_agent)
                ours.append(total / seconds)
                commits.append(counter(url, "jidoka_commits_total") - before[0])
                commit_s.append((counter(url, "jidoka_commit_seconds_total") - before[1]) / seconds)
        for turn in range(rounds):
            messages = total // size
            seconds = timed(broker.port, per_agent, size, f"{run}-{turn}", "jidoka/v1/bench/+/results", messages)
            bare.append(total / seconds)
    return [
        Row(f"{name}: into the ledger", median(ours), unit="results/s"),
        Row(f"{name}: bare subscriber, counting", median(bare), unit="results/s"),
        Row(f"{name}: ratio", median(ours) / median(bare)),
        Row(f"{name}: results a commit", total / median(commits)),
        Row(f"{name}: share of time in commits", median(commit_s)),
    ]


def stages(folder: Path, name: str, size: int, url: str) -> list[Row]:
    """Microseconds a result in each stage, 512 messages a commit at most."""
    total = 20_000
    payloads = envelopes(f"stages-{time.time_ns()}", total, size)
    began = time.perf_counter()
    decoded = [decode("results", payload) for payload in payloads]
    decode_s = time.perf_counter() - began
    batches = [
        Batch("bench", "a", e.log, e.kind, e.first_seq, tuple(bytes(raw) for raw in e.body), 0)
        for e in decoded
        if isinstance(e, Envelope)
    ]
    began = time.perf_counter()
    out = plan({}, batches)
    plan_s = time.perf_counter() - began
    began = time.perf_counter()
    for row in out.rows:
        to_row(row, 1, 0)
    rows_s = time.perf_counter() - began
    ledger = SqlLedger(url or f"sqlite:///{folder / f'stages-{name}.db'}")
    began = time.perf_counter()
    for at in range(0, len(batches), 512):
        ledger.commit(batches[at : at + 512])
    commit_s = time.perf_counter() - began
    ledger.close()
    each = 1e6 / total
    return [
        Row(f"{name}: decode envelope", decode_s * each, unit="µs/result"),
        Row(f"{name}: decode records, arithmetic", plan_s * each, unit="µs/result"),
        Row(f"{name}: records to rows", rows_s * each, unit="µs/result"),
        Row(f"{name}: SQL and fsync", (commit_s - plan_s - rows_s) * each, unit="µs/result"),
    ]


def measure(args: argparse.Namespace, folder: Path) -> list[Row]:
    rows = [Row("a result's size", len(result(1000)), unit="bytes")]
    rows += through_broker(folder, "single", args.results // 4 // AGENTS, 1, args.rounds, args.ledger)
    rows += through_broker(folder, "batch", args.results // AGENTS // BATCH * BATCH, BATCH, args.rounds, args.ledger)
    return rows + stages(folder, "single", 1, args.ledger) + stages(folder, "batch", BATCH, args.ledger)


if __name__ == "__main__":
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", action="store_true", help="one JSON document on stdout")
    made.add_argument("--rounds", type=int, default=3, help="repetitions; medians are told")
    made.add_argument("--results", type=int, default=64_000, help="results in the batch runs; singles are a quarter")
    made.add_argument("--ledger", default="", help="postgresql://user@host/database instead of an SQLite file")
    main(measure, made.parse_args())
