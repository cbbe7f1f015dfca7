"""Copies of the ledger: taken while it runs, and put back under a new ledger id.

A restored ledger has forgotten what came after the copy, so it must not speak with the old one's authority: its new
id makes every agent send again whatever it still holds (see the protocol, "ledger").
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from edge.coordinator import lease, schema, sql
from edge.coordinator.schema import MIGRATIONS
from edge.errors import InputError, StoreError

PAGES_AT_ONCE: Final = 2000
"""Between portions the running coordinator may commit (SQLite then copies those pages again)."""


def backup(url: str, target: Path) -> int:
    """Copy a SQLite ledger to a new file, durably; the coordinator may go on. Returns bytes.

    Raises StoreError, InputError FILE_EXISTS.
    """
    source = _file(url, "copy it with pg_dump --format=custom; the coordinator may go on meanwhile")
    if not source.is_file():
        raise InputError("FILE_MISSING", f"there is no ledger {source}")
    if target.exists():
        raise InputError("FILE_EXISTS", f"{target} is there already", hint="name another file, or remove it first")
    part = target.with_name(target.name + ".part")
    try:
        with _open(source) as old, _open(part, create=True) as new:
            old.backup(new, pages=PAGES_AT_ONCE, sleep=0.005)
            new.execute("PRAGMA journal_mode = DELETE")  # one file, with no -wal beside it to be forgotten
        _sync(part)
        part.rename(target)
        _sync(target.parent)
    except OSError as error:
        raise StoreError("BACKUP_FAILED", f"cannot write {target}", error.strerror or str(error)) from error
    finally:
        part.unlink(missing_ok=True)
    return target.stat().st_size


def restore(url: str, source: Path) -> tuple[str, Path | None]:
    """Make ``source`` the ledger. Returns the new ledger id, and where the old ledger was kept (None if there was none).

    The copy gets its new id before it takes the ledger's place, in one transaction of SQLite's: a power cut leaves
    either the old ledger or the restored one. Raises StoreError (STORE_IN_USE while a coordinator serves), InputError.
    """
    hint = "pg_restore the copy into an empty database, then run jidoka coordinator renew-id --db URL on it"
    target = _file(url, hint)
    if not source.is_file():
        raise InputError("FILE_MISSING", f"there is no file {source}")
    _refuse_in_use(target)
    kept = None
    if target.exists():
        kept = target.with_name(f"{target.name}.before-{_now_utc_ms()}")
        backup(url, kept)
    part = target.with_name(target.name + ".restoring")
    ledger_id = sql.new_id()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        with _open(source) as old, _open(part, create=True) as new:
            _check(old, source)
            old.backup(new)
            new.execute("UPDATE meta SET value = ? WHERE name = 'ledger_id'", (ledger_id,))
            new.execute("DELETE FROM lease")
            new.commit()
        with _open(part) as new, _open(target, create=True) as ledger:
            new.backup(ledger)
        _sync(target)
        _sync(target.parent)
    except OSError as error:
        raise StoreError("RESTORE_FAILED", f"cannot write {target}", error.strerror or str(error)) from error
    finally:
        part.unlink(missing_ok=True)
    return ledger_id, kept


def renew_id(url: str) -> str:
    """Give a ledger that other means put back (pg_restore, a disk image) the new id it must have. Returns that id.

    Raises StoreError (STORE_IN_USE while a coordinator serves), InputError.
    """
    engine = sql.open_engine(url)
    file = sql.file_of(engine)
    try:
        if file is not None and not file.is_file():
            raise InputError("FILE_MISSING", f"there is no ledger {file}")
        ledger_id = sql.new_id()
        with sql.writing(engine) as connection:
            held = sa.select(schema.lease.c.holder).where(schema.lease.c.expires_utc_ms > _now_utc_ms())
            if any(not lease.is_dead(holder) for holder in connection.scalars(held)):
                raise StoreError("STORE_IN_USE", "a coordinator serves this ledger", hint="stop it first")
            change = sa.update(schema.meta).where(schema.meta.c.name == "ledger_id").values(value=ledger_id)
            if not connection.execute(change).rowcount:
                raise StoreError("STORE_UNREADABLE", "this is not a ledger", hint="name another, or restore a copy")
            connection.execute(sa.delete(schema.lease))
    finally:
        engine.dispose()
    return ledger_id


def _now_utc_ms() -> int:
    return time.time_ns() // 1_000_000


def _file(url: str, otherwise: str) -> Path:
    engine = sql.open_engine(url)
    file = sql.file_of(engine)
    name = engine.dialect.name
    engine.dispose()
    if file is None:
        why = f"the ledger is in {name}, which has tools of its own"
        raise StoreError("STORE_UNSUPPORTED", "only an SQLite file is copied by this command", why, otherwise)
    return file


@contextlib.contextmanager
def _open(file: Path, *, create: bool = False) -> Iterator[sqlite3.Connection]:
    mode = "rwc" if create else "rw"
    try:
        connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode={mode}", uri=True, timeout=sql.BUSY_TIMEOUT_S)
        try:
            connection.execute("PRAGMA synchronous = FULL")
            yield connection
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise sql.store_error(error, error, str(file)) from error


def _check(connection: sqlite3.Connection, file: Path) -> None:
    """Raises StoreError where it is no ledger, damaged, or of a later release."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not {"schema_version", "streams", "meta"} <= tables:
        raise StoreError("STORE_UNREADABLE", f"{file} is not a ledger")
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise StoreError("STORE_UNREADABLE", f"{file} is damaged", found)
    (version,) = connection.execute("SELECT max(version) FROM schema_version").fetchone()
    if version > len(MIGRATIONS):
        raise StoreError("STORE_TOO_NEW", f"{file} has schema {version}", f"this release knows {len(MIGRATIONS)}")


def _refuse_in_use(target: Path) -> None:
    if not target.exists():
        return
    with _open(target) as connection:
        try:
            rows = connection.execute("SELECT holder FROM lease WHERE expires_utc_ms > ?", (_now_utc_ms(),)).fetchall()
        except sqlite3.OperationalError:
            return  # no such table: not yet a ledger
        if any(not lease.is_dead(holder) for (holder,) in rows):
            raise StoreError("STORE_IN_USE", f"a coordinator serves {target}", hint="stop it first")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
