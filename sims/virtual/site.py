"""What outlives a coordinator process: the ledger, the lease, the clocks."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

from msgspec import Meta, Struct

from edge.events_fleet import Answer
from sims.memory_ledger import MemoryLedger
from sims.virtual.clock import NodeClock
from sims.virtual.kernel import MS, Kernel
from sims.virtual.wire import Net

Ms = Annotated[float, Meta(ge=0.0, le=60_000.0)]


class LedgerSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """How long a commit takes: ``commit_ms`` and ``record_us`` for each record. Defaults as measured with SQLite on an
    SSD (FACTS): about 4 ms and 25 µs.
    """

    commit_ms: Ms = 4.0
    record_us: Annotated[float, Meta(ge=0.0, le=1e6)] = 25.0


class LeaseRow:
    """The lease of one site, shared by coordinators that stand by for each other."""

    def __init__(self) -> None:
        self.holder = ""
        self.epoch = 0
        self.expires_ns = 0

    def hold(self, holder: str, now_ns: int, ttl_ns: int = 10_000 * MS) -> int:
        """Take or renew it; its epoch, 0 if another has it. As edge.coordinator.lease does in SQL: a process of the same
        machine (``machine/start``) that is not this one is known to be dead, and is not waited for.
        """
        if self.holder != holder:
            same_machine = self.holder.rpartition("/")[0] == holder.rpartition("/")[0]
            if self.expires_ns > now_ns and not same_machine:
                return 0
            self.holder, self.epoch = holder, self.epoch + 1
        self.expires_ns = now_ns + ttl_ns
        return self.epoch

    def release(self, holder: str) -> None:
        """Give it back."""
        if self.holder == holder:
            self.expires_ns = 0


@dataclass(slots=True)
class SiteHost:
    """What a process is given. ``over(t_ns, code, what)`` is called when it left by itself; ``slowness`` multiplies what a
    commit takes, ``extra_ns`` is added to it.
    """

    kernel: Kernel
    net: Net
    site: str
    name: str
    ledger: MemoryLedger
    spec: LedgerSpec
    lease: LeaseRow
    clock: NodeClock
    rng: random.Random
    over: Callable[[int, str, str], None]
    slowness: float = 1.0
    extra_ns: int = 0
    answers: list[Answer] = field(default_factory=list)
