"""The PLC's program, as one pure scan: inputs and registers in, outputs and registers out, every 5 ms.

Register map, Modbus TCP, unit 1, addresses from 0 (holding registers unless it says otherwise)::

      0       part_no         u16, wraps; counts triggers
      1-2     encoder_latched u32, high word first; the encoder at the trigger
      3-4     encoder         u32, high word first; now
      5       ready           1 while the program runs the line
      6       result_ack      part_no of the result taken last
      7       heartbeat_plc   u16, counts
      8       recipe          u16
      9       ack_code        1 accepted, 2 late, 3 unknown part
    100       result_part_no  ┐ written by the agent in one request (FC 16);
    101       result_code     ┘ 0 none, 1 pass, 2 fail, 3 unsure; the program clears it when it has taken it
    102       heartbeat_agent any change counts; none for 0.5 s: the agent is dead
    103       line_stop       the agent wants the line to stand: its rising edge stops it
    104       agent_ready
    discrete input 0  trigger, while a part covers the eye and for ``trigger_ms``
    coil 0            reject      coil 1  line stop

The way of a part through the program (``gate = "plc"``)::

    eye ─▶ shift register ──(decision_mm)──▶ decided ──(gate_mm)──▶ gate opens or not
               ▲ result taken: 1 accepted       │ no result: the no_verdict rule
               └─ after the decision: 2 late ◀──┘

``gate = "agent"``: coil 0 moves the gate as long as it is set; the program only watches over it. Parts that were on
their way while the agent was dead (so that no agent knows them) are the program's: it follows ``no_verdict`` for them.
``mode = "coil"``: there is no part number; a rising edge of coil 0 marks the part that triggered last. A program that
has never seen a heartbeat cannot know a missing verdict from a good part: that is this mode's limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from msgspec import Struct

U16 = 1 << 16
U32 = 1 << 32

NONE, PASS, FAIL, UNSURE = 0, 1, 2, 3
ACCEPTED, LATE, UNKNOWN = 1, 2, 3

REMEMBERED = 64
"""Parts already decided that a late result is still recognised for."""

Choice = Literal["pass", "reject", "stop", "agent", ""]
"""What the program decided for a part; ``agent``: the gate is the agent's own; empty: not yet."""


class PlcSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """How the program is set up. The scenario adds distances from the belt."""

    mode: Literal["handshake", "coil"] = "handshake"
    gate: Literal["plc", "agent"] = "plc"
    no_verdict: Literal["reject", "stop", "pass"] = "reject"
    unsure: Literal["reject", "stop", "pass"] = "reject"
    scan_ms: float = 5.0
    watchdog_s: float = 0.5
    trigger_ms: float = 60.0
    """How long the trigger bit stands in coil mode."""
    operator_s: float = 3.0
    """So long after a stop the operator takes off the part at the decision point and starts the line; 0: nobody."""
    part_no_start: int = 65_500
    """The first part's number is one more; the default wraps in every longer run."""
    recipe: int = 0
    gate_open_mm: float = 18.0
    """The gate is driven from so far before to so far behind ``gate_mm``."""


@dataclass(slots=True)
class Registers:
    """The words and bits that travel. The program owns 0 to 9 and the input; the agent writes the others."""

    part_no: int = 0
    encoder_latched: int = 0
    encoder: int = 0
    ready: int = 0
    result_ack: int = 0
    heartbeat_plc: int = 0
    recipe: int = 0
    ack_code: int = 0
    result_part_no: int = 0
    result_code: int = 0
    heartbeat_agent: int = 0
    line_stop: int = 0
    agent_ready: int = 0
    trigger: bool = False
    coil_reject: bool = False
    coil_stop: bool = False


def status_words(regs: Registers) -> list[int]:
    """Registers 0 to 9 as 16-bit words."""
    return [
        regs.part_no,
        regs.encoder_latched >> 16,
        regs.encoder_latched & 0xFFFF,
        regs.encoder >> 16,
        regs.encoder & 0xFFFF,
        regs.ready,
        regs.result_ack,
        regs.heartbeat_plc,
        regs.recipe,
        regs.ack_code,
    ]


@dataclass(frozen=True, slots=True)
class Inputs:
    """What is wired to the program: photo eye, encoder, the encoder as latched by the eye's edge, and its own time."""

    t_ns: int
    eye: bool
    encoder: int
    latched: int


@dataclass(frozen=True, slots=True)
class Outputs:
    """What the program drives: the gate and the belt."""

    gate: bool
    run: bool


@dataclass(slots=True)
class Tracked:
    """One part in the shift register."""

    part_no: int
    latched: int
    code: int = NONE
    orphan: bool = False
    choice: Choice = ""
    by: Literal["verdict", "no_verdict", ""] = ""


class PlcProgram:
    """State kept between scans. ``counts_to_decision`` and ``counts_to_gate`` are measured from the eye."""

    def __init__(self, spec: PlcSpec, counts_per_mm: float, decision_mm: float, gate_mm: float) -> None:
        self.spec = spec
        self.tracked: list[Tracked] = []
        self.taken_off: list[Tracked] = []
        self.late = 0
        self.unknown = 0
        self.stops = 0
        self.agent_dead = True
        self._counts_to_decision = decision_mm * counts_per_mm
        self._counts_to_gate = gate_mm * counts_per_mm
        self._gate_open_counts = spec.gate_open_mm * counts_per_mm
        self._past: list[Tracked] = []
        self._part_no = spec.part_no_start % U16
        self._eye = False
        self._trigger_until_ns = 0
        self._coil = False
        self._stop_asked = False
        self._stopped_ns: int | None = None
        self._heartbeat: int | None = None
        self._heartbeat_ns: int | None = None
        self._scans = 0

    def scan(self, inputs: Inputs, regs: Registers) -> Outputs:
        """One cycle. ``taken_off`` holds the parts that the operator is to take off the belt after it."""
        self.taken_off = []
        self._watch_agent(inputs, regs)
        self._track(inputs, regs)
        self._take_result(inputs, regs)
        self._decide(inputs)
        self._stop_and_start(inputs, regs)
        gate = self._drive_gate(inputs, regs)
        self._tell(inputs, regs)
        return Outputs(gate=gate, run=self._stopped_ns is None)

    def restart(self, regs: Registers) -> list[Tracked]:
        """After a reboot: numbers go on (retentive memory), the rest is forgotten. Returns what must be taken off."""
        cleared = list(self.tracked)
        for part in cleared:
            part.choice = part.choice or "stop"
            self._forget(part)
        regs.result_code, regs.line_stop, regs.coil_stop, regs.coil_reject = NONE, 0, False, False
        self._stopped_ns, self._stop_asked, self._coil = None, False, False
        return cleared

    def part_now(self, part_no: int) -> Tracked | None:
        """The part of this number, the newest first; None if it is not remembered."""
        both = [*self._past, *self.tracked]
        return next((part for part in reversed(both) if part.part_no == part_no), None)

    def _watch_agent(self, inputs: Inputs, regs: Registers) -> None:
        if self._heartbeat is None:
            self._heartbeat = regs.heartbeat_agent
        elif regs.heartbeat_agent != self._heartbeat:
            self._heartbeat, self._heartbeat_ns = regs.heartbeat_agent, inputs.t_ns
        silent = self._heartbeat_ns is None or inputs.t_ns - self._heartbeat_ns > self.spec.watchdog_s * 1e9
        self.agent_dead = silent
        if silent:
            regs.agent_ready = 0
            if self._heartbeat_ns is not None or self.spec.mode == "handshake":
                # whoever comes back knows nothing of these: the program holds them to its own rule
                for part in self.tracked:
                    part.orphan = True

    def _track(self, inputs: Inputs, regs: Registers) -> None:
        if inputs.eye and not self._eye:
            self._part_no = (self._part_no + 1) % U16
            part = Tracked(self._part_no, inputs.latched)
            part.orphan = self.agent_dead and (self._heartbeat_ns is not None or self.spec.mode == "handshake")
            self.tracked.append(part)
            self._trigger_until_ns = inputs.t_ns + round(self.spec.trigger_ms * 1e6)
            regs.part_no, regs.encoder_latched = self._part_no, inputs.latched
        self._eye = inputs.eye
        regs.trigger = inputs.eye and inputs.t_ns < self._trigger_until_ns

    def _take_result(self, inputs: Inputs, regs: Registers) -> None:
        if self.spec.mode == "coil":
            if regs.coil_reject and not self._coil and self.tracked and self.spec.gate == "plc":
                self.tracked[-1].code = FAIL
            self._coil = regs.coil_reject
            return
        if regs.result_code == NONE:
            return
        part = self.part_now(regs.result_part_no)
        if part is None:
            code, self.unknown = UNKNOWN, self.unknown + 1
        elif part.code == regs.result_code:
            code = ACCEPTED  # sent again because the answer was lost on the way: the same verdict, taken once
        elif part.code == NONE and part.choice == "" and self._counts_since(part, inputs) < self._counts_to_decision:
            code, part.code, part.orphan = ACCEPTED, regs.result_code, False
        else:
            code, self.late = LATE, self.late + 1
        regs.result_ack, regs.ack_code, regs.result_code = regs.result_part_no, code, NONE

    def _decide(self, inputs: Inputs) -> None:
        for part in self.tracked:
            if part.choice == "" and self._counts_since(part, inputs) >= self._counts_to_decision:
                part.choice, part.by = self._choice(part)

    def _choice(self, part: Tracked) -> tuple[Choice, Literal["verdict", "no_verdict", ""]]:
        if part.code != NONE and self.spec.gate == "plc":
            asked: dict[int, Choice] = {PASS: "pass", FAIL: "reject"}
            return asked.get(part.code, self.spec.unsure), "verdict"
        if part.orphan:
            return self.spec.no_verdict, "no_verdict"
        if self.spec.gate == "agent":
            return "agent", ""
        if self.spec.mode == "coil":
            return "pass", ""  # no pulse: a good part, as far as this mode can tell
        return self.spec.no_verdict, "no_verdict"

    def _stop_and_start(self, inputs: Inputs, regs: Registers) -> None:
        asked = bool(regs.line_stop) or regs.coil_stop
        held = [part for part in self.tracked if part.choice == "stop"]
        if self._stopped_ns is None and (held or (asked and not self._stop_asked)):
            self._stopped_ns = inputs.t_ns
            self.stops += 1
        self._stop_asked = asked
        if self._stopped_ns is None or not self.spec.operator_s:
            return
        if inputs.t_ns - self._stopped_ns >= self.spec.operator_s * 1e9:
            self.taken_off = held
            for part in held:
                self._forget(part)
            self._stopped_ns = None

    def _drive_gate(self, inputs: Inputs, regs: Registers) -> bool:
        near = self._counts_to_gate - self._gate_open_counts
        far = self._counts_to_gate + self._gate_open_counts
        fire = False
        for part in list(self.tracked):
            counts = self._counts_since(part, inputs)
            if counts > far:
                self._forget(part)
            elif counts >= near and part.choice == "reject":
                fire = True
        return fire or (self.spec.gate == "agent" and regs.coil_reject and not self.agent_dead_for_gate)

    @property
    def agent_dead_for_gate(self) -> bool:
        """True when a coil left standing by a dead agent must not hold the gate open any more."""
        return self.agent_dead and self._heartbeat_ns is not None

    def _tell(self, inputs: Inputs, regs: Registers) -> None:
        self._scans += 1
        regs.heartbeat_plc = self._scans % U16
        regs.encoder = inputs.encoder
        regs.recipe = self.spec.recipe
        regs.ready = int(self._stopped_ns is None)

    def _forget(self, part: Tracked) -> None:
        self.tracked.remove(part)
        self._past = [*self._past[-(REMEMBERED - 1) :], part]

    def _counts_since(self, part: Tracked, inputs: Inputs) -> int:
        return (inputs.encoder - part.latched) % U32
