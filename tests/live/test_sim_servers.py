"""The simulated PLC and camera over real sockets. A raw client in this file plays the agent, with no driver of ours.

What is decided here is what the line then physically does: a right, late, wrong or missing command each ends in the
bin that physics says.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from drivers.camera_http import HttpCamera, HttpOptions
from drivers.plc_modbus import ModbusOptions, ModbusPlc
from edge.domain import Command
from edge.errors import DeviceError, LinkError
from sims.camera import Camera
from sims.camera_server import CameraServer
from sims.line import Line, PartTruth
from sims.live_line import LiveLine
from sims.parts import make_parts
from sims.plc import ACCEPTED, FAIL, LATE, PASS, PlcSpec
from sims.plc_server import PlcServer
from sims.scenario import CameraSpec
from sims.world import Belt, Lamp

pytestmark = pytest.mark.live

PARTS = 5
SPARE_S = 20.0


class RawModbus:
    """MODBUS/TCP by hand: seven bytes of header, then function and data."""

    def __init__(self, port: int) -> None:
        self._sock = socket.create_connection(("127.0.0.1", port), timeout=2.0)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._id = 0

    def ask(self, pdu: bytes) -> bytes:
        self._id = (self._id + 1) & 0xFFFF
        self._sock.sendall(struct.pack(">HHHB", self._id, 0, len(pdu) + 1, 1) + pdu)
        head = self._take(7)
        transaction, _, length, unit = struct.unpack(">HHHB", head)
        assert (transaction, unit) == (self._id, 1)
        return self._take(length - 1)

    def read(self, address: int, count: int) -> list[int]:
        answer = self.ask(struct.pack(">BHH", 3, address, count))
        assert answer[0] == 3
        return list(struct.unpack(f">{count}H", answer[2:]))

    def write(self, address: int, *words: int) -> bytes:
        return self.ask(struct.pack(f">BHHB{len(words)}H", 16, address, len(words), 2 * len(words), *words))

    def close(self) -> None:
        self._sock.close()

    def _take(self, n: int) -> bytes:
        data = b""
        while len(data) < n:
            more = self._sock.recv(n - len(data))
            if not more:
                raise ConnectionError("the server hung up")
            data += more
        return data


@dataclass
class Rig:
    live: LiveLine
    plc: PlcServer
    camera: CameraServer

    def url(self, path: str = "/snapshot.jpg") -> str:
        return self.camera.url + path


@contextlib.contextmanager
def rig(n: int = PARTS, **plc: object) -> Iterator[Rig]:
    belt = Belt(camera_mm=120.0, decision_mm=270.0, gate_mm=320.0, end_mm=400.0)
    live = LiveLine(Line(belt, Lamp(), PlcSpec(**plc), n, seed=4))
    spec = CameraSpec(width_px=320, height_px=240, mm_per_px=0.5, stream_fps=50.0)
    server = CameraServer(Camera(spec, live, make_parts(n, 1), 0.12, seed=1))
    live.on_arrival(server.part_arrived)
    plc_server = PlcServer(live)
    try:
        plc_server.start()
        server.start()
        yield Rig(live, plc_server, server)
    finally:
        live.stop()
        server.stop()
        plc_server.stop()


def play_agent(r: Rig, answer: Callable[[int, int], list[tuple[int, int]]]) -> list[PartTruth]:
    """Poll the PLC until the line is empty; ``answer(count, part_no)`` says which results to write for the nth part."""
    bus = RawModbus(r.plc.port)
    status = bus.read(0, 10)
    r.live.start()
    last, count, beat = status[0], 0, 0
    end = time.monotonic() + SPARE_S
    while not r.live.wait_empty(0.002):
        assert time.monotonic() < end
        beat += 1
        assert bus.write(102, beat & 0xFFFF)[0] == 16
        status = bus.read(0, 10)
        if status[0] != last:
            last, count = status[0], count + 1
            for part_no, code in answer(count - 1, last):
                assert bus.write(100, part_no, code)[0] == 16
    bus.close()
    return r.live.truth()


def test_a_raw_agent_rejects_the_parts_it_means():
    with rig() as r:
        truth = play_agent(r, lambda i, no: [(no, FAIL if i in {1, 3} else PASS)])
    assert [p.fate for p in truth] == ["passed", "rejected", "passed", "rejected", "passed"]
    assert all(0.0 <= p.latency_ms < 300.0 for p in truth)
    assert {len(p.written) for p in truth} == {1}


def test_a_verdict_for_the_wrong_number_rejects_the_wrong_part():
    with rig() as r:  # part 2 is bad, but its verdict bears the number before
        truth = play_agent(r, lambda i, no: [] if i == 1 else [((no - 1) & 0xFFFF, FAIL)] if i == 2 else [(no, PASS)])
    assert [p.fate for p in truth] == ["passed", "rejected", "rejected", "passed", "passed"]
    assert [p.by for p in truth] == ["verdict", "verdict", "no_verdict", "verdict", "verdict"]


def test_a_late_verdict_is_told_to_the_agent_and_the_part_stays_rejected():
    with rig() as r:
        first: list[int] = []

        def answer(i: int, no: int) -> list[tuple[int, int]]:
            first.append(no)
            return [] if i < 2 else [(first[0], PASS)] if i == 2 else [(no, PASS)]

        truth = play_agent(r, answer)
        assert r.live.line.program.late == 1
    assert truth[0].written
    assert truth[0].fate == "rejected"
    assert LATE != ACCEPTED


def test_a_silent_agent_means_every_part_is_rejected():
    with rig(n=3) as r:
        r.live.start()
        assert r.live.wait_empty(SPARE_S)
        assert {(p.fate, p.by) for p in r.live.truth()} == {("rejected", "no_verdict")}


def test_what_belongs_to_the_plc_cannot_be_written():
    with rig() as r:
        bus = RawModbus(r.plc.port)
        assert bus.write(0, 7)[0] == 16 | 0x80
        assert bus.ask(struct.pack(">BHH", 3, 50, 1))[0] == 3 | 0x80
        bus.close()


def test_trigger_bit_and_reject_coil():
    with rig(n=2, mode="coil") as r:
        bus = RawModbus(r.plc.port)
        r.live.start()
        was, pulses = False, []
        while not r.live.wait_empty(0.002):
            bit = bool(bus.ask(struct.pack(">BHH", 2, 0, 1))[2] & 1)
            if bit and not was:
                pulses.append(time.monotonic())
                order = struct.pack(">BHH", 5, 0, 0xFF00 if len(pulses) == 2 else 0)
                assert bus.ask(order) == order  # the echo, as the standard says
            elif was and not bit:
                bus.ask(struct.pack(">BHH", 5, 0, 0))
            was = bit
        bus.close()
        assert [p.fate for p in r.live.truth()] == ["passed", "rejected"]


def test_plc_gone_and_back_on_the_same_port_while_the_program_scans_on():
    with rig() as r:
        bus = RawModbus(r.plc.port)
        before = bus.read(7, 1)
        r.live.start()
        r.plc.set_health("gone")
        with pytest.raises((ConnectionError, OSError)):
            bus.read(7, 1)
        bus.close()
        with pytest.raises(ConnectionRefusedError):
            RawModbus(r.plc.port)
        assert r.live.wait_empty(SPARE_S)
        r.plc.set_health("ok")
        bus = RawModbus(r.plc.port)
        assert bus.read(7, 1) != before
        bus.close()


def test_a_frozen_plc_takes_the_request_and_answers_when_it_thaws():
    with rig() as r:
        bus = RawModbus(r.plc.port)
        r.plc.set_health("frozen")
        answers: list[list[int]] = []
        waiting = threading.Thread(target=lambda: answers.append(bus.read(0, 10)))
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
        r.plc.set_health("ok")
        waiting.join(2.0)
        assert len(answers) == 1
        bus.close()


def test_port_taken_is_said():
    with rig() as r:
        second = PlcServer(r.live, port=r.plc.port)
        with pytest.raises(LinkError, match="PORT_TAKEN"):
            second.start()


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
