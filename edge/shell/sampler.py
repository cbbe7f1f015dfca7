"""Threads ``sampler-<name>``: read any sensor at a steady rate."""

from __future__ import annotations

import time
from collections.abc import Callable

from msgspec import structs

from edge.core.backoff import Backoff
from edge.domain import Reading
from edge.errors import DeviceError, SourceEnded
from edge.events import AgentEvent, DeviceChanged, Polled
from edge.ports import Sensor
from edge.shell.pace import NS_PER_S, Pace
from edge.shell.worker import OnCrash, Worker

GAP_KEY = "missed_samples"
"""Added to the first reading after a gap: how many turns of the schedule went by without a value."""


class SamplerThread(Worker):
    """One sensor, read ``rate_hz`` times a second on an absolute schedule; every reading is posted as Polled.

    ``end`` is called after the last reading of a sensor that raises SourceEnded (a recording); it is not opened again.
    A gap (an outage, or a bus slower than the rate) is never filled: the next reading carries ``GAP_KEY``.
    Counters since boot: ``samples``, ``missed``.
    """

    def __init__(
        self,
        name: str,
        sensor: Sensor,
        post: Callable[[AgentEvent], None],
        on_crash: OnCrash,
        backoff: Backoff,
        *,
        rate_hz: float,
        timeout_s: float = 1.0,
        end: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(f"sampler-{name}", on_crash)
        self._name = name
        self._sensor = sensor
        self._post = post
        self._backoff = backoff
        self._pace = Pace(1.0 / rate_hz)
        self._timeout_s = timeout_s
        self._end = end
        self._up: bool | None = None
        self._told_missed = 0
        self._failed = 0
        self.samples = 0

    @property
    def missed(self) -> int:
        """Turns without a value: their time went by, or the read failed."""
        return self._pace.missed + self._failed

    @property
    def up(self) -> bool:
        return self._up is True

    def work(self) -> None:
        try:
            while not self.stopping:
                try:
                    self._sensor.open()
                    while not self.pause_s(self._pace.wait_ns(time.monotonic_ns()) / NS_PER_S):
                        self._sample()
                except SourceEnded:
                    self._end()
                    self._wait_stop()
                except DeviceError as error:
                    self._down(error)
        finally:
            self._sensor.close()

    def _wait_stop(self) -> None:
        with self.wake:
            self.wake.wait_for(lambda: self.stopping)

    def _sample(self) -> None:
        self._pace.take(time.monotonic_ns())
        try:
            reading = self._sensor.read(self._timeout_s)
        except SourceEnded:
            raise
        except DeviceError:
            self._failed += 1
            raise
        self.samples += 1
        self._backoff.reset()
        if not self._up:
            self._up = True
            self._post(DeviceChanged(self._name, up=True))
        self._post(Polled(self._marked(reading)))

    def _marked(self, reading: Reading) -> Reading:
        gap = self.missed - self._told_missed
        if not gap:
            return reading
        self._told_missed = self.missed
        return structs.replace(reading, values=reading.values | {GAP_KEY: gap})

    def _down(self, error: DeviceError) -> None:
        self._sensor.close()
        if self._up is not False:
            self._up = False
            self._post(DeviceChanged(self._name, up=False, code=error.code, what=str(error)))
        self.pause_s(self._backoff.next_s())
