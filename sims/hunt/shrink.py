"""A scenario that breaks a rule, made as small as it will go: delta debugging over its faults, then over everything else.

::

    found ─▶ fewer faults ─▶ fewer agents, parts, seconds ─▶ settings as by default ─▶ rounder, earlier, shorter ─┐
               ▲──────────────────── anything that became simpler begins anew ◀───────────────────────────────────┘

Whatever is tried is simpler by :func:`weight`, so it ends; the same scenario shrinks to the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import msgspec
from msgspec import NODEFAULT, Struct
from msgspec.structs import fields, replace

from edge.models.toml import dump_toml, lean
from sims.faults import Fault
from sims.hunt.draw import runnable
from sims.hunt.play import Play, Played, Spec
from sims.scenario import Scenario
from sims.virtual.fleet_spec import FleetFault, FleetScenario

T = TypeVar("T")
S = TypeVar("S", bound=Struct)
Keep = Callable[[Spec, Played], None]
MOST_RUNS = 400
SEEDS = 16
FLEET_TABLES = ("net", "groups", "operators", "evidence", "policy", "disk", "ledger", "clocks", "delays", "confusion")

Weight = tuple[int, int, int, float, int, float]


def text_of(spec: Spec) -> str:
    """A scenario as TOML, without what is as by default."""
    return dump_toml(lean(spec))


def weight(spec: Spec) -> Weight:
    """How much there is to read, and to think of: things that happen, size, settings, length, digits, time."""
    wishes = spec.wishes if isinstance(spec, FleetScenario) else ()
    size = spec.fleet.agents if isinstance(spec, FleetScenario) else spec.scenario.parts
    length_s = spec.fleet.seconds if isinstance(spec, FleetScenario) else 0.0
    times_s = sum(fault.at_s + fault.for_s for fault in spec.faults) + sum(wish.at_s for wish in wishes)
    text = text_of(spec)
    return len(spec.faults) + len(wishes), size, text.count("\n"), length_s, len(text), times_s


def shrink(
    spec: Spec, name: str, play: Play, most_runs: int = MOST_RUNS, keep: Keep = lambda _spec, _played: None
) -> int:
    """Try simpler ones as long as invariant ``name`` stays broken; each that is better goes to ``keep``. Returns the runs."""
    runs, tried, better = 0, {msgspec.json.encode(spec)}, True
    while better:
        better = False
        for candidate in simpler(spec):
            key = msgspec.json.encode(candidate)
            if key in tried or not runnable(candidate) or weight(candidate) >= weight(spec):
                continue
            if runs >= most_runs:
                return runs
            tried.add(key)
            runs += 1
            played = play(candidate)
            if played.named(frozenset({name})):
                spec, better = candidate, True
                keep(spec, played)
                break
    return runs


def simpler(spec: Spec) -> Iterator[Spec]:
    """Candidates, the boldest first."""
    for faults in fewer(spec.faults):
        yield replace(spec, faults=faults)
    if isinstance(spec, FleetScenario):
        yield from _simpler_fleet(spec)
    else:
        yield from _simpler_cell(spec)
    yield from (replace(spec, scenario=replace(spec.scenario, seed=seed)) for seed in (1, 2, 3, 4, 5))
    for i, fault in enumerate(spec.faults):
        for other in _simpler_fault(fault):
            yield replace(spec, faults=(*spec.faults[:i], other, *spec.faults[i + 1 :]))


def fewer(items: tuple[T, ...]) -> Iterator[tuple[T, ...]]:
    """Without all, without a half, without a quarter … without each single one (ddmin's complements)."""
    n = len(items)
    size = n
    while size >= 1:
        for begin in range(0, n, size):
            yield items[:begin] + items[begin + size :]
        size //= 2


def _simpler_fleet(spec: FleetScenario) -> Iterator[Spec]:
    for wishes in fewer(spec.wishes):
        yield replace(spec, wishes=wishes)
    size = spec.fleet
    for agents in (1, 2, size.agents // 2, size.agents - 1):
        if agents >= 1:
            yield replace(spec, fleet=replace(size, agents=agents))
    if size.agents > 1:  # one agent alone seldom meets the moment: other seeds are other moments
        alone = replace(spec, fleet=replace(size, agents=1))
        yield from (replace(alone, scenario=replace(spec.scenario, seed=seed)) for seed in range(1, SEEDS + 1))
    yield from _by_default(spec, FLEET_TABLES)
    for fleet in _fields_by_default(size, ("rate_per_s", "keepalive_s", "start_within_s", "metrics_every_s")):
        yield replace(spec, fleet=fleet)
    for seconds in (1.0, 2.0, 5.0, 10.0, float(int(size.seconds / 2)), size.seconds - 1):
        if 0 < seconds < size.seconds:
            yield replace(spec, fleet=replace(size, seconds=seconds))
    for i, wish in enumerate(spec.wishes):
        for at_s in _rounder(wish.at_s):
            yield replace(spec, wishes=(*spec.wishes[:i], replace(wish, at_s=at_s), *spec.wishes[i + 1 :]))


def _simpler_cell(spec: Scenario) -> Iterator[Spec]:
    parts = spec.scenario.parts
    for less in (1, 2, 3, parts // 2, parts - 1):
        if less >= 1:
            yield replace(spec, scenario=replace(spec.scenario, parts=less))
    yield from _by_default(spec, ("virtual", "camera", "belt", "lamp", "product", "link", "agent", "plc"))
    for virtual in _fields_by_default(
        spec.virtual, ("net", "disk", "ledger", "delays", "bus", "drift_ppm", "start_ms")
    ):
        yield replace(spec, virtual=virtual)
    for plc in _fields_by_default(spec.plc, tuple(field.name for field in fields(spec.plc))):
        yield replace(spec, plc=plc)


def _by_default(spec: Any, names: tuple[str, ...]) -> Iterator[Spec]:
    for one in _fields_by_default(spec, names):
        if isinstance(one, Scenario):  # without pixels it stays: that is what makes it fast
            yield replace(one, virtual=replace(one.virtual, sight=spec.virtual.sight))
        else:
            yield one


def _fields_by_default(struct: S, names: tuple[str, ...]) -> Iterator[S]:
    for field in fields(struct):
        if field.name in names:
            value = field.default if field.default is not NODEFAULT else None
            if value is None and field.default_factory is not NODEFAULT:
                value = field.default_factory()
            if value is not None and value != getattr(struct, field.name):
                yield replace(struct, **{field.name: value})


def _simpler_fault(fault: Any) -> Iterator[Any]:
    kind: type[Fault | FleetFault] = type(fault)
    names = tuple(field.name for field in fields(kind) if field.name in {"share", "value", "for_s"})
    yield from _fields_by_default(fault, names)
    for for_s in (1.0, 0.1, *_rounder(fault.for_s)):
        if for_s > 0:
            yield replace(fault, for_s=for_s)
    for value in _rounder(fault.value):
        yield replace(fault, value=value)
    for at_s in _rounder(fault.at_s):
        yield replace(fault, at_s=at_s)


def _rounder(value: float) -> Iterator[float]:
    """Rounder numbers near it, and smaller ones."""
    yield from (0.0, float(int(value / 2)), float(int(value)), float(round(value)), round(value, 1))
    if value > 1:
        yield round(value - 1, 2)
