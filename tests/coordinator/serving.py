"""Records for the ledger, and a coordinator with its HTTP API and no broker, for tests of what stands above it."""

from __future__ import annotations

import random
import socket
import threading
from pathlib import Path

import pytest

from edge.coordinator.api import make_api
from edge.coordinator.http import LOOPBACK_HOSTS, HttpServer
from edge.coordinator.service import Coordinator, Options
from edge.domain import Finding, ModelRef, Reason, View
from edge.errors import JidokaError
from edge.events_fleet import AgentKnown
from edge.messages import Event, Evidence, Latency, Record, Reported, Result, State, encode_record
from edge.ports import Batch
from edge.shell.endpoint import Endpoint

WAIT_S = 10.0
MODEL = ModelRef("plates", "1.2.0", "ab" * 32)


def closed_port() -> int:
    """A port where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def result(n: int, decision: str = "pass", source: str = "cam") -> Result:
    """Verdict number ``n``; failed ones found a scratch."""
    found = (Finding("=scratch", 0.9, (1.0, 2.0, 3.0, 4.0), 4.0),) if decision == "fail" else ()
    why = (Reason("score", "=scratch", 0.9, 0.5),) if decision == "fail" else ()
    name = (decision, 1_000 * n, source, n, n, 1, n)
    more = {"values": {"gap_mm": 0.5 * n}, "views": (View("cam", 1, n, len(found)), View("side"))}
    told = {"reasons": why, "findings": found, "model": MODEL, "latency_ms": Latency(total=7.5)}
    return Result(*name, **told, **more)  # type: ignore[arg-type]


def batch(first: int, n: int, utc_ms: int = 1, kind: str = "results", site: str = "hall") -> Batch:
    """``n`` records from sequence number ``first`` on, received at ``utc_ms``; a picture has 5000 random bytes."""
    if kind == "evidence":
        pixels = random.Random(first)
        made = (Evidence("cam", i, 1, "fail", pixels.randbytes(5000)) for i in range(first, first + n))
        records = [encode_record(one) for one in made]
    else:
        records = [encode_record(result(i)) for i in range(first, first + n)]
    return Batch(site, "a1", "log1", kind, first, records, utc_ms)  # type: ignore[arg-type]


def code_of(caught: pytest.ExceptionInfo[JidokaError]) -> str:
    """The error's code; its text must be one line."""
    assert "\n" not in str(caught.value)
    return caught.value.code


class Serving:
    """Runs in threads until closed. ``url`` is the API's."""

    def __init__(self, folder: Path, url: str = "") -> None:
        url = url or f"sqlite:///{folder / 'ledger.db'}"
        options = Options("hall", url, Endpoint("127.0.0.1", closed_port()))
        self.service = Coordinator(options, lambda *_: None)
        ledger = self.service.ledger
        epoch = self.service.wait_for_lease()
        state = State("online", "log1", 2, 3, ready=True, versions={"jidoka": "0.1.0"}, model=MODEL)
        reported = Reported(ledger.ledger_id, 0, ok=True, settings={"threshold": 0.5})
        ledger.save_agent("hall", "cell-1", AgentKnown(state, reported, 5_000, 6_000))
        self.server = HttpServer("127.0.0.1", 0)
        self.url = self.server.url
        self.server.start(make_api(self.service, LOOPBACK_HOSTS))
        self._thread = threading.Thread(target=self.service.run, args=(epoch, lambda: None), name="coordinator")
        self._thread.start()

    def keep(self, kind: str, first: int, *records: Record, agent: str = "cell-1") -> None:
        """Put records in the ledger."""
        payloads = [encode_record(record) for record in records]
        self.service.ledger.commit([Batch("hall", agent, "log1", kind, first, payloads, 9_000)])  # type: ignore[arg-type]

    def fill(self) -> None:
        """Twenty verdicts, every fifth a fail, of two agents, an event and a picture."""
        self.keep("results", 1, *(result(n, "fail" if n % 5 == 0 else "pass") for n in range(1, 21)))
        self.keep("results", 1, result(99, "unsure", source="top"), agent="cell-2")
        self.keep("events", 1, Event("CAMERA_GONE", "alarm", 3_000, "no light", {"n": 1}))
        self.keep("evidence", 1, Evidence("cam", 5, 5_000, "fail", b"\xff\xd8picture", 5, 1, 5, "fail", 64, 48))

    def close(self) -> None:
        """Stop everything, and join."""
        self.service.stop("test ends")
        self._thread.join(WAIT_S)
        self.server.stop()
        self.service.close()
        self.service.desk.dispose()
