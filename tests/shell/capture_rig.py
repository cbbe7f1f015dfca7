from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
from rig import Collector, Model, quick_backoff

from edge.domain import FrameRef
from edge.errors import DeviceError, SourceEnded
from edge.events import Capture, Inferred
from edge.ports import Frame
from edge.shell.capture import CaptureThread
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
