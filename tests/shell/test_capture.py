from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from rig import Camera, Collector, Model, picture, quick_backoff

from edge.domain import FrameRef
from edge.errors import DeviceError, ImageError, SourceEnded
from edge.events import Capture, CaptureFailed, InferFailed, Inferred, SourceChanged, SourceEnd
from edge.ports import Frame
from edge.shell.capture import ASK_LIMIT, CaptureThread
from edge.shell.engine import Engine
from edge.shell.framestore import FrameStore
from edge.shell.infer import Infer, Route

S = 1_000_000_000


class Rig:
    def __init__(self, infer: Infer, capture: CaptureThread, seen: Collector, store: FrameStore) -> None:
        self.infer, self.thread, self.seen, self.store = infer, capture, seen, store

    def ask(self, part_id: int | None, in_s: float = 10.0) -> None:
        self.thread.capture(Capture("cam", part_id, "", time.monotonic_ns() + int(in_s * S)))


@contextmanager
def running(camera: object, model: Model | None = None, **how) -> Iterator[Rig]:
    seen, store = Collector(), FrameStore()
    engine = Engine("m", model or Model())
    infer = Infer([engine], {"": Route("m")}, store=store, post=seen.post, on_crash=seen.crash)
    thread = CaptureThread("cam", camera, infer, seen.post, seen.crash, quick_backoff(), **how)
    infer.start()
    thread.start()
    try:
        yield Rig(infer, thread, seen, store)
    finally:
        thread.stop()
        joined = thread.join()
        infer.stop()
        assert infer.join() and joined
    assert not seen.crashes


def numbers(seen: Collector) -> list[int]:
    return [event.ref.frame_no for event in seen.of(Inferred)]


# --- files


class Video:
    """A real file through OpenCV, as far as a test needs a driver."""

    on_demand = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.video: cv2.VideoCapture | None = None
        self.n = 0

    def open(self) -> None:
        self.video = cv2.VideoCapture(str(self.path))
        if not self.video.isOpened():
            raise DeviceError("SOURCE_ABSENT", f"{self.path} cannot be opened")

    def read(self, timeout_s: float) -> Frame:
        assert self.video is not None and timeout_s > 0
        ok, image = self.video.read()
        if not ok:
            raise SourceEnded("cam")
        self.n += 1
        return Frame(FrameRef("cam", self.n, time.monotonic_ns()), image)

    def close(self) -> None:
        if self.video is not None:
            self.video.release()


def test_a_video_file_loses_no_frame_and_ends_after_its_last_answer(tmp_path: Path):
    path = tmp_path / "line.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (64, 48))
    for n in range(40):
        writer.write(np.full((48, 64, 3), n, np.uint8))
    writer.release()
    with running(Video(path), Model([0.002]), finite=True) as rig:
        rig.seen.wait_n(SourceEnd, 1)
        assert numbers(rig.seen) == list(range(1, 41))
        assert rig.seen.events[0] == SourceChanged("cam", up=True)
        assert rig.seen.events[-1] == SourceEnd("cam")
        rig.ask(1)
        (failed,) = rig.seen.wait_n(CaptureFailed, 1)
        assert failed.code == "SOURCE_ENDED"


def test_a_picture_that_cannot_be_read_costs_only_itself():
    camera = Camera(n=5)
    camera.errors = [None, None, ImageError("IMAGE_UNREADABLE", "b.png is not a picture")]
    with running(camera, finite=True, deliver="every") as rig:
        rig.seen.wait_n(SourceEnd, 1)
        assert numbers(rig.seen) == [0, 1, 2, 3, 4]
        assert [e.code for e in rig.seen.of(CaptureFailed)] == ["IMAGE_UNREADABLE"]
        assert camera.opened == 1


def test_a_slow_file_is_waited_for():
    camera = Camera(n=3)
    camera.errors = [DeviceError("SOURCE_TIMEOUT", "not due yet"), None, DeviceError("SOURCE_TIMEOUT", "not due yet")]
    with running(camera, finite=True) as rig:
        rig.seen.wait_n(SourceEnd, 1)
        assert numbers(rig.seen) == [0, 1, 2]
        assert rig.seen.of(SourceChanged) == [SourceChanged("cam", up=True)]


def test_a_file_that_breaks_in_the_middle_is_not_begun_again():
    camera = Camera(n=5)
    camera.errors = [None, DeviceError("SOURCE_LOST", "the disk went away")]
    with running(camera, finite=True, deliver="every") as rig:
        rig.seen.wait_n(SourceEnd, 1)
        changes = rig.seen.of(SourceChanged)
    assert [c.up for c in changes] == [True, False]
    assert camera.opened == 1
    assert numbers(rig.seen) == [0]


# --- free-running


def test_newest_skips_frames_when_the_model_is_slower():
    with running(Camera(period_s=0.001), Model([0.02])) as rig:
        rig.seen.wait_n(Inferred, 5)
    seen = numbers(rig.seen)
    assert seen == sorted(set(seen))
    assert rig.infer.replaced > 0
    assert not rig.seen.of(InferFailed)
    assert len(rig.store) <= len(seen)


def test_every_of_a_live_camera_says_which_frames_were_dropped():
    with running(Camera(period_s=0.0005), Model([0.02]), deliver="every") as rig:
        rig.seen.wait_n(InferFailed, 3)
        rig.seen.wait_n(Inferred, 3)
    assert {(e.code, e.part_id) for e in rig.seen.of(InferFailed)} == {("FRAME_DROPPED", None)}


def test_a_camera_that_goes_and_comes_back_is_told_once_each():
    camera = Camera()
    with running(camera) as rig:
        rig.seen.wait_n(Inferred, 1)
        camera.absent.set()
        rig.seen.wait_n(SourceChanged, 2)
        tries = camera.opened
        rig.seen.until(lambda _: camera.opened > tries + 2)
        camera.absent.clear()
        changes = rig.seen.wait_n(SourceChanged, 3)
        n = len(rig.seen.of(Inferred))
        rig.seen.wait_n(Inferred, n + 2)
    assert [c.up for c in changes] == [True, False, True]
    assert changes[1].code == "SOURCE_LOST"
    assert len(rig.seen.of(SourceChanged)) == 3


def test_the_rate_is_kept_by_on_demand_cameras_and_by_streams():
    for camera in (Camera(on_demand=True), Camera(period_s=0.001)):
        with running(camera, max_fps=100.0) as rig:
            events = rig.seen.wait_n(Inferred, 12)
            took_s = (events[11].ref.captured_ns - events[1].ref.captured_ns) / S
            assert took_s >= 0.07, camera.on_demand
            rig.thread.set_rate(0)
            n = len(rig.seen.of(Inferred))
            rig.seen.wait_n(Inferred, n + 20, timeout_s=2)


def test_pause_stops_free_frames_and_resume_gives_fresh_ones():
    for camera in (Camera(on_demand=True), Camera(period_s=0.001)):
        with running(camera) as rig:
            rig.seen.wait_n(Inferred, 2)
            rig.thread.pause(True)
            rig.seen.until(lambda _: rig.infer.waiting("cam") == 0)
            rig.ask(5)
            rig.seen.until(lambda events: any(isinstance(e, Inferred) and e.part_id == 5 for e in events))
            resumed_ns = time.monotonic_ns()
            n = len(rig.seen.of(Inferred))
            assert rig.seen.of(Inferred)[-1].part_id == 5
            rig.thread.pause(False)
            events = rig.seen.wait_n(Inferred, n + 1)
            assert events[n].ref.captured_ns >= resumed_ns


def test_a_snapshot_of_a_free_running_source_is_not_lost_in_the_crowd():
    with running(Camera(period_s=0.0005), Model([0.01])) as rig:
        rig.seen.wait_n(Inferred, 1)
        rig.ask(77)
        rig.seen.until(lambda events: any(isinstance(e, Inferred) and e.part_id == 77 for e in events))


# --- triggered


def test_on_demand_each_part_gets_a_frame_taken_after_its_trigger():
    camera = Camera(on_demand=True)
    with running(camera, triggered=True) as rig:
        rig.seen.wait_n(SourceChanged, 1)  # one frame was taken to see that it works, and is nobody's
        for part in range(1, 6):
            asked_ns = time.monotonic_ns()
            rig.ask(part)
            event = rig.seen.wait_n(Inferred, part)[-1]
            assert (event.part_id, event.ref.frame_no) == (part, part)
            assert asked_ns <= event.asked_ns <= event.ref.captured_ns
        assert rig.thread.frames == 6
        assert max(camera.timeouts) <= 2.0


def test_a_stream_gives_the_first_frame_captured_after_the_ask():
    with running(Camera(period_s=0.003), triggered=True) as rig:
        rig.seen.wait_n(SourceChanged, 1)
        for part in range(1, 6):
            rig.ask(part)
            event = rig.seen.wait_n(Inferred, part)[-1]
            assert event.part_id == part
            assert event.ref.captured_ns >= event.asked_ns
        assert rig.thread.frames > 5
        assert len(rig.seen.of(Inferred)) == 5


def test_an_old_frame_is_not_given_for_a_new_part():
    class Stale(Camera):
        """Its first frames after the ask were captured before it, as with a full network buffer."""

        asked_ns = 0

        def read(self, timeout_s: float) -> Frame:
            frame = super().read(timeout_s)
            old = frame.ref.frame_no < 30
            captured_ns = 1000 + frame.ref.frame_no if old else time.monotonic_ns()
            return Frame(FrameRef("cam", frame.ref.frame_no, captured_ns), frame.image)

    with running(Stale(period_s=0.001), triggered=True) as rig:
        rig.ask(1)
        (event,) = rig.seen.wait_n(Inferred, 1)
        assert event.ref.frame_no >= 30


def test_pictures_of_a_folder_stand_in_for_triggered_frames():
    with running(Camera(n=3), triggered=True, finite=True) as rig:
        for part in (1, 2, 3):
            rig.ask(part)
        events = rig.seen.wait_n(Inferred, 3)
        assert [(e.part_id, e.ref.frame_no) for e in events] == [(1, 0), (2, 1), (3, 2)]
        rig.ask(4)
        (failed,) = rig.seen.wait_n(CaptureFailed, 1)
        assert (failed.part_id, failed.code) == (4, "SOURCE_ENDED")


def test_a_failed_capture_is_told_with_its_part_and_a_single_slip_does_not_close_the_camera():
    camera = Camera(on_demand=True)
    with running(camera, triggered=True) as rig:
        rig.seen.wait_n(SourceChanged, 1)
        camera.errors = [DeviceError("SOURCE_TIMEOUT", "no picture within 0.4 s")]
        rig.ask(1)
        (failed,) = rig.seen.wait_n(CaptureFailed, 1)
        assert (failed.part_id, failed.code) == (1, "SOURCE_TIMEOUT")
        rig.ask(2)
        assert rig.seen.wait_n(Inferred, 1)[0].part_id == 2
    assert camera.opened == 1
    assert len(rig.seen.of(SourceChanged)) == 1


def test_while_the_camera_is_away_parts_fail_at_once_and_are_counted():
    camera = Camera(on_demand=True)
    with running(camera, triggered=True) as rig:
        rig.seen.wait_n(SourceChanged, 1)
        camera.absent.set()
        for part in (1, 2, 3):
            rig.ask(part)
            rig.seen.wait_n(CaptureFailed, part)
        camera.absent.clear()
        changes = rig.seen.wait_n(SourceChanged, 3)
        rig.ask(4)
        rig.seen.wait_n(Inferred, 1)
    assert [e.part_id for e in rig.seen.of(CaptureFailed)] == [1, 2, 3]
    # The first failure is how it was noticed; the others came while it was away.
    assert [(c.up, c.missed) for c in changes] == [(True, 0), (False, 0), (True, 2)]


def test_an_ask_whose_time_is_over_fails_late():
    for camera in (Camera(on_demand=True), Camera()):
        with running(camera, triggered=True) as rig:
            rig.seen.wait_n(SourceChanged, 1)
            rig.ask(1, in_s=-0.001)
            (failed,) = rig.seen.wait_n(CaptureFailed, 1)
            assert (failed.part_id, failed.code) == (1, "CAPTURE_LATE")
            assert not rig.seen.of(Inferred)


def test_no_more_asks_than_the_limit_wait_and_none_is_silent():
    camera = Camera(n=0)  # ends at once: asks are refused
    seen = Collector()
    thread = CaptureThread("cam", camera, None, seen.post, seen.crash, quick_backoff(), triggered=True)
    for part in range(ASK_LIMIT + 2):
        thread.capture(Capture("cam", part, "", time.monotonic_ns() + S))
    assert [(e.part_id, e.code) for e in seen.events] == [
        (ASK_LIMIT, "CAPTURE_QUEUE_FULL"),
        (ASK_LIMIT + 1, "CAPTURE_QUEUE_FULL"),
    ]
    thread.stop()
    thread.start()
    assert thread.join()
    assert sorted(e.part_id for e in seen.of(CaptureFailed)) == list(range(ASK_LIMIT + 2))
    assert thread.failed_asks == ASK_LIMIT + 2


def test_our_own_bug_is_told():
    class Odd(Camera):
        def read(self, timeout_s: float) -> Frame:
            return Frame(FrameRef("cam", 1, 1), picture(int(timeout_s) // 0))

    seen = Collector()
    camera = Odd()
    thread = CaptureThread("cam", camera, None, seen.post, seen.crash, quick_backoff())
    thread.start()
    assert thread.join()
    assert isinstance(seen.crashes[0], ZeroDivisionError)
    assert camera.closed == 1
