"""RTSP through OpenCV's FFmpeg: what has to be done around it.

**Age.** While FFmpeg finds out what a stream is (0.8 s for JPEG, 1.2 s for H.264) it keeps what comes, and gives it first:
without care the first 25 frames are up to 1.1 s old. They are told by their own clock, which runs faster than ours while
they are given, and left out. FFmpeg's ``fflags;nobuffer`` throws them away as well, but with them the key frame: of a
camera with one key frame in 10 s nothing could be decoded for as long, and reads failed. Who joins between two key frames
waits for the next in any case: 3.7 s of 4, and with one in 15 s longer than the usual time-outs. Decoding in several threads
holds back a frame for each (8 threads: 320 ms at 25 frames/s), so there is one.

**Transport.** OpenCV's own default asks for RTP inside the TCP connection first. Only "udp" needs FFmpeg's options, which
are of the whole process.

A read after a break that is shorter than ``timeout_s`` gives what has waited meanwhile, stamped when it was read.
"""

from __future__ import annotations

import time
from typing import Any, Literal, TypeAlias

import cv2

from drivers._buffers import Buffers
from drivers._opencv import check_frame_size, ffmpeg_options, hush, picture_of
from drivers._rtsp_ask import reach, take_apart, why_not
from drivers._watched import Shot
from edge.errors import DeviceError

Transport: TypeAlias = Literal["tcp", "udp"]
OPTIONS: dict[Transport, str | None] = {"tcp": None, "udp": "rtsp_transport;udp"}

FRESH_SHARE = 0.8
"""A frame is of now when it came this share of its own time after the one before; old ones come faster."""

CATCH_UP_S = 3.0
"""After so long the frames are taken as they are, whatever their clock says."""

CONNECT_SHARE, ASK_SHARE = 0.8, 0.2
"""Of the time-out: so that the reason is there before the caller stops waiting for it."""

NS_PER_MS = 1_000_000


class CatchUp:
    """Tells the frames that were kept while a stream was opened from those of now. Pure: times are given to it."""

    def __init__(self) -> None:
        self._first_ns: int | None = None
        self._before: tuple[float, int] = (0.0, 0)

    def is_old(self, stream_ms: float, arrived_ns: int) -> bool:
        """Whether this frame, by the stream's clock and ours, was kept. The first one always counts as kept."""
        (before_ms, before_ns), self._before = self._before, (stream_ms, arrived_ns)
        if self._first_ns is None:
            self._first_ns = arrived_ns
            return True
        if arrived_ns - self._first_ns > CATCH_UP_S * 1e9:
            return False
        took_ms, own_ms = (arrived_ns - before_ns) / NS_PER_MS, stream_ms - before_ms
        return own_ms <= 0 or took_ms < FRESH_SHARE * own_ms


class RtspReader:
    """One stream, for `drivers._watched`. Raises DeviceError as `drivers.camera_opencv` says."""

    def __init__(self, url: str, transport: Transport, timeout_s: float) -> None:
        self._url = take_apart(url)
        self._name = f"rtsp://{self._url.where}"
        self._capture = self._opened(url, transport, timeout_s)
        self._catch_up: CatchUp | None = CatchUp()
        self._frames = 0
        self._buffers = Buffers()

    def next(self) -> Shot | None:
        while True:
            grabbed, captured_ns = self._capture.grab(), time.monotonic_ns()
            if not grabbed:
                raise DeviceError("SOURCE_LOST", f"{self._name} gives no more frames", hint="check camera and network")
            if self._catch_up is None:
                break
            if not self._catch_up.is_old(self._capture.get(cv2.CAP_PROP_POS_MSEC), captured_ns):
                self._catch_up = None
                break
        image = picture_of(self._capture, self._name, self._frames, self._buffers)
        self._frames += 1
        return captured_ns, image

    def release(self) -> None:
        self._capture.release()

    def _opened(self, url: str, transport: Transport, timeout_s: float) -> Any:
        hush()
        # First: FFmpeg would not say why, and nobody has to wait for its options while an address does not answer.
        reach(self._url, timeout_s * CONNECT_SHARE)
        milliseconds = int(timeout_s * 1000)
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, milliseconds, cv2.CAP_PROP_READ_TIMEOUT_MSEC, milliseconds]
        with ffmpeg_options.during(OPTIONS[transport], timeout_s):
            capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, [*limits, cv2.CAP_PROP_N_THREADS, 1])
        if not capture.isOpened():
            capture.release()
            raise why_not(self._url, transport, timeout_s * ASK_SHARE)
        check_frame_size(capture, self._name)
        return capture
