"""A node's disk: fsyncs that take time, and journals small enough to have thousands."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Annotated

from msgspec import Meta, Struct

from sims.memory import MemoryJournal
from sims.virtual.kernel import MS

GROUP_NS = 50 * MS
"""``DELAY_S`` of the journal: so long records wait for company before they are written."""

Ms = Annotated[float, Meta(ge=0.0, le=60_000.0)]


class DiskSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """How long an fsync takes: ``fsync_ms`` and up to ``jitter_ms`` more, evenly; every ``slow_every_n``-th one takes
    ``slow_ms`` (a flash card that tidies up). Defaults: a SATA SSD (FACTS: 1 to 4 ms).
    """

    fsync_ms: Ms = 1.5
    jitter_ms: Ms = 1.5
    slow_every_n: Annotated[int, Meta(ge=0)] = 0
    slow_ms: Ms = 200.0


class Disk:
    """What the journal stands on. Faults: ``slowness`` multiplies every fsync, ``extra_ns`` is added to it, and a ``full``
    disk takes nothing.
    """

    def __init__(self, spec: DiskSpec, rng: random.Random) -> None:
        self._spec = spec
        self._rng = rng
        self._syncs = 0
        self.slowness = 1.0
        self.extra_ns = 0
        self.full = False

    def fsync_ns(self) -> int:
        """How long the next one takes."""
        spec = self._spec
        self._syncs += 1
        if spec.slow_every_n and self._syncs % spec.slow_every_n == 0:
            took_ms = spec.slow_ms
        else:
            took_ms = spec.fsync_ms + spec.jitter_ms * self._rng.random()
        return int(took_ms * self.slowness * MS) + self.extra_ns


SEGMENT_BYTES = 16 * 1024
"""Small, so that a thousand journals whose records are acknowledged take little room."""

JournalMaker = Callable[[str, int], MemoryJournal]
"""(log, most bytes) to an empty journal."""


def make_journal(log: str, max_bytes: int = 1 << 30) -> MemoryJournal:
    """An empty journal for one simulated agent."""
    return MemoryJournal(log, max_bytes=max_bytes, segment_bytes=SEGMENT_BYTES)
