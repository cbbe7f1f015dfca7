"""The line in real time: one thread that scans world and PLC program by the monotonic clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from sims.line import Line, PartTruth
from sims.plc import Registers
from sims.world import NS, Exposure

CATCH_UP_SCANS = 40
"""At most so many scans are made up for at once; a machine that was away for longer loses line time, not parts."""


class LiveLine:
    """Owns the line and its lock. ``on_arrival(index)`` is called (without the lock) for parts that reach the eye."""

    def __init__(self, line: Line, on_arrival: Callable[[int], None] | None = None) -> None:
        self.lock = threading.Lock()
        self.worst_lag_ns = 0
        self._line = line
        self._on_arrival = on_arrival or (lambda _index: None)
        self._stop = threading.Event()
        self._empty = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sim-line")
        self._origin_ns = 0
        self._started = False

    @property
    def line(self) -> Line:
        """The line itself; hold ``lock`` while using it."""
        return self._line

    def start(self) -> None:
        """Begin to move."""
        self._origin_ns = time.monotonic_ns()
        self._started = True
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread. May be called twice and without start."""
        self._stop.set()
        if self._started:
            self._thread.join()

    def wait_empty(self, timeout_s: float) -> bool:
        """True when the last part has left the belt."""
        return self._empty.wait(timeout_s)

    def on_arrival(self, call: Callable[[int], None]) -> None:
        """Whom to tell of parts at the eye."""
        self._on_arrival = call

    def now_ns(self) -> int:
        """Line time that corresponds to this very moment, also between two scans."""
        return time.monotonic_ns() - self._origin_ns if self._started else 0

    def expose(self, view_mm: float) -> tuple[Exposure, int]:
        """What a camera sees at this moment, and the moment as monotonic ns of this machine."""
        with self.lock:
            captured_ns = time.monotonic_ns()
            ahead_ns = captured_ns - self._origin_ns - self._line.world.t_ns if self._started else 0
            # the thread may be a scan late; more than a few would be a guess
            ahead_ns = max(0, min(ahead_ns, 4 * self._line.scan_ns))
            return self._line.world.expose(view_mm, ahead_ns / NS), captured_ns

    def expect(self, view_mm: float, index: int, offset_mm: float) -> Exposure | None:
        """What a camera will see when a part comes to the axis; see :meth:`sims.world.World.expect`."""
        with self.lock:
            return self._line.world.expect(view_mm, index, offset_mm)

    def write_result(self, part_no: int, code: int) -> None:
        """Registers 100 and 101 were written now."""
        with self.lock:
            self._line.write_result(part_no, code, self.now_ns())

    def write_coil(self, value: bool) -> None:
        """The reject coil was written now."""
        with self.lock:
            self._line.write_coil(value, self.now_ns())

    def with_registers(self, use: Callable[[Registers], None]) -> None:
        """Read or write registers between two scans."""
        with self.lock:
            use(self._line.regs)

    def age_light(self, to: float, within_s: float) -> None:
        """Begin to drift the light."""
        with self.lock:
            self._line.world.age_light(to, within_s)

    @property
    def origin_ns(self) -> int:
        """Monotonic ns of this machine at which line time was 0."""
        return self._origin_ns

    def truth(self) -> list[PartTruth]:
        """What has happened so far."""
        with self.lock:
            return self._line.truth()

    def seen(self) -> int:
        """How many parts have reached the eye."""
        with self.lock:
            return self._line.seen

    def _run(self) -> None:
        line = self._line
        while not self._stop.is_set():
            late_ns = self.now_ns() - line.world.t_ns - line.scan_ns
            if late_ns < 0:
                self._stop.wait(-late_ns / NS)
                continue
            self.worst_lag_ns = max(self.worst_lag_ns, late_ns)
            if late_ns > CATCH_UP_SCANS * line.scan_ns:
                self._origin_ns += late_ns
            with self.lock:
                arrived = line.scan()
            for index in arrived:
                self._on_arrival(index)
            if line.done:
                self._empty.set()
