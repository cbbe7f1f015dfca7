"""The machine's clocks: monotonic time decides, UTC only labels, and is watched for steps.

UTC = monotonic + offset. The offset is measured between two looks at the monotonic clock; it changes when somebody
sets the clock (a step) and slowly while NTP disciplines it. Whether UTC can be trusted is asked of the kernel: NTP
and PTP daemons clear STA_UNSYNC (adjtimex(2), status word; Linux ``include/uapi/linux/timex.h``).
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable

from edge.events import ClockSet

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
STA_UNSYNC = 0x0040
PLAUSIBLE_UTC_NS = 1_735_689_600 * NS_PER_S
"""2025-01-01: a machine that believes in an earlier time has no clock battery and no network time."""
TELL_NS = 5 * NS_PER_MS
"""An offset that moved by less is not worth an event: labels are in milliseconds."""
STEP_NS = 100 * NS_PER_MS
"""Slewing moves a clock by at most 500 ppm; more than this between two looks is a step."""

now_ns = time.monotonic_ns


class _Timex(ctypes.Structure):
    """``struct timex`` of adjtimex(2) on 64-bit Linux: only ``modes`` is written (0: read), only ``status`` is read."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


def utc_offset_ns() -> int:
    """UTC minus monotonic, in ns, as tight as one look between two others allows."""
    before = time.monotonic_ns()
    utc = time.time_ns()
    after = time.monotonic_ns()
    return utc - (before + after) // 2


def kernel_synchronised() -> bool | None:
    """Whether NTP or PTP disciplines this clock; None where the kernel cannot say (not Linux, forbidden)."""
    if os.name != "posix":
        return None
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return None
    timex = _Timex()
    if adjtimex(ctypes.byref(timex)) < 0:
        return None
    return not timex.status & STA_UNSYNC


def is_trusted(utc_ns: int, synchronised: bool | None) -> bool:
    """UTC is trusted when it is plausible and the kernel does not deny that it is synchronised."""
    return utc_ns >= PLAUSIBLE_UTC_NS and synchronised is not False


class UtcWatch:
    """Tells when UTC moved against the monotonic clock. Cheap enough (some µs) to be asked every second.

    ``steps`` counts jumps; ``last_step_ns`` is the size of the last (positive: UTC went forward).
    """

    def __init__(
        self,
        offset_ns: Callable[[], int] = utc_offset_ns,
        synchronised: Callable[[], bool | None] = kernel_synchronised,
    ) -> None:
        self._offset_ns = offset_ns
        self._synchronised = synchronised
        self._seen_ns: int | None = None
        self._told: ClockSet | None = None
        self.steps = 0
        self.last_step_ns = 0

    def check(self) -> ClockSet | None:
        """A ClockSet the first time and after every change worth telling, else None."""
        offset_ns = self._offset_ns()
        trusted = is_trusted(time.monotonic_ns() + offset_ns, self._synchronised())
        if self._seen_ns is not None and abs(offset_ns - self._seen_ns) >= STEP_NS:
            self.steps += 1
            self.last_step_ns = offset_ns - self._seen_ns
        self._seen_ns = offset_ns
        told = self._told
        if told and told.trusted == trusted and abs(offset_ns - told.utc_offset_ns) < TELL_NS:
            return None
        self._told = ClockSet(offset_ns, trusted)
        return self._told
