"""Reading committed records back, while the journal's thread goes on writing and removing."""

from __future__ import annotations

import os
import threading
from bisect import bisect_left
from pathlib import Path

from edge.domain import Kind, SeqRange
from edge.shell.journal_store import Store
from edge.shell.segments import FRAME_BYTES, Marks, Segment, unframe

_CACHED_SEGMENTS = 4
"""So many segments' places of records are kept for a reader that goes through them."""


class Reader:
    """Reads from a store's segments, from any thread. Every byte is checked again on its way out."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._cache: dict[Path, Marks] = {}
        self._holes: list[SeqRange] = []

    def read(
        self, kind: Kind, first_seq: int, max_n: int, max_bytes: int
    ) -> tuple[list[tuple[int, bytes]], list[SeqRange]]:
        """Consecutive records from the first one held at or after ``first_seq``, and the damage found on the way.

        Ends before a hole, so that what is returned can always be sent as ``first_seq`` and a count. At least one
        record if there is one; a damaged one is passed over and told.
        """
        with self._lock:
            self._holes = []
            out: list[tuple[int, bytes]] = []
            budget = max_bytes
            for segment in self._store.snapshot(kind, first_seq):
                want = out[-1][0] + 1 if out else first_seq
                more = self._from_segment(segment, want, max_n - len(out), budget, first=not out)
                if out and (not more or more[0][0] != want):
                    break
                out += more
                budget -= sum(len(payload) for _, payload in more)
                if len(out) >= max_n or budget <= 0 or (out and out[-1][0] != segment.last):
                    break
            return out, self._holes

    def _from_segment(
        self, segment: Segment, want: int, max_n: int, budget: int, *, first: bool
    ) -> list[tuple[int, bytes]]:
        try:
            with segment.path.open("rb", buffering=0) as file:
                marks = self._marks(segment, file.fileno())
                return self._records(segment, marks, file.fileno(), want, max_n, budget, first=first)
        except FileNotFoundError:
            # Evicted or freed since the snapshot; if it was neither, somebody removed it behind our back.
            with self._store.lock:
                if any(segment in stream.segments for stream in self._store.streams.values()) and segment.n:
                    self._holes.append(SeqRange(max(segment.first, want), segment.last))
                    segment.n = 0
            return []

    def _marks(self, segment: Segment, fd: int) -> Marks:
        with self._store.lock:
            if segment.marks is not None:
                return segment.marks
        marks = self._cache.pop(segment.path, None)
        if marks is None:
            marks = segment.load(_pread(fd, segment.size, 0))
            with self._store.lock:
                if len(marks.seqs) < segment.n:
                    self._holes += marks.missing(segment.first, segment.last)
                    segment.n = len(marks.seqs)
        self._cache[segment.path] = marks
        while len(self._cache) > _CACHED_SEGMENTS:
            del self._cache[next(iter(self._cache))]
        return marks

    def _records(
        self, segment: Segment, marks: Marks, fd: int, want: int, max_n: int, budget: int, *, first: bool
    ) -> list[tuple[int, bytes]]:
        while True:
            chosen = self._choose(marks, want, max_n, budget, first=first)
            if not chosen:
                return []
            base, end = chosen[0][1], chosen[-1][2]
            data = _pread(fd, end - base, base)
            out: list[tuple[int, bytes]] = []
            for seq, start, _ in chosen:
                found = unframe(data, start - base, segment.seed)
                if found is None or found[0] != seq:
                    self._damaged(segment, marks, seq)
                    break
                out.append(found)
            if out or not first:
                return out

    def _choose(self, marks: Marks, want: int, max_n: int, budget: int, *, first: bool) -> list[tuple[int, int, int]]:
        chosen: list[tuple[int, int, int]] = []
        with self._store.lock:
            at = bisect_left(marks.seqs, want)
            stop = min(len(marks.seqs), at + max_n)
            while at < stop:
                seq, start, end = marks.seqs[at], marks.starts[at], marks.ends[at]
                budget -= end - start - FRAME_BYTES
                if (budget < 0 and (chosen or not first)) or (chosen and seq != chosen[-1][0] + 1):
                    break
                chosen.append((seq, start, end))
                at += 1
        return chosen

    def _damaged(self, segment: Segment, marks: Marks, seq: int) -> None:
        self._holes.append(SeqRange(seq, seq))
        with self._store.lock:
            marks.drop(seq)
            segment.n -= 1


def _pread(fd: int, n: int, offset: int) -> bytes:
    parts = []
    while n > 0:
        part = os.pread(fd, n, offset)
        if not part:
            break
        parts.append(part)
        n -= len(part)
        offset += len(part)
    return b"".join(parts)
