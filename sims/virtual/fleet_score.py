"""What a fleet's run came to: records against the ledger, verdicts against the truth, and how late the ledger knew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from edge.domain import KINDS
from sims.memory_ledger import MemoryLedger
from sims.score_model import Goal, Latency
from sims.virtual.fleet_spec import FleetScenario, limits_of
from sims.virtual.kernel import NS, Kernel
from sims.virtual.machine import AgentMachine
from sims.virtual.pace import Tally


class FleetScore(Struct, frozen=True):
    """``parts`` were judged; of their records ``lost`` are neither in the ledger nor explained nor still held, ``pending``
    are held for sending, and ``doubled`` are rows beyond what was journalled. ``escapes`` and ``overkill`` are the model's
    own misses and false alarms. ``lag_ms``: from a result's label to its commit in the ledger, by machine clocks.
    """

    agents: int
    parts: int
    escapes: int
    overkill: int
    results: int
    lost: int
    pending: int
    doubled: int
    gaps: int
    resent: int
    lag_ms: Latency
    lag_p95_ms: float | None
    starts: int
    commits: int
    seconds: float
    events: int


class FleetReport(Struct, frozen=True):
    """The document of a fleet's run (DESIGN §8)."""

    scenario: str
    mode: Literal["virtual"]
    seed: int
    goals: tuple[Goal, ...]
    score: FleetScore
    trace_hash: str
    report: str | None = None

    @property
    def ok(self) -> bool:
        return all(goal.ok for goal in self.goals)


class Books(Struct):
    """What became of records, over all streams."""

    results: int = 0
    lost: int = 0
    pending: int = 0
    doubled: int = 0
    gaps: int = 0


def report_of(
    spec: FleetScenario, kernel: Kernel, agents: Sequence[AgentMachine], ledger: MemoryLedger, tally: Tally
) -> FleetReport:
    """Count, and check the goals."""
    result = _score(kernel, agents, ledger, tally)
    goals = tuple(_goal(name, limit, result) for name, limit in limits_of(spec.goals).items())
    return FleetReport(spec.scenario.name, "virtual", kernel.seed, goals, result, kernel.trace.digest())


def balance(agents: Sequence[AgentMachine], ledger: MemoryLedger) -> Books:
    """Journals against ledger, number by number: bit ``n`` stands for record ``n``."""
    books, streams = Books(), ledger.streams()
    for agent in agents:
        heads = agent.journal.heads()
        for kind in KINDS:
            key = (agent.host.settings.site, agent.name, agent.journal.log, kind)
            head, rows = heads[kind], ledger.marked.get(key, 0)
            journalled = _bits(1, head.last)
            missing = journalled & ~rows
            for gap in ledger.gaps(*key):
                missing &= ~_bits(gap.first, gap.last)
                books.gaps += gap.last - gap.first + 1
            acknowledged = _bits(1, streams[key].upto if key in streams else 0)
            held = _bits(max(head.first, head.acked + 1), head.last) & ~acknowledged
            books.doubled += (rows & ~journalled).bit_count()
            books.pending += (missing & held).bit_count()
            books.lost += (missing & ~held).bit_count()
            books.results += rows.bit_count() if kind == "results" else 0
    return books


def _bits(first: int, last: int) -> int:
    return ((1 << (last - first + 1)) - 1) << first if first <= last else 0


def _score(kernel: Kernel, agents: Sequence[AgentMachine], ledger: MemoryLedger, tally: Tally) -> FleetScore:
    books, lags = balance(agents, ledger), ledger.lags_ms
    rows = sum(marks.bit_count() for marks in ledger.marked.values())
    return FleetScore(
        agents=len(agents),
        parts=tally.frames,
        escapes=tally.bad - tally.found,
        overkill=tally.alarms,
        results=books.results,
        lost=books.lost,
        pending=books.pending,
        doubled=books.doubled,
        gaps=books.gaps,
        resent=ledger.records_in - rows,
        lag_ms=Latency(_quantile(lags, 0.5), _quantile(lags, 0.99), _quantile(lags, 1.0)),
        lag_p95_ms=_quantile(lags, 0.95),
        starts=sum(agent.starts for agent in agents),
        commits=ledger.commits,
        seconds=kernel.now_ns / NS,
        events=kernel.events,
    )


def _quantile(counts: Counter[int], share: float) -> float | None:
    """The smallest value that so many are at most."""
    wanted, seen = share * counts.total(), 0
    for value in sorted(counts):
        seen += counts[value]
        if seen >= wanted:
            return float(value)
    return None


def _goal(name: str, limit: float, result: FleetScore) -> Goal:
    lag = result.lag_ms
    values = {"lag_p50_ms": lag.p50, "lag_max_ms": lag.max}
    value: float | None = values[name] if name in values else getattr(result, name.removesuffix("_min"))
    met = value is not None and (value >= limit if name.endswith("_min") else value <= limit)
    return Goal(name, limit, value, met)
