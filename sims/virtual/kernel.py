"""The virtual clock: a heap of ``(t_ns, seq, node, event)`` and nothing else that decides what comes next.

::

    post(t_ns, node, event) ──▶ heap ──(smallest t_ns, then the order of posting)──▶ node.take(event, t_ns) ──▶ post …

Time is a number: it jumps to the next event. Two events of one moment are taken in the order in which they were posted,
so a run depends on nothing but its seed: no set is walked through, no hash decides, no clock is read.
"""

from __future__ import annotations

import random
from heapq import heappop, heappush
from typing import Any, Protocol

from sims.virtual.trace import Trace

NS = 1_000_000_000
MS = 1_000_000


class Node(Protocol):
    """Whatever events are addressed to: a process, a line, a network."""

    def take(self, event: Any, t_ns: int) -> None:
        """One event, at its time. What follows is posted, never awaited."""


class Kernel:
    """One run's time. ``seed`` makes every stream of random numbers; ``trace`` sees what is worth comparing."""

    def __init__(self, seed: int, trace: Trace | None = None) -> None:
        self.seed = seed
        self.now_ns = 0
        self.events = 0
        self.trace = trace or Trace()
        self._heap: list[tuple[int, int, Node, Any]] = []
        self._seq = 0

    def rng(self, name: str) -> random.Random:
        """A stream of its own for each name, so that one node's draws never move another's.

        ``random.Random`` seeded with a text goes through SHA-512: the same on every machine and in every process.
        """
        return random.Random(f"{self.seed}/{name}")

    def post(self, t_ns: int, node: Node, event: Any) -> None:
        """``event`` reaches ``node`` at ``t_ns``; what lies in the past comes now."""
        self._seq = seq = self._seq + 1
        heappush(self._heap, (max(self.now_ns, t_ns), seq, node, event))

    def next_ns(self) -> int | None:
        """When the next event comes; None when there is none."""
        return self._heap[0][0] if self._heap else None

    def run(self, until_ns: int) -> None:
        """Everything up to and including ``until_ns``; then it is that time."""
        heap, taken = self._heap, 0
        try:
            while heap and heap[0][0] <= until_ns:
                t_ns, _, node, event = heappop(heap)
                self.now_ns = t_ns
                taken += 1
                node.take(event, t_ns)
        finally:
            self.events += taken
        self.now_ns = until_ns
