"""What a user names as input, as pictures one after the other: files, folders of pictures, videos."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edge.errors import ImageError, InputError, JidokaError
from edge.models.files import read_bounded
from edge.ports import Image
from edge.vision import imageio

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".pgm", ".ppm"})
MAX_FOLDER_FILES = 100_000
_HEAD_BYTES = 64
_OPEN_TIMEOUT_MS = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """One input. ``source`` is its name in results; ``image`` is absent where ``error`` says why."""

    source: str
    image: Image | None = None
    error: JidokaError | None = None


def count(paths: Sequence[Path], every: int) -> int:
    """How many items to expect, for a progress bar; videos as far as their header tells."""
    return sum(len(_pictures(p)) if p.is_dir() else _frames(p, every) for p in paths)


def items(paths: Sequence[Path], every: int) -> Iterator[Item]:
    """Every picture in order. What cannot be read keeps its place as an item with an error.

    A folder gives its pictures by name; of a video every ``every``-th frame, from 0, named ``file.mp4#12``.
    """
    for path in paths:
        if path.is_dir():
            pictures = _pictures(path)
            if not pictures:
                yield Item(str(path), error=InputError("FOLDER_EMPTY", f"folder {path} has no pictures"))
            for picture in pictures:
                yield _item(picture)
        elif _is_video(path):
            yield from _video(path, every)
        else:
            yield _item(path)


def quiet_decoders() -> None:
    """The decoders print warnings of their own on stderr, past all of us; we say what matters in our own words."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # read once, when the first video is opened
    import cv2

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


@contextmanager
def _stderr_shut() -> Iterator[None]:
    """Libpng and its like print complaints of their own on descriptor 2, past every setting; ours is the one line."""
    try:
        kept = os.dup(2)
    except OSError:  # there is none
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _item(path: Path) -> Item:
    try:
        data = read_bounded(path, imageio.DEFAULT_LIMITS.max_bytes, "IMAGE")
        with _stderr_shut():
            return Item(str(path), imageio.decode(data))
    except JidokaError as error:
        return Item(str(path), error=error)


def _pictures(folder: Path) -> list[Path]:
    found = (p for p in folder.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES and not p.name.startswith("."))
    return sorted(found)[:MAX_FOLDER_FILES]


def _is_video(path: Path) -> bool:
    """By content: names lie. Unreadable files are left to whoever reads them as pictures and says why."""
    try:
        head = read_bounded(path, _HEAD_BYTES, "IMAGE", head=_HEAD_BYTES)
    except JidokaError:
        return False
    return (
        head[4:8] in {b"ftyp", b"moov", b"mdat", b"wide"}  # MP4, QuickTime
        or (head[:4] == b"RIFF" and head[8:12] == b"AVI ")
        or head[:4] in {b"\x1a\x45\xdf\xa3", b"GIF8", b"OggS", b"FLV\x01", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3"}
        or (head[:1] == b"G" and path.suffix.lower() in {".ts", ".m2ts"})  # MPEG transport stream
    )


def _frames(path: Path, every: int) -> int:
    if not _is_video(path):
        return 1
    import cv2

    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    n = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
    capture.release()
    return max(1, -(-n // every))


def _video(path: Path, every: int) -> Iterator[Item]:
    import cv2

    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _OPEN_TIMEOUT_MS])
    try:
        if not capture.isOpened():
            raise ImageError("VIDEO_UNREADABLE", f"{path} cannot be opened as a video", "it is damaged or cut short")
        width, height = (int(capture.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        imageio.check_size(width, height)
        frame_no = 0
        while capture.grab():
            if frame_no % every == 0:
                done, image = capture.retrieve()
                source = f"{path}#{frame_no}"
                if done:
                    yield Item(source, image.astype("uint8", copy=False))
                else:
                    yield Item(source, error=ImageError("IMAGE_UNREADABLE", "this frame cannot be decoded"))
            frame_no += 1
        if frame_no == 0:
            raise ImageError("VIDEO_UNREADABLE", f"{path} has no frame that can be decoded")
    except JidokaError as error:
        yield Item(str(path), error=error)
    finally:
        capture.release()
