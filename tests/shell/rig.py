"""What the shells' tests share: an event collector that can be waited on, and plain cameras, devices and models."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from edge.core.backoff import Backoff
from edge.domain import Applied, Command, FrameRef, Reading
from edge.errors import DeviceError, SourceEnded
from edge.ports import Frame, Image
from edge.vision.prediction import Prediction

WAIT_S = 10.0


class Collector:
    """``post`` of a shell under test."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.crashes: list[Exception] = []
        self._changed = threading.Condition()

    def post(self, event: Any) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def crash(self, error: Exception) -> None:
        with self._changed:
            self.crashes.append(error)
            self._changed.notify_all()

    def until(self, holds: Callable[[list[Any]], Any], timeout_s: float = WAIT_S) -> Any:
        """Wait until ``holds(events)`` is truthy and return it; also looked at without an event, every few ms."""
        end = time.monotonic() + timeout_s
        with self._changed:
            while not (got := holds(self.events)) and time.monotonic() < end:
                self._changed.wait(0.003)
        assert got, f"not within {timeout_s} s; events: {self.events[-20:]}, crashes: {self.crashes}"
        return got

    def of(self, kind: type | tuple[type, ...]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def wait_n(self, kind: type | tuple[type, ...], n: int, timeout_s: float = WAIT_S) -> list[Any]:
        """Wait for ``n`` events of a kind."""
        self.until(lambda events: sum(isinstance(event, kind) for event in events) >= n, timeout_s)
        return self.of(kind)


def quick_backoff() -> Backoff:
    return Backoff(0.01, 0.05, random.Random(1))


def picture(n: int, side: int = 32) -> Image:
    return np.full((side, side, 3), n % 256, np.uint8)


class Camera:
    """A source whose frames are numbered pictures; ``fail_next`` makes it raise, ``absent`` makes open fail.

    A stream (``on_demand`` False, not finite) gives a frame every ``period_s``; an on-demand one at once.
    """

    def __init__(self, name: str = "cam", *, on_demand: bool = False, n: int | None = None, period_s: float = 0.002):
        self.name = name
        self.on_demand = on_demand
        self.n = n
        self.period_s = period_s
        self.absent = threading.Event()
        self.errors: list[Exception | None] = []
        self.timeouts: list[float] = []
        self.opened = self.closed = 0
        self._numbers = itertools.count()
        self._pace = threading.Event()

    def open(self) -> None:
        self.opened += 1
        if self.absent.is_set():
            raise DeviceError("SOURCE_ABSENT", f"{self.name} is not there")

    def read(self, timeout_s: float) -> Frame:
        self.timeouts.append(timeout_s)
        if self.absent.is_set():
            raise DeviceError("SOURCE_LOST", f"{self.name} does not answer")
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        if self.n is None and not self.on_demand:
            self._pace.wait(self.period_s)
        number = next(self._numbers)
        if self.n is not None and number >= self.n:
            raise SourceEnded(self.name)
        return Frame(FrameRef(self.name, number, time.monotonic_ns()), picture(number))

    def close(self) -> None:
        self.closed += 1


class Model:
    """The three steps of a model that finds one class whose score is the picture's first pixel / 255."""

    def __init__(self, delays_s: Iterable[float] = ()) -> None:
        self.delays = itertools.cycle(list(delays_s) or [0.0])
        self.gate = threading.Event()
        self.gate.set()
        self.bad: set[int] = set()
        self.prepared = self.ran = self.warmed = 0
        self.threads: set[str] = set()
        self._pace = threading.Event()

    def preprocess(self, image: Image) -> Any:
        self.prepared += 1
        return image.shape, int(image.flat[0])

    def run(self, prepared: Any) -> Any:
        assert self.gate.wait(WAIT_S)
        delay_s = next(self.delays)
        if delay_s:
            self._pace.wait(delay_s)
        self.ran += 1
        self.threads.add(threading.current_thread().name)
        if prepared[1] in self.bad:
            raise RuntimeError("node Conv_7 has gone wrong")
        return prepared[1]

    def postprocess(self, outputs: Any, prepared: Any, mm_per_px: float | None) -> Prediction:
        height, width = prepared[0][:2]
        return Prediction(
            "detect",
            ("spot",),
            width,
            height,
            np.array([[1, 2, width - 1, height - 2]], np.float32),
            np.array([outputs / 255], np.float32),
            np.zeros(1, np.int64),
            np.array([4], np.float32),
            mm_per_px=mm_per_px,
        )

    def warm_up(self) -> object:
        self.warmed += 1
        return None


class PlcTwin:
    """A device with values to read and a record of what was done to it, in order, with times."""

    def __init__(self, name: str = "plc") -> None:
        self.name = name
        self.values: dict[str, Any] = {"part_no": 1, "encoder": 0, "heartbeat_plc": 0}
        self.absent = threading.Event()
        self.freeze = threading.Event()
        self.freeze.set()
        self.done: list[tuple[str, Any, int]] = []
        self.reads_ns: list[int] = []
        self.threads: set[str] = set()
        self.answer: dict[str, str] = {}

    def _reach(self, verb: str) -> None:
        self.threads.add(threading.current_thread().name)
        if self.absent.is_set():
            raise DeviceError("PLC_LOST", f"{self.name} does not answer {verb}")

    def _note(self, verb: str, value: Any = None) -> None:
        self.done.append((verb, value, time.monotonic_ns()))

    def verbs(self) -> list[str]:
        return [verb for verb, _, _ in self.done]

    def open(self) -> None:
        self._reach("open")
        self._note("open")

    def read(self, timeout_s: float) -> Reading:
        self._reach("read")
        assert timeout_s > 0
        self.reads_ns.append(time.monotonic_ns())
        self.values["encoder"] += 3
        self.values["heartbeat_plc"] = len(self.reads_ns)
        return Reading(self.name, time.monotonic_ns(), dict(self.values))

    def apply(self, command: Command) -> Applied:
        assert self.freeze.wait(WAIT_S)
        self._reach("apply")
        code = self.answer.get(command.action, "")
        self._note(command.action, command.command_id)
        return Applied(command.command_id, command.device, ok=not code, at_ns=time.monotonic_ns(), code=code)

    def beat(self, value: int, *, ready: bool) -> None:
        self._reach("beat")
        self._note("beat", (value, ready))

    def safe(self) -> None:
        self._note("safe")

    def close(self) -> None:
        self._note("close")
