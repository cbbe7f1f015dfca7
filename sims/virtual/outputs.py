"""The registers and coils that an agent writes, as the Modbus driver writes them."""

from __future__ import annotations

from collections.abc import Callable

from edge.domain import Command
from sims.virtual.kernel import MS
from sims.virtual.line import LineNode


class Outputs:
    """One driver's. A pulse that was begun is ended with the next thing on the bus after it is over."""

    def __init__(self, line: LineNode, pulse_ms: int, *, handshake: bool) -> None:
        self._line, self._pulse_ms, self._handshake = line, pulse_ms, handshake
        self._pulse_end_ns: int | None = None

    def writer(self, command: Command) -> Callable[[], None] | None:
        """What carries a command out at the PLC; None where this mode has no such action."""
        regs, handshake = self._line.line.regs, self._handshake

        def line_stop(*, stop: bool) -> None:
            if handshake:
                regs.line_stop = int(stop)
            else:
                regs.coil_stop = stop

        match command.action:
            case "verdict" if handshake and command.part_no is not None:
                part_no = command.part_no
                return lambda: self._line.write_result(part_no, command.code)
            case "reject":
                return lambda: self._pulse(command.pulse_ms or self._pulse_ms)
            case "stop":
                return lambda: line_stop(stop=True)
            case "release":
                return lambda: line_stop(stop=False)
            case "outputs_off":
                return lambda: (self._line.write_coil(value=False), line_stop(stop=False))[0]
            case _:
                return None

    def _pulse(self, pulse_ms: int) -> None:
        self._line.write_coil(value=True)
        self._pulse_end_ns = self._line.origin_ns + self._line.line_ns() + pulse_ms * MS

    def end_pulse(self, t_ns: int) -> None:
        """As the driver's ``tick``: with the next thing on the bus after the pulse is over."""
        if self._pulse_end_ns is not None and t_ns >= self._pulse_end_ns and self._line.plc_health == "ok":
            self._pulse_end_ns = None
            self._line.write_coil(value=False)
