"""What waits to be written, and how much of it there is."""

from __future__ import annotations

from edge.domain import Kind


def ignore(*_: object) -> None:
    """The callback of somebody who does not want to know."""


class Queue:
    """Records that wait to be written."""

    __slots__ = ("evidence_bytes", "records", "total_bytes")

    def __init__(self) -> None:
        self.records: dict[Kind, list[tuple[int, bytes]]] = {}
        self.total_bytes = 0
        self.evidence_bytes = 0

    def add(self, kind: Kind, seq: int, payload: bytes, size: int) -> None:
        self.records.setdefault(kind, []).append((seq, payload))
        self.total_bytes += size
        if kind == "evidence":
            self.evidence_bytes += size
