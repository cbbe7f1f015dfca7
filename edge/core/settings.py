"""What a core needs to know, handed in by the wiring: plain values, times in ns, no files behind them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec import Struct

from edge.domain import ModelRef, RemoteKey
from edge.errors import RemoteError
from edge.messages import Scalar

MS = 1_000_000
S = 1_000_000_000


class SourceSettings(Struct, frozen=True):
    """A camera as the core sees it."""

    max_fps: float = 0.0


class PlcSettings(Struct, frozen=True):
    """The PLC contract's times and distances."""

    device: str
    source: str
    mode: Literal["handshake", "coil"] = "handshake"
    gate: Literal["plc", "agent"] = "plc"
    no_verdict: Literal["reject", "stop", "pass"] = "reject"
    unsure: Literal["reject", "pass"] = "reject"
    heartbeat_ns: int = 100 * MS
    deadline_ns: int = 400 * MS
    capture_within_ns: int = 150 * MS
    stale_counts: int = 400
    gate_counts: int = 0
    gate_lead_ns: int = 5 * MS
    pulse_ms: int = 80
    views: tuple[str, ...] = ()
    """Sources besides ``source`` that look at the same part."""


class StopSettings(Struct, frozen=True):
    """Stop after ``consecutive`` rejects or ``m`` of the last ``k``; 0 is never."""

    consecutive: int = 0
    m: int = 0
    k: int = 0


class EvidenceSettings(Struct, frozen=True):
    """Which pictures are kept, and at most how many a second."""

    keep: tuple[str, ...] = ("fail", "unsure")
    sample_every_n: int = 0
    max_fps: float = 5.0


class RecipeSettings(Struct, frozen=True):
    """A part type: its model, and the PLC's number for it."""

    model: ModelRef
    part_type: int | None = None


class Settings(Struct, frozen=True):
    """Everything an agent's core is told at its start, and what ``desired`` may change of it."""

    site: str
    agent: str
    recipes: dict[str, RecipeSettings]
    policies: dict[str, Any]
    """Recipe -> options of its policy; ``default`` speaks for recipes without their own."""
    sources: dict[str, SourceSettings] = {}
    devices: tuple[str, ...] = ()
    plc: PlcSettings | None = None
    stop: StopSettings = StopSettings()
    evidence: EvidenceSettings = EvidenceSettings()
    recipe: str = "default"
    remote: tuple[RemoteKey, ...] = ()
    versions: dict[str, str] = {}
    metrics_every_ns: int = 10 * S
    command_key: bytes = b""


def remote_values(settings: Settings) -> dict[str, Scalar]:
    """The present value of every remote setting that has one."""
    values = {key.name: _get(settings, key.path) for key in settings.remote}
    return {name: value for name, value in values.items() if value is not None}


def with_remote(settings: Settings, wanted: Mapping[str, Scalar]) -> Settings:
    """``settings`` with the wanted values. Raises RemoteError SETTING_UNKNOWN, SETTING_TYPE, SETTING_RANGE."""
    keys = {key.name: key for key in settings.remote}
    for name, value in wanted.items():
        if name not in keys:
            raise RemoteError("SETTING_UNKNOWN", f"{name[:100]!r} is not a setting that can be changed from afar")
        settings = _set(settings, keys[name].path, _fitting(keys[name], value))
    return settings


def _fitting(key: RemoteKey, value: Scalar) -> Scalar:
    if key.kind == "str" and not key.choices and isinstance(value, int) and not isinstance(value, bool):
        value = str(value)  # a lot number of digits alone
    kinds: tuple[type, ...] = {"int": (int,), "float": (int, float), "bool": (bool,), "str": (str,)}[key.kind]
    if not isinstance(value, kinds) or (isinstance(value, bool) and key.kind != "bool"):
        raise RemoteError("SETTING_TYPE", f"{key.name} is {value!r:.60}", f"it takes a {key.kind}")
    if key.choices and value not in key.choices:
        raise RemoteError("SETTING_RANGE", f"{key.name} is {value!r:.60}", f"it takes one of {', '.join(key.choices)}")
    if isinstance(value, str):
        if key.most is not None and (len(value) > key.most or not value.isprintable()):
            raise RemoteError(
                "SETTING_RANGE", f"{key.name} is {value!r:.60}", f"it takes {key.most:g} plain characters"
            )
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        low, high = key.least, key.most
        if not ((low is None or value >= low) and (high is None or value <= high)):  # also refuses NaN
            raise RemoteError("SETTING_RANGE", f"{key.name} is {value}", f"it takes {_limit(low)} to {_limit(high)}")
        return float(value) if key.kind == "float" else value
    return value


def _limit(value: float | None) -> str:
    """As it reads the same before and after a trip through a file, where 0 becomes 0.0."""
    return "any" if value is None else f"{value:.12g}"


def _get(node: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        node = node.get(part) if isinstance(node, dict) else getattr(node, part)
    return node


def _set(node: Any, path: tuple[str, ...], value: Scalar) -> Any:
    head, rest = path[0], path[1:]
    inner = _set(_get(node, (head,)), rest, value) if rest else value
    return {**node, head: inner} if isinstance(node, dict) else msgspec.structs.replace(node, **{head: inner})
