"""Reading the ledger: results, events and pictures by filter, one page at a time.

A page's cursor is the row id of its last row. Ids rise in the order of commits and never change, so pages neither
skip nor repeat while new rows arrive.
"""

from __future__ import annotations

import json
from typing import Any, Final, Literal

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import Engine, Select, Table

from edge.coordinator import schema, sql
from edge.domain import Decision

MAX_PAGE: Final = 1000
_JSON_COLUMNS: Final = ("findings", "reasons", "latency_ms", "values", "views", "data")
_TABLES: Final = {"results": schema.results, "events": schema.events, "evidence": schema.evidence}

Order = Literal["newest", "oldest"]


class Filter(Struct, frozen=True):
    """What of the ledger is wanted; None and empty are everything. ``since``/``until`` are UTC ms, until excluded."""

    agent: str = ""
    log: str = ""
    decision: Decision | None = None
    source: str = ""
    part_no: int | None = None
    since_utc_ms: int | None = None
    until_utc_ms: int | None = None
    level: str = ""
    code: str = ""
    ask_id: str = ""


class Page(Struct, frozen=True):
    """Rows as plain values, and the cursor of the next page (None at the end)."""

    rows: list[dict[str, Any]]
    next_cursor: int | None


def page(
    engine: Engine,
    name: Literal["results", "events", "evidence"],
    wanted: Filter,
    *,
    cursor: int | None = None,
    limit: int = 100,
    order: Order = "newest",
) -> Page:
    """One page of a table. Raises StoreError."""
    table = _TABLES[name]
    limit = max(1, min(limit, MAX_PAGE))
    query = _select(table, wanted)
    if cursor is not None:
        query = query.where(table.c.id < cursor if order == "newest" else table.c.id > cursor)
    query = query.order_by(table.c.id.desc() if order == "newest" else table.c.id).limit(limit + 1)
    with sql.reading(engine) as connection:
        rows = [_plain(dict(row._mapping)) for row in connection.execute(query)]  # noqa: SLF001 - SQLAlchemy's public name
    more = len(rows) > limit
    return Page(rows[:limit], rows[limit - 1]["id"] if more else None)


def jpeg(engine: Engine, evidence_id: int) -> bytes | None:
    """The picture of one evidence row. Raises StoreError."""
    with sql.reading(engine) as connection:
        found = connection.scalar(sa.select(schema.evidence.c.jpeg).where(schema.evidence.c.id == evidence_id))
    return None if found is None else bytes(found)


def counts(engine: Engine) -> dict[str, int]:
    """Rows of each table. Raises StoreError."""
    tables = (schema.results, schema.events, schema.evidence, schema.unreadable, schema.gaps)
    with sql.reading(engine) as connection:
        return {table.name: _count(connection, table) for table in tables}


def _count(connection: sa.Connection, table: Table) -> int:
    return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def _select(table: Table, wanted: Filter) -> Select[Any]:
    """``SELECT`` of everything but pictures, with the stream's names, filtered."""
    streams = schema.streams.c
    columns = [column for column in table.c if column.name not in {"stream_id", "jpeg"}]
    query = sa.select(streams.site, streams.agent, streams.log, *columns).join_from(table, schema.streams)
    if wanted.agent:
        query = query.where(streams.agent == wanted.agent)
    if wanted.log:
        query = query.where(streams.log == wanted.log)
    for name in ("decision", "source", "part_no", "level", "code", "ask_id"):
        value = getattr(wanted, name)
        if value not in {None, ""} and name in table.c:
            query = query.where(table.c[name] == value)
    if wanted.since_utc_ms is not None:
        query = query.where(table.c.utc_ms >= wanted.since_utc_ms)
    if wanted.until_utc_ms is not None:
        query = query.where(table.c.utc_ms < wanted.until_utc_ms)
    return query


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    for name in _JSON_COLUMNS:
        if name in row:
            row[name] = json.loads(row[name])
    return row
