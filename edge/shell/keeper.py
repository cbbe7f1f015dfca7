"""Thread ``outbox``: the disk's slow half of the link, so that the core never waits for a disk.

Reads journal records and hands them to the connection, frees what was acknowledged, stores small values. Orders are
carried out one after the other, in the order the core gave them.
"""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import assert_never

from edge.core.shipping import nothing, ship
from edge.errors import StoreError
from edge.events import AgentEvent, Disconnect, Free, Send, Sent, Store, Stored
from edge.ports import Journal, Link
from edge.shell.worker import OnCrash, Worker

Order = Send | Free | Store | Disconnect


class Keeper(Worker):
    """See the module's docstring. ``utc_ms`` labels envelopes."""

    def __init__(
        self,
        journal: Journal,
        link: Link | None,
        post: Callable[[AgentEvent], None],
        utc_ms: Callable[[], int],
        on_crash: OnCrash,
    ) -> None:
        super().__init__("outbox", on_crash)
        self._journal = journal
        self._link = link
        self._post = post
        self._utc_ms = utc_ms
        self._orders: queue.SimpleQueue[Order | None] = queue.SimpleQueue()

    def order(self, order: Order) -> None:
        """From the core's thread; never blocks."""
        self._orders.put(order)

    def finish(self, timeout_s: float = 5.0) -> bool:
        """Carry out what was ordered, then end."""
        self._orders.put(None)
        return self.join(timeout_s)

    def work(self) -> None:
        while (order := self._orders.get()) is not None:
            self.carry(order)

    def carry(self, order: Order) -> None:
        """One order, on the calling thread, which may wait for a disk."""
        match order:
            case Send():
                self._post(self._send(order))
            case Free():
                self._journal.free(order.kind, order.upto)
            case Store():
                self._post(self._store(order))
            case Disconnect():
                if self._link is not None:
                    self._link.disconnect()
            case _:
                assert_never(order)

    def _send(self, order: Send) -> Sent:
        if self._link is None:
            return nothing(order)
        try:
            held = self._journal.read(order.kind, order.first_seq, order.max_n, order.max_bytes)
        except StoreError:
            return nothing(order)  # the journal tells its trouble itself; the outbox goes back to it
        sent, payload = ship(self._journal.log, order, held, self._utc_ms())
        if payload is not None:
            self._link.publish(order.kind, payload)
        return sent

    def _store(self, order: Store) -> Stored:
        try:
            self._journal.put(order.name, order.value or b"")
        except StoreError as error:
            return Stored(order.name, error.code)
        return Stored(order.name)
