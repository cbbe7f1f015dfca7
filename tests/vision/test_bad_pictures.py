"""Pictures that lie, through `jidoka infer`: one line, status 3, soon, and not at the cost of memory."""

from __future__ import annotations

import os
import resource
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import ImageError
from edge.vision import imageio
from edge.vision.imageio import ImageLimits
from tests.models import graphs

MAX_S = 5.0
MAX_MB = 600
"""What the process may have had at its most; idle with a model it has about 150."""


def png(width: int, height: int, body: bytes, extra: bytes = b"") -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def whole_png_of_400_megapixels() -> bytes:
    packer = zlib.compressobj(1)
    row = bytes(1 + 20_000 // 8)
    return png(20_000, 20_000, b"".join(packer.compress(row) for _ in range(20_000)) + packer.flush())


def text_that_unfolds() -> bytes:
    packed = zlib.compress(bytes(50_000_000), 9)
    content = b"Comment\0\0" + packed
    chunk = struct.pack(">I", len(content)) + b"zTXt" + content + struct.pack(">I", zlib.crc32(b"zTXt" + content))
    return png(64, 64, zlib.compress(bytes(64)), chunk * 20)  # too few rows


def many_scans() -> bytes:
    """A progressive JPEG whose last pass is there again and again."""
    params = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]
    whole = cv2.imencode(".jpg", np.full((6000, 8000), 90, np.uint8), params)[1].tobytes()
    last = whole.rfind(b"\xff\xda")
    return whole[:-2] + whole[last:-2] * 20_000 + b"\xff\xd9"


def tiff(*entries: tuple[int, int, int]) -> bytes:
    rows = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + rows + bytes(4)


def bmp(width: int, height: int, bits: int = 24) -> bytes:
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 64, 0, 0, 54) + head + bytes(64)


def webp(width: int, height: int, *, canvas: bool = False) -> bytes:
    data = bytearray(cv2.imencode(".webp", np.zeros((16, 16, 3), np.uint8))[1].tobytes())
    if canvas:  # the canvas is small, what is drawn on it is not
        head = b"VP8X" + struct.pack("<IBHBHBHB", 10, 0, 0, 0, 15, 0, 15, 0)
        data[26:30] = struct.pack("<HH", width, height)
        body = b"WEBP" + head + bytes(data[12:])
        return b"RIFF" + struct.pack("<I", len(body)) + body
    data[26:30] = struct.pack("<HH", width, height)
    return bytes(data)


def gif(width: int, height: int) -> bytes:
    return (
        b"GIF89a"
        + struct.pack("<HHBBB", width, height, 0x80, 0, 0)
        + bytes(6)
        + b"\x2c"
        + struct.pack("<HHHHB", 0, 0, width, height, 0)
        + b"\x02\x02\x4c\x01\x00\x3b"
    )


GREY = ((256, 4, 64), (257, 4, 64), (258, 3, 8), (259, 3, 1), (262, 3, 1))
BIG = ((256, 4, 8000), (257, 4, 8000))

FILES: dict[str, Callable[[], bytes]] = {
    "bomb.png": whole_png_of_400_megapixels,
    "said.png": lambda: png(20_000, 20_000, zlib.compress(bytes(100_000))),
    "endless.png": lambda: png(2**31 - 1, 2**31 - 1, b""),
    "none.png": lambda: png(0, 10, b""),
    "cut.png": lambda: png(64, 64, zlib.compress(bytes(576)))[:50],
    "text.png": text_that_unfolds,
    "scans.jpg": many_scans,
    "cut.jpg": lambda: cv2.imencode(".jpg", np.zeros((64, 64), np.uint8))[1].tobytes()[:300],
    "wrong.jpg": lambda: b"this is no picture",
    "empty.jpg": lambda: b"",
    "zip.jpg": lambda: b"PK\x03\x04" + zlib.compress(bytes(10_000_000)),
    "huge.bmp": lambda: bmp(30_000, 30_000),
    "least.bmp": lambda: bmp(10, -(2**31)),
    "short.bmp": lambda: bmp(4000, 4000),
    "huge.webp": lambda: webp(16_383, 16_383),
    "canvas.webp": lambda: webp(16_383, 16_383, canvas=True),
    "huge.tif": lambda: tiff((256, 4, 60_000), (257, 4, 60_000)),
    "twice.tif": lambda: tiff((256, 4, 60_000), (256, 4, 8), (257, 4, 60_000), (257, 4, 8)),
    "tiles.tif": lambda: tiff(*GREY, (322, 4, 2**24), (323, 4, 2**24), (324, 4, 8), (325, 4, 8)),
    "samples.tif": lambda: tiff(*GREY[2:3], *BIG, (277, 3, 65_535), (273, 4, 8), (278, 4, 8000), (279, 4, 8)),
    "strip.tif": lambda: tiff(*GREY, (273, 4, 8), (278, 4, 2**31), (279, 4, 2**31)),
    "huge.gif": lambda: gif(65_535, 65_535),
    "comment.ppm": lambda: b"P6 #a\r99999 99999\n10 10\n255\n" + bytes(300),
    "window.ppm": lambda: b"P6 10" + b" " * 1018 + b"1000000000 255\n",
    "huge.pgm": lambda: b"P5 999999999 999999999 255\n",
}


@pytest.fixture(scope="module")
def cache_folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("bad")
    for name, make in FILES.items():
        (made / name).write_bytes(make())
    os.mkfifo(made / "pipe.png")
    (made / "device.png").symlink_to("/dev/zero")
    (made / "loop.png").symlink_to("loop.png")
    (made / "folder.png").mkdir()
    with (made / "sparse.png").open("wb") as file:
        file.truncate(8 * 1024**3)
    graphs.brightest_channel(made / "m.onnx")
    return made


@pytest.mark.parametrize("name", [*FILES, "pipe.png", "device.png", "loop.png", "folder.png", "sparse.png", "gone.png"])
def test_bad_pictures_are_one_line(folder, capfd, cache_folder, name):
    from edge.cli.main import main

    before = os.environ.get("JIDOKA_CACHE_DIR", "")
    os.environ["JIDOKA_CACHE_DIR"] = str(cache_folder)
    try:
        main(["infer", str(folder / "m.onnx"), str(folder / "gone.png")])  # whatever is imported or tried once
        capfd.readouterr()
        started = time.monotonic()
        status = main(["infer", str(folder / "m.onnx"), str(folder / name), "--json"])
        took = time.monotonic() - started
    finally:
        os.environ["JIDOKA_CACHE_DIR"] = before
    said = [line for line in capfd.readouterr().err.splitlines() if not line.startswith("assumed: ")]
    assert status == 3
    assert len(said) == 1, said
    assert said[0].split(":")[0] in CODES and str(folder / name) in said[0], said
    assert took < MAX_S


CODES = {
    "IMAGE_ABSENT", "IMAGE_EMPTY", "IMAGE_NOT_A_FILE", "IMAGE_TOO_LARGE", "IMAGE_TRUNCATED", "IMAGE_UNREADABLE",
    "VIDEO_UNREADABLE", "FOLDER_EMPTY",
}  # fmt: skip


def test_all_of_them_cost_little_memory(folder, cache_folder):
    environ = {**os.environ, "JIDOKA_CACHE_DIR": str(cache_folder)}
    names = [str(folder / name) for name in FILES]
    command = [sys.executable, "-m", "edge.cli.main", "infer", str(folder / "m.onnx"), *names, "--json"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    done = subprocess.run(command, env=environ, capture_output=True, timeout=60, check=False)
    assert done.returncode == 3
    most_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    assert most_mb < max(MAX_MB, before / 1024 + 1), f"{most_mb:.0f} MB"


SMALL = ImageLimits(max_side_px=400, max_pixels=90_000)


@given(st.sampled_from([".png", ".jpg", ".webp", ".bmp", ".tiff", ".ppm"]), st.data())
def test_what_the_header_says_is_what_is_decoded(suffix, data):
    """Bytes of the header changed at will: the decoder never makes more than we allowed by our own reading."""
    whole = bytearray(cv2.imencode(suffix, np.full((20, 30, 3), 77, np.uint8))[1].tobytes())
    reach = len(whole) if suffix == ".tiff" else min(len(whole), 200)
    places = st.tuples(st.integers(0, reach - 1), st.integers(0, 255))
    for at, value in data.draw(st.lists(places, min_size=1, max_size=4)):
        whole[-at if suffix == ".tiff" else at] = value  # TIFF has its directory at the end
    if suffix == ".png":  # with its sums right, so that it is not the sums that save us
        whole[29:33] = struct.pack(">I", zlib.crc32(bytes(whole[12:29])))
    try:
        info = imageio.probe(bytes(whole))
        image = imageio.decode(bytes(whole), SMALL)
    except ImageError:
        return
    assert sorted(image.shape[:2]) == sorted((info.height_px, info.width_px))
