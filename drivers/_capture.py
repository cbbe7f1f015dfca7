"""What OpenCV and a folder can be read as: readers for `drivers._watched`, all of them blocking.

OpenCV says neither why a capture did not open nor whether a read failed or the file ended; what can be told apart here
is told apart by looking at the file first and at the number of frames it announces.
"""

from __future__ import annotations

import glob
import re
import time
from pathlib import Path
from typing import Any

import cv2

from drivers._buffers import Buffers
from drivers._opencv import check_frame_size, ffmpeg_options, hush, is_device, is_live, is_rtsp, picture_of, shown
from drivers._rtsp import RtspReader, Transport
from drivers._watched import Reader, Shot
from edge.errors import DeviceError, ImageError
from edge.vision.imageio import DEFAULT_LIMITS, decode

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".pgm", ".ppm"})
WHOLE_SHARE = 0.9
"""A video that ends before this share of the frames it announces was cut short. Announced counts can be estimates."""


def files_of(source: str) -> list[Path]:
    """The pictures of a folder or glob pattern, sorted by name; empty for anything else.

    Raises DeviceError SOURCE_ABSENT when a folder or pattern holds none.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        candidates = list(path.iterdir())
    elif not path.exists() and any(c in source for c in "*?["):
        candidates = [Path(name) for name in glob.glob(str(path))]  # noqa: PTH207 - Path.glob refuses absolute patterns
    else:
        return [path] if is_picture(path) else []
    found = sorted(candidate for candidate in candidates if is_picture(candidate))
    if not found:
        raise DeviceError(
            "SOURCE_ABSENT", f"no pictures in {source}", hint=f"looked for {', '.join(sorted(PICTURE_SUFFIXES))}"
        )
    return found


def is_picture(path: Path) -> bool:
    """A plain file (not a pipe, which would hang) with a picture's suffix."""
    return path.suffix.lower() in PICTURE_SUFFIXES and path.is_file()


class PictureReader:
    """Picture files one after another. A bad one is an ImageError, not the end: the next read goes on behind it."""

    def __init__(self, files: list[Path], *, loop: bool) -> None:
        self._files = files
        self._loop = loop
        self._at = 0

    def next(self) -> Shot | None:
        if self._at == len(self._files):
            if not self._loop:
                return None
            self._at = 0
        path = self._files[self._at]
        self._at += 1
        try:
            with path.open("rb") as file:
                data = file.read(DEFAULT_LIMITS.max_bytes + 1)
            return time.monotonic_ns(), decode(data)
        except OSError as cause:
            raise ImageError("FRAME_MALFORMED", f"{path} cannot be read", cause.strerror or str(cause)) from cause
        except ImageError as bad:
            why = f"{bad.what}; {bad.why}" if bad.why else bad.what
            raise ImageError("FRAME_MALFORMED", f"{path} cannot be used", why, bad.hint) from bad

    def release(self) -> None:
        """Nothing is held between pictures."""


class VideoReader:
    """A `cv2.VideoCapture`: USB index, video file, or the url of a stream that is not RTSP."""

    def __init__(self, source: int | str, *, loop: bool, timeout_s: float, size_px: tuple[int, int]) -> None:
        self._source = source
        self._name = shown(source)
        self._loop = loop
        self._timeout_s = timeout_s
        self._size_px = size_px
        self.is_live = is_live(source)
        self._frames = 0
        self._buffers = Buffers()
        self._cut_told = False
        self._capture = self._opened()

    def next(self) -> Shot | None:
        captured_ns, grabbed = self._grab()
        if not grabbed:
            if self.is_live:
                raise DeviceError("SOURCE_LOST", f"{self._name} gives no more frames", hint="check camera and network")
            if not self._told_end() or not self._loop:
                return None
            self._capture.release()
            self._capture = self._opened()
            self._frames = 0
            captured_ns, grabbed = self._grab()
        if not grabbed:
            raise DeviceError("FRAME_MALFORMED", f"{self._name} cannot be read again from its first frame")
        image = picture_of(self._capture, self._name, self._frames, self._buffers)
        self._frames += 1
        return captured_ns, image

    def release(self) -> None:
        self._capture.release()

    def _grab(self) -> tuple[int, bool]:
        grabbed = self._capture.grab()
        return time.monotonic_ns(), grabbed

    def _told_end(self) -> bool:
        """True at an ordinary end. Raises FRAME_MALFORMED, once, for a file that has no frames or was cut short."""
        announced = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        if self._frames >= max(1.0, WHOLE_SHARE * announced) or self._cut_told:
            return self._frames > 0
        self._cut_told = True
        why = f"it ends after {self._frames} of {announced:.0f} frames" if announced > 0 else "it has no frames"
        raise DeviceError("FRAME_MALFORMED", f"{self._name} is damaged", why, "copy the file again")

    def _opened(self) -> Any:
        hush()
        milliseconds = int(self._timeout_s * 1000)
        with ffmpeg_options.during(None, self._timeout_s):
            if self.is_live and isinstance(self._source, str):
                # Only FFmpeg keeps these, and not in all states; they end a thread that was left behind.
                limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, milliseconds, cv2.CAP_PROP_READ_TIMEOUT_MSEC, milliseconds]
                capture = cv2.VideoCapture(self._source, cv2.CAP_FFMPEG, limits)
            else:
                capture = cv2.VideoCapture(self._source)
        if not capture.isOpened():
            capture.release()
            raise self._absent()
        width, height = self._size_px
        if width and height:
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
        if self.is_live:
            capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        check_frame_size(capture, self._name)
        return capture

    def _absent(self) -> DeviceError:
        if isinstance(self._source, int):
            return _no_camera(str(self._source), f"/dev/video{self._source}")
        if self.is_live:
            return DeviceError("SOURCE_ABSENT", f"no stream at {self._name}", hint="check url, login and network")
        return DeviceError(
            "FRAME_MALFORMED", f"{self._name} is no video that OpenCV reads", hint="try it in a video player"
        )


def device_number(path: str) -> int:
    """Which camera a path such as ``/dev/video2`` or ``/dev/v4l/by-id/…`` is. Raises DeviceError SOURCE_ABSENT."""
    found = re.fullmatch(r"/dev/video(\d+)", str(Path(path).resolve()))
    if found is None or not Path(path).exists():
        raise _no_camera(path, path)
    return int(found[1])


def make_reader(
    source: int | str,
    *,
    loop: bool = False,
    timeout_s: float = 2.0,
    size_px: tuple[int, int] = (0, 0),
    transport: Transport = "tcp",
) -> Reader:
    """The reader for a source as a user writes it: index, url, file, folder or glob. Raises DeviceError. May hang."""
    if isinstance(source, str):
        if is_rtsp(source):
            return RtspReader(source, transport, timeout_s)
        if is_device(source):
            source = device_number(source)
        elif not is_live(source):
            files = files_of(source)
            if files:
                return PictureReader(files, loop=loop)
            source = _video_file(source)
    return VideoReader(source, loop=loop, timeout_s=timeout_s, size_px=size_px)


def _video_file(source: str) -> str:
    path = Path(source).expanduser()
    if not path.exists():
        raise DeviceError("SOURCE_ABSENT", f"there is no file or folder {source}", hint="check the path")
    if not path.is_file():
        raise DeviceError("SOURCE_ABSENT", f"{source} is neither file nor folder")
    return str(path)


def _no_camera(camera: str, path: str) -> DeviceError:
    return DeviceError("SOURCE_ABSENT", f"there is no camera {camera}", hint=f"is {path} there, and free?")
