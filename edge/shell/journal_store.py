"""The journal's streams on disk: batches written, committed, evicted and freed. No thread, no queue.

All writing is done by one thread; ``lock`` guards what readers look at. A batch is all or nothing: it is written and
fsynced to its segments, then noted in the index, and only then visible; if anything fails on the way, the files are
cut back to what was committed and the same batch may be tried again.

A stream always keeps its newest segment, if need be an empty one: its name says which sequence number comes next,
also when every record is gone and the index with them.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edge.domain import KINDS, Kind, SeqRange
from edge.ports import Heads
from edge.shell.journal_index import Index, SegmentRow, StreamRow, is_damaged
from edge.shell.segments import FRAME_BYTES, HEADER_BYTES, Marks, Segment, frame_head, header, sync_folder, write_all

CriticalFull = Literal["evict_oldest", "stop_line"]
"""What gives way when there is no evidence left to evict: the oldest records, or the line."""

Why = Literal["evicted", "corrupt", "no_space"]
Lost = tuple[Kind, SeqRange, Why]
"""A range of records that is gone without having been acknowledged, and why."""

Records = Sequence[tuple[int, bytes]]


@dataclass(slots=True)
class Stream:
    """One kind: its folder, its segments from the oldest to the one that is written, and where it stands."""

    kind: Kind
    folder: Path
    segments: list[Segment] = field(default_factory=list)
    last: int = 0
    acked: int = 0

    @property
    def active(self) -> Segment:
        return self.segments[-1]

    @property
    def bytes_held(self) -> int:
        return sum(s.size for s in self.segments)

    @property
    def has_records(self) -> bool:
        return any(s.size > HEADER_BYTES for s in self.segments)

    def heads(self) -> Heads:
        held = next((s for s in self.segments if s.n), None)
        first = self.last + 1 if held is None else max(held.first, self.acked + 1)
        return Heads(self.last, self.acked, first, self.bytes_held)

    def unacked(self, segment: Segment) -> SeqRange | None:
        """The part of a segment that nobody else has yet."""
        first = max(segment.first, self.acked + 1)
        return SeqRange(first, segment.last) if first <= segment.last else None


@dataclass(slots=True)
class _Stage:
    """What a batch adds to one segment, not visible before it is committed."""

    segment: Segment
    new: bool
    parts: list[bytes]
    marks: Marks
    start: int
    size: int


class Store:
    """Streams of segments below ``folder`` with their index. Methods raise OSError and sqlite3.Error."""

    def __init__(self, folder: Path, log: str, index: Index, streams: dict[Kind, Stream], segment_bytes: int) -> None:
        self.folder = folder
        self.log = log
        self.index = index
        self.streams = streams
        self.lock = threading.RLock()
        self.lost: list[Lost] = []
        """Losses not yet told; the owner takes them out."""
        self._segment_bytes = segment_bytes
        self._gone: list[tuple[Kind, int]] = []
        self._fds: dict[Path, int] = {}

    # ---- writing

    def write(self, batch: Mapping[Kind, Records]) -> None:
        """Make a batch durable and visible, or change nothing and raise."""
        stages = {kind: self._staged(self.streams[kind], records) for kind, records in batch.items() if records}
        try:
            self._put(stages)
            self._commit(stages)
        except (OSError, sqlite3.Error):
            self._undo(stages)
            raise
        with self.lock:
            for kind, staged in stages.items():
                self._publish(self.streams[kind], staged)
        for stream in self.streams.values():
            for segment in stream.segments[:-1]:
                self._close(segment)

    def _staged(self, stream: Stream, records: Records) -> list[_Stage]:
        stage = _Stage(stream.active, False, [], Marks(), stream.active.size, stream.active.size)
        staged = [stage]
        for seq, payload in records:
            if stage.size + FRAME_BYTES + len(payload) > self._segment_bytes and stage.size > HEADER_BYTES:
                segment = Segment(stream.folder, self.log, stream.kind, seq)
                stage = _Stage(segment, True, [header(self.log, stream.kind, seq)], Marks(), 0, HEADER_BYTES)
                staged.append(stage)
            end = stage.size + FRAME_BYTES + len(payload)
            stage.parts += (frame_head(stage.segment.seed, seq, payload), payload)
            stage.marks.add(seq, stage.size, end)
            stage.size = end
        return staged

    def _put(self, stages: dict[Kind, list[_Stage]]) -> None:
        for kind, staged in stages.items():
            for stage in staged:
                if stage.parts:
                    fd = self._open(stage.segment, new=stage.new)
                    write_all(fd, b"".join(stage.parts), stage.start)
                    os.fsync(fd)
            if len(staged) > 1:
                sync_folder(self.streams[kind].folder)

    def _commit(self, stages: dict[Kind, list[_Stage]]) -> None:
        segments: list[SegmentRow] = []
        lasts: dict[Kind, int] = {}
        for kind, staged in stages.items():
            for stage in staged:
                if stage.marks.seqs:
                    lasts[kind] = stage.marks.seqs[-1]
                    n = stage.segment.n + len(stage.marks.seqs)
                    segments.append(SegmentRow(kind, stage.segment.first, lasts[kind], n, stage.size))
        streams = [StreamRow(s.kind, lasts.get(s.kind, s.last), s.acked) for s in self.streams.values()]
        self._note(streams, segments)

    def _note(self, streams: list[StreamRow], segments: list[SegmentRow]) -> None:
        try:
            self.index.commit(streams, segments, self._gone)
        except sqlite3.Error as error:
            if not is_damaged(error):
                raise
            # A damaged index is worth nothing; the segments are. The batch itself is tried again by the caller.
            self.index.start_anew()
            self.index.replace(self.log, *self.rows())
            raise
        self._gone.clear()

    def _publish(self, stream: Stream, staged: list[_Stage]) -> None:
        for stage in staged:
            segment = stage.segment
            if stage.new:
                stream.active.marks = None  # found again in the file if somebody asks
                stream.segments.append(segment)
                segment.marks = Marks()
            if stage.marks.seqs:
                if segment.marks is not None:
                    segment.marks.extend(stage.marks)
                segment.n += len(stage.marks.seqs)
                segment.size = stage.size
                segment.last = stream.last = stage.marks.seqs[-1]

    def _undo(self, stages: dict[Kind, list[_Stage]]) -> None:
        for staged in stages.values():
            for stage in staged:
                self._close(stage.segment)
                try:
                    if stage.new:
                        stage.segment.path.unlink(missing_ok=True)
                    else:
                        os.truncate(stage.segment.path, stage.segment.size)
                except OSError:
                    # What is left over is cut off by the next try or at the next start.
                    continue

    # ---- giving space back

    def roll(self, stream: Stream) -> None:
        """Start a new, empty segment, so that the one written so far can be removed."""
        segment = Segment(stream.folder, self.log, stream.kind, stream.last + 1)
        segment.marks = Marks()
        fd = self._open(segment, new=True)
        try:
            write_all(fd, header(self.log, stream.kind, segment.first), 0)
            os.fsync(fd)
            sync_folder(stream.folder)
        except OSError:
            self._close(segment)
            segment.path.unlink(missing_ok=True)
            raise
        with self.lock:
            for before in stream.segments[-1:]:
                self._close(before)
                before.marks = None
            stream.segments.append(segment)

    def evict(self, kind: Kind, why: Why) -> bool:
        """Remove the oldest segment of a stream that holds records; False if there is none."""
        stream = self.streams[kind]
        if not stream.has_records:
            return False
        if len(stream.segments) == 1:
            self.roll(stream)
        oldest = stream.segments[0]
        lost = stream.unacked(oldest)
        self._remove(stream, [oldest])
        if lost is not None:
            self.lost.append((kind, lost, why))
        return True

    def free(self, acks: dict[Kind, int]) -> None:
        """Note acknowledgements and remove segments of which every record is acknowledged."""
        for kind, upto in acks.items():
            stream = self.streams[kind]
            with self.lock:
                stream.acked = max(stream.acked, min(upto, stream.last))
            done = stream.acked == stream.last
            if done and len(stream.segments) == 1 and stream.active.size > self._segment_bytes // 4:
                self.roll(stream)
            self._remove(stream, [s for s in stream.segments[:-1] if s.last <= stream.acked])

    def _remove(self, stream: Stream, segments: Iterable[Segment]) -> None:
        for segment in segments:
            segment.path.unlink(missing_ok=True)
            self._close(segment)
            self._gone.append((stream.kind, segment.first))
            with self.lock:
                stream.segments.remove(segment)

    def note(self) -> None:
        """Bring the index up to date with acknowledgements and removals."""
        self._note(self.rows()[0], [])

    # ---- looking

    @property
    def bytes_held(self) -> int:
        return sum(s.bytes_held for s in self.streams.values())

    def snapshot(self, kind: Kind, first_seq: int) -> list[Segment]:
        """The segments that may hold records from ``first_seq`` on, oldest first."""
        with self.lock:
            return [s for s in self.streams[kind].segments if s.n and s.last >= first_seq]

    def heads(self) -> dict[Kind, Heads]:
        with self.lock:
            return {kind: self.streams[kind].heads() for kind in KINDS}

    def close(self) -> None:
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()
        self.index.close()

    def rows(self) -> tuple[list[StreamRow], list[SegmentRow]]:
        """All that the index should say."""
        streams = [StreamRow(s.kind, s.last, s.acked) for s in self.streams.values()]
        segments = [SegmentRow(k, s.first, s.last, s.n, s.size) for k in KINDS for s in self.streams[k].segments]
        return streams, segments

    def _open(self, segment: Segment, *, new: bool) -> int:
        fd = self._fds.get(segment.path)
        if fd is None:
            # A left-over of a batch that was undone may have the name; nothing in it was ever committed.
            flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT | os.O_TRUNC if new else 0)
            fd = self._fds[segment.path] = os.open(segment.path, flags, 0o644)
        return fd

    def _close(self, segment: Segment) -> None:
        fd = self._fds.pop(segment.path, None)
        if fd is not None:
            os.close(fd)
