"""People who answer what the model was unsure of: late, one thing after another, and sometimes wrong."""

from __future__ import annotations

import random
from collections import deque
from typing import NamedTuple

from edge.messages import Result
from sims.virtual.fleet_kinds import Operators
from sims.virtual.kernel import NS, Kernel


class _Question(NamedTuple):
    part_id: int
    asked_ns: int


class Desk:
    """Questions come when the ledger has a result that says ``unsure``; whoever is free takes the oldest."""

    def __init__(self, kernel: Kernel, spec: Operators) -> None:
        self._kernel, self._spec = kernel, spec
        self._rng: random.Random = kernel.rng("operators")
        self._open: deque[_Question] = deque()
        self._free = spec.people
        self.asked = 0
        self.answered = 0
        self.wrong = 0
        self.waits_s: list[float] = []
        if spec.people:
            kernel.post(int(spec.from_s * NS), self, None)

    @property
    def waiting(self) -> int:
        """Questions without an answer."""
        return self.asked - self.answered

    def heed(self, result: Result) -> None:
        """A result that says ``unsure`` was committed."""
        if self._spec.people:
            self.asked += 1
            self._open.append(_Question(result.part_id, self._kernel.now_ns))
            self._begin(self._kernel.now_ns)

    def take(self, question: _Question | None, t_ns: int) -> None:
        """Somebody has answered; without a question, the people have come."""
        if question is not None:
            self._free += 1
            self.answered += 1
            self.wrong += self._rng.random() < self._spec.error_rate
            self.waits_s.append((t_ns - question.asked_ns) / NS)
        self._begin(t_ns)

    def _begin(self, t_ns: int) -> None:
        spec = self._spec
        while self._free and self._open and t_ns >= int(spec.from_s * NS):
            self._free -= 1
            took_s = spec.answer_s * (1.0 + self._rng.random())
            self._kernel.post(t_ns + int(took_s * NS), self, self._open.popleft())
