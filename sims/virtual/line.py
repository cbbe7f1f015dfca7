"""A line in virtual time: world and PLC program, scanned by the kernel; and what a camera and a bus see of them."""

from __future__ import annotations

from typing import Literal

from sims.line import Line, PartTruth
from sims.virtual.kernel import Kernel
from sims.world import NS, Exposure

PlcHealth = Literal["ok", "gone", "frozen"]


class LineNode:
    """Owns one line. Line time begins with :meth:`begin`; until then the belt stands and its registers can be read.

    A :class:`sims.camera.Sight` whose clock is the kernel's.
    """

    def __init__(self, kernel: Kernel, line: Line) -> None:
        self._kernel = kernel
        self._line = line
        self._origin_ns: int | None = None
        self.plc_health: PlcHealth = "ok"
        self.done_ns: int | None = None

    @property
    def line(self) -> Line:
        return self._line

    @property
    def origin_ns(self) -> int:
        """Kernel time at which line time was 0."""
        return self._origin_ns or 0

    @property
    def running(self) -> bool:
        """Whether line time has begun."""
        return self._origin_ns is not None

    @property
    def stands(self) -> bool:
        """Whether the PLC has stopped the belt."""
        return self._line.stands

    def begin(self, t_ns: int) -> None:
        """The belt starts."""
        self._origin_ns = t_ns
        self._kernel.post(t_ns + self._line.scan_ns, self, None)

    def take(self, _event: object, t_ns: int) -> None:
        """One scan."""
        self._line.scan()
        if self._line.done and self.done_ns is None:
            self.done_ns = t_ns
        self._kernel.post(t_ns + self._line.scan_ns, self, None)

    def reboot(self) -> None:
        """The PLC has no power, or begins anew: outputs off, nothing answers, the belt stands."""
        self.plc_health = "gone"
        self._line.plc_off = True

    def restart(self) -> None:
        """Its program runs again, with nothing between camera and gate."""
        self.plc_health = "ok"
        self._line.restart_plc()

    def line_ns(self) -> int:
        """Line time of this moment, also between two scans."""
        return 0 if self._origin_ns is None else self._kernel.now_ns - self._origin_ns

    def expose(self, view_mm: float) -> tuple[Exposure, int]:
        ahead_ns = self.line_ns() - self._line.world.t_ns
        return self._line.world.expose(view_mm, ahead_ns / NS), self._kernel.now_ns

    def expect(self, view_mm: float, index: int, offset_mm: float) -> Exposure | None:
        return self._line.world.expect(view_mm, index, offset_mm)

    def write_result(self, part_no: int, code: int) -> None:
        """Registers 100 and 101 were written now."""
        self._line.write_result(part_no, code, self.line_ns())

    def write_coil(self, *, value: bool) -> None:
        """The reject coil was written now."""
        self._line.write_coil(value, self.line_ns())

    def truth(self) -> list[PartTruth]:
        """What has happened so far."""
        return self._line.truth()
