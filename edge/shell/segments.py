r"""Segment files: append-only files of CRC-framed records, the format of everything the journal keeps.

::

    segment  = header frame*                      file <folder>/<kind>/<first_seq, 20 digits>.seg
    header   = "JIDKSEG1" log:16s kind:8s first_seq:u64 crc:u32 zero:4            48 bytes
    frame    = "\xa7JR\n" length :u32 seq:u64 crc:u32 payload[length]             20 bytes + payload

    little endian; log is 16 hex digits; kind is padded with zero bytes
    header crc = CRC-32 of the 40 bytes before it
    frame  crc = CRC-32 of length, seq and payload, started from the header's crc

A frame's checksum starts from its header's, so a frame is good only in the segment it was written for: a payload
that happens to hold the bytes of a frame, or a file copied from another journal, is never taken for a record.
The header of a segment is known from its name, folder and log; a damaged one costs nothing.

Reading never trusts a length: after bad bytes it looks for the next frame mark, and takes only a frame whose
checksum is right and whose sequence number rises.
"""

from __future__ import annotations

import os
import struct
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path

from edge.domain import SeqRange

MAX_RECORD_BYTES = 16 * 1024 * 1024
"""No record is larger; a length field beyond it is damage."""

HEADER_BYTES = 48
FRAME_BYTES = 20
_HEADER = struct.Struct("<8s16s8sQ")
_FRAME = struct.Struct("<4sIQI")
_SUMMED = struct.Struct("<IQ")
_NAME_DIGITS = 20
_MAGIC = b"JIDKSEG1"
_MARK = b"\xa7JR\n"
_MAX_PROBES = 10_000
"""So many frame marks inside damaged bytes are tried before the rest of the file is given up: bounds the time that a
payload full of frame marks could cost."""


def header(log: str, kind: str, first_seq: int) -> bytes:
    """The 48 bytes a segment starts with."""
    body = _HEADER.pack(_MAGIC, log.encode("ascii"), kind.encode("ascii"), first_seq)
    return body + struct.pack("<I4x", zlib.crc32(body))


def seed_of(head: bytes) -> int:
    """The checksum of a header, from which those of its frames start."""
    return int.from_bytes(head[40:44], "little")


def log_of(head: bytes) -> str | None:
    """The log id a header names, or None if it is damaged."""
    if len(head) < HEADER_BYTES or zlib.crc32(head[:40]) != seed_of(head) or head[:8] != _MAGIC:
        return None
    return head[8:24].decode("ascii", "replace")


def frame_head(seed: int, seq: int, payload: bytes) -> bytes:
    """The 20 bytes that go before ``payload``."""
    crc = zlib.crc32(payload, zlib.crc32(_SUMMED.pack(len(payload), seq), seed))
    return _FRAME.pack(_MARK, len(payload), seq, crc)


def unframe(data: bytes, at: int, seed: int) -> tuple[int, bytes] | None:
    """Sequence number and payload of the frame that starts at ``data[at]``; None unless it is whole and right."""
    if at + FRAME_BYTES > len(data):
        return None
    mark, length, seq, crc = _FRAME.unpack_from(data, at)
    start = at + FRAME_BYTES
    if mark != _MARK or length > MAX_RECORD_BYTES or start + length > len(data):
        return None
    payload = data[start : start + length]
    if zlib.crc32(payload, zlib.crc32(_SUMMED.pack(length, seq), seed)) != crc:
        return None
    return seq, payload


def scan(data: bytes, seed: int, after: int) -> Iterator[tuple[int, int, bytes]]:
    """All good frames of a whole segment file as (seq, offset, payload); ``seq`` rises and is above ``after``."""
    at = data.find(_MARK, HEADER_BYTES)
    probes = 0
    while at >= 0 and probes < _MAX_PROBES:
        found = unframe(data, at, seed)
        if found is None or found[0] <= after:
            probes += 1
            at = data.find(_MARK, at + 1)
            continue
        after, payload = found
        yield after, at, payload
        at = data.find(_MARK, at + FRAME_BYTES + len(payload))


class Marks:
    """Where the records of one segment are: sequence numbers, and the offsets at which their frames start and end."""

    __slots__ = ("ends", "seqs", "starts")

    def __init__(self) -> None:
        self.seqs = array("Q")
        self.starts = array("Q")
        self.ends = array("Q")

    def add(self, seq: int, start: int, end: int) -> None:
        self.seqs.append(seq)
        self.starts.append(start)
        self.ends.append(end)

    def extend(self, other: Marks) -> None:
        self.seqs.extend(other.seqs)
        self.starts.extend(other.starts)
        self.ends.extend(other.ends)

    def drop(self, seq: int) -> None:
        """Forget a record that turned out to be damaged."""
        at = bisect_left(self.seqs, seq)
        if at < len(self.seqs) and self.seqs[at] == seq:
            for column in (self.seqs, self.starts, self.ends):
                del column[at]

    def missing(self, first: int, last: int) -> list[SeqRange]:
        """The ranges between ``first`` and ``last``, both included, of which there is no record."""
        holes: list[SeqRange] = []
        expected = first
        for seq in self.seqs:
            if seq > last:
                break
            if seq > expected:
                holes.append(SeqRange(expected, seq - 1))
            expected = max(expected, seq + 1)
        if expected <= last:
            holes.append(SeqRange(expected, last))
        return holes


class Segment:
    """What is known of one segment file: its committed records ``first`` to ``last`` (``last`` is ``first - 1`` when
    empty), how many of them there are (fewer where there are holes), its committed size in bytes, and the places of
    its records (kept only for the segment that is written to; else read again from the file when asked for).
    """

    __slots__ = ("first", "last", "marks", "n", "path", "seed", "size")

    def __init__(self, folder: Path, log: str, kind: str, first: int) -> None:
        self.path = folder / f"{first:0{_NAME_DIGITS}d}.seg"
        self.first = first
        self.last = first - 1
        self.n = 0
        self.size = HEADER_BYTES
        self.seed = seed_of(header(log, kind, first))
        self.marks: Marks | None = None

    def load(self, data: bytes) -> Marks:
        """Find the places of all good records in the file's bytes; sets nothing."""
        marks = Marks()
        for seq, at, payload in scan(data, self.seed, self.first - 1):
            marks.add(seq, at, at + FRAME_BYTES + len(payload))
        return marks


def first_of(path: Path) -> int | None:
    """The first sequence number from a segment's file name, or None if it is not a segment."""
    stem = path.stem
    if path.suffix != ".seg" or len(stem) != _NAME_DIGITS or not (stem.isascii() and stem.isdecimal()):
        return None
    return int(stem) or None


def write_all(fd: int, data: bytes, offset: int) -> None:
    """``pwrite`` all of ``data``: a single call may write less than it was asked to. Raises OSError."""
    view = memoryview(data)
    while view:
        done = os.pwrite(fd, view, offset)
        view = view[done:]
        offset += done


def sync_folder(folder: Path) -> None:
    """Make names created, renamed or removed in ``folder`` durable. Raises OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
