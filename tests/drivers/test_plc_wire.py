"""The Modbus PLC driver when the wire or the other side is bad: late, trickling, lying, gone."""

from __future__ import annotations

import time

import pytest
from peer_plc import PlcPeer
from peer_raw import RawPeer

from drivers.plc_modbus import ModbusOptions, ModbusPlc
from edge.domain import Command
from edge.errors import DeviceError


@pytest.fixture
def peer():
    with PlcPeer() as running:
        yield running


def timed_failure(plc: ModbusPlc) -> tuple[str, float]:
    before_ns = time.monotonic_ns()
    with pytest.raises(DeviceError) as failed:
        plc.read(0.4)
    return failed.value.code, (time.monotonic_ns() - before_ns) / 1e9


def connected(port: int) -> ModbusPlc:
    plc = ModbusPlc("plc", ModbusOptions(host="127.0.0.1", port=port, timeout_s=0.4))
    plc.open()
    return plc


def test_a_slow_plc_is_a_time_out_and_its_late_answer_is_never_read(peer):
    plc = connected(peer.port)
    peer.delay_s = 5.0
    code, took_s = timed_failure(plc)
    assert code == "PLC_TIMEOUT"
    assert took_s < 0.48
    assert timed_failure(plc)[0] == "PLC_NOT_OPEN"
    plc.close()


def test_a_trickling_answer_does_not_stretch_the_time_out():
    # A frame that announces 200 bytes and sends one every 20 ms.
    def trickle(request: bytes):
        yield request[:4] + bytes([0, 200, 1, 3])
        for _ in range(500):
            yield b"\x00"

    with RawPeer(trickle, pause_s=0.02) as slow:
        plc = connected(slow.port)
        code, took_s = timed_failure(plc)
        plc.close()
    assert code == "PLC_MALFORMED"
    assert took_s < 0.48


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x00\x01\x00\x00\x00\x03\x01\x03\x14",  # right header, ten registers promised, none sent
        b"\x00\x01\x00\x00\x00\x05\x01\x03\x02\x00\x07",  # one register instead of ten
        b"\x00\x01\x00\x00\x00\x06\x01\x06\x00\x66\x00\x01",  # an answer to another function
        b"\x00\x01\x00\x00\x00\x17\x02\x03\x14" + bytes(20),  # another unit
        bytes(64),
        b"\xff" * 300,
    ],
)
def test_garbage_is_malformed(answer):
    with RawPeer(lambda _request: [answer]) as babbler:
        plc = connected(babbler.port)
        assert timed_failure(plc)[0] == "PLC_MALFORMED"
        plc.close()


def test_a_write_that_echoes_something_else_is_malformed():
    # FC6 to register 102 with value 1, echoed as value 2.
    with RawPeer(lambda request: [request[:-1] + b"\x02"]) as liar:
        plc = connected(liar.port)
        with pytest.raises(DeviceError, match=r"PLC_MALFORMED.*echo"):
            plc.beat(1, ready=True)
        plc.close()


def test_a_plc_that_hangs_up_is_lost_and_safe_stays_quiet():
    with RawPeer(lambda _request: [b""]) as rude:
        plc = connected(rude.port)
        assert timed_failure(plc)[0] == "PLC_LOST"
        plc.safe()
        plc.close()
        plc.safe()


def test_a_pulse_cut_off_by_a_lost_connection_is_ended_on_the_next_open(peer):
    plc = connected(peer.port)
    assert plc.apply(Command(1, "plc", "reject", deadline_ns=2**62, pulse_ms=1)).ok
    peer.delay_s = 1.0
    assert timed_failure(plc)[0] == "PLC_TIMEOUT"
    plc.close()
    assert peer.coils[0] == 1
    peer.delay_s = 0.0
    plc.open()
    assert peer.coils[0] == 0
    plc.close()


def test_nobody_there():
    with RawPeer() as gone:
        port = gone.port
    with pytest.raises(DeviceError, match=r"PLC_UNREACHABLE.*Modbus server runs"):
        connected(port)
