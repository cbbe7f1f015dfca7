"""What a fleet's run came to: records against the ledger, verdicts against the truth, and how late the ledger knew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from edge.domain import KINDS
from sims.memory_ledger import MemoryLedger
from sims.score_model import Goal, Latency
from sims.virtual.fleet_rig import FleetRig
from sims.virtual.fleet_spec import limits_of
from sims.virtual.kernel import NS
from sims.virtual.machine import AgentMachine


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
    caught_up_s: float | None = None
    """From the end of the shift to the moment when the ledger had everything; null when it never had."""
    offline: int = 0
    """Agents that the coordinator did not hold for online at the end."""
    unconverged: int = 0
    """Agents that at the end neither ran with what was wanted of them nor had refused it."""
    refused: int = 0
    """Agents that had refused it and said so."""
    alarms: dict[str, int] = {}
    """Events in the ledger, by code."""
    asked: int = 0
    answered: int = 0
    unanswered: int = 0
    misjudged: int = 0
    ledgers: int = 1
    answer_p95_s: float | None = None
    broken: int | None = None
    """Invariants that do not hold; null when nobody watched."""


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


def report_of(fleet: FleetRig, caught_up_s: float | None, broken: int | None = None) -> FleetReport:
    """Count, and check the goals."""
    spec, kernel = fleet.spec, fleet.kernel
    result = replace(_score(fleet, caught_up_s), broken=broken)
    goals = tuple(_goal(name, limit, result) for name, limit in limits_of(spec.goals).items())
    return FleetReport(spec.scenario.name, "virtual", kernel.seed, goals, result, kernel.trace.digest())


def balance(agents: Sequence[AgentMachine], *ledgers: MemoryLedger) -> Books:
    """Journals against ledgers, number by number: bit ``n`` stands for record ``n``. What was acknowledged by a ledger
    that was lost afterwards is in that one.
    """
    books, all_streams = Books(), [ledger.streams() for ledger in ledgers]
    for agent in agents:
        heads = agent.journal.heads()
        for kind in KINDS:
            key = (agent.host.settings.site, agent.name, agent.journal.log, kind)
            head, rows = heads[kind], 0
            for ledger in ledgers:
                rows |= ledger.marked.get(key, 0)
            journalled = _bits(1, head.last)
            missing = journalled & ~rows
            gaps = [gap for ledger in ledgers for gap in ledger.gaps(*key)]
            explained = 0
            for gap in gaps:
                explained |= _bits(gap.first, gap.last)
            missing &= ~explained
            books.gaps += (explained & ~rows).bit_count()
            acknowledged = _bits(1, max(streams[key].upto if key in streams else 0 for streams in all_streams))
            held = _bits(max(head.first, head.acked + 1), head.last) & ~acknowledged
            books.doubled += (rows & ~journalled).bit_count()
            books.pending += (missing & held).bit_count()
            books.lost += (missing & ~held).bit_count()
            books.results += rows.bit_count() if kind == "results" else 0
    return books


def _bits(first: int, last: int) -> int:
    return ((1 << (last - first + 1)) - 1) << first if first <= last else 0


def _score(fleet: FleetRig, caught_up_s: float | None) -> FleetScore:
    kernel, tally, ledgers, desk = fleet.kernel, fleet.tally, fleet.ledgers, fleet.desk
    agents = [*fleet.agents, *fleet.twins]
    books = balance(agents, *ledgers)
    books.pending = balance(fleet.agents, *ledgers).pending  # what a clone holds that was taken away is nobody's
    lags: Counter[int] = sum((ledger.lags_ms for ledger in ledgers), Counter())
    codes: Counter[str] = sum((ledger.codes for ledger in ledgers), Counter())
    rows = sum(marks.bit_count() for ledger in ledgers for marks in ledger.marked.values())
    views = fleet.views()
    waits = Counter(int(wait_s * 1000) for wait_s in desk.waits_s)
    p95_ms = _quantile(waits, 0.95)
    return FleetScore(
        agents=len(fleet.agents),
        parts=tally.frames,
        escapes=tally.bad - tally.found,
        overkill=tally.alarms,
        results=books.results,
        lost=books.lost,
        pending=books.pending,
        doubled=books.doubled,
        gaps=books.gaps,
        resent=sum(ledger.records_in for ledger in ledgers) - rows,
        lag_ms=Latency(_quantile(lags, 0.5), _quantile(lags, 0.99), _quantile(lags, 1.0)),
        lag_p95_ms=_quantile(lags, 0.95),
        starts=sum(agent.starts for agent in agents),
        commits=sum(ledger.commits for ledger in ledgers),
        seconds=kernel.now_ns / NS,
        events=kernel.events,
        caught_up_s=caught_up_s,
        offline=len(fleet.agents) - sum(view.status == "online" for view in views),
        unconverged=sum(view.settings == "waiting" for view in views),
        refused=sum(view.settings == "refused" for view in views),
        alarms=dict(sorted(codes.items())),
        asked=desk.asked,
        answered=desk.answered,
        unanswered=desk.waiting,
        misjudged=desk.wrong,
        ledgers=len(ledgers),
        answer_p95_s=None if p95_ms is None else p95_ms / 1000,
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
    lag, bare = result.lag_ms, name.removesuffix("_min")
    values: dict[str, float | None] = {"lag_p50_ms": lag.p50, "lag_max_ms": lag.max}
    if name in values:
        value = values[name]
    elif bare.isupper():
        value = result.alarms.get(bare, 0)
    else:
        value = getattr(result, bare)
    met = value is not None and (value >= limit if name.endswith("_min") else value <= limit)
    return Goal(name, limit, value, met)
