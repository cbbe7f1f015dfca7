"""The bounded waiting room between capture threads and the workers of one model."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Any

from edge.ports import Frame


@dataclass(slots=True, eq=False)
class Job:
    """One frame on its way through a model. ``prepared`` is what ``preprocess`` gave; ``corner_px`` is of the recipe's region."""

    frame: Frame
    part_id: int | None
    recipe: str
    asked_ns: int
    taken_ns: int
    ticket: int
    deadline_ns: int | None = None
    prepared: Any = None
    corner_px: tuple[int, int] = (0, 0)

    @property
    def asked(self) -> bool:
        """Somebody waits for this very frame (a part, a snapshot): it must not be replaced by a newer one."""
        return self.deadline_ns is not None


class Slots:
    """Frames that were asked for go before free-running ones; within each, first come first served.

    Only one thread puts for a given source, so that ``room`` asked before ``put`` still holds at ``put``.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._asked: deque[Job] = deque()
        self._free: deque[Job] = deque()
        self._closed = False

    def __len__(self) -> int:
        return len(self._asked) + len(self._free)

    def room(self, source: str, limit: int, *, asked: bool) -> bool:
        """True if fewer than ``limit`` jobs of this source wait."""
        with self._changed:
            return self._count(source, asked=asked) < limit

    def wait_room(self, source: str, limit: int, *, asked: bool, timeout_s: float | None = None) -> bool:
        """Block until there is room (True), or until closed or timed out (False)."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._count(source, asked=asked) < limit, timeout_s)
            return not self._closed and self._count(source, asked=asked) < limit

    def put(self, job: Job) -> None:
        """Add at the end and wake one worker."""
        with self._changed:
            (self._asked if job.asked else self._free).append(job)
            self._changed.notify_all()

    def replace(self, job: Job) -> Job | None:
        """Add a free-running frame in place of the one of its source that still waits; that one is returned."""
        with self._changed:
            old = next((one for one in self._free if one.frame.ref.source == job.frame.ref.source), None)
            if old is not None:
                self._free.remove(old)
            self._free.append(job)
            self._changed.notify_all()
            return old

    def take(self, timeout_s: float) -> Job | None:
        """The next job, or None when closed or when ``timeout_s`` is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._asked or self._free, timeout_s)
            if self._closed or not (self._asked or self._free):
                return None
            job = (self._asked or self._free).popleft()
            self._changed.notify_all()
            return job

    def close(self) -> list[Job]:
        """Wake everybody; what still waited is returned."""
        with self._changed:
            self._closed = True
            left = [*self._asked, *self._free]
            self._asked.clear()
            self._free.clear()
            self._changed.notify_all()
            return left

    def _count(self, source: str, *, asked: bool) -> int:
        return sum(job.frame.ref.source == source for job in (self._asked if asked else self._free))
