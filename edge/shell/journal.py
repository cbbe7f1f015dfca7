"""The agent's durable memory of what it reported: nothing is lost once its commit callback has named it.

::

    append ─▶ queue ─▶ thread "journal": write ▶ fsync segments ▶ commit index ▶ on_committed
                             every 50 ms, or when 256 KiB wait                  └▶ read, free

    folder/lock            held (flock) by the process that has it open
    folder/results/*.seg   one stream a kind: segments.py draws them
    folder/events/*.seg
    folder/evidence/*.seg
    folder/kv.seg          small durable values: journal_kv.py
    folder/index.sqlite    what is committed and acknowledged: journal_index.py; can be rebuilt
    folder/reserve         space given up when the disk is full

Bounded in bytes over all streams. What gives way: the oldest evidence segment, then, by ``critical_full``, either the
oldest segment of the larger of the two other streams (``evict_oldest``), or nothing: ``on_full(True)``, and appends
are refused until space is acknowledged (``stop_line``).

Callbacks run in the journal's thread: they must only put an event in a mailbox, and never raise.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Final

from edge.domain import Kind, SeqRange
from edge.errors import StoreError
from edge.ports import Heads
from edge.shell.journal_queue import Queue, ignore
from edge.shell.journal_read import Reader
from edge.shell.journal_recovery import lock_folder
from edge.shell.journal_space import RESERVE_BYTES, Reserve, Space, as_store_error, is_no_space, open_parts
from edge.shell.journal_store import CriticalFull, Why
from edge.shell.segments import FRAME_BYTES, MAX_RECORD_BYTES

MIN_BYTES: Final = 1024 * 1024
BATCH_BYTES: Final = 256 * 1024
DELAY_S: Final = 0.05
QUEUE_BYTES: Final = 16 * 1024 * 1024
"""At most so many bytes wait in memory (an eighth of ``max_bytes`` where that is less); evidence may take half."""
RETRY_S: Final = 1.0

OnCommitted = Callable[[Kind, int], None]
OnEvicted = Callable[[Kind, SeqRange, Why], None]


class Journal:
    """The real :class:`edge.ports.Journal`. Safe to call from any thread.

    ``max_bytes`` is at least 1 MiB. ``counters()`` tells what was refused and why. Raises StoreError when opened:
    JOURNAL_LOCKED, JOURNAL_READ_ONLY, JOURNAL_NO_SPACE, JOURNAL_UNUSABLE, JOURNAL_TOO_SMALL.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        max_bytes: int = 1024 * 1024 * 1024,
        critical_full: CriticalFull = "evict_oldest",
        on_committed: OnCommitted = ignore,
        on_evicted: OnEvicted = ignore,
        on_full: Callable[[bool], None] = ignore,
        on_error: Callable[[StoreError | None], None] = ignore,
        segment_bytes: int | None = None,
        delay_s: float = DELAY_S,
    ) -> None:
        if max_bytes < MIN_BYTES:
            raise StoreError(
                "JOURNAL_TOO_SMALL", f"a journal of {max_bytes} bytes", hint=f"give it {MIN_BYTES} or more"
            )
        self._folder = Path(folder)
        self._on_committed, self._on_evicted = on_committed, on_evicted
        self._on_full, self._on_error = on_full, on_error
        self._delay_s = delay_s
        self._queue_bytes = min(QUEUE_BYTES, max_bytes // 8)
        self._wake = threading.Condition()
        self._queue, self._writing = Queue(), Queue()
        self._stops_line = critical_full == "stop_line"
        self._acks: dict[Kind, int] = {}
        self._counters: Counter[str] = Counter()
        self._full = self._told_full = False
        self._failure: StoreError | None = None
        self._closing = self._ended = self._hurry = self._busy = False
        size = segment_bytes or min(4 * 1024 * 1024, max_bytes // 16)
        reserve = Reserve(self._folder / "reserve", min(RESERVE_BYTES, max_bytes // 16))
        try:
            self._lock_fd = lock_folder(self._folder)
            self._store, self._kv = open_parts(self._folder, self._lock_fd, size, reserve)
        except (OSError, sqlite3.Error) as error:
            raise as_store_error(self._folder, error) from error
        self.log = self._store.log
        """This journal's id: 16 hex digits, random, made with its folder."""
        self._space = Space(self._store, reserve, max_bytes, critical_full)
        self._reader = Reader(self._store)
        self._next = {kind: heads.last + 1 for kind, heads in self._store.heads().items()}
        # A daemon: an agent that dies of a defect must end, not hang on the journal it did not close.
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    # ---- for everybody

    def append(self, kind: Kind, payload: bytes) -> int:
        """Queue one record; its sequence number at once, or 0 if it is refused (counted, never blocks).

        Refused: larger than 16 MiB or an eighth of the journal; the queue is full because the disk does not keep up;
        ``stop_line`` and full; closed.
        """
        size = FRAME_BYTES + len(payload)
        with self._wake:
            why = self._refusal(kind, size)
            if why:
                self._counters[f"refused_{why}"] += 1
                self._counters[f"refused_{kind}"] += 1
                return 0
            seq = self._next[kind]
            self._next[kind] = seq + 1
            before = self._queue.total_bytes
            self._queue.add(kind, seq, payload, size)
            if before == 0 or before < BATCH_BYTES <= before + size:
                self._wake.notify_all()
            return seq

    def _refusal(self, kind: Kind, size: int) -> str:
        waiting = self._queue.total_bytes + self._writing.total_bytes
        evidence = self._queue.evidence_bytes + self._writing.evidence_bytes
        if self._closing or self._ended:
            return "closed"
        if size > min(MAX_RECORD_BYTES, self._queue_bytes // 2):
            return "too_large"
        if waiting + size > self._queue_bytes or (kind == "evidence" and evidence + size > self._queue_bytes // 2):
            return "queue_full"
        if kind != "evidence" and not self._full and not self._space.has_room(waiting - evidence + size):
            self._full = True
            self._wake.notify_all()
        return "full" if self._full else ""

    def read(self, kind: Kind, first_seq: int, max_n: int, max_bytes: int) -> list[tuple[int, bytes]]:
        """Committed records, consecutive, from the first one held at or after ``first_seq``; at most ``max_n`` and
        ``max_bytes`` of payload, at least one if there is one. Raises StoreError JOURNAL_READ_FAILED.
        """
        try:
            records, holes = self._reader.read(kind, first_seq, max_n, max_bytes)
        except OSError as error:
            raise StoreError("JOURNAL_READ_FAILED", f"cannot read {self._folder}", error.strerror or "") from error
        if holes:
            with self._wake:
                self._store.lost += [(kind, hole, "corrupt") for hole in holes]
                self._wake.notify_all()
        return records

    def free(self, kind: Kind, upto: int) -> None:
        """The coordinator has everything up to ``upto``: carried out soon, by the journal's thread."""
        with self._wake:
            self._acks[kind] = max(upto, self._acks.get(kind, 0))
            self._wake.notify_all()

    def heads(self) -> dict[Kind, Heads]:
        return self._store.heads()

    def counters(self) -> dict[str, int]:
        """What happened since it was opened: ``commits, refused_<kind>, refused_<why>, lost_<why>, write_errors``."""
        with self._wake:
            return dict(self._counters) | {"queued_bytes": self._queue.total_bytes + self._writing.total_bytes}

    def get(self, name: str) -> bytes | None:
        """A small value kept with :meth:`put`."""
        return self._kv.get(name)

    def put(self, name: str, value: bytes) -> None:
        """Keep a small value (at most 1 MiB), durable on return: blocks for an fsync. Raises StoreError."""
        self._kv.put(name, value)

    def bump(self, name: str) -> int:
        """Count up a durable counter and give its new value, 1 at first. Blocks for an fsync. Raises StoreError."""
        return self._kv.bump(name)

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until all that was appended and freed before is committed; False if it took longer."""
        with self._wake:
            goal = dict(self._next)
            self._hurry = True
            self._wake.notify_all()
            return self._wake.wait_for(lambda: self._ended or self._is_done(goal), timeout_s)

    def _is_done(self, goal: dict[Kind, int]) -> bool:
        heads = self._store.heads()
        return not (self._acks or self._busy or self._store.lost) and all(heads[k].last >= goal[k] - 1 for k in goal)

    def close(self) -> None:
        """Write what waits, let go of the folder. May be called twice. Never raises."""
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        self._thread.join()
        if self._lock_fd >= 0:
            self._store.close()
            self._kv.close()
            os.close(self._lock_fd)
            self._lock_fd = -1

    # ---- the thread

    def _run(self) -> None:
        try:
            while self._turn():
                pass
        finally:
            with self._wake:
                self._ended = True
                self._wake.notify_all()

    def _turn(self) -> bool:
        """One group commit; False when closed and nothing is left to do."""
        with self._wake:
            self._wake.wait_for(self._has_work)
            if self._queue.total_bytes:
                self._wait_for_more()
            self._writing, self._queue = self._queue, Queue()
            acks, self._acks = self._acks, {}
            self._busy = True
        self._tell()
        written = self._persist(acks)
        with self._wake:
            batch, self._writing = self._writing, Queue()
            self._hurry = self._hurry and bool(self._queue.total_bytes)
            waiting = self._queue.total_bytes - self._queue.evidence_bytes
            self._full = self._full and not self._space.has_room(waiting, spare=True)
        self._tell()
        if written:
            for kind, records in batch.records.items():
                self._on_committed(kind, records[-1][0])
        with self._wake:
            self._busy = False
            self._wake.notify_all()
            return not self._closing or (written and self._has_left())

    def _has_left(self) -> bool:
        return bool(self._queue.total_bytes or self._acks or self._store.lost or self._full != self._told_full)

    def _has_work(self) -> bool:
        return self._closing or self._has_left()

    def _wait_for_more(self) -> None:
        until = monotonic() + self._delay_s
        self._wake.wait_for(
            lambda: self._closing or self._hurry or self._queue.total_bytes >= BATCH_BYTES, until - monotonic()
        )

    def _persist(self, acks: dict[Kind, int]) -> bool:
        """Try until it is durable; False only when the journal is being closed and the disk still refuses."""
        while True:
            try:
                self._space.persist(self._writing.records, acks, self._writing.total_bytes)
            except (OSError, sqlite3.Error) as error:
                self._fail(error)
                with self._wake:
                    self._wake.wait_for(lambda: self._closing or self._acks, RETRY_S)
                    acks, self._acks = acks | self._acks, {}
                    if self._closing:
                        return False
            else:
                if self._failure is not None:
                    self._failure = None
                    self._on_error(None)
                self._counters["commits"] += 1
                return True

    def _fail(self, error: OSError | sqlite3.Error) -> None:
        self._counters["write_errors"] += 1
        if is_no_space(error):
            with self._wake:
                self._full = self._full or self._stops_line
        self._tell()
        if self._failure is None:
            self._failure = as_store_error(self._folder, error)
            self._on_error(self._failure)

    def _tell(self) -> None:
        """Pass on what was lost and whether the journal is full, since the last time."""
        with self._wake:
            lost, self._store.lost = self._store.lost, []
            full, changed = self._full, self._full != self._told_full
            self._told_full = full
            for _, seqs, why in lost:
                self._counters[f"lost_{why}"] += seqs.last - seqs.first + 1
        for kind, seqs, why in lost:
            self._on_evicted(kind, seqs, why)
        if changed:
            self._on_full(full)
