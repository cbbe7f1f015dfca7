"""The loads of a run, one after the other: one, or doubled until one is not carried and then once in between."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sims.swarm.figures import StepReport

MOST_STEPS: Final = 12
FIRST_SHARE: Final = 32
"""A ramp of agents begins with one of so many."""


class Loads:
    """An iterator of (agents, rate). ``steps`` is the caller's list of what was held so far: it decides what comes next.

    ``ramp`` is empty, ``rate`` (from ``rate`` on, doubled) or ``agents`` (up to ``agents``).
    """

    def __init__(self, steps: list[StepReport], ramp: str, agents: int, rate: float) -> None:
        self._steps = steps
        self._ramp = ramp
        self._agents = agents
        self._rate = rate
        self._refined = False

    def __iter__(self) -> Iterator[tuple[int, float]]:
        return self

    def __next__(self) -> tuple[int, float]:
        steps = self._steps
        if not steps:
            return self._load(0)
        last = steps[-1]
        if not self._ramp or self._refined or len(steps) >= MOST_STEPS:
            raise StopIteration
        if not last.ok:
            return self._between(last)
        if self._ramp == "agents" and last.agents == self._agents:
            raise StopIteration
        return self._load(len(steps))

    def _load(self, number: int) -> tuple[int, float]:
        if self._ramp == "agents":
            return min(self._agents, max(1, self._agents // FIRST_SHARE) * 2**number), self._rate
        return self._agents, self._rate * 2**number

    def _between(self, broke: StepReport) -> tuple[int, float]:
        """The geometric mean of the last load that was carried and the one that was not."""
        good = [step for step in self._steps if step.ok]
        if not good:
            raise StopIteration
        self._refined = True
        low = good[-1]
        return int((low.agents * broke.agents) ** 0.5), (low.rate * broke.rate) ** 0.5
