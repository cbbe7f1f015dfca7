"""What the coordinator's core answers: the fleet as people see it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from edge.domain import ModelRef
from edge.messages import Reported, Scalar, State


class Difference(Struct, frozen=True):
    """One setting that is not yet (or will never be) what was wanted."""

    name: str
    wanted: Scalar | None
    has: Scalar | None


class AgentKnown(Struct, frozen=True, omit_defaults=True):
    """What survives a restart of the coordinator about one agent."""

    state: State | None = None
    reported: Reported | None = None
    since_utc_ms: int = 0
    seen_utc_ms: int = 0


SettingsStatus = Literal["none", "waiting", "applied", "refused"]


class AgentView(Struct, frozen=True):
    """One agent as people see it. ``status`` is ``unknown`` while nothing was heard since our own connection broke."""

    agent: str
    status: Literal["online", "offline", "stopped", "unknown"]
    since_utc_ms: int
    seen_utc_ms: int
    ready: bool
    why_not: tuple[str, ...]
    paused: bool
    recipe: str
    log: str
    boot_no: int
    conn_no: int
    versions: dict[str, str]
    devices: dict[str, str]
    model: ModelRef | None
    capabilities: tuple[str, ...]
    counters: dict[str, int]
    gauges: dict[str, float]
    metrics_utc_ms: int
    desired_rev: int
    desired: dict[str, Scalar]
    reported_rev: int
    reported: dict[str, Scalar]
    settings: SettingsStatus
    code: str
    what: str
    differs: tuple[Difference, ...]


class FleetView(Struct, frozen=True):
    """The whole fleet at one time, and the coordinator's own counters. ``why_not`` is empty while results are taken."""

    site: str
    ledger: str
    connected: bool
    why_not: tuple[str, ...]
    utc_ms: int
    agents: tuple[AgentView, ...]
    counters: dict[str, int]


class Replied(Struct, frozen=True):
    """What came back for an ask or a change of settings."""

    id: str
    ok: bool
    code: str = ""
    what: str = ""
    body: dict[str, Scalar] = {}
