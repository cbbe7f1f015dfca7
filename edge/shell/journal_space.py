"""What gives way when the journal, or the disk below it, is full; and a batch tried until it is durable."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from edge.domain import Kind
from edge.errors import StoreError
from edge.shell.journal_index import is_full
from edge.shell.journal_kv import KeyValues
from edge.shell.journal_recovery import open_store
from edge.shell.journal_store import CriticalFull, Records, Store, Why
from edge.shell.segments import HEADER_BYTES

RESERVE_BYTES: Final = 1024 * 1024
CRITICAL: Final[tuple[Kind, ...]] = ("results", "events")
"""The streams that never give way to evidence."""


def is_no_space(error: Exception) -> bool:
    """True if the disk, or our share of it, is full."""
    if isinstance(error, sqlite3.Error):
        return is_full(error)
    return isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}


class Reserve:
    """A file of some size that is removed when the disk is full, so that there is room to clear up in."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size

    def release(self) -> bool:
        """Give the space back; False if it was given before."""
        try:
            self._path.unlink()
        except FileNotFoundError:
            return False
        return True

    def restore(self) -> None:
        """Take the space again if there is plenty. Never raises: without a reserve there is still eviction."""
        try:
            free = os.statvfs(self._path.parent)
            if self._path.exists() or free.f_bavail * free.f_frsize < 4 * self._size:
                return
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                os.posix_fallocate(fd, 0, self._size)
            finally:
                os.close(fd)
        except OSError:
            self.release()


class Space:
    """Keeps a store within ``max_bytes`` and carries on when the disk is full."""

    def __init__(self, store: Store, reserve: Reserve, max_bytes: int, critical_full: CriticalFull) -> None:
        self._store = store
        self._reserve = reserve
        self._max_bytes = max_bytes
        self._critical_full = critical_full
        self._critical_bytes = 0
        self.measure()

    def measure(self) -> None:
        """Note how much the critical streams hold; called after every change."""
        self._critical_bytes = sum(self._store.streams[kind].bytes_held for kind in CRITICAL)

    def has_room(self, more_bytes: int, *, spare: bool = False) -> bool:
        """False if ``more_bytes`` of critical records would not fit and nothing may give way to them. With ``spare``
        an eighth more must be free: full and not full must not alternate with every record.
        """
        if self._critical_full == "evict_oldest":
            return True
        limit = self._max_bytes - HEADER_BYTES - (self._max_bytes // 8 if spare else 0)
        return self._critical_bytes + more_bytes <= limit

    def persist(self, batch: Mapping[Kind, Records], acks: dict[Kind, int], size: int) -> None:
        """Free what is acknowledged, make room, write and commit. Raises what could not be helped, having changed
        nothing of the batch: OSError, sqlite3.Error.
        """
        while True:
            try:
                self._store.free(acks)
                self._bound(size)
                if size:
                    self._store.write(batch)
                else:
                    self._store.note()
                break
            except (OSError, sqlite3.Error) as error:
                if not (is_no_space(error) and self._give_way()):
                    raise
            finally:
                self.measure()
        self._reserve.restore()

    def _bound(self, size: int) -> None:
        while self._store.bytes_held + size > self._max_bytes and self._evict("evicted"):
            pass

    def _give_way(self) -> bool:
        return self._reserve.release() or self._evict("no_space")

    def _evict(self, why: Why) -> bool:
        """Remove one segment: evidence first, then of the larger critical stream, so that a flood of results does not
        wash away the few events that tell of it.
        """
        if self._store.evict("evidence", why):
            return True
        if self._critical_full == "stop_line":
            return False
        larger = max(CRITICAL, key=lambda kind: self._store.streams[kind].bytes_held)
        return self._store.evict(larger, why)


def as_store_error(folder: Path, error: OSError | sqlite3.Error) -> StoreError:
    """Our own words for why a journal cannot be opened or written."""
    why = (error.strerror or "") if isinstance(error, OSError) else str(error)
    code = error.errno if isinstance(error, OSError) else None
    read_only = isinstance(error, sqlite3.Error) and "readonly" in why
    if is_no_space(error):
        return StoreError("JOURNAL_NO_SPACE", f"no space for the journal in {folder}", why, "free space on that disk")
    if read_only or code in {errno.EROFS, errno.EACCES, errno.EPERM}:
        hint = "let the agent's user write there, or set another folder for the journal"
        return StoreError("JOURNAL_READ_ONLY", f"cannot write the journal in {folder}", why, hint)
    return StoreError("JOURNAL_UNUSABLE", f"cannot use {folder} as a journal", why)


def open_parts(folder: Path, lock_fd: int, segment_bytes: int, reserve: Reserve) -> tuple[Store, KeyValues]:
    """Open streams and small values, on a full disk with the reserve given up. Closes ``lock_fd`` if it fails.

    Raises OSError, sqlite3.Error.
    """
    with ExitStack() as undo:
        undo.callback(os.close, lock_fd)
        try:
            store = open_store(folder, segment_bytes)
        except (OSError, sqlite3.Error) as error:
            if not (is_no_space(error) and reserve.release()):
                raise
            store = open_store(folder, segment_bytes)
        undo.callback(store.close)
        values = KeyValues(folder, store.log, reserve.release)
        reserve.restore()
        undo.pop_all()
        return store, values
