"""The envelope of motion JPEG: the same parts however the bytes are cut, and ValueError for all else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers._multipart import MAX_HEADER_BYTES, MultipartParser, boundary_of, parse_headers

BODIES = [b"first", b"", b"\r\n--not the boundary\r\n", b"x" * 300]


def stream(bodies: list[bytes], *, length: bool) -> bytes:
    out = b""
    for body in bodies:
        out += b"--B\r\nX-A: 1\r\n" + (f"Content-Length: {len(body)}\r\n".encode() if length else b"")
        out += b"\r\n" + body + b"\r\n"
    return out + b"--B--"


def parts_of(data: bytes, cuts: list[int]) -> list[bytes]:
    parser = MultipartParser("B", 1000)
    bodies, start = [], 0
    for end in [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]:
        parser.feed(data[start:end], at_ns=end)
        while (part := parser.next_part()) is not None:
            assert part.headers["x-a"] == "1"
            bodies.append(part.body)
        start = end
    assert parser.ended
    return bodies


@given(st.booleans(), st.lists(st.integers(0, 10_000), max_size=20))
def test_the_same_parts_however_the_bytes_are_cut(length, cuts):
    assert parts_of(stream(BODIES, length=length), cuts) == BODIES


@given(st.binary(max_size=2000), st.integers(1, 100))
def test_any_bytes_give_parts_or_a_value_error(data, step):
    parser = MultipartParser("B", 500)
    try:
        for start in range(0, len(data), step):
            parser.feed(data[start : start + step], 0)
            while (part := parser.next_part()) is not None:
                assert len(part.body) <= 500
    except ValueError:
        pass


def test_the_stamp_is_that_of_the_header_not_of_the_body():
    parser = MultipartParser("B", 1000)
    parser.feed(b"--B\r\nContent-Length: 4\r\n\r\n", 10)
    assert parser.next_part() is None
    parser.feed(b"body", 20)
    assert parser.next_part().header_at_ns == 10


@pytest.mark.parametrize(
    "data",
    [
        b"x" * (MAX_HEADER_BYTES + 1),
        b"--B\r\n" + b"x" * (MAX_HEADER_BYTES + 1),
        b"--B\r\nno colon\r\n\r\n",
        b"--B\r\nContent-Length: -4\r\n\r\n",
        b"--B\r\nContent-Length: 1001\r\n\r\n",
        b"--B\r\nContent-Length: 9999999999999999999999\r\n\r\n",
        b"--B\r\nContent-Length: \xb2\r\n\r\n",
        b"--B\r\nX: 1\r\n\r\n" + b"x" * 1001,
        b"--B\r\nX: 1\r\n\r\n" + b"x" * 1001 + b"\r\n--B",
    ],
)
def test_nonsense_and_anything_over_a_limit_is_refused(data):
    parser = MultipartParser("B", 1000)
    parser.feed(data, 0)
    with pytest.raises(ValueError, match=r"boundary|header|Content-Length|part"):
        parser.next_part()


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/x-mixed-replace; boundary=frame", "frame"),
        ("multipart/x-mixed-replace;boundary=--myboundary", "myboundary"),
        ('Multipart/X-Mixed-Replace; BOUNDARY="a b"; x=1', "a b"),
    ],
)
def test_boundaries_as_cameras_write_them(content_type, boundary):
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize("content_type", ["", "image/jpeg", "multipart/x-mixed-replace", "multipart/x; boundary=--"])
def test_no_boundary(content_type):
    with pytest.raises(ValueError, match="not a multipart stream"):
        boundary_of(content_type)


def test_header_names_are_lower_case():
    assert parse_headers(b"X-Frame-No:  7 \r\nA: b:c") == {"x-frame-no": "7", "a": "b:c"}
