from __future__ import annotations

import time
from collections import deque
from contextlib import contextmanager

import numpy as np
from rig import Collector, quick_backoff

from edge.domain import Reading
from edge.errors import SourceEnded
from edge.events import Capture, CaptureFailed, SourceChanged
from edge.series.spec import Channel, SeriesInput
from edge.shell.sensing import SensorFeed


class Recording:
    """A finite sensor: its rows, then the end."""

    finite = True

    def __init__(self, rows) -> None:
        self.rows = deque(rows)

    def open(self) -> None:
        pass

    def read(self, timeout_s: float) -> Reading:
        assert timeout_s > 0
        if not self.rows:
            raise SourceEnded("oven")
        return Reading("oven", time.monotonic_ns(), self.rows.popleft())

    def close(self) -> None:
        pass


class Sink:
    def __init__(self, seen: Collector) -> None:
        self.seen = seen

    def submit(self, frame, **more) -> bool:
        self.seen.post((frame, more))
        return True

    def end(self, source: str) -> None:
        self.seen.post(source)


@contextmanager
def feeding(rows, spec: SeriesInput, **more):
    seen = Collector()
    feed = SensorFeed(
        "oven", Recording(rows), spec, Sink(seen), seen.post, seen.crash, quick_backoff(), rate_hz=2000.0, **more
    )
    feed.start()
    try:
        yield feed, seen
    finally:
        feed.stop()
        assert feed.join()
    assert not seen.crashes


def spec_of(**more) -> SeriesInput:
    return SeriesInput(channels=(Channel(name="temp"), Channel(name="door", categories=("shut", "open"))), **more)


def windows_of(rows, spec, **more):
    with feeding(rows, spec, **more) as (feed, seen):
        seen.until(lambda events: "oven" in events)
        frames = [event[0] for event in seen.of(tuple)]
    return feed, seen, frames


def test_readings_become_windows_and_the_end_comes_last():
    rows = [{"t": float(i), "door": "open" if i % 2 else "shut"} for i in range(6)]
    feed, seen, frames = windows_of(rows, spec_of(window_n=4, stride_n=2), names={"temp": "t"})
    assert seen.events[0] == SourceChanged("oven", up=True)
    assert seen.events[-1] == "oven"
    assert [frame.ref.frame_no for frame in frames] == [1, 2]
    np.testing.assert_array_equal(frames[1].image, [[2, 0], [3, 1], [4, 0], [5, 1]])
    assert frames[0].ref.captured_ns < frames[1].ref.captured_ns
    assert seen.of(tuple)[0][1]["recipe"] == "oven"
    assert (feed.frames, feed.samples) == (2, 6)


def test_what_has_no_value_begins_a_window_anew_where_gaps_are_refused():
    rows = [{"temp": 1.0, "door": "shut"}] * 3 + [{"temp": float("nan"), "door": "ajar"}]
    rows += [{"temp": float(i), "door": "shut"} for i in range(4)]
    feed, _, frames = windows_of(rows, spec_of(window_n=4))
    assert [frame.image[:, 0].tolist() for frame in frames] == [[0, 1, 2, 3]]
    assert feed.gaps == 1


def test_what_has_no_value_waits_as_a_gap_where_these_are_closed():
    rows = [{"temp": 1.0, "door": "shut"}, {"door": "shut"}, {"temp": 3.0, "door": "shut"}]
    _, _, frames = windows_of(rows, spec_of(window_n=3, gaps="linear"))
    np.testing.assert_array_equal(frames[0].image[:, 0], [1, np.nan, 3])


def test_another_group_begins_a_window_anew():
    rows = [{"temp": float(i), "door": "shut", "batch": "a" if i < 3 else "b"} for i in range(6)]
    _, _, frames = windows_of(rows, spec_of(window_n=2, group="batch"))
    assert [frame.image[:, 0].tolist() for frame in frames] == [[0, 1], [3, 4]]


def test_a_sensor_takes_no_pictures():
    with feeding([], spec_of()) as (feed, seen):
        feed.capture(Capture("oven", 7, "", 0))
        failed = seen.wait_n(CaptureFailed, 1)[0]
    assert (failed.part_id, failed.code) == (7, "SOURCE_NO_CAMERA")
