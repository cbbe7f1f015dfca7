"""Pictures from bytes: read the header first, refuse what is too large, cut short or no picture."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import ImageError
from edge.vision import imageio
from edge.vision.imageio import ImageLimits

KINDS = [".png", ".jpg", ".webp", ".bmp", ".tiff", ".ppm"]


def encoded(suffix: str, width: int = 53, height: int = 37) -> bytes:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    done, data = cv2.imencode(suffix, image)
    assert done
    return data.tobytes()


def png_bomb(width: int, height: int) -> bytes:
    """A PNG of a few kilobytes that says it is huge, and whose data would be."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(100_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize("suffix", KINDS)
def test_header_and_pixels_agree(suffix):
    data = encoded(suffix)
    info = imageio.probe(data)
    assert (info.width_px, info.height_px) == (53, 37)
    assert imageio.decode(data).shape == (37, 53, 3)
    assert imageio.decode(data, gray=True).shape == (37, 53)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".ppm"])
def test_lossless_pictures_come_back_as_they_were(suffix):
    expected = np.random.default_rng(0).integers(0, 256, (37, 53, 3), np.uint8)
    np.testing.assert_array_equal(imageio.decode(encoded(suffix)), expected)


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95, 0.999])
def test_a_cut_picture_is_never_taken_for_a_whole_one(suffix, share):
    data = encoded(suffix)
    with pytest.raises(ImageError) as caught:
        imageio.decode(data[: int(len(data) * share)])
    assert caught.value.code == "IMAGE_TRUNCATED"


def test_bytes_after_the_end_do_no_harm():
    assert imageio.decode(encoded(".jpg") + bytes(64)).shape == (37, 53, 3)


def test_a_cut_jpeg_with_a_whole_thumbnail_is_still_cut():
    data = encoded(".jpg")
    exif = b"\xff\xe1" + struct.pack(">H", 2 + len(data)) + data
    with pytest.raises(ImageError, match="ends too early"):
        imageio.decode(data[:2] + exif + data[2 : len(data) // 2])


@pytest.mark.parametrize("sides", [(20_000, 20_000), (200_000, 10), (2**31 - 1, 2**31 - 1)])
def test_a_bomb_is_refused_by_its_header(sides):
    data = png_bomb(*sides)
    assert len(data) < 1000
    with pytest.raises(ImageError) as caught:
        imageio.decode(data)
    assert caught.value.code == "IMAGE_TOO_LARGE"


def test_limits_are_arguments():
    data = encoded(".png")
    for limits in (ImageLimits(max_bytes=100), ImageLimits(max_side_px=52), ImageLimits(max_pixels=53 * 37 - 1)):
        with pytest.raises(ImageError) as caught:
            imageio.decode(data, limits)
        assert caught.value.code == "IMAGE_TOO_LARGE"
    assert imageio.decode(data, ImageLimits(len(data), 53, 53 * 37)).shape == (37, 53, 3)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "IMAGE_EMPTY"),
        (b"hello, I am a text file", "IMAGE_UNREADABLE"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "IMAGE_UNREADABLE"),
        (b"\x89PNG\r\n\x1a\n", "IMAGE_UNREADABLE"),
        (b"\xff\xd8\xff", "IMAGE_TRUNCATED"),
        (b"BM", "IMAGE_TRUNCATED"),
        (b"P6 many many 255\n", "IMAGE_UNREADABLE"),
        (b"\xff\xd8\xff\xd9", "IMAGE_UNREADABLE"),
    ],
)
def test_what_is_no_picture_says_so(data, code):
    with pytest.raises(ImageError) as caught:
        imageio.decode(data)
    assert caught.value.code == code


@settings(max_examples=200)
@given(
    st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF", b"BM", b"II*\x00", b"MM\x00*", b"P5", b"P6", b""]),
    st.binary(max_size=200),
)
def test_no_header_brings_the_probe_down(magic, rest):
    try:
        info = imageio.probe(magic + rest)
    except ImageError:  # anything else fails the test
        return
    assert info.width_px > 0 and info.height_px > 0


@pytest.mark.parametrize("filler", [b"\xff", b"\x00", b"\xff\xe0\x00\x02"])
def test_an_endless_jpeg_header_is_not_followed_to_its_end(filler):
    with pytest.raises(ImageError):
        imageio.probe(b"\xff\xd8\xff" + filler * 5_000_000)


def test_jpeg_there_and_back():
    ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (32, 1))
    for image in (ramp, np.stack([ramp] * 3, axis=-1)):
        back = imageio.decode(imageio.encode_jpeg(image), gray=image.ndim == 2)
        assert np.abs(back.astype(int) - image).max() <= 8
    assert len(imageio.encode_jpeg(ramp, 30)) < len(imageio.encode_jpeg(ramp, 95))
