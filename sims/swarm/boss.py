"""A swarm's run from start to end: connect, one load or a ramp of them, settle, compare, leave.

::

    Installation (broker, coordinator) ◀── MQTT ──▶ Workers (hives of cells) ◀── pipe ── here ── HTTP ──▶ coordinator
"""

from __future__ import annotations

import os
import time
from array import array
from collections import Counter
from collections.abc import Callable

from msgspec import Struct, structs

from edge.domain import Kind
from edge.errors import LinkError
from sims.swarm import procs
from sims.swarm.desk import Desk
from sims.swarm.figures import Asked, Compared, Spread, StepReport, SwarmReport, spread, why_slow
from sims.swarm.installation import Installation
from sims.swarm.plan import Plan, Progress, Stand, Step, Told
from sims.swarm.ramp import Loads
from sims.swarm.verify import compare, read
from sims.swarm.workers import Workers

S = 1_000_000_000
CONNECT_S = 90.0
"""Beyond the time over which they connect, until all are online."""
NOBODY_S = 15.0
"""So long nobody at all got in: there is nothing to wait for."""
SETTLE_S = 30.0
SOON_NS = S // 2
LATE_SHARE = 0.9
"""Fewer results than this share of the wanted rate: the load was not carried, whatever the lag."""

Show = Callable[[str, float, float], None]
"""Called with a line of text, and how much is done of how much."""


class Orders(Struct, frozen=True):
    """How the swarm is to be run. ``limit_ms`` is the longest lag at p95; ``asks_per_s`` through the coordinator."""

    processes: int
    rate: float
    seconds: float
    ramp: str = ""
    limit_ms: float = 2000.0
    asks_per_s: float = 2.0


class Boss:
    """One run. ``show`` is told of progress; KeyboardInterrupt ends the load, not the good order."""

    def __init__(self, plan: Plan, orders: Orders, installation: Installation, show: Show) -> None:
        self._plan = plan
        self._orders = orders
        self._there = installation
        self._show = show
        self._began_utc_ms = time.time_ns() // 1_000_000 - 60_000
        self._load = _load()
        self._connect_s = 0.0
        self._online = 0
        self._connects = 0
        self._told: list[Told] = []
        self._interrupted = False
        self._memory: dict[str, float] = {}

    def run(self) -> SwarmReport:
        """Raises JidokaError."""
        with Workers(self._plan, self._orders.processes) as workers:
            pids = self._there.pids | {"swarm": workers.pids}
            steps: list[StepReport] = []
            asked, orders = Asked(), self._orders
            try:
                self._connect(workers)
                desk = Desk(self._there.api, self._plan, self._orders.asks_per_s if self._there.api else 0.0)
                desk.start()
                try:
                    for agents, rate in Loads(steps, orders.ramp, self._plan.agents, orders.rate):
                        steps.append(self._hold(workers, agents, rate, pids))
                finally:
                    asked = desk.finish()
            except KeyboardInterrupt:
                self._interrupted = True
            self._told = self._settle(workers)
            compared = self._compare()
            self._memory = {name: sum(procs.rss_mb(pid) or 0.0 for pid in many) for name, many in pids.items() if many}
            self._show("leaving", 1, 1)
            parted = workers.part()
            stopped = self._there.stopped(parted)
        return self._report(steps, asked, compared, stopped)

    def _connect(self, workers: Workers) -> None:
        plan, began = self._plan, time.monotonic()

        def all_online() -> bool:
            self._online = max(self._online, workers.progress.online)
            self._show("connecting", self._online, plan.agents)
            nobody = not self._online and time.monotonic() - began > NOBODY_S
            return nobody or workers.progress.online >= plan.agents

        spread_s = plan.agents / plan.connects_per_s if plan.connects_per_s else 0.0
        workers.listen(all_online, CONNECT_S + spread_s)
        self._connect_s = round(time.monotonic() - began, 1)
        if not self._online:
            told = workers.tell()
            error = next((line for one in told for line in one.errors), "nothing was said")
            raise LinkError("SWARM_OFFLINE", f"no agent reached {plan.endpoint}", error)
        workers.listen(lambda: workers.progress.backlog == 0, SETTLE_S)

    def _hold(self, workers: Workers, agents: int, rate: float, pids: dict[str, list[int]]) -> StepReport:
        """One load, from the first part to the end of the backlog."""
        seconds = self._orders.seconds
        start_ns = time.monotonic_ns() + SOON_NS
        end_ns = start_ns + int(seconds * S)
        workers.say(Step(rate, agents, start_ns, end_ns))
        done_before = workers.progress.results
        workers.listen(lambda: time.monotonic_ns() >= start_ns, SOON_NS / S + 1)
        before = procs.sample(time.monotonic(), pids)

        def over() -> bool:
            now: Progress = workers.progress
            at_s = min(seconds, (time.monotonic_ns() - start_ns) / S)
            self._show(
                f"{agents} agents × {rate:g}/s: {now.results - done_before} results, {now.backlog} waiting",
                at_s,
                seconds,
            )
            return time.monotonic_ns() >= end_ns

        workers.listen(over, seconds + 5)
        after = procs.sample(time.monotonic(), pids)
        workers.listen(lambda: workers.progress.backlog == 0, self._grace_s())
        return self._judge(workers.tell(), agents, rate, seconds, procs.cores(before, after))

    def _grace_s(self) -> float:
        """Two progress reports, and the limit: what comes later than that has missed it in any case."""
        return self._orders.limit_ms / 1000 + 1.5

    def _judge(self, told: list[Told], agents: int, rate: float, seconds: float, cores: dict[str, float]) -> StepReport:
        lag_ms, behind_ms = array("f"), array("f")
        for one in told:
            lag_ms.frombytes(one.lag_ms)
            behind_ms.frombytes(one.behind_ms)
        results = sum(one.results for one in told)
        per_s = round(results / (seconds + max(behind_ms, default=0.0) / 1000), 1)  # what was late came after the end
        waiting = sum(last - acked for one in told for stand in one.stands for last, acked in stand.heads.values())
        limit = self._orders.limit_ms
        step = StepReport(
            agents,
            rate,
            seconds,
            results,
            per_s,
            spread(lag_ms),
            spread(behind_ms),
            waiting,
            cores,
            ok=True,
        )
        lag = step.lag_ms.p95
        good = lag is not None and lag <= limit and (step.behind_ms.p95 or 0) <= limit
        good = good and results >= LATE_SHARE * agents * rate * seconds
        connects = sum(one.counters.get("connects", 0) for one in told)
        again, self._connects = connects - max(self._connects, self._online), connects
        if good:
            return step
        return structs.replace(
            step, ok=False, why=why_slow(step, os.cpu_count() or 1, limit_ms=limit, connects_again=again)
        )

    def _settle(self, workers: Workers) -> list[Told]:
        """Wait until everything is acknowledged, or nothing moves any more."""
        began = time.monotonic()

        def empty() -> bool:
            self._show(
                f"settling: {workers.progress.backlog} records wait for their ack", time.monotonic() - began, SETTLE_S
            )
            return workers.progress.backlog == 0

        try:
            workers.listen(lambda: False, 0.6)  # a fresh word of each
            workers.listen(empty, SETTLE_S)
        except KeyboardInterrupt:
            self._interrupted = True
        return workers.tell()

    def _compare(self) -> Compared | None:
        client = self._there.client()
        if client is None:
            return None
        self._show("reading the ledger", 0, 1)
        try:
            rows, gaps = read(client, self._began_utc_ms)
        finally:
            client.close()
        return compare(self._stands(), rows, gaps)

    def _stands(self) -> list[Stand]:
        return [stand for told in self._told for stand in told.stands]

    def _report(self, steps: list[StepReport], asked: Asked, compared: Compared | None, stopped: int) -> SwarmReport:
        heads: Counter[Kind] = Counter()
        waiting = 0
        for stand in self._stands():
            for kind, (last, acked) in stand.heads.items():
                heads[kind] += last
                waiting += last - acked
        counters: Counter[str] = Counter()
        for told in self._told:
            counters.update(told.counters)
        good = [step for step in steps if step.ok]
        lag = max((step.lag_ms for step in (good or steps)), key=lambda one: one.p95 or 0.0, default=Spread(0))
        missed = self._missed(steps, asked, compared, waiting)
        plan = self._plan
        return SwarmReport(
            ok=not missed,
            agents=plan.agents,
            processes=self._orders.processes,
            seed=plan.seed,
            broker=self._there.broker_name,
            coordinator=self._there.api,
            journals="disk" if plan.disk else "memory",
            online=self._online,
            connect_s=self._connect_s,
            results=heads["results"],
            records={kind: n for kind, n in heads.items() if n},
            unacknowledged=waiting,
            lost=compared.lost if compared else None,
            doubled=compared.doubled if compared else None,
            gaps=compared.gaps if compared else None,
            lag_ms=lag,
            limit_ms=self._orders.limit_ms,
            steps=tuple(steps),
            broke=next((step for step in steps if not step.ok), None),
            asked=asked,
            counters=dict(sorted(counters.items())),
            memory_mb=self._memory,
            load=(self._load, _load()),
            stopped=stopped,
            missed=tuple(missed),
            errors=tuple(line for told in self._told for line in told.errors)[:10],
            interrupted=self._interrupted,
        )

    def _missed(self, steps: list[StepReport], asked: Asked, compared: Compared | None, waiting: int) -> list[str]:
        missed = []
        if self._online < self._plan.agents:
            missed.append(f"{self._plan.agents - self._online} agents never came online")
        if compared is not None and compared.lost:
            missed.append(f"{compared.lost} records lost")
        if compared is not None and compared.doubled:
            missed.append(f"{compared.doubled} records doubled")
        if waiting:
            missed.append(f"{waiting} records not acknowledged")
        broke = next((step for step in steps if not step.ok), None)
        if broke is not None and not self._orders.ramp:
            lag = broke.lag_ms.p95 or 0.0
            missed.append(f"ledger lag p95 {lag:.0f} ms, {broke.per_s:g} results/s: {broke.why}")
        if asked.failed:
            missed.append(f"{asked.failed} asks or settings failed: {asked.error}")
        if asked.applied < asked.settings:
            missed.append(f"{asked.settings - asked.applied} settings not applied")
        return missed


def _load() -> float:
    return round(os.getloadavg()[0], 2)


def run(plan: Plan, orders: Orders, installation: Installation, show: Show) -> SwarmReport:
    """Start what is to be started, run, stop it again. Raises JidokaError."""
    with installation as there:
        return Boss(structs.replace(plan, endpoint=there.endpoint), orders, there, show).run()
