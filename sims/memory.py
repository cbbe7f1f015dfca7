"""The in-memory twin of the agent's journal, for virtual time: no thread, no clock, and power that can fail.

It passes the same contract tests as :class:`edge.shell.journal.Journal`; the disk's twin is in ``memory_disk.py``.
What is appended becomes durable when ``commit`` is called (the simulated fsync), not before; of a commit that takes
time, ``seal`` is the beginning: what is appended after it waits for the next. ``lose_power`` forgets the rest. Nothing is written anywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from edge.domain import KINDS, Kind, SeqRange
from edge.ports import Heads

RECORD_OVERHEAD_BYTES: Final = 20
SEGMENT_OVERHEAD_BYTES: Final = 48
MAX_RECORD_BYTES: Final = 16 * 1024 * 1024
QUEUE_BYTES: Final = 16 * 1024 * 1024


@dataclass(slots=True)
class _Segment:
    first: int
    records: list[tuple[int, bytes]] = field(default_factory=list)
    size: int = SEGMENT_OVERHEAD_BYTES

    @property
    def last(self) -> int:
        return self.records[-1][0] if self.records else self.first - 1


@dataclass(slots=True)
class _Stream:
    segments: list[_Segment] = field(default_factory=lambda: [_Segment(1)])
    queue: list[tuple[int, bytes]] = field(default_factory=list)
    next: int = 1
    last: int = 0
    acked: int = 0
    freed: int = 0
    sealed: int | None = None
    """So many of the queue are part of the commit under way; None: all there will be."""

    size: int = SEGMENT_OVERHEAD_BYTES

    def weigh(self) -> None:
        """Segments came or went."""
        self.size = sum(s.size for s in self.segments)

    @property
    def waiting(self) -> int:
        return sum([RECORD_OVERHEAD_BYTES + len(payload) for _, payload in self.queue]) if self.queue else 0


def _ignore(*_: object) -> None:
    """The callback of somebody who does not want to know."""


class MemoryJournal:
    """Twin of the journal. Committed when told: ``commit`` (or ``flush``) does what its thread would.

    ``lose_power`` forgets what is not committed; the same object is then what would be found after a restart.
    """

    def __init__(
        self,
        log: str,
        *,
        max_bytes: int = 1024 * 1024 * 1024,
        critical_full: Literal["evict_oldest", "stop_line"] = "evict_oldest",
        on_committed: Callable[[Kind, int], None] = _ignore,
        on_evicted: Callable[[Kind, SeqRange, Literal["evicted", "corrupt", "no_space"]], None] = _ignore,
        on_full: Callable[[bool], None] = _ignore,
        segment_bytes: int | None = None,
    ) -> None:
        self.log = log
        self._max_bytes = max_bytes
        self._queue_bytes = min(QUEUE_BYTES, max_bytes // 8)
        self._segment_bytes = segment_bytes or min(4 * 1024 * 1024, max_bytes // 16)
        self._stops_line = critical_full == "stop_line"
        self._on_committed, self._on_evicted, self._on_full = on_committed, on_evicted, on_full
        self._streams = {kind: _Stream() for kind in KINDS}
        self._values: dict[str, bytes] = {}
        self._counters: Counter[str] = Counter()
        self._full = self._told_full = self._closed = False

    def listen(
        self,
        on_committed: Callable[[Kind, int], None],
        on_evicted: Callable[[Kind, SeqRange, Literal["evicted", "corrupt", "no_space"]], None],
        on_full: Callable[[bool], None],
    ) -> None:
        """Whom to tell from now on: the process that opened the journal after a restart."""
        self._on_committed, self._on_evicted, self._on_full = on_committed, on_evicted, on_full

    def append(self, kind: Kind, payload: bytes) -> int:
        stream = self._streams[kind]
        why = self._refusal(kind, RECORD_OVERHEAD_BYTES + len(payload))
        if why:
            self._counters[f"refused_{why}"] += 1
            self._counters[f"refused_{kind}"] += 1
            return 0
        seq = stream.next
        stream.next += 1
        stream.queue.append((seq, payload))
        return seq

    def _refusal(self, kind: Kind, size: int) -> str:
        streams = self._streams
        evidence = streams["evidence"].waiting
        critical = streams["results"].waiting + streams["events"].waiting
        if self._closed:
            return "closed"
        if size > min(MAX_RECORD_BYTES, self._queue_bytes // 2):
            return "too_large"
        if evidence + critical + size > self._queue_bytes:
            return "queue_full"
        if kind == "evidence" and evidence + size > self._queue_bytes // 2:
            return "queue_full"
        if kind != "evidence" and not self._has_room(critical + size, 0):
            self._full = True
        return "full" if self._full else ""

    def _has_room(self, more_bytes: int, spare: int) -> bool:
        held = self._streams["results"].size + self._streams["events"].size
        return not self._stops_line or held + more_bytes <= self._max_bytes - SEGMENT_OVERHEAD_BYTES - spare

    def read(self, kind: Kind, first_seq: int, max_n: int, max_bytes: int) -> list[tuple[int, bytes]]:
        out: list[tuple[int, bytes]] = []
        for segment in self._streams[kind].segments:
            if segment.last < first_seq or not segment.records:
                continue
            # numbers within a segment are consecutive
            for seq, payload in segment.records[max(0, first_seq - segment.records[0][0]) :]:
                max_bytes -= len(payload)
                if len(out) >= max_n or (out and (max_bytes < 0 or seq != out[-1][0] + 1)):
                    return out
                out.append((seq, payload))
        return out

    def free(self, kind: Kind, upto: int) -> None:
        stream = self._streams[kind]
        stream.freed = max(stream.freed, upto)

    def heads(self) -> dict[Kind, Heads]:
        return {kind: self._heads(stream) for kind, stream in self._streams.items()}

    @staticmethod
    def _heads(stream: _Stream) -> Heads:
        held = next((s.first for s in stream.segments if s.records), None)
        first = stream.last + 1 if held is None else max(held, stream.acked + 1)
        return Heads(stream.last, stream.acked, first, stream.size)

    def counters(self) -> dict[str, int]:
        """As the real one's."""
        return dict(self._counters) | {"queued_bytes": sum(s.waiting for s in self._streams.values())}

    @property
    def queued(self) -> bool:
        """Whether records wait for a commit."""
        return any(stream.queue for stream in self._streams.values())

    def seal(self) -> None:
        """A commit begins: what is queued now will be durable when :meth:`commit` ends it."""
        for stream in self._streams.values():
            stream.sealed = len(stream.queue)

    def commit(self) -> None:
        """What the journal's thread does in one turn: free, make room, write, tell."""
        for stream in self._streams.values():
            if stream.freed > stream.acked:
                self._free(stream)
        while sum([s.size + s.waiting for s in self._streams.values()]) > self._max_bytes and self._evict():
            pass
        committed = [
            (kind, self._write(stream)) for kind, stream in self._streams.items() if stream.queue and stream.sealed != 0
        ]
        for stream in self._streams.values():
            stream.sealed = None
        self._full = self._full and not self._has_room(0, self._max_bytes // 8)
        if self._full != self._told_full:
            self._told_full = self._full
            self._on_full(self._full)
        self._counters["commits"] += 1
        for kind, upto in committed:
            self._on_committed(kind, upto)

    def flush(self, timeout_s: float = 0.0) -> bool:
        """Commit now; ``timeout_s`` is there for the sake of the real one."""
        self.commit()
        return timeout_s >= 0.0

    def _free(self, stream: _Stream) -> None:
        stream.acked = stream.freed = max(stream.acked, min(stream.freed, stream.last))
        if stream.acked == stream.last and stream.segments[-1].size > self._segment_bytes // 4:
            stream.segments.append(_Segment(stream.last + 1))
        stream.segments = [s for s in stream.segments[:-1] if s.last > stream.acked] + stream.segments[-1:]
        stream.weigh()

    def _evict(self) -> bool:
        critical: list[Kind] = ["results", "events"]
        order: list[Kind] = ["evidence"]
        if not self._stops_line:
            order.append(max(critical, key=lambda kind: self._streams[kind].size))
        for kind in order:
            stream = self._streams[kind]
            if not any(s.records for s in stream.segments):
                continue
            if len(stream.segments) == 1:
                stream.segments.append(_Segment(stream.last + 1))
            oldest = stream.segments.pop(0)
            stream.weigh()
            first = max(oldest.first, stream.acked + 1)
            if first <= oldest.last:
                self._counters["lost_evicted"] += oldest.last - first + 1
                self._on_evicted(kind, SeqRange(first, oldest.last), "evicted")
            return True
        return False

    def _write(self, stream: _Stream) -> int:
        batch = stream.queue if stream.sealed is None else stream.queue[: stream.sealed]
        for seq, payload in batch:
            size = RECORD_OVERHEAD_BYTES + len(payload)
            segment = stream.segments[-1]
            if segment.records and segment.size + size > self._segment_bytes:
                segment = _Segment(seq)
                stream.segments.append(segment)
                stream.size += segment.size
            segment.records.append((seq, payload))
            segment.size += size
            stream.size += size
            stream.last = seq
        del stream.queue[: len(batch)]
        return stream.last

    def lose_power(self) -> None:
        """Forget what was not committed; the numbers of those records are given out again, as nobody saw them."""
        for stream in self._streams.values():
            stream.queue = []
            stream.sealed = None
            stream.next = stream.last + 1
            stream.freed = stream.acked
        self._closed = self._full = self._told_full = False

    def get(self, name: str) -> bytes | None:
        """A small durable value."""
        return self._values.get(name)

    def put(self, name: str, value: bytes) -> None:
        """Keep a small value, durable at once."""
        self._values[name] = value

    def bump(self, name: str) -> int:
        """Count up a durable counter and give its new value, 1 at first."""
        value = int(self._values.get(name, b"0")) + 1
        self._values[name] = str(value).encode()
        return value

    def close(self) -> None:
        if not self._closed:
            self.commit()
            self._closed = True
