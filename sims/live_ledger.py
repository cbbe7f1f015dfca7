"""What a run left behind: the coordinator's ledger and the agent's journal, read after both have stopped."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
import sqlalchemy as sa
from msgspec import Struct

from edge.coordinator import schema, sql
from edge.domain import KINDS, Finding, SeqRange
from edge.shell.journal import Journal
from sims.score_model import Row, StreamState
from sims.story import Kept

_findings = msgspec.json.Decoder(tuple[Finding, ...])
_TABLES = (schema.results, schema.events, schema.evidence, schema.unreadable)


class Position(Struct, frozen=True):
    """One stream of the ledger while the run is going on: how far it is contiguous, and how many rows it has."""

    kind: str
    upto: int
    rows: int


class LedgerView:
    """Reads one coordinator's SQLite ledger. Raises StoreError."""

    def __init__(self, file: Path) -> None:
        self._engine = sql.open_engine(f"sqlite:///{file}")

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()

    def positions(self) -> list[Position]:
        """Where every stream stands now."""
        streams = schema.streams.c
        with sql.reading(self._engine) as connection:
            found = connection.execute(sa.select(streams.id, streams.kind, streams.upto)).all()
            rows = dict(self._counts(connection))
        return [Position(kind, upto, rows.get(number, 0)) for number, kind, upto in found]

    def rows(self) -> list[Row]:
        """Every result."""
        c = schema.results.c
        query = sa.select(
            schema.streams.c.log,
            c.seq,
            c.decision,
            c.utc_ms,
            c.frame_no,
            c.part_id,
            c.boot_no,
            c.part_no,
            c.findings,
        ).join_from(schema.results, schema.streams)
        with sql.reading(self._engine) as connection:
            return [Row(*row[:-1], _findings.decode(row[-1])) for row in connection.execute(query)]

    def evidence(self) -> dict[tuple[int, int], Kept]:
        """Pictures by (boot_no, part_id)."""
        c = schema.evidence.c
        query = sa.select(c.part_id, c.boot_no, c.part_no, c.decision, c.why, c.jpeg).where(c.part_id > 0)
        with sql.reading(self._engine) as connection:
            return {(row[1], row[0]): Kept(*row) for row in connection.execute(query)}

    def streams(self, committed: dict[tuple[str, str], tuple[int, SeqRange | None]]) -> list[StreamState]:
        """Every stream of journal or ledger. ``committed`` is (log, kind) -> last committed, and what is kept still."""
        with sql.reading(self._engine) as connection:
            known = {
                (log, kind): number
                for number, log, kind in connection.execute(
                    sa.select(schema.streams.c.id, schema.streams.c.log, schema.streams.c.kind)
                )
            }
            states = []
            for log, kind in sorted({*known, *committed}):
                last, kept = committed.get((log, kind), (0, None))
                number = known.get((log, kind))
                seqs = self._seqs(connection, number) if number is not None else []
                gaps = self._gaps(connection, number) if number is not None else []
                states.append(StreamState(log, kind, last, tuple(ranges(seqs)), tuple(gaps), len(seqs), kept))
        return states

    @staticmethod
    def _counts(connection: sa.Connection) -> Iterable[tuple[int, int]]:
        for table in _TABLES[:3]:
            query = sa.select(table.c.stream_id, sa.func.count()).group_by(table.c.stream_id)
            yield from ((int(number), int(count)) for number, count in connection.execute(query))

    @staticmethod
    def _seqs(connection: sa.Connection, stream_id: int) -> list[int]:
        seqs: list[int] = []
        for table in _TABLES:
            seqs += connection.scalars(sa.select(table.c.seq).where(table.c.stream_id == stream_id))
        return seqs

    @staticmethod
    def _gaps(connection: sa.Connection, stream_id: int) -> list[SeqRange]:
        c = schema.gaps.c
        query = sa.select(c.first, c.last).where(c.stream_id == stream_id)
        return [SeqRange(first, last) for first, last in connection.execute(query)]


def journal_heads(folder: Path) -> dict[tuple[str, str], tuple[int, SeqRange | None]]:
    """(log, kind) -> last committed number, and what is still held for the coordinator. The agent must have stopped.

    Raises StoreError, JOURNAL_LOCKED while it runs.
    """
    journal = Journal(folder)
    try:
        heads = journal.heads()
        found: dict[tuple[str, str], tuple[int, SeqRange | None]] = {}
        for kind in KINDS:
            head = heads[kind]
            first = max(head.first, head.acked + 1)
            kept = SeqRange(first, head.last) if first <= head.last else None
            found[journal.log, kind] = (head.last, kept)
        return found
    finally:
        journal.close()


def ranges(numbers: Iterable[int]) -> list[SeqRange]:
    """Numbers as ranges, ascending; a number that is there twice is told once."""
    found: list[SeqRange] = []
    for number in sorted(set(numbers)):
        if found and found[-1].last + 1 == number:
            found[-1] = SeqRange(found[-1].first, number)
        else:
            found.append(SeqRange(number, number))
    return found
