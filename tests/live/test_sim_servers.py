"""The simulated PLC and camera over real sockets. A raw client in this file plays the agent, with no driver of ours.

What is decided here is what the line then physically does: a right, late, wrong or missing command each ends in the
bin that physics says.
"""

from __future__ import annotations

import struct
import threading
import time

import pytest

from edge.errors import LinkError
from sims.plc import ACCEPTED, FAIL, LATE, PASS
from sims.plc_server import PlcServer
from tests.live.sim_rig import RawModbus, play_agent, rig

pytestmark = pytest.mark.live

PARTS = 5
SPARE_S = 20.0


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
