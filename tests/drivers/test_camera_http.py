"""The HTTP camera driver against a real HTTP server on loopback."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peer_http import HttpPeer, jpeg, number_of, part
from peer_raw import RawPeer

from drivers.camera_http import FrameCounter, HttpCamera, HttpOptions
from edge.errors import ConfigError, DeviceError


@pytest.fixture
def peer():
    with HttpPeer() as running:
        yield running


@pytest.fixture
def camera(peer):
    driver = snapshot(peer.port)
    yield driver
    driver.close()


def snapshot(port: int, **more) -> HttpCamera:
    driver = HttpCamera("cam", HttpOptions(url=f"http://127.0.0.1:{port}/snapshot", **more))
    driver.open()
    return driver


def streaming(port: int, **more) -> HttpCamera:
    driver = HttpCamera("cam", HttpOptions(url=f"http://127.0.0.1:{port}/stream", mode="mjpeg", **more))
    driver.open()
    return driver


def failure(camera: HttpCamera, timeout_s: float = 0.3) -> str:
    with pytest.raises(DeviceError) as failed:
        camera.read(timeout_s)
    return failed.value.code


def test_a_snapshot_is_exposed_after_the_call_and_carries_the_camera_s_number(peer, camera):
    peer.frame_no = 40
    before_ns = time.monotonic_ns()
    frame = camera.read(1.0)
    assert camera.on_demand
    assert (frame.ref.source, frame.ref.frame_no, number_of(frame.image)) == ("cam", 41, 41)
    assert before_ns <= frame.ref.captured_ns <= time.monotonic_ns()
    assert frame.image.shape == (48, 64, 3)


def test_snapshots_share_one_connection(peer, camera):
    assert [camera.read(1.0).ref.frame_no for _ in range(5)] == [1, 2, 3, 4, 5]
    assert peer.connections == 1


def test_a_camera_that_hangs_up_after_each_snapshot_is_served_too(peer, camera):
    peer.hang_up_after_each = True
    peer.headers = {"Connection": "close"}
    assert [camera.read(1.0).ref.frame_no for _ in range(3)] == [1, 2, 3]
    assert peer.connections == 3


def test_frames_without_a_number_are_counted(peer, camera):
    peer.numbered = False
    assert [camera.read(1.0).ref.frame_no for _ in range(3)] == [0, 1, 2]


def test_the_same_number_again_is_a_frozen_camera(peer, camera):
    peer.headers = {"X-Frame-No": "7"}
    camera.read(1.0)
    assert failure(camera) == "SOURCE_FROZEN"


def test_numbers_rise_over_a_restart_of_the_camera(peer, camera):
    peer.frame_no = 40
    first = camera.read(1.0).ref.frame_no
    peer.frame_no = 0
    numbers = [first, camera.read(1.0).ref.frame_no, camera.read(1.0).ref.frame_no]
    assert numbers == [41, 42, 43]


@given(st.lists(st.one_of(st.none(), st.integers(0, 2**53 - 1)), max_size=30))
def test_whatever_the_camera_counts_our_numbers_rise(theirs):
    counter, given_out, before = FrameCounter(), [-1], None
    for number in theirs:
        if number is not None and number == before:
            with pytest.raises(DeviceError, match="SOURCE_FROZEN"):
                counter.next(number)
        else:
            given_out.append(counter.next(number))
        before = before if number is None else number
    assert all(a < b for a, b in pairwise(given_out))


def test_a_shared_clock_is_believed_within_reason(peer):
    camera = snapshot(peer.port, shared_clock=True)
    stamp_ns = time.monotonic_ns() - 5_000_000
    peer.headers = {"X-Captured-Ns": str(stamp_ns)}
    assert camera.read(1.0).ref.captured_ns == stamp_ns
    peer.headers = {"X-Captured-Ns": str(time.monotonic_ns() + 10**10)}
    assert failure(camera) == "FRAME_MALFORMED"
    camera.close()


def test_another_machine_s_clock_is_not_believed(peer, camera):
    peer.headers = {"X-Captured-Ns": "5"}
    before_ns = time.monotonic_ns()
    assert camera.read(1.0).ref.captured_ns >= before_ns


@pytest.mark.parametrize(
    ("status", "code"), [(401, "SOURCE_REFUSED"), (403, "SOURCE_REFUSED"), (404, "SOURCE_ABSENT"), (503, "SOURCE_LOST")]
)
def test_http_errors(peer, camera, status, code):
    peer.status = status
    assert failure(camera) == code
    assert failure(camera) == "SOURCE_NOT_OPEN"
    peer.status = 200
    camera.open()
    assert camera.read(1.0).ref.frame_no == 2


@pytest.mark.parametrize("body", [b"", b"no picture", jpeg(1)[:200]])
def test_a_bad_picture_is_malformed_and_the_next_one_is_fine(peer, camera, body):
    peer.body = body
    assert failure(camera) == "FRAME_MALFORMED"
    peer.body = None
    assert camera.read(1.0).ref.frame_no == 2


@pytest.mark.parametrize("headers", [{"X-Frame-No": "-1"}, {"X-Frame-No": "x" * 500}, {"X-Captured-Ns": "1e9"}])
def test_bad_headers_are_malformed(peer, camera, headers):
    peer.headers = headers
    assert failure(camera) == "FRAME_MALFORMED"


def test_a_frame_over_the_limit_is_refused(peer):
    camera = snapshot(peer.port, max_frame_bytes=1024)
    peer.body = bytes(5000)
    assert failure(camera) == "FRAME_MALFORMED"
    camera.close()


def test_a_silent_camera_is_a_time_out(peer, camera):
    peer.silent = True
    before_ns = time.monotonic_ns()
    assert failure(camera, 0.4) == "SOURCE_TIMEOUT"
    assert time.monotonic_ns() - before_ns < 480_000_000
    peer.silent = False
    assert camera.read(1.0).ref.frame_no == 1
    assert peer.connections == 2  # what the first one might still send must not be taken for a new picture


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"


@pytest.mark.parametrize("begun", [HEAD, HEAD[:20]], ids=["in the body", "in the header"])
def test_a_trickling_camera_does_not_stretch_the_time_out(begun):
    with RawPeer(lambda _request: [begun] + [b"\xff"] * 500, pause_s=0.02) as slow:
        camera = snapshot(slow.port)
        before_ns = time.monotonic_ns()
        assert failure(camera, 0.4) == "SOURCE_TIMEOUT"
        assert time.monotonic_ns() - before_ns < 480_000_000
        camera.close()


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ([b"\x00\x01\x02\r\n\r\n" * 5], "FRAME_MALFORMED"),
        ([b"HTTP/1.1 abc\r\n\r\n"], "FRAME_MALFORMED"),
        ([b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n"], "FRAME_MALFORMED"),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"], "SOURCE_LOST"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nshort", b""], "SOURCE_LOST"),
        ([b""], "SOURCE_LOST"),
    ],
)
def test_garbage_from_the_wire(answer, code):
    with RawPeer(lambda _request: answer) as babbler:
        camera = snapshot(babbler.port)
        assert failure(camera, 1.0) == code
        camera.close()


def test_nobody_there():
    with RawPeer() as gone:
        port = gone.port
    with pytest.raises(DeviceError, match=r"SOURCE_ABSENT.*check url"):
        snapshot(port)


@pytest.mark.parametrize("url", ["http://u:p@h/x", "http://h:99999/", "ftp://h/", "http://h/a b", "http:///x"])
def test_urls_that_cannot_work_are_told_at_once(url):
    with pytest.raises(ConfigError, match="SOURCE_URL_INVALID"):
        HttpCamera("cam", HttpOptions(url=url))


@pytest.mark.parametrize("length", [True, False])
def test_a_stream_gives_every_frame_in_order(peer, length):
    peer.parts = [part(n, length=length) for n in range(1, 40)] + [b"--frame"]
    camera = streaming(peer.port)
    frames = [camera.read(1.0) for _ in range(39)]
    assert not camera.on_demand
    assert [f.ref.frame_no for f in frames] == [number_of(f.image) for f in frames] == list(range(1, 40))
    assert all(a.ref.captured_ns <= b.ref.captured_ns for a, b in pairwise(frames))
    assert failure(camera, 0.05) == "SOURCE_TIMEOUT"
    camera.close()


def test_newest_skips_what_has_piled_up_and_keeps_what_is_cut(peer):
    peer.parts = [b"".join(part(n) for n in range(1, 40)), part(40)[:60]]
    camera = streaming(peer.port, newest=True)
    assert peer.all_sent.wait(10)
    assert camera.read(1.0).ref.frame_no == 39
    assert failure(camera, 0.05) == "SOURCE_TIMEOUT"
    camera.close()


def test_a_stream_goes_on_after_a_time_out():
    whole = part(2)
    with RawPeer(
        lambda _request: [
            b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x; boundary=frame\r\n\r\n" + whole[:50],
            whole[50:],
        ],
        pause_s=0.2,
    ) as slow:
        camera = streaming(slow.port)
        assert failure(camera, 0.05) == "SOURCE_TIMEOUT"
        assert camera.read(1.0).ref.frame_no == 2
        camera.close()


def test_the_end_of_a_stream_is_a_lost_source(peer):
    peer.parts = [part(1), b"--frame--\r\n"]
    peer.stay = False
    camera = streaming(peer.port)
    camera.read(1.0)
    assert failure(camera) == "SOURCE_LOST"
    assert failure(camera) == "SOURCE_NOT_OPEN"
    camera.close()


def test_a_stream_that_is_none(peer):
    peer.content_type = "text/html"
    with pytest.raises(DeviceError, match="FRAME_MALFORMED"):
        streaming(peer.port)


def test_a_stream_with_a_monstrous_part(peer):
    peer.parts = [b"--frame\r\nContent-Length: 99999999\r\n\r\n"]
    camera = streaming(peer.port)
    assert failure(camera) == "FRAME_MALFORMED"
    camera.close()


def test_a_chunked_stream():
    body = part(1) + part(2)
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(body[i : i + 100]), body[i : i + 100]) for i in range(0, len(body), 100))
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: multipart/x; boundary=frame\r\n\r\n"
    with RawPeer(lambda _request: [head + chunks]) as chunked:
        camera = streaming(chunked.port)
        assert [camera.read(1.0).ref.frame_no for _ in range(2)] == [1, 2]
        camera.close()
