"""What the ledger forgets: rows over an age, and the oldest where it grew over a size. Pictures go first.

``upto`` of a stream is a row of its own and stays, so nothing that was forgotten is asked for again. A pass removes
at most ``CHUNK`` rows of a table, in one short transaction: ingest goes on between passes.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import Engine, Table

from edge.coordinator import schema, sql
from edge.coordinator.live_bytes import LiveBytes

CHUNK: Final = 500
DAY_MS: Final = 86_400_000
GB: Final = 1_000_000_000
_AGED: Final = (schema.evidence, schema.results, schema.events, schema.unreadable)


class Limits(Struct, frozen=True):
    """How long and how much is kept; 0 is without limit. Pictures may have a shorter age of their own."""

    days: float = 0.0
    gb: float = 0.0
    evidence_days: float = 0.0


class Retention:
    """Removes what ``limits`` let go."""

    def __init__(self, engine: Engine, limits: Limits) -> None:
        self._engine = engine
        self._limits = limits
        self._live = [] if engine.dialect.name == "sqlite" else [LiveBytes(table) for table in _AGED]

    def trim(self, now_utc_ms: int) -> tuple[int, bool]:
        """One pass: (rows removed, whether more may go). Raises StoreError.

        Age is that of receipt, by the coordinator's own clock: an agent with a wrong clock loses nothing early.
        """
        rows = 0
        more = False
        for table in _AGED:
            days = self._limits.evidence_days if table is schema.evidence else 0.0
            days = min((d for d in (days, self._limits.days) if d), default=0.0)
            if days:
                n = self._remove(table, table.c.received_utc_ms < now_utc_ms - int(days * DAY_MS))
                rows, more = rows + n, more or n == CHUNK
        if self._limits.gb:
            size_bytes, counting = self._count_live() if self._live else (self.size_bytes(), False)
            n = self._remove_oldest() if size_bytes > self._limits.gb * GB else 0
            rows, more = rows + n, more or n > 0 or counting
        if rows:
            self._give_back()
        return rows, more

    def size_bytes(self) -> int:
        """Bytes the ledger's rows and indexes take. Freed pages count in PostgreSQL, and not in an SQLite file."""
        with sql.reading(self._engine) as connection:
            if self._engine.dialect.name != "sqlite":
                sizes = (sa.func.pg_total_relation_size(table.name) for table in schema.metadata.sorted_tables)
                return sum(connection.execute(sa.select(*sizes)).one())
            pages, free, size = (
                int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
                for name in ("page_count", "freelist_count", "page_size")
            )
        return (pages - free) * size

    def _count_live(self) -> tuple[int, bool]:
        """Bytes of live rows as far as they are counted, and whether that goes on."""
        with sql.reading(self._engine) as connection:
            counting = [live.count(connection) for live in self._live]
        return sum(live.size_bytes for live in self._live), any(counting)

    def _remove_oldest(self) -> int:
        for table in _AGED:
            if n := self._remove(table, sa.true()):
                return n
        return 0

    def _remove(self, table: Table, where: sa.ColumnElement[bool]) -> int:
        oldest = sa.select(table.c.id).where(where).order_by(table.c.id).limit(CHUNK)
        with sql.writing(self._engine) as connection:
            ids = list(connection.scalars(oldest))
            if ids:
                connection.execute(sa.delete(table).where(table.c.id.in_(ids)))
        return len(ids)

    def _give_back(self) -> None:
        """Return some freed pages to the disk; the rest is used again. PostgreSQL's autovacuum does it by itself."""
        if self._engine.dialect.name != "sqlite":
            return
        with sql.told(self._engine):
            connection = self._engine.raw_connection()
            try:
                # It frees one page a step, and sqlite3's execute() steps once; executescript() runs it to its end.
                assert connection.driver_connection is not None
                connection.driver_connection.executescript("PRAGMA incremental_vacuum(1000)")
            finally:
                connection.close()
