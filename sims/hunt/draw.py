"""Scenarios drawn at random: the number of the run and the hunt's seed say all of it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar, get_args

from msgspec.structs import replace

from sims.faults import KINDS, Fault, FaultKind, overlapping
from sims.hunt.play import Spec
from sims.scenario import Goals, Scenario
from sims.virtual.fleet_kinds import Wish
from sims.virtual.fleet_spec import FleetFault, FleetFaultKind, FleetGoals, FleetScenario
from sims.virtual.site import LedgerSpec
from sims.virtual.storage import DiskSpec

K = TypeVar("K", FaultKind, FleetFaultKind)
FLEET_KINDS: tuple[FleetFaultKind, ...] = get_args(FleetFaultKind)
MOST_FAULTS = 5
MOST_KINDS = 3
MOST_WISHES = 3
LATE_S = 3.0
"""Faults also come so long after the last part: that is when acknowledgements and last words are under way."""


def draw(bases: Sequence[Spec], seed: int, number: int) -> Spec:
    """The scenario of one run: one of ``bases`` in turn, with faults and times of its own."""
    rng = random.Random(f"hunt/{seed}/{number}")
    base = bases[number % len(bases)]
    return _fleet(base, rng) if isinstance(base, FleetScenario) else _cell(base, rng)


def kinds_of(spec: Spec) -> list[str]:
    """Which faults it has, and wishes."""
    wishes = ["wish"] * bool(isinstance(spec, FleetScenario) and spec.wishes)
    return sorted({fault.kind for fault in spec.faults}) + wishes


def runnable(spec: Spec) -> bool:
    """Whether a scenario file may say this: no fault begins before the one of the same device or kind has ended."""
    if isinstance(spec, Scenario):
        return overlapping(spec.faults) is None
    by_time = sorted(spec.faults, key=lambda fault: fault.at_s)
    return not any(
        one.kind == other.kind and other.at_s < one.at_s + one.for_s
        for i, one in enumerate(by_time)
        for other in by_time[i + 1 :]
    )


def _fleet(base: FleetScenario, rng: random.Random) -> FleetScenario:
    seconds = float(rng.randint(5, min(25, max(5, int(base.fleet.seconds)))))
    size = replace(
        base.fleet,
        agents=min(base.fleet.agents, rng.randint(1, 4)),
        seconds=seconds,
        rate_per_s=1.0 if base.evidence.jpeg_kb else rng.choice((1.0, 3.0, 10.0)),  # pictures fill thin links
        settle_s=400.0,
        keepalive_s=rng.choice((5, base.fleet.keepalive_s)),
    )
    faults: list[FleetFault] = []
    for kind in [one.kind for one in base.faults] + _kinds(FLEET_KINDS, rng):
        share, value = rng.choice((1.0, 1.0, round(rng.uniform(0.2, 1), 2))), _value(kind, rng)
        fault = FleetFault(kind, _s(rng.uniform(0, seconds + LATE_S)), _length(rng), share=share, value=value)
        faults += [fault] if runnable(replace(base, faults=(*faults, fault))) else []
    wishes = [
        Wish(_s(rng.uniform(0, seconds)), {"stop.consecutive": rng.randint(0, 9)})
        for _ in range(rng.randint(0, MOST_WISHES))
    ]
    return replace(
        base,
        scenario=replace(base.scenario, seed=rng.randint(1, 9999), about=""),
        fleet=size,
        net=replace(base.net, map=rng.choice((base.net.map, "perfect", "plant", "4g", "satellite"))),
        disk=_disk(base.disk, rng),
        ledger=_ledger(base.ledger, rng),
        faults=tuple(faults),
        wishes=tuple(wishes),
        goals=FleetGoals(broken=0),
    )


def _cell(base: Scenario, rng: random.Random) -> Scenario:
    parts = rng.randint(4, min(24, max(4, base.scenario.parts)))
    head = replace(base.scenario, seed=rng.randint(1, 9999), parts=parts, about="")
    last_s = replace(base, scenario=head).line_s
    faults: list[Fault] = []
    for kind in [one.kind for one in base.faults] + _kinds(KINDS, rng):
        value = round(rng.uniform(0.05, 1), 2)
        fault = Fault(kind, _s(rng.uniform(0, last_s + LATE_S)), _length(rng), value=value)
        faults += [] if overlapping((*faults, fault)) else [fault]
    virtual = base.virtual
    return replace(
        base,
        scenario=head,
        camera=replace(base.camera, slow_s=rng.choice((base.camera.slow_s, round(rng.uniform(0.01, 0.45), 2)))),
        faults=tuple(faults),
        goals=Goals(broken=0),
        virtual=replace(
            virtual,
            sight="stated",
            net=rng.choice((virtual.net, "perfect", "plant", "4g", "satellite")),
            disk=_disk(virtual.disk, rng),
            ledger=_ledger(virtual.ledger, rng),
            delays=replace(virtual.delays, tail_ms=rng.choice((virtual.delays.tail_ms, 20.0, 80.0))),
        ),
    )


def _kinds(among: tuple[K, ...], rng: random.Random) -> list[K]:
    """A few kinds, each perhaps several times: many of one kind find more than one of each."""
    few = rng.sample(among, rng.randint(1, MOST_KINDS))
    return [rng.choice(few) for _ in range(rng.randint(1, MOST_FAULTS))]


def _s(seconds: float) -> float:
    return round(seconds, 2)


def _length(rng: random.Random) -> float:
    """Blinks and long outages alike."""
    return _s(max(0.01, rng.choice((0.05, 0.5, 2.0, 8.0, 30.0)) * rng.uniform(0.3, 1.0)))


def _value(kind: str, rng: random.Random) -> float:
    if kind == "clock_step":
        return round(rng.choice((-1, 1)) * rng.choice((0.5, 60.0, 86_400.0)) * rng.uniform(0.2, 1), 2)
    if kind in {"link_slow", "link_flapping"}:
        return round(rng.choice((0.2, 2.0, 10.0)) * rng.uniform(0.2, 1), 2)
    return round(rng.choice((5.0, 20.0, 50.0)) * rng.uniform(0.2, 1), 1)  # more, and nothing is quiet within minutes


def _disk(base: DiskSpec, rng: random.Random) -> DiskSpec:
    return rng.choice(
        (base, replace(base, fsync_ms=20.0), replace(base, fsync_ms=200.0), replace(base, slow_every_n=5))
    )


def _ledger(base: LedgerSpec, rng: random.Random) -> LedgerSpec:
    return rng.choice((base, base, replace(base, commit_ms=200.0)))
