"""Small durable values beside the journal's streams: counters, the last applied settings, executed ask ids.

They live in one segment file of their own (``kv.seg``, kind ``kv``), a frame a change, written anew when it has grown.
So they survive the loss of the index, as the records do::

    payload = name_length:u16 name value

Called from any thread; ``put`` and ``bump`` block for an fsync.
"""

from __future__ import annotations

import errno
import os
import struct
import threading
from collections.abc import Callable
from pathlib import Path

from edge.errors import StoreError
from edge.shell.segments import HEADER_BYTES, frame_head, header, scan, seed_of, sync_folder, write_all

MAX_VALUE_BYTES = 1024 * 1024
MAX_TOTAL_BYTES = 4 * 1024 * 1024
_SLACK_BYTES = 256 * 1024
"""The file is written anew when it is larger than twice what it must hold, plus this."""
_NAME = struct.Struct("<H")


class KeyValues:
    """Named byte strings in ``folder/kv.seg``. ``on_no_space`` is asked once to free space on a full disk."""

    def __init__(self, folder: Path, log: str, on_no_space: Callable[[], object]) -> None:
        self._path = folder / "kv.seg"
        self._on_no_space = on_no_space
        self._head = header(log, "kv", 1)
        self._seed = seed_of(self._head)
        self._values: dict[str, bytes] = {}
        self._seq = 0
        self._lock = threading.Lock()
        data = self._path.read_bytes() if self._path.exists() else b""
        self._size = HEADER_BYTES
        for seq, at, payload in scan(data, self._seed, 0):
            (length,) = _NAME.unpack_from(payload)
            self._values[payload[_NAME.size : _NAME.size + length].decode()] = payload[_NAME.size + length :]
            self._seq = seq
            self._size = at + len(self._record(seq, payload))
        if data[:HEADER_BYTES] != self._head or self._size != len(data):
            self._rewrite()
        self._fd = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)

    def get(self, name: str) -> bytes | None:
        """The value last put under ``name``, or None."""
        with self._lock:
            return self._values.get(name)

    def put(self, name: str, value: bytes) -> None:
        """Keep ``value`` (at most 1 MiB) under ``name``, durable on return. Raises StoreError; then nothing changed."""
        with self._lock:
            self._put(name, value)

    def bump(self, name: str) -> int:
        """Add one to the counter ``name`` (0 at first), durable on return, and give the new value."""
        with self._lock:
            old = self._values.get(name, b"0")
            value = (int(old) if old.isdigit() else 0) + 1
            self._put(name, str(value).encode())
            return value

    def close(self) -> None:
        """Let go of the file. May be called twice."""
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    def _put(self, name: str, value: bytes) -> None:
        if self._fd < 0:
            raise StoreError("JOURNAL_CLOSED", f"cannot keep {name}", "the journal is closed")
        total = sum(map(len, self._values.values())) - len(self._values.get(name, b"")) + len(value)
        if len(value) > MAX_VALUE_BYTES or total > MAX_TOTAL_BYTES:
            raise StoreError("JOURNAL_VALUE_TOO_LARGE", f"cannot keep {len(value)} bytes as {name}")
        record = self._record(self._seq + 1, self._payload(name, value))
        try:
            try:
                self._write(record)
            except OSError as error:
                if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                    raise
                self._on_no_space()
                self._write(record)
        except OSError as error:
            raise StoreError("JOURNAL_WRITE_FAILED", f"cannot write {self._path}", error.strerror or "") from error
        self._seq += 1
        self._size += len(record)
        self._values[name] = value
        if self._size > 2 * total + _SLACK_BYTES:
            self._compact()

    def _write(self, record: bytes) -> None:
        try:
            write_all(self._fd, record, self._size)
            os.fsync(self._fd)
        except OSError:
            # Not durable, so it must not come back after a restart either.
            os.ftruncate(self._fd, self._size)
            raise

    def _compact(self) -> None:
        try:
            self._rewrite()
        except OSError:
            return  # the longer file is as good; the next put tries again
        os.close(self._fd)
        self._fd = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)

    def _rewrite(self) -> None:
        seq = self._seq
        parts = [self._head]
        for name, value in self._values.items():
            seq += 1
            parts.append(self._record(seq, self._payload(name, value)))
        data = b"".join(parts)
        temporary = self._path.with_suffix(".tmp")
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            write_all(fd, data, 0)
            os.fsync(fd)
        finally:
            os.close(fd)
        temporary.replace(self._path)
        sync_folder(self._path.parent)
        self._seq, self._size = seq, len(data)

    def _record(self, seq: int, payload: bytes) -> bytes:
        return frame_head(self._seed, seq, payload) + payload

    @staticmethod
    def _payload(name: str, value: bytes) -> bytes:
        encoded = name.encode()
        return _NAME.pack(len(encoded)) + encoded + value
