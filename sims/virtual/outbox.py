"""The slow half of a simulated agent: its journal's commits, and what the outbox thread does, one thing after another.

::

    append ─▶ queue ──(GROUP_NS)──▶ seal ──(fsync)──▶ commit ─▶ Committed
    Send   ──(KEEPER_NS)──▶ read, publish ─▶ Sent
    Store  ──(fsync)──────▶ put ─▶ Stored
"""

from __future__ import annotations

from typing import Protocol

from edge.core.shipping import ship
from edge.domain import Kind, SeqRange
from edge.errors import StoreError
from edge.events import Committed, Disconnect, Evicted, JournalTrouble, Send, Store, Stored
from sims.virtual.kernel import MS
from sims.virtual.rooms import Host, Life
from sims.virtual.storage import GROUP_NS

KEEPER_NS = MS // 5
"""Reading records and handing them to the connection."""


RETRY_NS = 1000 * MS
"""``RETRY_S`` of the journal, while its disk refuses."""


class Carriage(Protocol):
    """What takes payloads to the broker."""

    def send(self, kind: Kind, payload: bytes, t_ns: int) -> None: ...

    def goodbye(self) -> None: ...


class Outbox:
    """One life's. The journal itself outlives it."""

    __slots__ = ("_carriage", "_committing", "_free_ns", "_host", "_life", "_refusing")

    def __init__(self, host: Host, life: Life, carriage: Carriage) -> None:
        self._host, self._life, self._carriage = host, life, carriage
        self._committing = False
        self._refusing = False
        self._free_ns = 0
        host.journal.listen(self._on_committed, self._on_evicted, self._on_full)

    def free_at(self, t_ns: int) -> int:
        """When everything ordered so far is done."""
        return max(t_ns, self._free_ns)

    def append(self, kind: Kind, payload: bytes, t_ns: int) -> int:
        """Queue one record; its number, 0 if it was refused."""
        seq = self._host.journal.append(kind, payload)
        if seq and not self._committing:
            self._commit_soon(t_ns)
        return seq

    def free(self, kind: Kind, upto: int) -> None:
        """Becomes durable with the next commit; without one those records are only sent again after a crash."""
        self._host.journal.free(kind, upto)

    def order(self, order: Send | Store | Disconnect, t_ns: int) -> None:
        """One more thing to do."""
        took_ns = self._host.disk.fsync_ns() if isinstance(order, Store) else KEEPER_NS
        self._free_ns = self.free_at(t_ns) + took_ns
        self._life.later(self._free_ns, self._carry_out, order)

    def _carry_out(self, order: Send | Store | Disconnect, t_ns: int) -> None:
        if isinstance(order, Send):
            self._send(order, t_ns)
        elif isinstance(order, Store):
            if self._host.disk.full:
                self._life.handle(Stored(order.name, "JOURNAL_NO_SPACE"), t_ns)
                return
            self._host.journal.put(order.name, order.value or b"")
            self._life.handle(Stored(order.name), t_ns)
        else:
            self._carriage.goodbye()

    def _send(self, order: Send, t_ns: int) -> None:
        journal = self._host.journal
        try:
            held = journal.read(order.kind, order.first_seq, order.max_n, order.max_bytes)
        except StoreError:
            held = []
        sent, payload = ship(journal.log, order, held, self._life.utc_ms(t_ns))
        if payload is not None:
            self._carriage.send(order.kind, payload, t_ns)
        self._life.handle(sent, t_ns)

    def _commit_soon(self, t_ns: int) -> None:
        self._committing = True
        self._life.later(t_ns + GROUP_NS, self._seal, None)

    def _seal(self, _: None, t_ns: int) -> None:
        self._host.journal.seal()
        self._life.later(t_ns + self._host.disk.fsync_ns(), self._commit, None)

    def _commit(self, _: None, t_ns: int) -> None:
        if self._host.disk.full:
            self._refused(t_ns)
            return
        if self._refusing:
            self._refusing = False
            self._life.handle(JournalTrouble(""), t_ns)
        self._committing = False
        self._host.journal.commit()
        if not self._committing and self._host.journal.queued:
            self._commit_soon(t_ns)

    def _refused(self, t_ns: int) -> None:
        """The disk takes nothing: said once, and tried again; records wait in memory meanwhile."""
        if not self._refusing:
            self._refusing = True
            self._life.handle(JournalTrouble("JOURNAL_NO_SPACE", "no space left on the simulated disk"), t_ns)
        self._life.later(t_ns + RETRY_NS, self._commit, None)

    def _on_committed(self, kind: Kind, upto: int) -> None:
        self._life.handle(Committed(kind, upto), self._host.kernel.now_ns)

    def _on_evicted(self, kind: Kind, lost: SeqRange, why: str) -> None:
        self._life.handle(Evicted(kind, lost, why), self._host.kernel.now_ns)

    def _on_full(self, full: bool) -> None:
        trouble = JournalTrouble("JOURNAL_FULL" if full else "", "it takes nothing more", stops_line=full)
        self._life.handle(trouble, self._host.kernel.now_ns)
