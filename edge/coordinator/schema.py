"""The ledger's tables, as SQLAlchemy Core metadata, and the migrations that lead to the newest version.

::

    streams 1 ──< results, events, evidence (stream_id, seq)      key of a record: (site, agent, log, kind, seq)
            1 ──< gaps      (first, last that will never come)
    desired, agents, lease, meta, schema_version

A picture lies in its ``evidence`` row, not in a folder beside: one transaction then covers picture and
acknowledgement, one fsync serves the batch, and one file is the backup. SQLite took 10,800 rows of 20 KB a second
this way. The price: the file keeps its largest size until it is vacuumed; freed pages are used again.

A migration is never edited once published; a new one is appended to ``MIGRATIONS``. Version 1 creates what is below.
Whoever adds a column adds it here and writes the step for ledgers that exist, which finds it there in those that begin.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    inspect,
)

metadata = MetaData()

# SQLite numbers rows by itself only where the key is exactly INTEGER; other databases want the wide type.
_ROW_ID = BigInteger().with_variant(Integer, "sqlite")


# What a message says is Text without a length: PostgreSQL would refuse the row, and the stream could never go on.


def _of_stream() -> tuple[Column[int], Column[int], Column[int]]:
    return (
        Column("id", _ROW_ID, primary_key=True),
        Column("stream_id", Integer, ForeignKey("streams.id"), nullable=False),
        Column("seq", BigInteger, nullable=False),
    )


schema_version = Table("schema_version", metadata, Column("version", Integer, primary_key=True, autoincrement=False))
meta = Table("meta", metadata, Column("name", String(64), primary_key=True), Column("value", Text, nullable=False))

streams = Table(
    "streams",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("site", String(64), nullable=False),
    Column("agent", String(64), nullable=False),
    Column("log", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("upto", BigInteger, nullable=False),
    Column("islands", Text, nullable=False),
    UniqueConstraint("site", "agent", "log", "kind"),
)

results = Table(
    "results",
    metadata,
    *_of_stream(),
    Column("utc_ms", BigInteger, nullable=False),
    Column("decision", String(8), nullable=False),
    Column("source", Text, nullable=False),
    Column("frame_no", BigInteger, nullable=False),
    Column("part_id", BigInteger, nullable=False),
    Column("boot_no", BigInteger, nullable=False),
    Column("part_no", BigInteger),
    Column("encoder", BigInteger),
    Column("recipe", Text, nullable=False),
    Column("settings_rev", BigInteger, nullable=False),
    Column("model_name", Text),
    Column("model_version", Text),
    Column("model_sha256", Text),
    Column("clock_trusted", Boolean, nullable=False),
    Column("received_utc_ms", BigInteger, nullable=False),
    Column("reasons", Text, nullable=False),
    Column("findings", Text, nullable=False),
    Column("latency_ms", Text, nullable=False),
    Column("values", Text, nullable=False, server_default="{}"),
    Column("views", Text, nullable=False, server_default="[]"),
    UniqueConstraint("stream_id", "seq"),
    Index("results_utc_ms", "utc_ms"),
    Index("results_decision", "decision", "id"),
)
_numbered = results.c.part_no.is_not(None)
Index("results_part_no", results.c.part_no, sqlite_where=_numbered, postgresql_where=_numbered)

events = Table(
    "events",
    metadata,
    *_of_stream(),
    Column("utc_ms", BigInteger, nullable=False),
    Column("code", Text, nullable=False),
    Column("level", String(8), nullable=False),
    Column("text", Text, nullable=False),
    Column("data", Text, nullable=False),
    Column("received_utc_ms", BigInteger, nullable=False),
    UniqueConstraint("stream_id", "seq"),
    Index("events_utc_ms", "utc_ms"),
)

evidence = Table(
    "evidence",
    metadata,
    *_of_stream(),
    Column("utc_ms", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("frame_no", BigInteger, nullable=False),
    Column("part_id", BigInteger, nullable=False),
    Column("boot_no", BigInteger, nullable=False),
    Column("part_no", BigInteger),
    Column("decision", String(8), nullable=False),
    Column("why", Text, nullable=False),
    Column("ask_id", Text, nullable=False),
    Column("width_px", Integer, nullable=False),
    Column("height_px", Integer, nullable=False),
    Column("overlay", Boolean, nullable=False),
    Column("received_utc_ms", BigInteger, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("jpeg", LargeBinary, nullable=False),  # last: lists never walk its overflow pages
    UniqueConstraint("stream_id", "seq"),
    Index("evidence_utc_ms", "utc_ms"),
)

unreadable = Table(
    "unreadable",
    metadata,
    *_of_stream(),
    Column("received_utc_ms", BigInteger, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    UniqueConstraint("stream_id", "seq"),
)

gaps = Table(
    "gaps",
    metadata,
    Column("id", _ROW_ID, primary_key=True),
    Column("stream_id", Integer, ForeignKey("streams.id"), nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("why", Text, nullable=False),
    Column("utc_ms", BigInteger, nullable=False),
    UniqueConstraint("stream_id", "first", "last"),
)

desired = Table(
    "desired",
    metadata,
    Column("site", String(64), primary_key=True),
    Column("agent", String(64), primary_key=True),
    Column("message", Text, nullable=False),
)

agents = Table(
    "agents",
    metadata,
    Column("site", String(64), primary_key=True),
    Column("agent", String(64), primary_key=True),
    Column("known", Text, nullable=False),
)

lease = Table(
    "lease",
    metadata,
    Column("site", String(64), primary_key=True),
    Column("holder", String(128), nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("expires_utc_ms", BigInteger, nullable=False),
)

OF_KIND: dict[str, Table] = {"results": results, "events": events, "evidence": evidence}


def _version_1(connection: Connection) -> None:
    metadata.create_all(connection)
    if connection.dialect.name == "postgresql":
        # By default a fifth of a table must be dead before its space is used again: much, where it holds pictures.
        for table in (*OF_KIND.values(), unreadable):
            often = "autovacuum_vacuum_scale_factor = 0.02, toast.autovacuum_vacuum_scale_factor = 0.02"
            connection.exec_driver_sql(f"ALTER TABLE {table.name} SET ({often})")


def _version_2(connection: Connection) -> None:
    """Named numbers and views of results."""
    there = {column["name"] for column in inspect(connection).get_columns("results")}
    for name, empty in (("values", "{}"), ("views", "[]")):
        if name not in there:
            connection.exec_driver_sql(f"ALTER TABLE results ADD COLUMN \"{name}\" TEXT NOT NULL DEFAULT '{empty}'")


MIGRATIONS: tuple[Callable[[Connection], None], ...] = (_version_1, _version_2)
"""``MIGRATIONS[n]`` leads from version n to n + 1."""
