"""Opening a journal: there is one path, and it is recovery.

The segments are the truth. What the index lists with the right size is trusted without being read, but for the newest
segment of each stream, which is always read: bytes after its last good frame are a torn write and are cut off. Damage
further in is skipped; the records it took are told as lost. A sequence number that was ever committed is never given
out again, also when its record, its segment or the index is gone.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from edge.domain import KINDS, Kind, SeqRange
from edge.errors import StoreError
from edge.shell.journal_index import Index, SegmentRow, StreamRow
from edge.shell.journal_store import Lost, Store, Stream, Why
from edge.shell.segments import HEADER_BYTES, Marks, Segment, first_of, header, log_of, sync_folder, write_all

SKIP_AFTER_DAMAGE = 1 << 16
"""With the index lost and the newest segment torn at once nobody knows how far the stream went: so many sequence
numbers are passed over (and told as lost), rather than one used twice."""


def lock_folder(folder: Path) -> int:
    """Create the folder if need be and hold it for this process; gives the descriptor. Raises StoreError, OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise StoreError(
            "JOURNAL_LOCKED",
            f"the journal in {folder} is in use",
            "another process has it open",
            "stop the other agent, or give this one a folder of its own",
        ) from None
    except OSError:
        os.close(fd)
        raise
    return fd


def open_store(folder: Path, segment_bytes: int) -> Store:
    """The journal's streams as they are on disk, made whole. Raises OSError, sqlite3.Error."""
    for kind in KINDS:
        (folder / kind).mkdir(exist_ok=True)
    sync_folder(folder)
    index = Index(folder / "index.sqlite")
    try:
        log = _find_log(folder, index.log())
        trusted = index.found and index.log() == log
        rows = index.segments() if trusted else {}
        positions = index.streams() if trusted else {}
        streams: dict[Kind, Stream] = {}
        lost: list[Lost] = []
        for kind in KINDS:
            recovery = _Recovery(folder / kind, log, kind, rows, positions.get(kind))
            streams[kind] = recovery.run()
            lost += recovery.lost
    except BaseException:
        index.close()
        raise
    store = Store(folder, log, index, streams, segment_bytes)
    store.lost += lost
    try:
        for stream in streams.values():
            if not stream.segments or stream.active.last < stream.last:
                store.roll(stream)
        index.replace(log, *store.rows())
    except BaseException:
        store.close()
        raise
    return store


def _find_log(folder: Path, indexed: str | None) -> str:
    """The id the segments name, newest first; else the index's; else a new one."""
    found = [log for path in _some_files(folder) if (log := _log_in(path)) is not None]
    if indexed is not None and (indexed in found or not found):
        return indexed
    return found[0] if found else secrets.token_hex(8)


def _some_files(folder: Path) -> Iterator[Path]:
    for kind in KINDS:
        yield from reversed(_segment_paths(folder / kind)[-2:])
    if (folder / "kv.seg").exists():
        yield folder / "kv.seg"


def _log_in(path: Path) -> str | None:
    with path.open("rb") as file:
        return log_of(file.read(HEADER_BYTES))


def _segment_paths(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if first_of(path) is not None)


class _Recovery:
    """Reads one stream's folder and makes it whole."""

    def __init__(
        self, folder: Path, log: str, kind: Kind, rows: dict[tuple[str, int], SegmentRow], position: StreamRow | None
    ) -> None:
        self.lost: list[Lost] = []
        self._folder, self._log, self._kind = folder, log, kind
        self._rows, self._position = rows, position
        self._skip = 0

    def run(self) -> Stream:
        paths = _segment_paths(self._folder)
        read: list[tuple[Segment, Marks | None]] = []
        for path in paths:
            segment = Segment(self._folder, self._log, self._kind, first_of(path) or 1)
            newest = path == paths[-1]
            row = self._rows.get((self._kind, segment.first))
            if row is not None and not newest and _is_as_listed(path, row):
                segment.last, segment.n, segment.size = row.last, row.n, row.size
                read.append((segment, None))
                continue
            marks = self._examine(segment, newest=newest)
            if segment.n or newest:
                read.append((segment, marks))
        stream = Stream(self._kind, self._folder, [segment for segment, _ in read])
        if read:
            stream.active.marks = read[-1][1]
        self._place(stream)
        self._find_holes(stream, read)
        return stream

    def _examine(self, segment: Segment, *, newest: bool) -> Marks:
        data = segment.path.read_bytes()
        marks = segment.load(data)
        segment.n = len(marks.seqs)
        segment.last = marks.seqs[-1] if marks.seqs else segment.first - 1
        segment.size = len(data)
        if newest:
            segment.size = marks.ends[-1] if marks.seqs else HEADER_BYTES
            if self._position is None and len(data) > segment.size:
                self._skip = SKIP_AFTER_DAMAGE
            self._mend(segment, data)
        elif not segment.n:
            segment.path.unlink()
        return marks

    def _mend(self, segment: Segment, data: bytes) -> None:
        """Cut off the torn tail, and write the header again if that was torn."""
        head = header(self._log, self._kind, segment.first)
        if len(data) == segment.size and data[:HEADER_BYTES] == head:
            return
        fd = os.open(segment.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.ftruncate(fd, segment.size)
            write_all(fd, head, 0)
            os.fsync(fd)
        finally:
            os.close(fd)

    def _place(self, stream: Stream) -> None:
        """Where the stream stands: as far as the segments or the index say, whichever is further."""
        newest = stream.active.last if stream.segments else 0
        if self._position is not None:
            stream.last = max(newest, self._position.last)
            stream.acked = min(self._position.acked, stream.last)
        else:
            stream.last = newest + self._skip
            stream.acked = stream.segments[0].first - 1 if stream.segments else 0

    def _find_holes(self, stream: Stream, read: list[tuple[Segment, Marks | None]]) -> None:
        expected = stream.acked + 1
        for segment, marks in read:
            if segment.first > expected:
                # Missing before everything that is left: evicted, perhaps told before, perhaps not.
                why: Why = "evicted" if segment is stream.segments[0] else "corrupt"
                self.lost.append((self._kind, SeqRange(expected, segment.first - 1), why))
                expected = segment.first
            if marks is not None:
                holes = marks.missing(expected, segment.last)
                self.lost += [(self._kind, hole, "corrupt") for hole in holes]
            expected = max(expected, segment.last + 1)
        if expected <= stream.last:
            self.lost.append((self._kind, SeqRange(expected, stream.last), "corrupt"))


def _is_as_listed(path: Path, row: SegmentRow) -> bool:
    """True if the index knows this file whole, so that it need not be read."""
    return path.stat().st_size == row.size and row.n == row.last - row.first + 1
