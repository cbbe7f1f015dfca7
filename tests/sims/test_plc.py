"""The PLC's program and the line: who is rejected, by whom, and what a late, wrong or missing command does."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sims.line import Line, PartTruth
from sims.plc import ACCEPTED, FAIL, LATE, NONE, PASS, UNKNOWN, UNSURE, PlcSpec
from sims.world import Belt, Lamp

Agent = Callable[[Line, int], None]


def drive(line: Line, agent: Agent | None = None, *, scans: int = 4000, beat: bool = True) -> list[PartTruth]:
    """Scan until the line is empty. ``agent(line, scan)`` acts between scans; it beats unless told otherwise."""
    for scan in range(scans):
        if beat:
            line.regs.heartbeat_agent = scan % 65536
        if agent:
            agent(line, scan)
        line.scan()
        if line.done:
            break
    assert line.done
    return line.truth()


def prompt(verdict: Callable[[int], int], delay_scans: int = 6) -> Agent:
    """An agent that answers each part ``delay_scans`` after its trigger, once the last result was taken."""
    due: list[tuple[int, int]] = []
    last: list[int | None] = [None]

    def agent(line: Line, scan: int) -> None:
        if last[0] is None:
            last[0] = line.regs.part_no
        if line.regs.part_no != last[0]:
            last[0] = line.regs.part_no
            due.append((scan + delay_scans, line.regs.part_no))
        if due and due[0][0] <= scan and line.regs.result_code == NONE:
            _, part_no = due.pop(0)
            index = line.index_of(part_no)
            assert index is not None
            line.write_result(part_no, verdict(index), line.world.t_ns)

    return agent


def make(n: int = 10, **plc: object) -> Line:
    return Line(Belt(), Lamp(), PlcSpec(**plc), n, seed=2)


def fates(truth: list[PartTruth]) -> list[str]:
    return [part.fate for part in truth]


def test_the_parts_that_failed_are_rejected_and_no_others():
    truth = drive(make(), prompt(lambda i: FAIL if i in {2, 3, 7} else PASS))
    assert [p.index for p in truth if p.fate == "rejected"] == [2, 3, 7]
    assert {p.by for p in truth} == {"verdict"}
    assert all(p.latency_ms == pytest.approx(30.0, abs=6) for p in truth)


def test_part_numbers_wrap():
    truth = drive(make(n=40, part_no_start=65_520), prompt(lambda _: PASS))
    assert [p.part_no for p in truth] == [(65_521 + i) % 65536 for i in range(40)]
    assert set(fates(truth)) == {"passed"}


@pytest.mark.parametrize(("rule", "fate"), [("reject", "rejected"), ("pass", "passed"), ("stop", "held")])
def test_no_verdict_follows_the_rule(rule: str, fate: str):
    line = make(no_verdict=rule, operator_s=0.5)
    truth = drive(line, prompt(lambda i: NONE if i == 4 else PASS))
    assert fates(truth) == ["passed"] * 4 + [fate] + ["passed"] * 5
    assert truth[4].by == "no_verdict"
    assert line.program.stops == (1 if rule == "stop" else 0)


@pytest.mark.parametrize(("rule", "fate"), [("reject", "rejected"), ("pass", "passed"), ("stop", "held")])
def test_unsure_follows_its_own_rule(rule: str, fate: str):
    truth = drive(make(unsure=rule, operator_s=0.5), prompt(lambda i: UNSURE if i == 4 else PASS))
    assert truth[4].fate == fate


def test_a_dead_agent_means_no_verdict_for_everything():
    truth = drive(make(), beat=False)
    assert set(fates(truth)) == {"rejected"}
    assert {p.by for p in truth} == {"no_verdict"}
    assert all(p.agent_dead for p in truth)


def test_a_late_verdict_is_told_and_changes_nothing():
    line = make(n=3)
    acks = []

    def agent(line: Line, _scan: int) -> None:
        truth = line.truth()
        if truth and truth[0].choice and not truth[0].written:
            line.write_result(truth[0].part_no, PASS, line.world.t_ns)
        if line.regs.result_ack and (not acks or acks[-1] != line.regs.ack_code):
            acks.append(line.regs.ack_code)

    truth = drive(line, agent)
    assert acks == [LATE]
    assert truth[0].fate == "rejected"
    assert line.program.late == 1


def test_a_part_nobody_knows_is_told():
    line = make(n=2)
    line.write_result(1234, FAIL, 0)
    line.scan()
    assert (line.regs.result_ack, line.regs.ack_code, line.regs.result_code) == (1234, UNKNOWN, NONE)


def test_the_same_verdict_twice_is_accepted_and_another_one_is_not():
    line = make(n=1)
    codes = []
    for scan in range(1000):
        line.regs.heartbeat_agent = scan
        if line.truth() and len(codes) < 3 and line.regs.result_code == NONE:
            line.write_result(line.regs.part_no, [FAIL, FAIL, PASS][len(codes)], line.world.t_ns)
            line.scan()
            codes.append(line.regs.ack_code)
        line.scan()
    assert codes == [ACCEPTED, ACCEPTED, LATE]
    assert fates(line.truth()) == ["rejected"]


def test_two_results_in_one_scan_lose_the_first_as_a_real_register_does():
    line = make(n=3)
    done = []

    def agent(line: Line, _scan: int) -> None:
        truth = line.truth()
        if len(truth) == 2 and not done:
            done.append(True)
            line.write_result(truth[0].part_no, PASS, line.world.t_ns)
            line.write_result(truth[1].part_no, PASS, line.world.t_ns)

    assert fates(drive(line, agent)) == ["rejected", "passed", "rejected"]


def test_the_wrong_part_number_rejects_the_wrong_part():
    truth = drive(make(), prompt(lambda i: FAIL if i == 5 else PASS))  # a bad part 4, a verdict for part 5
    assert fates(truth)[4:6] == ["passed", "rejected"]


def test_the_agents_line_stop_stands_the_belt_until_the_operator_comes():
    line = make(n=4, operator_s=1.0)

    def agent(line: Line, scan: int) -> None:
        prompt_pass(line, scan)
        line.regs.line_stop = int(scan >= 100)

    prompt_pass = prompt(lambda _: PASS)
    truth = drive(line, agent)
    assert line.program.stops == 1
    assert line.standstill_ns == pytest.approx(1e9, rel=0.02)
    assert set(fates(truth)) == {"passed"}


def test_ready_falls_while_the_line_stands():
    line = make(n=2, operator_s=0.0)
    line.scan()
    assert line.regs.ready == 1
    line.regs.line_stop = 1
    line.scan()
    assert line.regs.ready == 0


def agent_gate(bad: set[int], error_mm: float = 0.0) -> Agent:
    """Fires the coil itself while a bad part is at the gate, by the encoder, ``error_mm`` too late."""

    def agent(line: Line, _scan: int) -> None:
        belt = line.world.belt
        want = False
        for part in line.truth():
            run_mm = (line.regs.encoder - part.latched) % 2**32 / belt.counts_per_mm
            away_mm = run_mm - (belt.gate_mm - belt.camera_mm) - error_mm
            want = want or (part.index in bad and abs(away_mm) <= 15.0)
        line.regs.coil_reject = want

    return agent


def test_with_its_own_gate_the_agent_rejects_what_is_before_the_gate():
    truth = drive(make(gate="agent"), agent_gate({1, 6}))
    assert [p.index for p in truth if p.fate == "rejected"] == [1, 6]


def test_an_agent_that_fires_one_pitch_late_rejects_the_next_part():
    truth = drive(make(gate="agent"), agent_gate({1, 6}, error_mm=140.0))
    assert [p.index for p in truth if p.fate == "rejected"] == [2, 7]


def test_with_its_own_gate_a_dead_agents_parts_are_the_programs():
    line = make(n=12, gate="agent")

    def agent(line: Line, scan: int) -> None:
        if not 150 <= scan < 350:  # dead for a second
            line.regs.heartbeat_agent = scan + 1

    truth = drive(line, agent, beat=False)
    rejected = [p.index for p in truth if p.fate == "rejected"]
    assert rejected
    assert rejected == list(range(rejected[0], rejected[-1] + 1))
    assert truth[-1].fate == "passed"
    assert {p.by for p in truth if p.fate == "rejected"} == {"no_verdict"}


def test_a_coil_left_set_by_a_dead_agent_does_not_hold_the_gate_open():
    line = make(n=8, gate="agent", no_verdict="pass")
    for scan in range(200):
        line.regs.heartbeat_agent = min(scan, 50)
        line.regs.coil_reject = True
        line.scan()
    before = sum(part.fate == "rejected" for part in line.world.parts)
    while not line.done:
        line.scan()
    assert sum(part.fate == "rejected" for part in line.world.parts) == before


def test_coil_mode_marks_the_part_that_triggered_last():
    line = make(mode="coil")
    was = [False]

    def agent(line: Line, _scan: int) -> None:
        rising = line.regs.trigger and not was[0]
        was[0] = line.regs.trigger
        if rising:
            line.regs.coil_reject = len(line.truth()) - 1 in {0, 4, 5}
        elif not line.regs.trigger:
            line.regs.coil_reject = False

    truth = drive(line, agent, beat=False)
    assert [p.index for p in truth if p.fate == "rejected"] == [0, 4, 5]


def test_the_trigger_bit_stands_for_its_time_once_a_part():
    line = make(n=3, mode="coil", trigger_ms=40.0)
    bits = []
    while not line.done:
        line.scan()
        bits.append(line.regs.trigger)
    text = "".join("1" if bit else "0" for bit in bits)
    runs = [len(run) for run in text.split("0") if run]
    assert runs == [8, 8, 8]
