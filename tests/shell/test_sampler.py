from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rig import Collector, quick_backoff

from edge.domain import Reading
from edge.errors import DeviceError
from edge.events import DeviceChanged, Polled
from edge.ports import Sensor
from edge.shell.sampler import GAP_KEY, SamplerThread


class Thermometer:
    def __init__(self, name: str = "oven") -> None:
        self.name = name
        self.fail: list[bool] = []
        self.absent = threading.Event()
        self.slow_s = 0.0
        self.reads = self.opened = self.closed = 0
        self._pace = threading.Event()

    def open(self) -> None:
        self.opened += 1
        if self.absent.is_set():
            raise DeviceError("SENSOR_ABSENT", f"{self.name} is not there")

    def read(self, timeout_s: float) -> Reading:
        assert timeout_s > 0
        if self.absent.is_set() or (self.fail and self.fail.pop(0)):
            raise DeviceError("SENSOR_LOST", f"{self.name} does not answer")
        if self.slow_s:
            self._pace.wait(self.slow_s)
        self.reads += 1
        return Reading(self.name, time.monotonic_ns(), {"temperature_c": 20.0 + self.reads})

    def close(self) -> None:
        self.closed += 1


@contextmanager
def running(sensor: Thermometer, rate_hz: float = 500.0) -> Iterator[tuple[SamplerThread, Collector]]:
    assert isinstance(sensor, Sensor)
    seen = Collector()
    thread = SamplerThread(sensor.name, sensor, seen.post, seen.crash, quick_backoff(), rate_hz=rate_hz)
    thread.start()
    try:
        yield thread, seen
    finally:
        thread.stop()
        assert thread.join()
    assert not seen.crashes
    assert sensor.closed >= 1


def test_every_reading_is_told_at_the_rate():
    sensor = Thermometer()
    with running(sensor, 100.0) as (thread, seen):
        polled = seen.wait_n(Polled, 8)
    took_s = (polled[7].reading.at_ns - polled[0].reading.at_ns) / 1e9
    assert took_s >= 0.06
    assert [p.reading.values["temperature_c"] for p in polled[:8]] == [21.0 + n for n in range(8)]
    assert seen.events[0] == DeviceChanged("oven", up=True)
    assert thread.samples == len(seen.of(Polled))


def test_an_outage_is_told_once_each_way_and_the_gap_is_marked():
    sensor = Thermometer()
    with running(sensor) as (thread, seen):
        seen.wait_n(Polled, 2)
        sensor.absent.set()
        seen.wait_n(DeviceChanged, 2)
        tries = sensor.opened
        seen.until(lambda _: sensor.opened > tries + 2)
        sensor.absent.clear()
        changes = seen.wait_n(DeviceChanged, 3)
        n = len(seen.of(Polled))
        seen.wait_n(Polled, n + 3)
    assert [c.up for c in changes] == [True, False, True]
    again = max(n for n, event in enumerate(seen.events) if isinstance(event, DeviceChanged))
    back = seen.events[again + 1]
    assert back.reading.values[GAP_KEY] >= 3
    assert back.reading.values[GAP_KEY] <= thread.missed
    told = sum(p.reading.values.get(GAP_KEY, 0) for p in seen.of(Polled))
    assert told <= thread.missed
    assert thread.up


def test_one_failed_read_is_one_missing_value_at_least():
    sensor = Thermometer()
    sensor.fail = [False, True]
    with running(sensor) as (thread, seen):
        seen.wait_n(Polled, 3)
    assert thread.missed >= 1
    assert sensor.opened == 2
    assert any(GAP_KEY in p.reading.values for p in seen.of(Polled))


def test_a_bus_slower_than_the_rate_shows_as_gaps():
    sensor = Thermometer()
    sensor.slow_s = 0.02
    with running(sensor, 500.0) as (thread, seen):
        seen.wait_n(Polled, 4)
    marked = [p.reading.values.get(GAP_KEY, 0) for p in seen.of(Polled)]
    assert marked[0] == 0
    assert all(gap >= 5 for gap in marked[1:])
    assert thread.missed >= 15
