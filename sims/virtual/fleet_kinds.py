"""What a fleet's scenario may say beside size and faults: groups of agents, wishes from afar, pictures, people."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from edge.domain import RemoteKey
from edge.messages import Scalar

Count = Annotated[int, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Seconds = Annotated[float, Meta(ge=0.0, le=1e7)]
MapName = Literal["perfect", "plant", "satellite", "4g"]
SettingName = Literal["policy.other.min_score", "policy.other.unsure_score", "stop.consecutive", "evidence.max_fps"]

REMOTE: dict[SettingName, RemoteKey] = {
    "policy.other.min_score": RemoteKey(
        "policy.other.min_score", ("policies", "default", "other", "min_score"), "float", 0, 1
    ),
    "policy.other.unsure_score": RemoteKey(
        "policy.other.unsure_score", ("policies", "default", "other", "unsure_score"), "float", 0, 1
    ),
    "stop.consecutive": RemoteKey("stop.consecutive", ("stop", "consecutive"), "int", 0, 1000),
    "evidence.max_fps": RemoteKey("evidence.max_fps", ("evidence", "max_fps"), "float", 0, 1000),
}
"""What can be set from afar, with the bounds of the agent's configuration."""


class Group(Struct, frozen=True, forbid_unknown_fields=True):
    """``share`` of the fleet, in the order of the groups; what is left over is as the fleet is. ``knows``: the settings
    that this version lets the coordinator change.
    """

    name: Annotated[str, Meta(pattern="^[a-z0-9-]{1,20}$")]
    share: Share
    map: MapName | None = None
    version: str = "1.0.0"
    knows: tuple[SettingName, ...] = tuple(REMOTE)


class Wish(Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody sets something from afar, ``at_s`` after the start, for all agents or for those of ``group``."""

    at_s: Seconds
    settings: dict[SettingName, Scalar]
    group: str = ""


class Pictures(Struct, frozen=True, forbid_unknown_fields=True):
    """Evidence of ``jpeg_kb`` a picture (0: none is taken), for parts with these decisions."""

    jpeg_kb: Annotated[float, Meta(ge=0.0, le=1000.0)] = 0.0
    keep: tuple[Literal["fail", "unsure", "pass"], ...] = ("fail", "unsure")
    max_fps: Annotated[float, Meta(gt=0.0, le=1000.0)] = 5.0


class Operators(Struct, frozen=True, forbid_unknown_fields=True):
    """Who looks at parts the model was unsure of, one after the other: ``people`` of them (0: nobody), from ``from_s`` on.

    An answer takes ``answer_s`` and up to as much again; ``error_rate`` of the answers are wrong.
    """

    people: Annotated[int, Meta(ge=0, le=1000)] = 0
    answer_s: Annotated[float, Meta(gt=0.0, le=3600.0)] = 8.0
    error_rate: Share = 0.03
    from_s: Seconds = 0.0
