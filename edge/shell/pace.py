"""An absolute schedule: turns at t0, t0 + period, t0 + 2 periods … however long each turn takes."""

from __future__ import annotations

NS_PER_S = 1_000_000_000


class Pace:
    """Turns every ``period_s`` (0: at any time). The first is at once. Time is an argument, monotonic ns.

    ``missed`` counts turns whose time went by entirely; they are not made up for, or a stall would end in a burst.
    """

    def __init__(self, period_s: float) -> None:
        self._period_ns = int(period_s * NS_PER_S)
        self._due_ns: int | None = None
        self.missed = 0

    def restart(self, period_s: float) -> None:
        """Another period; the next turn is at once."""
        self._period_ns = int(period_s * NS_PER_S)
        self._due_ns = None

    def wait_ns(self, now_ns: int) -> int:
        """Until the next turn; 0 when it is due."""
        return 0 if self._due_ns is None else max(0, self._due_ns - now_ns)

    def take(self, now_ns: int) -> bool:
        """Use the turn that is due; False when none is yet."""
        if self.wait_ns(now_ns) > 0:
            return False
        if self._period_ns:
            due_ns = now_ns if self._due_ns is None else self._due_ns
            late = (now_ns - due_ns) // self._period_ns
            self.missed += late
            self._due_ns = due_ns + (late + 1) * self._period_ns
        return True
