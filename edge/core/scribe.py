"""Labels and counts: turns 'now' into UTC for records, writes event records, keeps the counters for metrics."""

from __future__ import annotations

from edge.domain import Kind, SeqRange
from edge.events import Append
from edge.messages import Event, Gap, Level, Scalar


class Scribe:
    """Shared by the parts of one agent core. UTC only labels; it never decides."""

    def __init__(self, boot_no: int) -> None:
        self.boot_no = boot_no
        self.clock_trusted = False
        self.counters: dict[str, int] = {}
        self._utc_offset_ns = 0

    def set_clock(self, utc_offset_ns: int, *, trusted: bool) -> None:
        self._utc_offset_ns = utc_offset_ns
        self.clock_trusted = trusted

    def utc_ms(self, at_ns: int) -> int:
        """UTC in ms of a monotonic time; 0 or less when no clock was ever set."""
        return (at_ns + self._utc_offset_ns) // 1_000_000

    def count(self, name: str, by: int = 1) -> None:
        self.counters[name] = self.counters.get(name, 0) + by

    def event(self, now_ns: int, code: str, level: Level, text: str = "", **data: Scalar) -> Append:
        """An event record for the journal."""
        self.count(f"events_{level}")
        return Append("events", Event(code, level, self.utc_ms(now_ns), text[:500], data))

    def gap(self, now_ns: int, kind: Kind, missing: SeqRange, why: str) -> Append:
        """The record that says which records will never come."""
        self.count("gaps")
        return Append("events", Gap(kind, missing.first, missing.last, why[:200], self.utc_ms(now_ns)))
