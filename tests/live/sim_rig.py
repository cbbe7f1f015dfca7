"""The simulated PLC and camera over real sockets. A raw client in this file plays the agent, with no driver of ours.

What is decided here is what the line then physically does: a right, late, wrong or missing command each ends in the
bin that physics says.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from sims.camera import Camera
from sims.camera_server import CameraServer
from sims.line import Line, PartTruth
from sims.live_line import LiveLine
from sims.parts import make_parts
from sims.plc import PlcSpec
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
