"""How much of PostgreSQL's files is alive: a DELETE never makes them smaller, so their size cannot bound what is kept.

Rows are added up in spans of ids, a step at a time, so that a ledger of any size never holds up the coordinator's
thread. New rows come at the end and the oldest go first, so a pass counts what is new and the oldest span again::

    ids     ... gone ... [ span 1: counted again ][ span 2 ] ... [ span n ][ new: at most STEP rows ]

A table's own statistics would be cheaper, but they are lost in a crash and late by a vacuum.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Column, Connection, Table

STEP: Final = 10_000
ROW_BYTES: Final = 48
"""Of a row beside its columns: header, line pointer, padding, its share of the unused end of a page."""

INDEX_BYTES: Final = 32
"""Of a row in one index: entry, line pointer, its share of pages that are not full."""


CHUNKS_PERCENT: Final = 107
"""Of a picture's bytes, which lie beside the table in chunks of 2000 with an index of their own."""


@dataclass(slots=True)
class _Span:
    first: int
    last: int
    rows: int
    size_bytes: int


class LiveBytes:
    """Bytes of live rows of one table, with their indexes and pictures. Known after enough calls of :meth:`count`."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._spans: deque[_Span] = deque()
        self._upto = 0
        indexes = 1 + len(table.indexes) + sum(isinstance(c, sa.UniqueConstraint) for c in table.constraints)
        sizes = [_size_of(column) for column in table.c]
        self._size: Any = sa.literal_column(str(ROW_BYTES + INDEX_BYTES * indexes)) + sum(sizes[1:], sizes[0])

    @property
    def size_bytes(self) -> int:
        """As of the last count."""
        return sum(span.size_bytes for span in self._spans)

    def count(self, connection: Connection) -> bool:
        """Take in one step; True while there is more to count."""
        ids = self._table.c.id
        oldest = connection.scalar(sa.select(sa.func.min(ids)))
        while self._spans and (oldest is None or self._spans[0].last < oldest):
            self._spans.popleft()
        if self._spans:
            span = self._spans[0]
            _, span.rows, span.size_bytes = self._add_up(connection, ids.between(span.first, span.last))
        last, rows, size_bytes = self._add_up(connection, ids > self._upto)
        if rows:
            if self._spans and self._spans[-1].rows + rows <= STEP:
                span = self._spans[-1]
                span.last, span.rows, span.size_bytes = last, span.rows + rows, span.size_bytes + size_bytes
            else:
                self._spans.append(_Span(self._upto + 1, last, rows, size_bytes))
            self._upto = last
        return rows == STEP

    def _add_up(self, connection: Connection, where: sa.ColumnElement[bool]) -> tuple[int, int, int]:
        """(last id, rows, bytes) of the first ``STEP`` rows."""
        ids = self._table.c.id
        part = sa.select(ids, self._size.label("size")).where(where).order_by(ids).limit(STEP).subquery()
        query = sa.select(sa.func.max(part.c.id), sa.func.count(), sa.func.sum(part.c.size))
        last, rows, size_bytes = connection.execute(query).one()
        return last or 0, rows, int(size_bytes or 0)


def _size_of(column: Column[Any]) -> Any:
    """What a value takes where it lies, compressed or not; pictures are not read for it."""
    size = sa.func.coalesce(sa.func.pg_column_size(column), 0)
    return size * CHUNKS_PERCENT / 100 if isinstance(column.type, sa.LargeBinary) else size
