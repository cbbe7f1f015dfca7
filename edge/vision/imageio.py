"""Pictures from bytes, within limits, and back. The only door through which encoded pictures come in.

The header is read by us before anything is decoded: a PNG of 1.2 MB that unfolds to 20,000 x 20,000 pixels costs the
decoder ten seconds and 2.3 GB. Files cut short are told apart from files that are wrong, because decoders fill the
missing part of a JPEG with grey and say nothing, and an inspection must not look at grey.

Sources: PNG (ISO/IEC 15948) 11.2; JPEG (ITU-T T.81) B.1 and B.2; WebP (RFC 9649) 2; BMP (Microsoft
BITMAPINFOHEADER); TIFF 6.0 section 2; Netpbm's pgm and ppm pages.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from msgspec import Struct

from edge.errors import ImageError
from edge.ports import Image


class ImageLimits(Struct, frozen=True):
    """What is decoded at most."""

    max_bytes: int = 64 * 1024**2
    max_side_px: int = 16_384
    max_pixels: int = 64_000_000


class ImageInfo(Struct, frozen=True):
    """What a header says; ``kind`` is jpeg, png, bmp, webp, tiff or netpbm."""

    kind: str
    width_px: int
    height_px: int


DEFAULT_LIMITS = ImageLimits()
JPEG_QUALITY = 90

_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # start of frame, but for DHT, JPG and DAC
_STANDALONE = frozenset({0x01, 0xFF, *range(0xD0, 0xD9)})  # no length follows: TEM, RSTn, SOI; 0xFF is a fill byte
_MAX_JPEG_MARKERS = 1000  # a bound on our own loop; real files have a few dozen
_SOS, _EOI = 0xDA, b"\xff\xd9"
_MAX_JPEG_SEGMENTS = 50_000
_MAX_PNG_CHUNKS = 50_000
_PNG_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"IDAT", b"IEND"})  # eXIf has the orientation
_SCANS = 16
"""So many passes over ``max_pixels`` are decoded of a progressive JPEG; real ones have about ten, and a few kilobytes
can hold thousands."""
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_GAP = rb"\s(?:\s|#[^\r\n]*[\r\n])*"
# Strict where readers differ (a comment that ends at a carriage return, or begins in a number): what we read as small
# must not be huge to the decoder.
_NETPBM = re.compile(rb"P[56]" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,9})\s")
_NETPBM_BYTES = 4096
_TIFF_WIDTH, _TIFF_HEIGHT, _TIFF_SHORT, _TIFF_LONG = 256, 257, 3, 4


def probe(data: bytes) -> ImageInfo:
    """Read only the header. Raises ImageError IMAGE_EMPTY, IMAGE_UNREADABLE (no picture we know), IMAGE_TRUNCATED."""
    if not data:
        raise ImageError("IMAGE_EMPTY", "the picture has no bytes", "", "was it still being written?")
    for magic, kind, header in _KINDS:
        if data.startswith(magic):
            try:
                width, height = header(data)
            except (struct.error, IndexError) as error:
                raise _truncated(kind) from error
            if width <= 0 or height <= 0:
                raise ImageError("IMAGE_UNREADABLE", f"the {kind} header says {width} x {height} px")
            return ImageInfo(kind, width, height)
    raise ImageError(
        "IMAGE_UNREADABLE",
        "this is not a picture",
        f"it begins with {data[:8].hex(' ')}",
        "JPEG, PNG, BMP, WebP, TIFF and PGM/PPM are read",
    )


def decode(data: bytes, limits: ImageLimits = DEFAULT_LIMITS, *, gray: bool = False) -> Image:
    """Decode a whole picture: uint8 ``(h, w, 3)`` BGR, or ``(h, w)`` with ``gray``; EXIF orientation is applied.

    Raises ImageError IMAGE_EMPTY, IMAGE_UNREADABLE, IMAGE_TRUNCATED, IMAGE_TOO_LARGE.
    """
    if len(data) > limits.max_bytes:
        raise ImageError(
            "IMAGE_TOO_LARGE", f"the picture has {len(data)} bytes", f"at most {limits.max_bytes} are read"
        )
    info = probe(data)
    check_size(info.width_px, info.height_px, limits)
    if _is_cut(info.kind, data):
        raise _truncated(info.kind)
    if info.kind == "jpeg":
        _check_scans(data, info, limits)
    elif info.kind == "png":
        data = _plain_png(data)
    flags = cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR
    try:
        image: Any = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise ImageError("IMAGE_UNREADABLE", f"the {info.kind} cannot be decoded", "it is damaged") from error
    if image is None:
        raise ImageError("IMAGE_UNREADABLE", f"the {info.kind} cannot be decoded", "it is damaged")
    return np.ascontiguousarray(image, np.uint8)


def check_size(width_px: int, height_px: int, limits: ImageLimits = DEFAULT_LIMITS) -> None:
    """Raises ImageError IMAGE_TOO_LARGE; also for sizes that a video or camera states."""
    if max(width_px, height_px) > limits.max_side_px or width_px * height_px > limits.max_pixels:
        raise ImageError(
            "IMAGE_TOO_LARGE",
            f"the picture is {width_px} x {height_px} px",
            f"at most {limits.max_side_px} px a side and {limits.max_pixels // 1_000_000} megapixels are decoded",
            "make it smaller or raise the limits",
        )


def encode_jpeg(image: Image, quality: int = JPEG_QUALITY) -> bytes:
    """JPEG bytes of a BGR or grey picture; ``quality`` 1..100."""
    done, buffer = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:  # no input of ours can do this
        raise ImageError("IMAGE_UNFIT", f"cannot encode an array of {image.dtype} {image.shape} as JPEG")
    return bytes(buffer)


def _png(data: bytes) -> tuple[int, int]:
    if data[12:16] != b"IHDR":
        raise ImageError("IMAGE_UNREADABLE", "the PNG does not begin with its header chunk")
    return _unpack(">II", data, 16)


def _jpeg(data: bytes) -> tuple[int, int]:
    at = 2
    for _ in range(_MAX_JPEG_MARKERS):
        at = data.find(b"\xff", at)  # every marker begins with it; what is between is skipped
        if at < 0:
            raise _truncated("jpeg")
        at += 1
        marker = data[at]
        if marker in _STANDALONE:
            continue
        if marker in {_SOS, _EOI[1]}:
            raise ImageError("IMAGE_UNREADABLE", "the JPEG has no frame header before its data")
        (length,) = struct.unpack_from(">H", data, at + 1)
        if marker in _SOF:
            height, width = struct.unpack_from(">HH", data, at + 4)
            return width, height
        at += 1 + max(2, length)
    raise ImageError("IMAGE_UNREADABLE", "the JPEG has no frame header among its first markers")


def _plain_png(data: bytes) -> bytes:
    """Without what does not change the pixels: texts and profiles unfold to megabytes, and the decoder complains of
    damaged ones on stderr by itself.
    """
    parts, at, left_out = [data[:8]], 8, False
    for _ in range(_MAX_PNG_CHUNKS):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        end = at + 12 + size
        if kind in _PNG_CHUNKS:
            parts.append(data[at:end])
        left_out = left_out or kind not in _PNG_CHUNKS
        at = end
        if kind == b"IEND" or at >= len(data):
            return b"".join(parts) if left_out else data
    raise ImageError("IMAGE_UNREADABLE", f"the png has more than {_MAX_PNG_CHUNKS} parts", "no camera writes that")


def _check_scans(data: bytes, info: ImageInfo, limits: ImageLimits) -> None:
    """Raises ImageError IMAGE_TOO_LARGE for a progressive JPEG that goes over its picture again and again."""
    most = max(_SCANS, _SCANS * limits.max_pixels // (info.width_px * info.height_px))
    at, scans = 2, 0
    for _ in range(_MAX_JPEG_SEGMENTS):
        found = _AFTER_SCAN.search(data, at)
        if found is None or found[0] == _EOI:
            return
        at, marker = found.end(), found[0][1]
        if marker not in _STANDALONE:
            at += int.from_bytes(data[at : at + 2], "big")
            scans += marker == _SOS
        if scans > most:
            break
    raise ImageError(
        "IMAGE_TOO_LARGE",
        f"the jpeg goes over its {info.width_px} x {info.height_px} px more than {scans - 1} times",
        "no camera writes that",
        "save it anew as a plain picture",
    )


def _bmp(data: bytes) -> tuple[int, int]:
    (size,) = struct.unpack_from("<I", data, 14)
    if size == 12:  # noqa: PLR2004  (OS/2's BITMAPCOREHEADER)
        return _unpack("<HH", data, 18)
    width, height = struct.unpack_from("<ii", data, 18)
    return width, abs(height)  # negative: rows from the top


def _webp(data: bytes) -> tuple[int, int]:
    chunk = data[12:16]
    if data[8:12] != b"WEBP":
        raise ImageError("IMAGE_UNREADABLE", "this RIFF file is not a WebP picture", f"it holds {data[8:12]!r}")
    if chunk == b"VP8X":
        low_w, high_w, low_h, high_h = struct.unpack_from("<HBHB", data, 24)
        return (high_w << 16 | low_w) + 1, (high_h << 16 | low_h) + 1
    if chunk == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _tiff(data: bytes) -> tuple[int, int]:
    order = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, at)
    found: dict[int, int] = {}
    for row in range(count):
        tag, kind = struct.unpack_from(f"{order}HH", data, at + 2 + 12 * row)
        if tag in {_TIFF_WIDTH, _TIFF_HEIGHT} and kind in {_TIFF_SHORT, _TIFF_LONG}:
            code = "H" if kind == _TIFF_SHORT else "I"
            (side,) = struct.unpack_from(order + code, data, at + 2 + 12 * row + 8)
            found[tag] = max(side, found.get(tag, 0))  # given twice, nobody knows which one the decoder takes
    return found.get(_TIFF_WIDTH, 0), found.get(_TIFF_HEIGHT, 0)


def _netpbm(data: bytes) -> tuple[int, int]:
    found = _NETPBM.match(data, 0, _NETPBM_BYTES)
    if found is None:
        raise ImageError("IMAGE_UNREADABLE", "the PGM/PPM header has no size")
    return int(found[1]), int(found[2])


_KINDS: tuple[tuple[bytes, str, Callable[[bytes], tuple[int, int]]], ...] = (
    (b"\xff\xd8\xff", "jpeg", _jpeg),
    (b"\x89PNG\r\n\x1a\n", "png", _png),
    (b"RIFF", "webp", _webp),
    (b"BM", "bmp", _bmp),
    (b"II*\x00", "tiff", _tiff),
    (b"MM\x00*", "tiff", _tiff),
    (b"P5", "netpbm", _netpbm),
    (b"P6", "netpbm", _netpbm),
)


def _is_cut(kind: str, data: bytes) -> bool:
    """True if the end is missing. Bytes after the end are common (cameras pad) and do no harm."""
    match kind:
        case "jpeg":
            # A thumbnail in the EXIF part has an end of its own: only one after the scan counts.
            return data.rfind(_EOI) < data.rfind(b"\xff\xda")
        case "png":
            return data.rfind(b"IEND") < 0
        case "webp":
            return len(data) < int.from_bytes(data[4:8], "little") + 8
        case _:
            return False  # their decoders refuse a short file


def _unpack(layout: str, data: bytes, at: int) -> tuple[int, int]:
    first, second = struct.unpack_from(layout, data, at)
    return first, second


def _truncated(kind: str) -> ImageError:
    return ImageError("IMAGE_TRUNCATED", f"the {kind} ends too early", "a part of it is missing", "copy it again")
