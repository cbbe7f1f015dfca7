"""What must hold of one cell: its records, its verdicts, and above all what it did to the actuator."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sims.faults import Fault
from sims.line import Line
from sims.plc import PlcSpec
from sims.score_model import Outcome
from sims.virtual.books import Broken
from sims.virtual.kernel import NS, Kernel
from sims.virtual.line import LineNode

Alive = Callable[[], bool]
GRACE_S = 3.0
"""So long after a fault of PLC or agent things may still be on their way back to order: start, first heartbeat."""


class RuledLine(LineNode):
    """A line that knows when it was touched by somebody who must not, or with nothing before the gate."""

    def __init__(self, kernel: Kernel, line: Line) -> None:
        super().__init__(kernel, line)
        self.may_act: Alive = lambda: True
        """Whether there is an agent now that was not told to stop."""
        self.unsafe: list[str] = []

    def write_result(self, part_no: int, code: int) -> None:
        if not self.may_act():
            self.unsafe.append(f"at {self._line_s():.3f} s a verdict was written for part {part_no} by a stopped agent")
        super().write_result(part_no, code)

    def write_coil(self, *, value: bool) -> None:
        rising = value and not self.line.regs.coil_reject
        if rising and not self.may_act():
            self.unsafe.append(f"at {self._line_s():.3f} s the reject coil was set by a stopped agent")
        if rising and self.line.program.spec.gate == "agent" and not self._at_gate():
            self.unsafe.append(f"at {self._line_s():.3f} s the gate was fired with no part before it")
        super().write_coil(value=value)

    def _line_s(self) -> float:
        return self.line_ns() / NS

    def _at_gate(self) -> bool:
        """Whether a part comes to the gate while one pulse and one lag last."""
        belt = self.line.world.belt
        behind, before = 2 * belt.gate_reach_mm, 2 * belt.gate_reach_mm + belt.speed_mm_s * belt.gate_lag_ms / 1000
        return any(
            -before <= part.x_mm - belt.gate_mm <= behind
            for part in self.line.world.parts
            if part.fate in {"on_belt", "rejected"}
        )


def line_broken(
    outcomes: Sequence[Outcome], plc: PlcSpec, faults: Sequence[tuple[Fault, float, float]] = ()
) -> list[Broken]:
    """What became of the parts, against the rules of this line. ``faults``: (fault, began, ended) in seconds of line time.

    Where the agent fires the gate, or nothing but a coil goes to the PLC, a part whose way met a fault of PLC or agent
    is excused: the guide says so of these ways to the gate. A part without a record is excused when its verdict reached
    the PLC: a process that is killed takes the records of its last commit with it.
    """
    found: list[Broken] = []
    simple = plc.mode == "coil" or plc.gate == "agent"
    blind = plc.mode == "coil" and plc.gate == "plc"  # there, no verdict is a pass

    def first(name: str, of: Sequence[Outcome], what: str) -> None:
        if of and all(one.name != name for one in found):
            more = f" ({len(of)} parts)" if len(of) > 1 else ""
            found.append(Broken(name, f"part {of[0].truth.part_no}: {what}{more}"))

    ruled = [one for one in outcomes if not (simple and _met(one, faults))]
    passed = [one for one in ruled if one.truth.fate == "passed"]
    wrong = [one for one in ruled if one.wrong_part and not (blind and one.decision == "fail")]
    first("wrong_part", wrong, "the gate did the opposite of what this part's verdict says")
    if plc.no_verdict == "reject" and not blind:
        unseen = [one for one in passed if one.uninspected and not one.truth.written]
        first("let_through", unseen, "it has no verdict and ended among the good ones")
    if plc.unsure == "reject" and not blind:
        doubted = [one for one in passed if one.decision == "unsure"]
        first("let_through", doubted, "its verdict is unsure and it ended among the good ones")
    first("doubled", [one for one in outcomes if one.verdicts > 1], "it has two verdicts")
    first(
        "misframed", [one for one in outcomes if one.misframed], "it was judged by a picture in which it is not whole"
    )
    return found


def _met(one: Outcome, faults: Sequence[tuple[Fault, float, float]]) -> bool:
    begin_s = one.truth.trigger_ns / NS - GRACE_S
    end_s = (one.truth.fate_ns or one.truth.trigger_ns) / NS + GRACE_S
    return any(
        fault.kind.startswith(("plc_", "agent_", "power_")) and began_s <= end_s and ended_s >= begin_s
        for fault, began_s, ended_s in faults
    )
