"""The end of a run over finite sources: leave when everything is reported, or nobody is there to take it."""

from __future__ import annotations

from edge.core.settings import MS, S

QUIET_NS = 400 * MS
"""So long nothing happened: pictures under way have been journalled."""
MOST_NS = 30 * S


class Drain:
    """Watches for the moment to leave."""

    def __init__(self) -> None:
        self._since_ns: int | None = None
        self._quiet_ns = 0

    def begin(self, now_ns: int) -> None:
        """The last source ended."""
        self._since_ns = self._quiet_ns = now_ns

    def stir(self, now_ns: int) -> None:
        """Something happened: wait for quiet again."""
        self._quiet_ns = now_ns

    def over(self, now_ns: int, *, waiting: bool) -> bool:
        """True once it is quiet and nothing is ``waiting`` for the coordinator any more, or for too long."""
        if self._since_ns is None or now_ns < self._quiet_ns + QUIET_NS:
            return False
        self._quiet_ns = now_ns
        return not waiting or now_ns >= self._since_ns + MOST_NS

    def deadline_ns(self) -> int | None:
        return None if self._since_ns is None else self._quiet_ns + QUIET_NS
