"""World and PLC program as one: steps both, and writes down what truly happened to every part. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from msgspec import Struct

from sims.plc import FAIL, NONE, Inputs, PlcProgram, PlcSpec, Registers
from sims.world import NS, Belt, BeltPart, Fate, Lamp, World


class Written(Struct, frozen=True):
    """One verdict as the agent wrote it: when it arrived, and the code."""

    t_ns: int
    code: int


class PartTruth(Struct, frozen=True):
    """What happened to one part, from the world and from the PLC. Times are ns since the line began.

    ``trigger_ns`` is the scan in which the PLC saw the part. ``code`` is the verdict the PLC took (0: none), ``choice``
    what it then did and ``by`` why. ``fate`` is where the part really ended.
    """

    index: int
    part_no: int
    trigger_ns: int
    latched: int
    written: tuple[Written, ...]
    code: int
    choice: str
    by: str
    fate: Fate
    fate_ns: int | None
    agent_dead: bool
    """The PLC took the agent for dead at the moment of the trigger."""

    @property
    def latency_ms(self) -> float | None:
        """Trigger to first verdict at the PLC; None without a verdict."""
        return (self.written[0].t_ns - self.trigger_ns) / 1e6 if self.written else None


@dataclass(slots=True)
class _Seen:
    """What the PLC knows of a part the world saw at the eye."""

    part_no: int
    trigger_ns: int
    agent_dead: bool
    written: list[Written] = field(default_factory=list)
    code: int = NONE
    choice: str = ""
    by: str = ""


class Line:
    """A belt and its PLC. Call :meth:`scan` every ``scan_ms``; write registers in between with :meth:`write_result`."""

    def __init__(self, belt: Belt, lamp: Lamp, plc: PlcSpec, n_parts: int, seed: int) -> None:
        self.world = World(belt, lamp, n_parts, seed)
        self.program = PlcProgram(
            plc, belt.counts_per_mm, belt.decision_mm - belt.camera_mm, belt.gate_mm - belt.camera_mm
        )
        self.regs = Registers(part_no=plc.part_no_start % (1 << 16), encoder=self.world.encoder)
        self.scan_ns = round(plc.scan_ms * 1e6)
        self.standstill_ns = 0
        self.plc_off = False
        self._unseen: list[BeltPart] = []
        self._seen: dict[int, _Seen] = {}
        self._of_part_no: dict[int, int] = {}
        self._gate = False
        self._run = True

    @property
    def done(self) -> bool:
        """True when the last part has left the belt."""
        return self.world.done

    @property
    def stands(self) -> bool:
        """Whether the belt is told to stand."""
        return not self._run

    @property
    def seen(self) -> int:
        """How many parts have reached the eye."""
        return len(self._seen)

    def scan(self) -> list[int]:
        """Advance world and program by one scan. Returns the indices of parts that reached the eye."""
        if self.plc_off:
            self._gate = self._run = False
        arrived = self.world.step(self.scan_ns / NS, gate=self._gate, run=self._run)
        if self.plc_off:
            self.standstill_ns += self.scan_ns
            self._unseen += arrived  # as the belt ran out; the program sees them standing before the eye
            return []
        arrived, self._unseen = self._unseen + arrived, []
        inputs = Inputs(self.world.t_ns, self.world.eye, self.world.encoder, self.world.eye_latched)
        out = self.program.scan(inputs, self.regs)
        self._gate, self._run = out.gate, out.run
        self.standstill_ns += 0 if out.run else self.scan_ns
        for part in arrived:
            self._seen[part.index] = _Seen(self.regs.part_no, self.world.t_ns, self.program.agent_dead)
            self._of_part_no[self.regs.part_no] = part.index
        for tracked in self.program.taken_off:
            self.world.take_off(self._of_part_no[tracked.part_no])
        self._follow()
        return [part.index for part in arrived]

    def restart_plc(self) -> None:
        """The PLC's program begins anew, when the operator has taken off what it had tracked."""
        self.plc_off, self._run = False, True
        for tracked in self.program.restart(self.regs):
            self.world.take_off(self._of_part_no[tracked.part_no])

    def write_result(self, part_no: int, code: int, t_ns: int) -> None:
        """The agent's registers 100 and 101 were written, ``t_ns`` after the line began."""
        self.regs.result_part_no, self.regs.result_code = part_no, code
        index = self._of_part_no.get(part_no)
        if index is not None and code != NONE:
            self._seen[index].written.append(Written(t_ns, code))

    def write_coil(self, value: bool, t_ns: int) -> None:
        """The agent's reject coil was written. In coil mode its rising edge is the last part's verdict."""
        rising = value and not self.regs.coil_reject
        self.regs.coil_reject = value
        if rising and self.program.spec.mode == "coil" and self.program.spec.gate == "plc" and self._seen:
            self._seen[max(self._seen)].written.append(Written(t_ns, FAIL))

    def index_of(self, part_no: int) -> int | None:
        """The part that bears this number now (the last one, after a wrap)."""
        return self._of_part_no.get(part_no)

    def truth(self) -> list[PartTruth]:
        """Every part that reached the eye, in order."""
        return [self._truth(index, seen) for index, seen in sorted(self._seen.items())]

    def _truth(self, index: int, seen: _Seen) -> PartTruth:
        part = self.world.parts[index]
        return PartTruth(
            index,
            seen.part_no,
            seen.trigger_ns,
            part.latched,
            tuple(seen.written),
            seen.code,
            seen.choice,
            seen.by,
            part.fate,
            part.fate_ns,
            seen.agent_dead,
        )

    def _follow(self) -> None:
        for tracked in self.program.tracked:
            seen = self._seen[self._of_part_no[tracked.part_no]]
            seen.code, seen.choice, seen.by = tracked.code, tracked.choice, tracked.by
