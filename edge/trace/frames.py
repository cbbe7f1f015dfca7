r"""The file of a trace: a mark with the version, then frames. Whatever was written whole can be read.

::

    file  = "JIDKTRC" version:u8  frame*
    frame = length:u32 crc:u32 kind:u8 payload[length]      little endian; payload is zlib of msgpack

    kind  H  head, once, the first            B  a block of rows            E  the end, once, the last

crc = CRC-32 of kind and payload. A trace without an end was cut: its writer was killed, or the disk was full. A trace
may come from anybody: lengths are bounded before and after unpacking.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Literal

from edge.errors import InputError
from edge.trace.codec import HINT, Row, pack_rows, unpack_rows
from edge.trace.head import End, Head, pack_head, unpack_end, unpack_head

VERSION = 1
MARK = b"JIDKTRC"
OPENING = MARK + bytes([VERSION])
BLOCK_BYTES = 256 * 1024
"""Rows are packed together from so many bytes on; small blocks would compress badly."""
MAX_FRAME_BYTES = 64 * 1024 * 1024
LEVEL = 1
"""zlib's fastest: a third larger than its best and five times as fast."""
_FRAME = struct.Struct("<IIc")

FrameKind = Literal[b"H", b"B", b"E"]


def frame(kind: FrameKind, content: bytes) -> bytes:
    """One frame."""
    payload = zlib.compress(content, LEVEL)
    return _FRAME.pack(len(payload), zlib.crc32(payload, zlib.crc32(kind)), kind) + payload


def opening(head: Head) -> bytes:
    """What a trace's file starts with."""
    return OPENING + frame(b"H", pack_head(head))


def ending(end: End) -> bytes:
    """What it ends with."""
    return frame(b"E", pack_head(end))


class Packer:
    """Gathers packed rows until they are worth a block."""

    def __init__(self) -> None:
        self._rows: list[bytes] = []
        self._size = 0

    def add(self, row: bytes) -> None:
        self._rows.append(row)
        self._size += len(row)

    @property
    def rows(self) -> int:
        return len(self._rows)

    @property
    def full(self) -> bool:
        return self._size >= BLOCK_BYTES

    def take(self) -> bytes:
        """A frame of what has gathered; nothing where nothing has."""
        if not self._rows:
            return b""
        rows, self._rows, self._size = self._rows, [], 0
        return frame(b"B", pack_rows(rows))


class Reader:
    """A trace being read, forward and once. ``end`` is known when ``rows`` is through; None where the trace was cut."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        """Reads the head. Raises InputError TRACE_UNREADABLE, TRACE_VERSION."""
        self._file = file
        self._name = name
        self.end: End | None = None
        mark = file.read(len(OPENING))
        if mark[: len(MARK)] != MARK or len(mark) < len(OPENING):
            raise InputError("TRACE_UNREADABLE", f"{name} is no trace", hint="`jidoka run --record FILE` makes one")
        if mark[-1] != VERSION:
            what = f"{name} is a trace of version {mark[-1]}"
            raise InputError("TRACE_VERSION", what, f"this jidoka reads version {VERSION}", HINT)
        kind, content = self._next()
        if kind != b"H":
            raise InputError("TRACE_UNREADABLE", f"{name} has no whole head", "it was cut or damaged")
        self.head = unpack_head(content)

    @property
    def cut(self) -> bool:
        """True where the trace has no end of its own, after all rows were read."""
        return self.end is None

    def rows(self) -> Iterator[Row]:
        """All rows in order. Raises InputError TRACE_UNREADABLE for a row that this version does not know."""
        while True:
            kind, content = self._next()
            if kind == b"B":
                yield from unpack_rows(content)
            elif kind == b"E":
                self.end = unpack_end(content)
                return
            else:
                return

    def _next(self) -> tuple[bytes, bytes]:
        """Kind and content of the next frame; empty kind where nothing whole follows."""
        head = self._file.read(_FRAME.size)
        if len(head) < _FRAME.size:
            return b"", b""
        length, crc, kind = _FRAME.unpack(head)
        if length > MAX_FRAME_BYTES:
            return b"", b""
        payload = self._file.read(length)
        if len(payload) < length or zlib.crc32(payload, zlib.crc32(kind)) != crc:
            return b"", b""
        unpacker = zlib.decompressobj()
        try:
            content = unpacker.decompress(payload, MAX_FRAME_BYTES)
        except zlib.error:
            return b"", b""
        if unpacker.unconsumed_tail:
            raise InputError("TRACE_UNREADABLE", f"a block of {self._name} is over {MAX_FRAME_BYTES} bytes unpacked")
        return kind, content
