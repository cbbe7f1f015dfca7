"""The journal's index: which segments there are, how far each is committed, and what was acknowledged.

An SQLite database (WAL, ``synchronous=FULL``). It holds nothing that the segment files do not say as well, but for
the acknowledged positions; without those everything still held is simply sent again. So a damaged index is thrown
away and written anew, and start-up trusts a segment it lists without reading all of it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from edge.domain import Kind

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stream (kind TEXT PRIMARY KEY, last INTEGER NOT NULL, acked INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS segment (
  kind TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, n INTEGER NOT NULL, bytes INTEGER NOT NULL,
  PRIMARY KEY (kind, first)
) WITHOUT ROWID;
"""
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)


class StreamRow(NamedTuple):
    """How far one stream is committed and acknowledged."""

    kind: Kind
    last: int
    acked: int


class SegmentRow(NamedTuple):
    """One segment as committed: see :class:`edge.shell.segments.Segment`."""

    kind: Kind
    first: int
    last: int
    n: int
    size: int


class Index:
    """The database file. Used by one thread at a time. Raises sqlite3.Error, which the journal turns into its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.found = path.exists()
        """False if there was no usable index and it has to be written anew from the segments."""
        try:
            self._db = self._open()
        except sqlite3.DatabaseError as error:
            if not is_damaged(error):
                raise
            self.found = False
            self._discard()
            self._db = self._open()

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            # Debian builds SQLite with secure_delete on, which multiplies what a DELETE writes.
            db.execute("PRAGMA secure_delete=0")
            db.executescript(_SCHEMA)
            _check(db)
        except BaseException:
            db.close()
            raise
        return db

    def _discard(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)

    def log(self) -> str | None:
        """The log id noted here."""
        row = self._db.execute("SELECT value FROM meta WHERE name = 'log'").fetchone()
        return None if row is None else str(row[0])

    def streams(self) -> dict[str, StreamRow]:
        return {row[0]: StreamRow(*row) for row in self._db.execute("SELECT kind, last, acked FROM stream")}

    def segments(self) -> dict[tuple[str, int], SegmentRow]:
        rows = self._db.execute("SELECT kind, first, last, n, bytes FROM segment")
        return {(row[0], row[1]): SegmentRow(*row) for row in rows}

    def replace(self, log: str, streams: Iterable[StreamRow], segments: Iterable[SegmentRow]) -> None:
        """Write all of it anew, in one transaction."""
        with self._transaction():
            self._db.execute("DELETE FROM segment")
            self._db.execute("DELETE FROM stream")
            self._db.execute("INSERT OR REPLACE INTO meta VALUES ('log', ?)", (log,))
            self._put(streams, segments)

    def commit(
        self, streams: Iterable[StreamRow], segments: Iterable[SegmentRow], gone: Iterable[tuple[Kind, int]]
    ) -> None:
        """Note new positions and forget segments that are gone, in one transaction, durable on return."""
        with self._transaction():
            self._db.executemany("DELETE FROM segment WHERE kind = ? AND first = ?", gone)
            self._put(streams, segments)

    def _put(self, streams: Iterable[StreamRow], segments: Iterable[SegmentRow]) -> None:
        self._db.executemany("INSERT OR REPLACE INTO stream VALUES (?, ?, ?)", streams)
        self._db.executemany("INSERT OR REPLACE INTO segment VALUES (?, ?, ?, ?, ?)", segments)

    def _transaction(self) -> _Transaction:
        return _Transaction(self._db)

    def start_anew(self) -> None:
        """Throw a damaged database away and open an empty one in its place."""
        self._db.close()
        self._discard()
        self._db = self._open()

    def close(self) -> None:
        self._db.close()


def _check(db: sqlite3.Connection) -> None:
    problem = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if problem != "ok":
        error = sqlite3.DatabaseError(problem)
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error


class _Transaction:
    """BEGIN IMMEDIATE … COMMIT, rolled back on any error, also one of COMMIT itself (a full disk)."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if kind is None:
                self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")


def is_damaged(error: sqlite3.Error) -> bool:
    """True if the database file itself is broken, so that only writing it anew helps."""
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _DAMAGED


def is_full(error: sqlite3.Error) -> bool:
    """True if the disk is full."""
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) == sqlite3.SQLITE_FULL
