"""A fleet scenario in TOML: many agents without pixels, one coordinator, a network, and what goes wrong. Strict.

::

    [scenario]  name, about, seed            [fleet]  agents, seconds, rate_per_s, start_within_s, settle_s, keepalive_s
    [confusion] [delays] [policy]  the model [disk] [ledger] [clocks]  the machines
    [net]       map                          [[groups]] name, share, map, version, knows   a fleet of mixed kinds
    [evidence]  jpeg_kb                      [[wishes]] at_s, settings      what somebody sets from afar
    [operators] people, answer_s             [[faults]] kind, at_s, for_s, share, value
    [goals]     lost = 0, doubled = 0, pending = 0, lag_p95_ms = 2000 …
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from edge.config import checked, parse_toml, read_toml
from edge.core.policy import LabelRule
from edge.errors import ConfigError
from sims.scenario import goal_limits
from sims.virtual.delays import DelaySpec
from sims.virtual.fleet_kinds import Group, MapName, Operators, Pictures, Wish
from sims.virtual.site import LedgerSpec
from sims.virtual.statistics import Confusion
from sims.virtual.storage import DiskSpec

Count = Annotated[int, Meta(ge=0)]
Number = Annotated[float, Meta(ge=0.0)]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]

FleetFaultKind = Literal[
    "broker_restart",
    "partition",
    "agent_kill",
    "power_cut",
    "coordinator_kill",
    "disk_slow",
    "ledger_slow",
    "clock_step",
    "link_refused",
    "link_deaf",
    "link_slow",
    "link_flapping",
    "ledger_lost",
    "retained_poison",
    "duplicate_id",
]
"""``broker_restart``, ``…_kill`` and ``power_cut`` last ``for_s``, then the thing is started again. ``partition`` cuts the
links of ``share`` of the agents. ``disk_slow`` and ``ledger_slow`` make every sync ``value`` times as long, ``clock_step``
moves UTC by ``value`` seconds. ``link_refused``: the broker closes these connections and lets none in (a certificate that
has expired); ``link_deaf``: nothing reaches these agents; ``link_slow``: everything ``value`` seconds later;
``link_flapping``: connections are reset every ``value`` seconds. ``ledger_lost``: the coordinator is gone, and comes back
with an empty ledger of a new id. ``retained_poison``: somebody leaves nonsense as retained messages on these agents'
topics. ``duplicate_id``: a second machine with the same id, one for each of these agents."""


class FleetHead(Struct, frozen=True, forbid_unknown_fields=True):
    """What this run is."""

    name: Annotated[str, Meta(pattern="^[a-z0-9-]{1,40}$")]
    about: str = ""
    seed: Count = 1
    title: str = ""
    """For people, where ``name`` is for files."""
    promise: str = ""
    """What must hold, in a sentence; the goals say it in figures."""


class FleetSize(Struct, frozen=True, forbid_unknown_fields=True):
    """``agents`` start within ``start_within_s`` of each other and judge ``rate_per_s`` parts a second for ``seconds``; then
    nothing new is made, and ``settle_s`` are given for the ledger to get everything.
    """

    agents: Annotated[int, Meta(ge=1, le=20_000)] = 1000
    seconds: Annotated[float, Meta(gt=0.0, le=1e7)] = 60.0
    rate_per_s: Annotated[float, Meta(gt=0.0, le=1000.0)] = 1.0
    start_within_s: Annotated[float, Meta(ge=0.0, le=3600.0)] = 2.0
    settle_s: Annotated[float, Meta(ge=0.0, le=36_000.0)] = 90.0
    keepalive_s: Annotated[int, Meta(ge=1, le=3600)] = 30
    metrics_every_s: Annotated[float, Meta(gt=0.0, le=3600.0)] = 10.0
    journal_kb: Annotated[int, Meta(ge=16, le=1 << 30)] = 1 << 20
    """Each agent's room for records that wait; then the oldest go, with a gap that says so."""


class Clocks(Struct, frozen=True, forbid_unknown_fields=True):
    """Every agent's quartz is off by up to ``drift_ppm``, its UTC by up to ``utc_error_ms`` at the start; both ways."""

    drift_ppm: Annotated[float, Meta(ge=0.0, le=500.0)] = 20.0
    utc_error_ms: Number = 2.0


class NetSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """What the network between agents and broker is like: a map of :mod:`sims.virtual.net_maps`."""

    map: MapName = "plant"


class FleetFault(Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that goes wrong, ``at_s`` after the start, for ``for_s`` seconds, to ``share`` of the agents."""

    kind: FleetFaultKind
    at_s: Number
    for_s: Annotated[float, Meta(gt=0.0)] = 2.0
    share: Share = 1.0
    """The first so many of the fleet, or of ``group``."""
    group: str = ""
    value: Annotated[float, Meta(ge=-1e6, le=1e6)] = 1.0


class FleetGoals(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What must hold at the end: at most so much, and for names ending in ``_min`` at least so much."""

    lost: Count | None = None
    doubled: Count | None = None
    pending: Count | None = None
    escapes: Count | None = None
    overkill: Count | None = None
    lag_p50_ms: Number | None = None
    lag_p95_ms: Number | None = None
    lag_max_ms: Number | None = None
    caught_up_s: Number | None = None
    gaps: Count | None = None
    gaps_min: Count | None = None
    offline: Count | None = None
    unconverged: Count | None = None
    refused_min: Count | None = None
    unanswered: Count | None = None
    answered_min: Count | None = None
    answer_p95_s: Number | None = None
    parts_min: Count | None = None
    broken: Count | None = None
    """How many of the invariants of :mod:`sims.virtual.fleet_rules` may not hold; the run is then watched record by record,
    which takes memory."""
    alarms: tuple[str, ...] = ()
    """Codes of events that must be in the ledger."""


class FleetScenario(Struct, frozen=True, forbid_unknown_fields=True):
    """All of a fleet scenario's file."""

    scenario: FleetHead
    fleet: FleetSize
    confusion: Confusion = Confusion()
    delays: DelaySpec = DelaySpec()
    disk: DiskSpec = DiskSpec()
    ledger: LedgerSpec = LedgerSpec()
    clocks: Clocks = Clocks()
    net: NetSpec = NetSpec()
    policy: LabelRule = LabelRule()
    groups: tuple[Group, ...] = ()
    evidence: Pictures = Pictures()
    operators: Operators = Operators()
    wishes: tuple[Wish, ...] = ()
    faults: tuple[FleetFault, ...] = ()
    goals: FleetGoals = FleetGoals()


def limits_of(goals: FleetGoals) -> dict[str, float]:
    """The goals that were set, in the order of the struct."""
    return {**goal_limits(goals, but="alarms"), **{f"{code}_min": 1.0 for code in goals.alarms}}


def load_fleet(file: Path) -> FleetScenario:
    """Read a file. Raises ConfigError."""
    data, locator = read_toml(file)
    return _valid(data, locator)


def fleet_of(text: str, name: str = "fleet.toml") -> FleetScenario:
    """From TOML text. Raises ConfigError."""
    data, locator = parse_toml(text.encode(), name)
    return _valid(data, locator)


def _valid(data: dict[str, Any], locator: Any) -> FleetScenario:
    scenario: FleetScenario = checked(data, FleetScenario, locator)
    seen: list[FleetFault] = []
    known = {group.name for group in scenario.groups}
    for table, named in (("faults", scenario.faults), ("wishes", scenario.wishes)):
        for number, one in enumerate(named):
            if one.group and one.group not in known:
                what = f"{locator.where((table, number))}: there is no group {one.group}"
                raise ConfigError("SCENARIO_IMPOSSIBLE", what, hint=f"one of: {', '.join(sorted(known)) or 'none'}")
    if sum(group.share for group in scenario.groups) > 1.0 + 1e-9:
        raise ConfigError("SCENARIO_IMPOSSIBLE", f"{locator.where(('groups', 0))}: the groups are more than all")
    for number, fault in enumerate(sorted(scenario.faults, key=lambda one: one.at_s)):
        for other in seen:
            if (other.kind, other.group) == (fault.kind, fault.group) and fault.at_s < other.at_s + other.for_s:
                where = locator.where(("faults", number))
                what = f"{where}: {fault.kind} at {fault.at_s:g} s begins before the one at {other.at_s:g} s has ended"
                raise ConfigError("SCENARIO_IMPOSSIBLE", what)
        seen.append(fault)
    return scenario
