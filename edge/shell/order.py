"""Puts answers back into the order of their questions, per source: several workers finish as they like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Order(Generic[T]):
    """Tickets are drawn in order; values leave in the order of their tickets, whenever they come in.

    ::

        draw -> 0, 1, 2      done(2, c) -> []      done(0, a) -> [a]      done(1, ()) -> [c]

    Pure and not thread-safe: the owner holds a lock over ``done`` and over handing out what it returns.
    """

    def __init__(self) -> None:
        self._drawn: dict[str, int] = {}
        self._next: dict[str, int] = {}
        self._early: dict[str, dict[int, Sequence[T]]] = {}

    def draw(self, source: str) -> int:
        """The next ticket of ``source``: 0, 1, 2 …"""
        ticket = self._drawn.get(source, 0)
        self._drawn[source] = ticket + 1
        return ticket

    def done(self, source: str, ticket: int, values: Sequence[T]) -> list[T]:
        """Everything that may leave now that ``ticket`` has its values (none: it was dropped), in order.

        Raises ValueError for a ticket that was never drawn or is done already: our bug.
        """
        early = self._early.setdefault(source, {})
        next_ticket = self._next.get(source, 0)
        if not next_ticket <= ticket < self._drawn.get(source, 0) or ticket in early:
            raise ValueError(f"{source}: ticket {ticket} was not drawn, or is done already")
        early[ticket] = values
        leaving: list[T] = []
        while next_ticket in early:
            leaving.extend(early.pop(next_ticket))
            next_ticket += 1
        self._next[source] = next_ticket
        return leaving

    def waiting(self, source: str) -> int:
        """Tickets drawn and not yet passed."""
        return self._drawn.get(source, 0) - self._next.get(source, 0)
