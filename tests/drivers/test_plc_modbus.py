"""The Modbus PLC driver against a real Modbus server on loopback."""

from __future__ import annotations

import time

import pytest
from peer_plc import PlcPeer

from drivers.plc_modbus import ModbusOptions, ModbusPlc
from edge.domain import Command
from edge.errors import DeviceError

FAR_NS = 2**62
CAPTURED = [7, 0x0001, 0x0002, 0x0003, 0x0004, 1, 6, 41, 2, 1]
CAPTURED_VALUES = {
    "part_no": 7,
    "encoder_latched": 0x0001_0002,
    "encoder": 0x0003_0004,
    "ready": True,
    "result_ack": 6,
    "heartbeat_plc": 41,
    "recipe": 2,
    "ack_code": 1,
}


def command(action: str, **more: int) -> Command:
    return Command(**{"command_id": 1, "device": "plc", "action": action, "deadline_ns": FAR_NS, **more})


@pytest.fixture
def peer():
    with PlcPeer() as running:
        yield running


@pytest.fixture
def plc(peer):
    driver = ModbusPlc("plc", ModbusOptions(host="127.0.0.1", port=peer.port, timeout_s=1.0))
    driver.open()
    yield driver
    driver.close()


def test_read_gives_the_plc_s_values(peer, plc):
    peer.holding[0:10] = CAPTURED
    before_ns = time.monotonic_ns()
    reading = plc.read(1.0)
    assert reading.values == CAPTURED_VALUES
    assert reading.source == "plc"
    assert before_ns <= reading.at_ns <= time.monotonic_ns()


def test_status_is_one_request_and_a_verdict_is_one_request(peer, plc):
    plc.read(1.0)
    applied = plc.apply(command("verdict", part_no=65535, code=2))
    assert applied.ok
    assert peer.requests == [(3, 0, 10, None), (16, 100, 2, [65535, 2])]
    assert peer.holding[100:102] == [65535, 2]


def test_applied_is_stamped_after_the_answer(peer, plc):
    peer.delay_s = 0.1
    before_ns = time.monotonic_ns()
    assert plc.apply(command("verdict", part_no=1, code=1)).at_ns - before_ns >= 100_000_000


def test_a_late_command_moves_nothing(peer, plc):
    applied = plc.apply(command("verdict", part_no=1, code=1, deadline_ns=time.monotonic_ns() - 1))
    assert (applied.ok, applied.code) == (False, "CMD_LATE")
    assert peer.requests == []


def test_unknown_and_out_of_range_commands_are_refused(peer, plc):
    assert plc.apply(command("dance")).code == "CMD_UNKNOWN"
    assert plc.apply(command("verdict", part_no=70000, code=1)).code == "CMD_RANGE"
    assert plc.apply(command("reject", pulse_ms=10_001)).code == "CMD_RANGE"
    assert peer.requests == []


def test_a_busy_plc_refuses_without_breaking_the_connection(peer, plc):
    peer.exception_code = 6
    applied = plc.apply(command("verdict", part_no=1, code=1))
    assert (applied.ok, applied.code) == (False, "CMD_REFUSED")
    assert "busy" in applied.what
    with pytest.raises(DeviceError, match=r"PLC_REFUSED"):
        plc.read(1.0)
    peer.exception_code = 0
    assert plc.read(1.0).values["part_no"] == 0
    assert peer.connections == 1


def test_readiness_is_written_when_it_changes_and_after_each_open(peer, plc):
    plc.beat(65536, ready=True)
    plc.beat(2, ready=True)
    assert [r[:2] for r in peer.requests] == [(6, 102), (6, 104), (6, 102)]
    assert (peer.holding[102], peer.holding[104]) == (2, 1)
    plc.beat(3, ready=False)
    assert (peer.holding[102], peer.holding[104]) == (3, 0)
    plc.close()
    peer.holding[104] = 1
    plc.open()
    plc.beat(4, ready=False)
    assert peer.holding[104] == 0


def test_line_stop_and_release(peer, plc):
    assert plc.apply(command("stop")).ok
    assert peer.holding[103] == 1
    assert plc.apply(command("release")).ok
    assert peer.holding[103] == 0


def test_a_reject_pulse_ends_by_itself_in_a_later_call(peer, plc):
    plc.apply(command("reject", pulse_ms=20))
    assert peer.coils[0] == 1
    due_ns = plc.next_tick_ns()
    plc.tick(due_ns - 1)
    assert peer.coils[0] == 1
    plc.tick(due_ns)
    assert peer.coils[0] == 0
    assert plc.next_tick_ns() is None


def test_a_pulse_is_ended_by_read_once_due(peer, plc):
    plc.apply(command("reject", pulse_ms=1))
    while time.monotonic_ns() < plc.next_tick_ns():
        pass
    plc.read(1.0)
    assert peer.coils[0] == 0


def test_a_second_reject_lengthens_the_pulse(peer, plc):
    plc.apply(command("reject", pulse_ms=1000))
    first_ns = plc.next_tick_ns()
    plc.apply(command("reject", pulse_ms=1000))
    assert plc.next_tick_ns() > first_ns
    assert [r[3] for r in peer.requests] == [[1], [1]]


def test_close_ends_a_standing_pulse(peer, plc):
    plc.apply(command("reject", pulse_ms=10_000))
    plc.close()
    assert peer.coils[0] == 0


def test_outputs_off_clears_gate_and_stop(peer, plc):
    plc.apply(command("reject", pulse_ms=10_000))
    plc.apply(command("stop"))
    assert plc.apply(command("outputs_off")).ok
    assert (peer.coils[0], peer.holding[103]) == (0, 0)


def test_safe_takes_back_what_stands_and_starts_nothing(peer, plc):
    plc.beat(1, ready=True)
    plc.apply(command("reject", pulse_ms=10_000))
    plc.apply(command("stop"))
    plc.safe()
    assert (peer.coils[0], peer.holding[103], peer.holding[104]) == (0, 1, 0)
    plc.beat(2, ready=True)
    assert peer.holding[104] == 1


def test_safe_after_close_connects_once_more(peer, plc):
    plc.beat(1, ready=True)
    plc.close()
    plc.safe()
    assert peer.holding[104] == 0
    with pytest.raises(DeviceError, match=r"PLC_NOT_OPEN"):
        plc.read(1.0)


def test_safe_stops_the_line_when_told_to(peer):
    plc = ModbusPlc("plc", ModbusOptions(host="127.0.0.1", port=peer.port, safe_line_stop=True))
    plc.safe()  # nothing was ever ours: nothing is written
    assert peer.requests == []
    plc.open()
    plc.safe()
    plc.close()
    assert peer.holding[103] == 1


def test_coil_mode(peer):
    options = ModbusOptions(host="127.0.0.1", port=peer.port, mode="coil", encoder=True, safe_line_stop=True)
    plc = ModbusPlc("plc", options)
    plc.open()
    try:
        peer.set_input(True)
        peer.holding[3:5] = [1, 2]
        assert plc.read(1.0).values == {"trigger": True, "encoder": 65538}
        assert plc.apply(command("verdict", part_no=1, code=1)).code == "CMD_UNKNOWN"
        assert plc.apply(command("reject", pulse_ms=5000)).ok
        assert plc.apply(command("stop")).ok
        assert peer.coils == [1, 1]
        plc.beat(1, ready=True)
        plc.apply(command("release"))
        plc.safe()
        assert peer.coils == [0, 1]
        assert all(function in {2, 3, 5} for function, *_ in peer.requests)
    finally:
        plc.close()


def test_an_unlucky_address_map_is_told_not_guessed(peer):
    plc = ModbusPlc("plc", ModbusOptions(host="127.0.0.1", port=peer.port, status_register=60000))
    plc.open()
    try:
        with pytest.raises(DeviceError, match=r"PLC_REFUSED.*illegal address"):
            plc.read(1.0)
    finally:
        plc.close()
