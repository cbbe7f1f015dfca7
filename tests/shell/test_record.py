"""The recorder: bounded, never in the core's way, and it says what it could not keep."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.config import load_agent
from edge.core.settings import Settings
from edge.domain import Finding, FrameRef, Inference
from edge.errors import StoreError
from edge.events import Counted, Inferred, Tick
from edge.shell import record
from edge.shell.record import MB, RecordAsked, Recorder, hosts_of
from sims.trace_file import reading
from tests.core.bench import settings
from tests.trace.things import boot, policy

WAIT_S = 20.0
SETTINGS = """
[agent]
id = "cell"
[sources.camera]
driver = "http"
options = { url = "http://camera.plant.example/x.jpg" }
[model]
path = "m"
[link]
host = "broker.plant.example"
username = "kurt"
"""


class Rig:
    """A recorder in a folder of its own, and what it logged."""

    def __init__(self, folder: Path) -> None:
        (folder / "agent.toml").write_text(SETTINGS)
        self.folder = folder
        self.loaded = load_agent(folder / "agent.toml")
        self.said: list[tuple[str, str]] = []
        self.heard = threading.Event()
        self.crashed: list[Exception] = []

    def make(self, name: str = "a.trace", **asked: Any) -> Recorder:
        told: Settings = settings(policies={"default": policy()})
        return Recorder(
            RecordAsked(self.folder / name, **asked),
            self.loaded,
            (told, boot(), 5),
            self._log,
            self.crashed.append,
            floors={"default": 0.25},
            utc_ms=lambda: 1,
        )

    def _log(self, _level: str, code: str, text: str, _data: Any) -> None:
        self.said.append((code, text))
        self.heard.set()

    def codes(self) -> list[str]:
        return [code for code, _ in self.said]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    assert not made.crashed


def test_what_is_kept_is_there_in_order_with_its_end(rig: Rig):
    recorder = rig.make()
    recorder.keep(1, Tick(), [])
    recorder.start()
    for t_ns in range(2, 1000):
        recorder.keep(t_ns, Tick() if t_ns % 2 else Counted("x"), [])
    recorder.close()
    recorder.close()
    with reading(rig.folder / "a.trace") as (reader, _, _):
        rows = list(reader.rows())
        assert [row.t_ns for row in rows] == list(range(1, 1000))
        assert (reader.end.why, reader.end.rows, reader.end.lost) == ("stopped", 999, 0)
        assert reader.head.floors == {"default": 0.25} and reader.head.seed == 5
    assert rig.codes() == ["RECORD_DONE"]
    assert (rig.folder / "a.trace").stat().st_mode & 0o777 == 0o600


def noise(n: int) -> Inferred:
    found = tuple(Finding(os.urandom(30).hex(), 0.5, (0.0, 0.0, 1.0, 1.0)) for _ in range(100))
    return Inferred(FrameRef("cam", n, n), n, Inference(found), "m", n)


def test_a_full_trace_ends_and_is_never_larger_than_allowed(rig: Rig):
    recorder = rig.make(max_mb=1)
    for n in range(400):
        recorder.keep(n, noise(n), [])
    recorder.start()
    assert rig.heard.wait(WAIT_S)
    assert rig.codes() == ["RECORD_FULL"] and "the line goes on" in rig.said[0][1]
    for n in range(5):
        recorder.keep(400 + n, Tick(), [])
    recorder.close()
    path = rig.folder / "a.trace"
    assert 0.5 * MB < path.stat().st_size <= MB
    with reading(path) as (reader, _, _):
        rows = list(reader.rows())
        assert [row.t_ns for row in rows] == list(range(len(rows)))
        assert reader.end.why == "full" and reader.end.rows == len(rows)
        assert reader.end.lost == 405 - len(rows)


def test_a_queue_that_overflows_ends_the_trace_without_a_hole(rig: Rig):
    recorder = rig.make()
    for n in range(record.QUEUE_LIMIT + 7):
        recorder.keep(n, Tick(), [])
    recorder.start()
    assert rig.heard.wait(WAIT_S)
    assert rig.codes() == ["RECORD_SLOW"]
    recorder.close()
    with reading(rig.folder / "a.trace") as (reader, _, _):
        assert [row.t_ns for row in reader.rows()] == list(range(record.QUEUE_LIMIT))
        assert (reader.end.why, reader.end.lost) == ("slow", 7)


def test_a_full_disk_ends_the_trace_and_not_the_line(rig: Rig):
    recorder = rig.make()
    for n in range(3):
        recorder.keep(n, noise(n), [])
    with Path("/dev/full").open("wb", buffering=0) as full:
        os.dup2(full.fileno(), recorder._file.fileno())
    recorder.start()
    recorder.close()
    assert "RECORD_FAILED" in rig.codes() and "No space left" in rig.said[0][1]


def test_what_cannot_be_written_ends_the_trace_and_not_the_line(rig: Rig):
    recorder = rig.make()
    recorder.keep(1, Tick(), [])
    recorder.keep(2, Counted(object()), [])  # type: ignore[arg-type]
    recorder.start()
    assert rig.heard.wait(WAIT_S)
    recorder.close()
    with reading(rig.folder / "a.trace") as (reader, _, _):
        list(reader.rows())
        assert reader.end.why == "bug"


def test_an_earlier_trace_is_kept_and_another_file_is_not_touched(rig: Rig):
    rig.make().close()
    first = (rig.folder / "a.trace").read_bytes()
    rig.make().close()
    assert (rig.folder / "a.trace.before").read_bytes() == first
    with pytest.raises(StoreError, match="RECORD_NOT_OURS"):
        rig.make("agent.toml")
    assert (rig.folder / "agent.toml").read_text() == SETTINGS
    with pytest.raises(StoreError, match="RECORD_UNWRITABLE"):
        rig.make("no/such/folder/a.trace")


def test_hosts_of_the_settings_are_known(rig: Rig):
    assert hosts_of(rig.loaded) == ["broker.plant.example", "kurt", "http://camera.plant.example/x.jpg"]


def test_an_anonymous_trace_is_made_by_a_core_of_its_own(rig: Rig):
    recorder = rig.make(anonymous=True)
    from edge.events import Started

    recorder.keep(1, Started(), [])
    recorder.start()
    recorder.close()
    with reading(rig.folder / "a.trace") as (reader, _, _):
        (row,) = reader.rows()
        assert reader.head.anonymous and reader.head.settings.site == "site-1"
        assert [name for name, _ in row.effects][:2] == ["Append", "Connect"]
