"""Faults by timeline: what can be done to the line, and when. Pure; :mod:`sims.live_faults` does it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple, get_args

from msgspec import Meta, Struct

FaultKind = Literal[
    "camera_frozen",
    "camera_gone",
    "camera_hang",
    "camera_slow",
    "camera_dark",
    "plc_gone",
    "plc_frozen",
    "broker_restart",
    "network_cut",
    "network_refuse",
    "network_deaf",
    "network_slow",
    "agent_kill",
    "coordinator_kill",
    "light_drift",
    "disk_full",
    "disk_slow",
    "power_cut",
    "clock_step",
    "ledger_slow",
    "lens_dirty",
    "camera_bumped",
    "plc_reboot",
]
"""``…_kill`` is ``kill -9``, and a new start after ``for_s``; ``broker_restart`` likewise. ``light_drift`` ages the
light to ``value`` (0 to 1) within ``for_s`` and leaves it there; ``network_slow`` delays by ``value`` seconds. ``lens_dirty``: grease and dust, ``value`` 0 to 1; ``camera_bumped``: pushed
``value`` cm across the belt."""

KINDS: tuple[FaultKind, ...] = get_args(FaultKind)

VIRTUAL_ONLY: frozenset[str] = frozenset(
    {"disk_full", "disk_slow", "power_cut", "clock_step", "ledger_slow", "plc_reboot"}
)
"""What cannot be done to the machine that the live run itself stands on. ``disk_…``, ``power_cut`` and ``clock_step`` are
of the agent's machine; ``…_slow`` makes every sync or commit ``value`` seconds longer, ``clock_step`` sets UTC back by
``value`` hours for so long. ``plc_reboot``: the belt stands, nothing answers; then the operator clears what is between
camera and gate, and the program begins anew.
"""


class Fault(Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that goes wrong, ``at_s`` after the belt began to run, for ``for_s`` seconds."""

    kind: FaultKind
    at_s: Annotated[float, Meta(ge=0.0)]
    for_s: Annotated[float, Meta(gt=0.0)] = 2.0
    value: Annotated[float, Meta(ge=0.0, le=10.0)] = 0.5


class Step(NamedTuple):
    """One moment of the timeline: a fault begins or ends."""

    t_s: float
    begins: bool
    fault: Fault


def timeline(faults: Sequence[Fault]) -> list[Step]:
    """All beginnings and ends in order of time; at the same moment ends come first, so that one may follow another."""
    steps = [Step(fault.at_s, True, fault) for fault in faults]
    steps += [Step(fault.at_s + fault.for_s, False, fault) for fault in faults]
    return sorted(steps, key=lambda step: (step.t_s, step.begins))


def overlapping(faults: Sequence[Fault]) -> tuple[Fault, Fault] | None:
    """Two faults of the same device at the same time, of which one's end would undo the other; None if there are none."""
    by_time = sorted(faults, key=lambda fault: fault.at_s)
    for i, first in enumerate(by_time):
        for second in by_time[i + 1 :]:
            same = first.kind.split("_")[0] == second.kind.split("_")[0]
            if same and second.at_s < first.at_s + first.for_s:
                return first, second
    return None
