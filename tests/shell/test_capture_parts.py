from __future__ import annotations

import time

import pytest
from peer_http import HttpPeer
from rig import Camera, Collector, picture, quick_backoff

from drivers.camera_http import HttpCamera, HttpOptions
from edge.domain import FrameRef
from edge.errors import DeviceError
from edge.events import Capture, CaptureFailed, Inferred, SourceChanged
from edge.ports import Frame
from edge.shell.capture import ASK_LIMIT, CaptureThread
from tests.shell.capture_rig import running

S = 1_000_000_000


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


def test_a_folder_is_there_before_its_first_part():
    with running(Camera(n=3), triggered=True, finite=True) as rig:
        rig.seen.wait_n(SourceChanged, 1)  # a PLC may send nothing before everything is there
        assert rig.thread.frames == 0  # and no picture is lost on that
        rig.ask(1)
        (event,) = rig.seen.wait_n(Inferred, 1)
        assert (event.part_id, rig.thread.up) == (1, True)
        assert len(rig.seen.of(SourceChanged)) == 1


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


@pytest.mark.parametrize(
    ("errors", "told"),
    [
        (["SOURCE_LOST", "SOURCE_NOT_OPEN"], "SOURCE_LOST"),  # the driver closed with the first
        (["SOURCE_TIMEOUT", "SOURCE_LOST"], "SOURCE_LOST"),  # a time-out alone proves nothing
    ],
)
def test_a_camera_that_went_is_told_with_the_error_that_says_why(errors, told):
    camera = Camera(on_demand=True)
    with running(camera, triggered=True) as rig:
        rig.seen.wait_n(SourceChanged, 1)
        camera.errors = [DeviceError(code, "it went") for code in errors]
        rig.ask(1)
        down = rig.seen.wait_n(SourceChanged, 2)[-1]
        assert (down.up, down.code) == (False, told)
        assert rig.seen.of(CaptureFailed)[0].code == errors[0]


def test_a_real_camera_whose_server_goes_is_lost_then_absent():
    with HttpPeer() as peer:
        camera = HttpCamera("cam", HttpOptions(url=f"http://127.0.0.1:{peer.port}/snapshot", timeout_s=0.5))
        with running(camera, triggered=True) as rig:
            rig.seen.wait_n(SourceChanged, 1)
            peer.stop()
            rig.ask(1)
            down = rig.seen.wait_n(SourceChanged, 2)[-1]
            assert (down.up, down.code) == (False, "SOURCE_LOST")
            rig.seen.wait_n(CaptureFailed, 1)
            failed = 1
            while rig.seen.of(CaptureFailed)[-1].code == "SOURCE_LOST":  # until it was tried again
                rig.ask(2)
                failed += 1
                rig.seen.wait_n(CaptureFailed, failed)
            assert rig.seen.of(CaptureFailed)[-1].code == "SOURCE_ABSENT"


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
