"""A node's clocks: monotonic time that runs a little fast or slow, and UTC that drifts apart from it and is stepped.

The kernel's time is the truth. A process knows only its own two clocks, as in the plant: ``mono`` decides, ``utc`` labels.
"""

from __future__ import annotations

from edge.events import ClockSet

ORIGIN_UTC_NS = 1_767_225_600 * 1_000_000_000
"""2026-01-01 00:00 UTC: when every run begins, so that labels do not depend on the day of the run."""
PPB = 1_000_000_000


class NodeClock:
    """``drift_ppb``: so many ns the monotonic clock gains a second (a quartz: up to 100,000). ``mono_ns``: what it shows
    at the start (a machine that was up for a while). ``utc_error_ns``: UTC beside the truth; changed by :meth:`step`.
    """

    def __init__(self, mono_ns: int = 0, drift_ppb: int = 0, utc_error_ns: int = 0, *, trusted: bool = True) -> None:
        self._from_ns = 0
        self._mono_ns = mono_ns
        self._drift_ppb = drift_ppb
        self._utc_error_ns = utc_error_ns
        self.trusted = trusted

    def mono(self, t_ns: int) -> int:
        """What the monotonic clock shows at true time ``t_ns``."""
        passed = t_ns - self._from_ns
        return self._mono_ns + passed + passed * self._drift_ppb // PPB if self._drift_ppb else self._mono_ns + passed

    def true(self, mono_ns: int) -> int:
        """The first true time at which the monotonic clock shows ``mono_ns`` or more."""
        passed = mono_ns - self._mono_ns
        if not self._drift_ppb:
            return self._from_ns + passed
        t_ns = self._from_ns + passed * PPB // (PPB + self._drift_ppb)
        while self.mono(t_ns) < mono_ns:
            t_ns += 1
        return t_ns

    def utc(self, t_ns: int) -> int:
        """UTC in ns as this machine believes at true time ``t_ns``."""
        return ORIGIN_UTC_NS + t_ns + self._utc_error_ns

    def utc_offset(self, t_ns: int) -> int:
        """UTC minus monotonic."""
        return self.utc(t_ns) - self.mono(t_ns)

    def apart_ns(self, by_ns: int) -> int | None:
        """So long it takes until UTC and monotonic time have drifted apart by ``by_ns``; None if they never do."""
        return by_ns * PPB // abs(self._drift_ppb) + 1 if self._drift_ppb else None

    def step(self, by_ns: int) -> None:
        """Somebody set the clock: UTC jumps, monotonic time does not."""
        self._utc_error_ns += by_ns

    def drift(self, t_ns: int, drift_ppb: int) -> None:
        """From ``t_ns`` on the quartz runs at another rate (temperature)."""
        self._mono_ns, self._from_ns = self.mono(t_ns), t_ns
        self._drift_ppb = drift_ppb

    def reboot(self, t_ns: int) -> None:
        """The machine starts again: monotonic time begins at 0 (CLOCK_MONOTONIC counts from boot)."""
        self._mono_ns, self._from_ns = 0, t_ns


TELL_NS = 5_000_000
"""As edge.shell.clock: an offset that moved by less is not worth an event."""


class ClockWatch:
    """One process's look at its clocks: what to tell the core, and when to look again."""

    __slots__ = ("_clock", "_told")

    def __init__(self, clock: NodeClock) -> None:
        self._clock = clock
        self._told: ClockSet | None = None

    def look(self, t_ns: int) -> tuple[ClockSet | None, int | None]:
        """(what is new, ns until the next look); None: nothing, never."""
        clock, told = self._clock, self._told
        offset_ns = clock.utc_offset(t_ns)
        if told is None or told.trusted != clock.trusted or abs(offset_ns - told.utc_offset_ns) >= TELL_NS:
            self._told = ClockSet(offset_ns, clock.trusted)
        return self._told if self._told is not told else None, clock.apart_ns(TELL_NS)
