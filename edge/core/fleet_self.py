"""The coordinator's own presence: its state, its will, and what to make of hearing itself."""

from __future__ import annotations

from typing import Literal

from edge.messages import State
from edge.topics import MAX_PACKET_BYTES


class Ourselves:
    """``log`` is the ledger's id, ``boot_no`` the lease's epoch: so a successor's states come after ours in order."""

    def __init__(self, ledger: str, epoch: int, versions: dict[str, str]) -> None:
        self._ledger = ledger
        self._epoch = epoch
        self._versions = versions
        self._conn_no = 0

    def next_will(self) -> State:
        """The will of the next connection."""
        self._conn_no += 1
        return State("offline", self._ledger, self._epoch, self._conn_no, ledger=self._ledger)

    def online(self, utc_ms: int, keep_code: str) -> State:
        """We are there; not ready while the ledger takes nothing."""
        why_not = reasons(keep_code, connected=True)
        return State(
            "online",
            self._ledger,
            self._epoch,
            self._conn_no,
            utc_ms=utc_ms,
            ready=not why_not,
            why_not=why_not,
            versions=self._versions,
            max_packet_bytes=MAX_PACKET_BYTES,
            ledger=self._ledger,
        )

    def stopped(self, utc_ms: int, why: str) -> State:
        """An orderly end."""
        triple = (self._ledger, self._epoch, self._conn_no)
        return State("stopped", *triple, utc_ms=utc_ms, why_not=(why,), ledger=self._ledger)

    def judge(self, heard: State) -> Literal["ours", "stale", "other"]:
        """``stale``: a will of an earlier connection or of a predecessor, which agents must not go on believing."""
        triple = (heard.log, heard.boot_no, heard.conn_no)
        if heard.status == "online" and triple == (self._ledger, self._epoch, self._conn_no):
            return "ours"
        later = heard.log != self._ledger or heard.boot_no > self._epoch
        return "other" if heard.status == "online" and later else "stale"


def reasons(keep_code: str, *, connected: bool) -> tuple[str, ...]:
    """Why no results are taken; empty while they are."""
    return (() if connected else ("there is no connection to the broker",)) + (
        (f"{keep_code}: the ledger takes nothing",) if keep_code else ()
    )
