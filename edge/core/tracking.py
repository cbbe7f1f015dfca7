"""Parts between camera and gate: counters that wrap, a jump that is a missed trigger, and the encoder-timed gate.

::

    part_no  …65534 65535 0 1 …      one more is a part, a jump of n is n-1 missed triggers, a leap is a restart
    encoder  …0xFFFFFFFF 0 …         distances are differences modulo 2**32
"""

from __future__ import annotations

from collections import deque

from msgspec import Struct

U16 = 1 << 16
U32 = 1 << 32
RESTART_JUMP = 4096
"""A step as large as this is read as the PLC having started over: nobody misses so many triggers in one outage that the
PLC itself survives, and a fresh counter is rarely just ahead of the old one."""


def ahead(new: int, old: int, modulo: int) -> int:
    """How far ``new`` is ahead of ``old`` on a counter that wraps, 0..modulo-1."""
    return (new - old) % modulo


class Trigger(Struct, frozen=True):
    """What one look at the part counter says: a new part or none, missed ones, or a restarted PLC."""

    part_no: int | None = None
    missed: int = 0
    restarted: bool = False
    stale: bool = False
    """The newest part has travelled too far to be pictured: it is missed, too."""


class PartCounter:
    """Follows ``part_no`` (u16)."""

    def __init__(self) -> None:
        self._last: int | None = None

    def see(self, part_no: int, result_ack: int, travelled: int, stale_counts: int) -> Trigger:
        """Take a fresh value.

        At first sight (start, or PLC back) the present part is taken up only if it has no verdict yet and has not
        travelled further than ``stale_counts`` since its trigger: what is further is the PLC's to hold.
        """
        last, self._last = self._last, part_no
        if last is None:
            fresh = part_no != result_ack and travelled <= stale_counts
            return Trigger(part_no if fresh else None)
        step = ahead(part_no, last, U16)
        if step == 0:
            return Trigger()
        stale = travelled > stale_counts
        restarted = step >= RESTART_JUMP
        missed = 0 if restarted else step - 1
        return Trigger(None if stale else part_no, missed, restarted, stale)


class Encoder:
    """Follows the encoder (u32) and its speed over the last few readings."""

    def __init__(self, readings: int = 16) -> None:
        self._seen: deque[tuple[int, int]] = deque(maxlen=readings)

    @property
    def position(self) -> int | None:
        """The last reading, or None before the first."""
        return self._seen[-1][1] if self._seen else None

    def see(self, counts: int, at_ns: int) -> None:
        self._seen.append((at_ns, counts))

    def counts_per_ns(self) -> float:
        """Speed over the remembered readings; 0 while unknown or standing."""
        if len(self._seen) < 2:  # noqa: PLR2004 - two points make a speed
            return 0.0
        (t0, c0), (t1, c1) = self._seen[0], self._seen[-1]
        return ahead(c1, c0, U32) / (t1 - t0) if t1 > t0 else 0.0

    def when_at(self, target: int) -> int | None:
        """Monotonic ns at which the belt reaches ``target``; None while it stands or before the first reading."""
        if not self._seen:
            return None
        at_ns, counts = self._seen[-1]
        left = ahead(target, counts, U32)
        if left >= U32 // 2:  # already past
            return at_ns
        speed = self.counts_per_ns()
        return at_ns + int(left / speed) if speed > 0 else None


class GateLine:
    """The shift register from camera to gate, for ``gate = "agent"``: who is due next, and is it a reject?"""

    def __init__(self, gate_counts: int, lead_ns: int) -> None:
        self._gate_counts = gate_counts
        self._lead_ns = lead_ns
        self._parts: deque[tuple[int, int]] = deque()
        self._reject: dict[int, bool] = {}

    def enter(self, part_id: int, encoder: int) -> None:
        """A part was triggered at ``encoder``."""
        self._parts.append((part_id, (encoder + self._gate_counts) % U32))

    def decide(self, part_id: int, *, reject: bool) -> None:
        """Its verdict is known."""
        self._reject[part_id] = reject

    def due_ns(self, encoder: Encoder) -> int | None:
        """When the first part in line must be acted on, or None."""
        if not self._parts:
            return None
        at_ns = encoder.when_at(self._parts[0][1])
        return None if at_ns is None else at_ns - self._lead_ns

    def pop_due(self, encoder: Encoder, now_ns: int) -> list[tuple[int, bool | None]]:
        """Parts at the gate now, with their verdict (None: there is none)."""
        due: list[tuple[int, bool | None]] = []
        while (at_ns := self.due_ns(encoder)) is not None and at_ns <= now_ns:
            part_id, _ = self._parts.popleft()
            due.append((part_id, self._reject.pop(part_id, None)))
        return due

    def clear(self) -> None:
        """The line started over."""
        self._parts.clear()
        self._reject.clear()
