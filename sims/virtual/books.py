"""Books kept by content: what a journal promised, record by record, against what the ledger really holds.

Numbers alone cannot tell: a journal that forgot a record after saying that it was committed gives its number to the next
one, and every number is there. So the digest of each record is kept from the moment its commit returned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any, Literal

from msgspec import Struct

from edge.core.ingest import StreamKey
from edge.domain import KINDS, Kind, SeqRange
from edge.messages import Result
from edge.ports import Batch, Upto
from sims.memory import MemoryJournal
from sims.memory_ledger import MemoryLedger
from sims.virtual.machine import AgentMachine
from sims.virtual.storage import SEGMENT_BYTES

Promise = tuple[int, bytes]
"""(number, digest) of one record."""

SHOWN = 4
"""So many numbers are named where a stream breaks its word."""


class Broken(Struct, frozen=True):
    """An invariant that did not hold, and what was seen."""

    name: str
    what: str


class WatchedJournal(MemoryJournal):
    """A journal whose promises are written down: a record is promised when the commit of its number was reported."""

    def __init__(self, log: str, **options: Any) -> None:
        super().__init__(log, **options)
        self.promised: dict[Kind, dict[Promise, None]] = {kind: {} for kind in KINDS}
        self._appended: dict[Kind, dict[int, bytes]] = {kind: {} for kind in KINDS}

    def append(self, kind: Kind, payload: bytes) -> int:
        seq = super().append(kind, payload)
        if seq:
            self._appended[kind][seq] = digest_of(payload)
        return seq

    def listen(
        self,
        on_committed: Callable[[Kind, int], None],
        on_evicted: Callable[[Kind, SeqRange, Literal["evicted", "corrupt", "no_space"]], None],
        on_full: Callable[[bool], None],
    ) -> None:
        def told(kind: Kind, upto: int) -> None:
            waiting, promised = self._appended[kind], self.promised[kind]
            for seq in [seq for seq in waiting if seq <= upto]:
                promised[seq, waiting.pop(seq)] = None
            on_committed(kind, upto)

        super().listen(told, on_evicted, on_full)

    def lose_power(self) -> None:
        super().lose_power()
        for waiting in self._appended.values():
            waiting.clear()


def watched_journal(log: str, max_bytes: int) -> WatchedJournal:
    """A journal for a machine that is watched."""
    return WatchedJournal(log, max_bytes=max_bytes, segment_bytes=SEGMENT_BYTES)


class WatchedLedger(MemoryLedger):
    """A ledger that keeps rows, and the digest of each row's bytes."""

    def __init__(self, ledger_id: str = "memory") -> None:
        super().__init__(ledger_id, marks=True)
        self.digests: dict[tuple[StreamKey, int], bytes] = {}

    def commit(self, batches: Sequence[Batch]) -> list[Upto]:
        uptos = super().commit(batches)
        for batch in batches:
            key: StreamKey = (batch.site, batch.agent, batch.log, batch.kind)
            for seq, payload in enumerate(batch.records, batch.first_seq):
                self.digests.setdefault((key, seq), digest_of(payload))
        return uptos

    def numbers(self) -> dict[StreamKey, set[int]]:
        """Which rows each stream has."""
        found: dict[StreamKey, set[int]] = {}
        for key, seq in self.rows:
            found.setdefault(key, set()).add(seq)
        return found


def digest_of(payload: bytes) -> bytes:
    """8 bytes that stand for a record."""
    return blake2b(payload, digest_size=8).digest()


def audit(agents: Sequence[AgentMachine], ledgers: Sequence[MemoryLedger]) -> list[Broken]:
    """Every promise against the ledgers, once everything was quiet: ``lost``, ``differs``, ``doubled``, ``unsettled``.

    All are :class:`WatchedLedger`; what one holds that was lost since is held. Each broken invariant is named once.
    """
    watched = [ledger for ledger in ledgers if isinstance(ledger, WatchedLedger)]
    held = [ledger.numbers() for ledger in watched]
    found: dict[str, Broken] = {}
    for agent in agents:
        for kind in KINDS:
            for broken in _stream_of(agent, kind, watched, held):
                found.setdefault(broken.name, broken)
    for ledger in watched:
        if twice := _parts_twice(ledger):
            found.setdefault("doubled", Broken("doubled", twice))
    return list(found.values())


def _stream_of(
    agent: AgentMachine,
    kind: Kind,
    ledgers: Sequence[WatchedLedger],
    numbers_of: Sequence[dict[StreamKey, set[int]]],
) -> list[Broken]:
    journal = agent.journal
    assert isinstance(journal, WatchedJournal)
    key: StreamKey = (agent.host.settings.site, agent.name, journal.log, kind)
    head, promised = journal.heads()[kind], journal.promised[kind]
    numbers = {seq for seq, _ in promised}
    held = [of.get(key, set()) for of in numbers_of]
    known: set[int] = set().union(*held)
    gaps = [gap for ledger in ledgers for gap in ledger.gaps(*key)]
    absent = [seq for seq in sorted(numbers - known) if not any(gap.first <= seq <= gap.last for gap in gaps)]
    kept = range(max(head.first, head.acked + 1), head.last + 1)
    differs = [
        seq
        for ledger, rows in zip(ledgers, held, strict=True)
        for seq, digest in promised
        if seq in rows and ledger.digests[key, seq] != digest
    ]
    said = {
        ("lost", "committed, no longer held, and not in the ledger"): [seq for seq in absent if seq not in kept],
        ("differs", "the ledger has another record than the journal promised"): differs,
        ("differs", "the ledger has what was never committed"): sorted(known - numbers),
        ("unsettled", "still held for sending when all was quiet"): [seq for seq in absent if seq in kept],
    }
    return [Broken(name, f"{kind} of {agent.name}: {what}: {_some(of)}") for (name, what), of in said.items() if of]


def _parts_twice(ledger: WatchedLedger) -> str:
    seen: dict[tuple[str, str, int, int], int] = {}
    for (key, seq), record in ledger.rows.items():
        if isinstance(record, Result):
            part = (key[1], key[2], record.boot_no, record.part_id)
            if seen.setdefault(part, seq) != seq:
                return f"results of {key[1]}: part {record.part_id} is in the ledger as {seen[part]} and as {seq}"
    return ""


def _some(numbers: Sequence[int]) -> str:
    text = ", ".join(map(str, numbers[:SHOWN]))
    return text + (f" … ({len(numbers)} records)" if len(numbers) > SHOWN else "")
