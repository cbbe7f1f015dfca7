"""What surrounds RTSP and needs no server of it: age, turns, answers of all kinds, and what is shown of a url."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peer_raw import RawPeer

from drivers._opencv import OPTIONS_ENV, FfmpegOptions, shown
from drivers._rtsp import CatchUp
from drivers._rtsp_ask import authorization, take_apart, why_not
from drivers.camera_opencv import OpenCvCamera, OpenCvOptions
from edge.errors import ConfigError, DeviceError

MS = 1_000_000


@given(st.integers(5, 200), st.integers(0, 60), st.floats(0.0, 0.6), st.integers(0, 10**12))
def test_what_was_kept_is_left_out_and_the_first_frame_of_now_is_not(period_ms, kept, speed, start_ns):
    """Kept frames come in a fraction of their own time, then each after its own time."""
    kept = min(kept, 1000 // period_ms)
    catch_up, now_ns = CatchUp(), start_ns
    for n in range(kept + 1):
        assert catch_up.is_old(n * period_ms, now_ns)
        now_ns += int(speed * period_ms * MS)
    now_ns += int((1 - speed) * period_ms * MS)
    assert not catch_up.is_old((kept + 1) * period_ms, now_ns)


def test_a_stream_without_a_clock_is_taken_as_it_is_after_a_while():
    catch_up = CatchUp()
    assert all(catch_up.is_old(0.0, n * 100 * MS) for n in range(30))
    assert not catch_up.is_old(0.0, 3100 * MS)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("rtsp://user:secret@cam/live", "rtsp://***@cam/live"),
        ("rtsp://user:se/cr@et@cam/live", "rtsp://***@cam/live"),
        ("rtsp://cam/user=admin&password=secret&channel=1", "rtsp://cam/user=admin&password=***&channel=1"),
        ("http://cam/x?token=secret", "http://cam/x?token=***"),
        ("rtsp://cam:8554/live?channel=1", "rtsp://cam:8554/live?channel=1"),
        ("pictures/a@b.png", "pictures/a@b.png"),
        (3, "3"),
    ],
)
def test_what_is_shown_of_a_source(source, told):
    assert shown(source) == told


@given(st.text(min_size=4).filter(lambda text: "@" not in text and text not in "rtsp://***@cam/live"))
def test_no_password_is_shown_whatever_is_in_it(password):
    assert password not in shown(f"rtsp://user:{password}@cam/live")


def test_options_stand_while_they_are_held_and_others_wait_their_turn():
    environ = {OPTIONS_ENV: "of;the user"}
    turns, seen, inside, leave = FfmpegOptions(environ), [], threading.Event(), threading.Event()

    def udp() -> None:
        with turns.during("rtsp_transport;udp", 5.0):
            seen.append(environ[OPTIONS_ENV])
            inside.set()
            leave.wait(5.0)

    def file() -> None:
        with turns.during(None, 5.0):
            seen.append(environ[OPTIONS_ENV])

    threads = [threading.Thread(target=udp), threading.Thread(target=file)]
    threads[0].start()
    assert inside.wait(5.0)
    with turns.during("rtsp_transport;udp", 1.0):  # the same options go together
        pass
    with pytest.raises(DeviceError, match="SOURCE_TIMEOUT: another camera was being opened"), turns.during(None, 0.05):
        pass
    threads[1].start()
    leave.set()
    for thread in threads:
        thread.join(5.0)
    assert seen == ["rtsp_transport;udp", "of;the user"]
    assert environ[OPTIONS_ENV] == "of;the user"


def answering(*answers: bytes) -> RawPeer:
    left = list(answers)
    return RawPeer(lambda _request: [left.pop(0), b""])


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (
            b"RTSP/1.0 503 Service Unavailable\r\nCSeq: 1\r\n\r\n",
            "SOURCE_LOST: .* answered RTSP 503 Service Unavailable",
        ),
        (b"RTSP/1.0 403 Forbidden\r\n\r\n", "SOURCE_REFUSED"),
        (b"RTSP/1.0 200 OK\r\n\r\n", "SOURCE_ABSENT: .* over udp, although"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "FRAME_MALFORMED: .* no RTSP server"),
        (b"\x00\xff" * 5000, "FRAME_MALFORMED"),
        (b"", "FRAME_MALFORMED: .* without an answer"),
    ],
)
def test_whatever_answers_gives_one_line(answer, code):
    with answering(answer) as peer:
        error = why_not(take_apart(f"rtsp://127.0.0.1:{peer.port}/live"), "udp", 2.0)
    assert re.match(code, str(error)), error
    assert "\n" not in str(error)


def test_a_server_that_never_answers_is_given_up_in_time():
    with RawPeer() as silent:
        driver = OpenCvCamera("cam", OpenCvOptions(source=f"rtsp://127.0.0.1:{silent.port}/x", timeout_s=0.5))
        began = time.monotonic()
        with pytest.raises(DeviceError, match="SOURCE_TIMEOUT"):
            driver.open()
        assert time.monotonic() - began < 0.8
        driver.close()


def test_an_address_that_swallows_connections_is_given_up_in_time():
    # Linux drops connections beyond the backlog as a firewall does: no answer, no refusal.
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        where = full.getsockname()
        held = [socket.socket() for _ in range(4)]
        for one in held:
            one.setblocking(False)
            one.connect_ex(where)
        driver = OpenCvCamera("cam", OpenCvOptions(source=f"rtsp://127.0.0.1:{where[1]}/x", timeout_s=1.0))
        began = time.monotonic()
        with pytest.raises(DeviceError, match=r"SOURCE_TIMEOUT: no camera answers at 127\.0\.0\.1:\d+ within 0\.8 s"):
            driver.open()
        assert time.monotonic() - began < 1.0
        driver.close()
        for one in held:
            one.close()


def test_digest_as_in_the_example_of_rfc_2617():
    url = take_apart("rtsp://Mufasa:Circle%20Of%20Life@cam/dir/index.html")
    said = authorization(['Digest realm="testrealm@host.com", nonce="dcd98b", opaque="5ccc"', "Basic realm=x"], url)
    assert said.startswith('Digest username="Mufasa", realm="testrealm@host.com", nonce="dcd98b", uri="rtsp://cam:554/')
    assert said.endswith('opaque="5ccc"')
    assert "Circle" not in said
    assert authorization(["Digest algorithm=SHA-512-256, realm=x", 'Basic realm="x"'], url).startswith("Basic ")
    assert authorization(["Bearer"], url) == ""


@pytest.mark.parametrize(
    "url",
    ["rtsp://", "rtsp://user:se/cret@cam/x", "rtsp://user:se cret@cam/x", "rtsp://cam:99999/x", "rtsp://[cam/secret"],
)
def test_a_url_that_is_none_is_not_shown(url):
    with pytest.raises(ConfigError, match="SOURCE_URL_INVALID") as failed:
        OpenCvCamera("cam", OpenCvOptions(source=url))
    assert "cret" not in str(failed.value)
    assert failed.value.__cause__ is None


def test_transport_is_for_rtsp_only():
    with pytest.raises(ConfigError, match="transport is for rtsp"):
        OpenCvCamera("cam", OpenCvOptions(source=0, transport="udp"))


@pytest.mark.parametrize("source", ["/dev/video9", "9", "/dev/v4l/by-id/usb-none-index0"])
def test_a_usb_camera_that_is_not_there_is_one_line_unless_all_is_asked_for(source):
    command = [sys.executable, "-m", "edge.cli.main", "camera", "setup", source, "--json"]
    plain = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert plain.returncode == 4
    assert plain.stderr.startswith(f"SOURCE_ABSENT: there is no camera {source}; is /dev/")
    assert plain.stderr.count("\n") == 1, plain.stderr
    asked = subprocess.run([*command, "-v"], capture_output=True, text=True, check=False, timeout=60)
    assert asked.stderr.strip().splitlines()[-1] == plain.stderr.strip()
    assert ("VIDEOIO" in asked.stderr) == (source == "9"), asked.stderr
