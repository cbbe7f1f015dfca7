"""What all that opens a `cv2.VideoCapture` shares: what is a camera, how a url is shown, FFmpeg's options, silence."""

from __future__ import annotations

import os
import re
import threading
import time
from collections import deque
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np

from drivers._buffers import Buffers
from edge.errors import DeviceError, ImageError
from edge.ports import CAMERA_PATHS, Image
from edge.vision.imageio import check_size

OPTIONS_ENV = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
"""``key;value|key;value`` for FFmpeg. OpenCV has no other way to pass them, and reads this at every open of anything."""

VERBOSE_ENV = "JIDOKA_VERBOSE"
"""Set by ``-v`` (see `edge.cli.common`, which a driver may not import)."""

LOGIN = re.compile(r"(?<=://).*(?=@)", re.DOTALL)
SECRET = re.compile(r"((?:pass|passwd|password|pwd|token|secret|auth)=)[^&/?#\s]*", re.IGNORECASE)


def is_device(source: int | str) -> bool:
    """A camera of this machine, by number or by path."""
    return isinstance(source, int) or source.startswith(CAMERA_PATHS)


def is_live(source: int | str) -> bool:
    """A camera or stream: it goes on whether it is read or not. A file or folder waits."""
    return is_device(source) or "://" in str(source)


def is_rtsp(source: int | str) -> bool:
    """RTSP without TLS; what else has a scheme is left to FFmpeg alone."""
    return isinstance(source, str) and source.lower().startswith("rtsp://")


def shown(source: int | str) -> str:
    """A source as it may be told to people: login and secrets are masked.

    All before the last ``@`` goes, because a password with an unescaped ``/`` in it would end the login for a parser.
    """
    if isinstance(source, int) or "://" not in source:
        return str(source)
    return SECRET.sub(r"\1***", LOGIN.sub("***", source))


def hush() -> None:
    """What OpenCV and FFmpeg would print on stderr is raised as an error instead; ``-v`` lets them speak as well."""
    if os.environ.get(VERBOSE_ENV) != "1":
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET; read once, at the first open
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def check_frame_size(capture: Any, name: str) -> None:
    """Raises DeviceError FRAME_MALFORMED, and lets go of the capture, when its frames are beyond our limits."""
    try:
        check_size(int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)))
    except ImageError as bad:
        capture.release()
        raise DeviceError("FRAME_MALFORMED", f"{name}: {bad.what}", bad.why, bad.hint) from bad


def picture_of(capture: Any, name: str, number: int, buffers: Buffers) -> Image:
    """What was grabbed, as BGR uint8, contiguous, in one of ``buffers``. Raises DeviceError FRAME_MALFORMED."""
    # OpenCV fills the array it is given where size and type fit, and makes a new one where not.
    done, image = capture.retrieve(buffers.take())
    if not done or image is None or image.dtype != np.uint8 or image.ndim != 3:  # noqa: PLR2004 - rows, columns, BGR
        raise DeviceError("FRAME_MALFORMED", f"frame {number} of {name} cannot be decoded")
    buffers.expect(image.shape)
    return np.ascontiguousarray(image)


class FfmpegOptions:
    """Who may open what, while `OPTIONS_ENV` is of the whole process.

    Opens with the same options go together, others take turns in the order they came: a file opened while an RTSP
    camera's options stand would be read with them. None leaves the variable as the user has it.
    """

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        self._environ = environ
        self._changed = threading.Condition()
        self._queue: deque[object] = deque()
        self._opening = 0
        self._options: str | None = None
        self._saved: str | None = None

    @contextmanager
    def during(self, options: str | None, timeout_s: float) -> Iterator[None]:
        """Hold the options while a capture is opened. Raises DeviceError SOURCE_TIMEOUT when it is not our turn in time."""
        self._enter(options, timeout_s)
        try:
            yield
        finally:
            self._leave()

    def _enter(self, options: str | None, timeout_s: float) -> None:
        ticket = object()
        until = time.monotonic() + timeout_s
        with self._changed:
            self._queue.append(ticket)
            came = self._changed.wait_for(
                lambda: self._queue[0] is ticket and (not self._opening or self._options == options),
                until - time.monotonic(),
            )
            self._queue.remove(ticket)
            self._changed.notify_all()
            if not came:
                raise DeviceError(
                    "SOURCE_TIMEOUT",
                    f"another camera was being opened for {timeout_s:g} s",
                    hint="it does not answer; give all cameras the same transport, or this one more timeout_s",
                )
            if not self._opening:
                self._options, self._saved = options, self._environ.get(OPTIONS_ENV)
                if options is not None:
                    self._environ[OPTIONS_ENV] = options
            self._opening += 1

    def _leave(self) -> None:
        with self._changed:
            self._opening -= 1
            if not self._opening and self._options is not None:
                if self._saved is None:
                    del self._environ[OPTIONS_ENV]
                else:
                    self._environ[OPTIONS_ENV] = self._saved
            self._changed.notify_all()


ffmpeg_options = FfmpegOptions(os.environ)
"""The one of this process."""
