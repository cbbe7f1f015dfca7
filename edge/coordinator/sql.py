"""Opening the ledger's database: engine, pragmas, transactions, migrations, and foreign errors turned into ours."""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, event
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from edge.coordinator import postgres, schema
from edge.errors import StoreError

BUSY_TIMEOUT_S = 5.0
CACHE_KIB = 16 * 1024
WRITE = "jidoka_write"
_SNAPSHOT: dict[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}

_SQLITE_CODES: dict[int, tuple[str, str]] = {
    sqlite3.SQLITE_BUSY: ("STORE_LOCKED", "another process holds it: stop that one, or wait"),
    sqlite3.SQLITE_LOCKED: ("STORE_LOCKED", "another process holds it: stop that one, or wait"),
    sqlite3.SQLITE_READONLY: ("STORE_READ_ONLY", "check the owner and mode of the file and its folder"),
    sqlite3.SQLITE_PERM: ("STORE_READ_ONLY", "check the owner and mode of the file and its folder"),
    sqlite3.SQLITE_NOTADB: ("STORE_UNREADABLE", "name another file, or restore a backup"),
    sqlite3.SQLITE_CORRUPT: ("STORE_UNREADABLE", "restore a backup: jidoka coordinator restore"),
    sqlite3.SQLITE_CANTOPEN: ("STORE_UNREADABLE", "check that the folder exists and may be written"),
    sqlite3.SQLITE_FULL: ("STORE_FULL", "free some space, or lower --retain-gb"),
    sqlite3.SQLITE_IOERR: ("STORE_IO_ERROR", "check the disk"),
}


def open_engine(url: str) -> Engine:
    """An engine for ``sqlite:///file`` or ``postgresql://user@host/database``.

    Raises StoreError STORE_URL_INVALID, STORE_UNSUPPORTED or what opening the file gives.
    """
    try:
        parsed = postgres.with_driver(sa.make_url(url))
        engine = sa.create_engine(parsed, **postgres.engine_options(parsed))
    except (ArgumentError, NoSuchModuleError) as error:
        hint = "such as sqlite:////var/lib/jidoka/ledger.db or postgresql://user@host/database"
        raise StoreError("STORE_URL_INVALID", "the ledger's URL is not understood", str(error), hint) from error
    except ImportError as error:
        hint = "pip install 'jidoka-edge[postgres]'" if url.startswith("postgres") else "SQLite or PostgreSQL"
        raise StoreError("STORE_UNSUPPORTED", "the database's library is not installed", str(error), hint) from error
    if engine.dialect.name not in {"sqlite", "postgresql"}:
        raise StoreError("STORE_UNSUPPORTED", f"{engine.dialect.name} is not supported", hint="SQLite or PostgreSQL")
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
    else:
        event.listen(engine, "connect", postgres.set_up)
    event.listen(engine, "begin", _begin)
    return engine


def _set_up_sqlite(dbapi: Any, _record: Any) -> None:
    dbapi.isolation_level = None  # the driver's own idea of transactions stays out of it
    cursor = dbapi.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}")
    cursor.execute("PRAGMA auto_vacuum = INCREMENTAL")  # takes only before the first table exists
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA secure_delete = 0")  # Debian's default rewrites every deleted picture with zeros
    cursor.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITE)
    if connection.dialect.name == "sqlite":
        # A reader that turns writer may find its snapshot stale (SQLITE_BUSY_SNAPSHOT): writers say so at once.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
    elif writes:
        postgres.begin_writing(connection)


@contextlib.contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction that writes: committed at the end, rolled back on any error. Raises StoreError only."""
    with told(engine), engine.connect().execution_options(**{WRITE: True}) as connection, connection.begin():
        yield connection


@contextlib.contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One consistent snapshot. Raises StoreError only."""
    options = {} if engine.dialect.name == "sqlite" else _SNAPSHOT
    with told(engine), engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


@contextlib.contextmanager
def told(engine: Engine) -> Iterator[None]:
    """Turn SQLAlchemy's and sqlite3's errors into StoreError with a code."""
    try:
        yield
    except SQLAlchemyError as error:
        raise store_error(error, getattr(error, "orig", None), _name(engine)) from error
    except sqlite3.Error as error:
        raise store_error(error, error, _name(engine)) from error


def store_error(error: Exception, origin: object, name: str) -> StoreError:
    """Our error for one of theirs."""
    why = str(origin or error).splitlines()[0]
    number = getattr(origin, "sqlite_errorcode", None)
    if isinstance(number, int):
        code, hint = _SQLITE_CODES.get(number & 0xFF, ("STORE_FAILED", ""))
        return StoreError(code, f"the ledger {name} cannot be used", why, hint)
    if isinstance(origin, Exception) and hasattr(origin, "sqlstate"):
        code, why, hint = postgres.told(origin)
        return StoreError(code, f"the ledger {name} cannot be used", why, hint)
    return StoreError("STORE_FAILED", f"the ledger {name} cannot be used", why)


def _name(engine: Engine) -> str:
    return engine.url.set(query={}).render_as_string(hide_password=True)  # libpq takes a password there as well


def insert_new(engine: Engine, table: sa.Table) -> Any:
    """INSERT that leaves rows alone whose key is there already."""
    make = sqlite_insert if engine.dialect.name == "sqlite" else postgresql_insert
    return make(table).on_conflict_do_nothing()


class BulkInsert:
    """:func:`insert_new` for many rows, compiled once and handed to the driver as it is.

    SQLAlchemy's own preparation of parameters took a quarter of ingest's CPU time; our values (whole numbers, texts,
    bytes, truth values, None) need none. Every row must name every column but ``id``.
    """

    def __init__(self, engine: Engine, table: sa.Table) -> None:
        names = [column.name for column in table.c if column.name != "id"]
        compiled = insert_new(engine, table).inline().compile(dialect=engine.dialect, column_keys=names)
        self._text = str(compiled)
        # Drivers take either rows in order or rows by name.
        self._in_order = itemgetter(*compiled.positiontup) if compiled.positional else None

    def run(self, connection: Connection, rows: list[dict[str, Any]]) -> None:
        """Insert all that are new."""
        values: Any = rows if self._in_order is None else [self._in_order(row) for row in rows]
        connection.exec_driver_sql(self._text, values)


def upsert(engine: Engine, table: sa.Table, key: list[str], change: list[str]) -> Any:
    """INSERT that updates ``change`` where ``key`` is there already."""
    make = sqlite_insert if engine.dialect.name == "sqlite" else postgresql_insert
    statement = make(table)
    return statement.on_conflict_do_update(index_elements=key, set_={c: statement.excluded[c] for c in change})


def migrate(engine: Engine) -> None:
    """Bring the schema to the newest version. Raises StoreError STORE_TOO_NEW for a ledger of a later release."""
    with writing(engine) as connection:
        schema.schema_version.create(connection, checkfirst=True)
        have = connection.scalar(sa.select(sa.func.max(schema.schema_version.c.version))) or 0
        newest = len(schema.MIGRATIONS)
        if have > newest:
            hint = "install that release, or name another ledger"
            raise StoreError("STORE_TOO_NEW", f"the ledger has schema {have}", f"this release knows {newest}", hint)
        for version in range(have, newest):
            schema.MIGRATIONS[version](connection)
            connection.execute(sa.insert(schema.schema_version).values(version=version + 1))
        if connection.scalar(sa.select(schema.meta.c.value).where(schema.meta.c.name == "ledger_id")) is None:
            connection.execute(sa.insert(schema.meta).values(name="ledger_id", value=new_id()))


def new_id() -> str:
    """A fresh ledger id: 16 hex digits that nobody else has."""
    return secrets.token_hex(8)


def file_of(engine: Engine) -> Path | None:
    """The database file, or None where there is none."""
    name = engine.url.database
    return Path(name) if engine.dialect.name == "sqlite" and name and name != ":memory:" else None
