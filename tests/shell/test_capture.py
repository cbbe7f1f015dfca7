from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
from rig import Camera, Model

from edge.errors import DeviceError, ImageError
from edge.events import CaptureFailed, InferFailed, Inferred, SourceChanged, SourceEnd
from tests.shell.capture_rig import Video, numbers, running

S = 1_000_000_000


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
