"""Cameras and files through OpenCV: USB (UVC), RTSP, video files, folders of pictures.

Device family: whatever `cv2.VideoCapture` opens (V4L2 index, RTSP and other FFmpeg urls, video files), and picture
files one by one. `source` is written as a user thinks of it::

    0 or "0"                     USB camera /dev/video0
    "/dev/v4l/by-id/…"           the same by its path, which stays when others are plugged in
    "rtsp://user:pw@host/path"   IP camera (RTSP 1.0, RFC 2326, with RTP in its TCP connection or over UDP)
    "line3.mp4"                  video file, every frame of it
    "pictures/"                  folder, sorted by name          "pictures/*.png"   pattern

Frames are BGR uint8. `captured_ns` is taken right after the grab: for cameras the exposure was before that by the camera's
own delay (tens of ms for USB, more for RTSP: see `drivers._rtsp`); for files it is now. Numbers count from 0 and never fall, also
over `loop` and reopening. Width and height are a wish to a USB camera, which may give its nearest.

OpenCV's reads can hang (a frozen RTSP server: 6 s with 2 s set), so they run in a thread that is left behind after
`timeout_s`; see `drivers._watched`.
"""

from __future__ import annotations

import time
from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from drivers._capture import make_reader
from drivers._opencv import is_live, is_rtsp
from drivers._rtsp import Transport
from drivers._rtsp_ask import take_apart
from drivers._watched import WatchedReader
from edge.domain import FrameRef
from edge.errors import ConfigError, DeviceError, SourceEnded
from edge.ports import Frame

NS_PER_S = 1_000_000_000


class OpenCvOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """What to read and how. ``loop`` and ``rate_hz`` are for files and folders; 0 Hz is as fast as they are read.

    ``rate_hz`` paces without losing frames: a slow reader makes the source slower, never shorter. ``timeout_s`` is for
    opening, and after it a read that hangs is given up. ``transport`` is for RTSP: "udp" loses packets where the network
    is busy, and spoiled pictures are not told from good ones; take it only where a camera offers nothing else.
    """

    source: int | str
    loop: bool = False
    rate_hz: Annotated[float, Meta(ge=0, le=10_000)] = 0.0
    timeout_s: Annotated[float, Meta(gt=0, le=60)] = 5.0
    width_px: Annotated[int, Meta(ge=0, le=16_384)] = 0
    height_px: Annotated[int, Meta(ge=0, le=16_384)] = 0
    transport: Transport = "tcp"


class Pacer:
    """When the next frame is due. Lateness of up to one period is caught up; more is not, so that nothing bursts."""

    def __init__(self, rate_hz: float) -> None:
        self._period_ns = int(NS_PER_S / rate_hz) if rate_hz else 0
        self._due_ns: int | None = None

    def due_ns(self, now_ns: int) -> int:
        """Earliest time for the next frame; ``now_ns`` when there is no rate, or for the first one."""
        if not self._period_ns or self._due_ns is None:
            return now_ns
        return max(self._due_ns, now_ns - self._period_ns)

    def gave(self, due_ns: int) -> None:
        """The frame that was due at ``due_ns`` has been given."""
        self._due_ns = due_ns + self._period_ns


class OpenCvCamera:
    """A source as `edge.ports.FrameSource`. One thread owns it. No retry inside: after an error close and open."""

    on_demand: ClassVar[bool] = False
    Options: ClassVar[type[OpenCvOptions]] = OpenCvOptions

    def __init__(self, name: str, options: OpenCvOptions) -> None:
        source = options.source
        if isinstance(source, str) and source.isascii() and source.isdigit():
            source = int(source)
        live = is_live(source)
        if live and (options.loop or options.rate_hz):
            raise ConfigError("CONFIG_WRONG_VALUE", "loop and rate_hz are for files and folders", hint="remove them")
        if options.transport != "tcp" and not is_rtsp(source):
            raise ConfigError("CONFIG_WRONG_VALUE", "transport is for rtsp:// sources", hint="remove it")
        if is_rtsp(source):
            take_apart(str(source))
        self.finite = not live
        """Frames of a file or folder wait for whoever reads; those of a camera do not."""
        self._name = name
        self._o = options
        self._reader = WatchedReader(
            name,
            lambda: make_reader(
                source,
                loop=options.loop,
                timeout_s=options.timeout_s,
                size_px=(options.width_px, options.height_px),
                transport=options.transport,
            ),
            options.timeout_s,
        )
        self._pacer = Pacer(options.rate_hz)
        self._frame_no = 0

    def open(self) -> None:
        """Open the source; files begin at their first frame. Idempotent.

        Raises DeviceError SOURCE_ABSENT, SOURCE_REFUSED (login), SOURCE_TIMEOUT, SOURCE_LOST, SOURCE_HUNG,
        FRAME_MALFORMED (not a video, not an RTSP server).
        """
        if not self._reader.is_open:
            self._reader.open(self._o.timeout_s)

    def read(self, timeout_s: float) -> Frame:
        """The next frame. Raises SourceEnded, or DeviceError SOURCE_TIMEOUT, SOURCE_LOST, FRAME_MALFORMED (a video),
        SOURCE_NOT_OPEN; ImageError FRAME_MALFORMED for one bad picture of a folder, and the next read goes on behind it.

        Nothing is lost by a time-out: the frame comes with a later read, unless the source hung for the option's
        ``timeout_s``.
        """
        began_ns = time.monotonic_ns()
        until_ns = began_ns + int(timeout_s * NS_PER_S)
        due_ns = self._pacer.due_ns(began_ns)
        _sleep_until(min(due_ns, until_ns))
        if due_ns > until_ns:
            raise DeviceError("SOURCE_TIMEOUT", f"the next frame of {self._name} is not due yet", hint="raise rate_hz")
        shot = self._reader.next((until_ns - time.monotonic_ns()) / NS_PER_S)
        if shot is None:
            raise SourceEnded(self._name)
        self._pacer.gave(due_ns)
        captured_ns, image = shot
        frame_no, self._frame_no = self._frame_no, self._frame_no + 1
        return Frame(FrameRef(self._name, frame_no, captured_ns), image)

    def close(self) -> None:
        """Let go; a thread that hangs in OpenCV is left behind. Never raises."""
        self._reader.close()


def _sleep_until(at_ns: int) -> None:
    left_ns = at_ns - time.monotonic_ns()
    if left_ns > 0:
        time.sleep(left_ns / NS_PER_S)
