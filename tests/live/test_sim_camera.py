"""The simulated PLC and camera over real sockets. A raw client in this file plays the agent, with no driver of ours.

What is decided here is what the line then physically does: a right, late, wrong or missing command each ends in the
bin that physics says.
"""

from __future__ import annotations

import http.client
import threading
import time

import cv2
import numpy as np
import pytest

from drivers.camera_http import HttpCamera, HttpOptions
from drivers.plc_modbus import ModbusOptions, ModbusPlc
from edge.domain import Command
from edge.errors import DeviceError
from sims.plc import FAIL, PASS
from tests.live.sim_rig import Rig, rig

pytestmark = pytest.mark.live

PARTS = 5
SPARE_S = 20.0


def get(r: Rig, timeout_s: float = 2.0) -> tuple[int, int, bytes]:
    link = http.client.HTTPConnection("127.0.0.1", r.camera.port, timeout=timeout_s)
    try:
        link.request("GET", "/snapshot.jpg")
        answer = link.getresponse()
        body = answer.read()
        return int(answer.headers["X-Frame-No"]), int(answer.headers["X-Captured-Ns"]), body
    finally:
        link.close()


def brightness(jpeg: bytes) -> float:
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (240, 320, 3)
    return float(image.mean())


def test_a_snapshot_is_exposed_now_and_numbered():
    with rig() as r:
        start_ns = time.monotonic_ns()
        first, second = get(r), get(r)
        assert [first[0], second[0]] == [1, 2]
        assert start_ns < first[1] < second[1] < time.monotonic_ns()


def test_the_picture_shows_the_part_that_is_there():
    with rig(n=1) as r:
        empty = brightness(get(r)[2])
        arrived = threading.Event()
        r.live.on_arrival(lambda _: arrived.set())
        r.live.start()
        assert arrived.wait(5.0)
        assert brightness(get(r)[2]) > empty + 10.0


def test_a_picture_drawn_ahead_shows_what_drawing_at_once_shows():
    with rig(n=2) as r:
        camera = r.camera.camera
        camera.prepare(range(2))
        arrived = threading.Event()
        r.live.on_arrival(lambda _: arrived.set())
        r.live.start()
        while r.live.expect(camera.view_mm, 0, 2.0) is None:
            camera.snapshot()
        camera.prepare(range(1), coming=0)
        assert arrived.wait(5.0)
        picture = camera.snapshot()
        quick, slow = (
            cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE).astype(np.int16)
            for jpeg in (picture.jpeg, camera.again(picture.frame_no))
        )
        difference = np.abs(cv2.blur(quick, (3, 3)) - cv2.blur(slow, (3, 3)))[:, 30:-30]
        assert np.percentile(difference, 99) < 25
        assert difference.mean() < 4.0


def test_a_frozen_camera_repeats_itself_and_recovers():
    with rig() as r:
        first = get(r)
        r.camera.set_health("frozen")
        assert get(r) == get(r) == first
        r.camera.set_health("ok")
        assert get(r)[0] == first[0] + 1


def test_a_dark_camera_is_dark_and_a_hanging_one_does_not_answer():
    with rig() as r:
        bright = brightness(get(r)[2])
        r.camera.set_health("dark")
        assert brightness(get(r)[2]) < bright / 2
        r.camera.set_health("hang")
        with pytest.raises(TimeoutError):
            get(r, timeout_s=0.15)
        r.camera.set_health("ok")
        assert get(r)[0] > 0


def test_a_camera_gone_refuses_and_comes_back_on_its_port():
    with rig() as r:
        port = r.camera.port
        r.camera.set_health("gone")
        with pytest.raises(ConnectionRefusedError):
            get(r)
        r.camera.set_health("ok")
        assert r.camera.port == port
        assert get(r)[0] == 1


def test_the_stream_sends_numbered_pictures():
    with rig() as r:
        camera = HttpCamera("cam", HttpOptions(url=r.url("/stream.mjpg"), mode="mjpeg", shared_clock=True))
        camera.open()
        frames = [camera.read(2.0) for _ in range(4)]
        camera.close()
        numbers = [frame.ref.frame_no for frame in frames]
        assert numbers == sorted(set(numbers))
        assert frames[0].image.shape == (240, 320, 3)


def test_the_real_drivers_run_a_part_through():
    with rig(n=2) as r:
        camera = HttpCamera("cam", HttpOptions(url=r.url(), shared_clock=True))
        plc = ModbusPlc("plc", ModbusOptions(host="127.0.0.1", port=r.plc.port))
        camera.open()
        plc.open()
        last = plc.read(0.5).values["part_no"]
        r.live.start()
        beat, sent = 0, 0
        while not r.live.wait_empty(0.001):
            plc.beat(beat := beat + 1, ready=True)
            status = plc.read(0.5)
            if (part_no := status.values["part_no"]) != last:
                last, sent = part_no, sent + 1
                frame = camera.read(1.0)
                assert frame.ref.captured_ns > status.at_ns
                code = FAIL if sent == 2 else PASS
                deadline_ns = time.monotonic_ns() + 200_000_000
                assert plc.apply(Command(sent, "plc", "verdict", deadline_ns, part_no=int(part_no), code=code)).ok
        plc.safe()
        plc.close()
        camera.close()
        assert [p.fate for p in r.live.truth()] == ["passed", "rejected"]


def test_the_real_camera_driver_says_frozen():
    with rig() as r:
        camera = HttpCamera("cam", HttpOptions(url=r.url()))
        camera.open()
        camera.read(2.0)
        r.camera.set_health("frozen")
        with pytest.raises(DeviceError, match="SOURCE_FROZEN"):
            camera.read(2.0)
        camera.close()
