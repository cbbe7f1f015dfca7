"""What can happen to the coordinator core, and what it wants done: the fleet half of the language.

::

    MQTT, HTTP, ledger ──FleetEvent──▶ FleetCore.handle(event, now_ns) ──list[FleetEffect]──▶ carrier ──▶ MQTT, ledger

Both carriers (the live coordinator and the simulated fleet) ``match`` over the closed unions and end in
``assert_never``. A ``request_id`` names whoever waits for an :class:`Answer`; the core never knows who that is.
"""

from edge.events_fleet.effects import (
    Answer,
    Connect,
    Disconnect,
    FleetEffect,
    HoldLease,
    Keep,
    Leave,
    PublishTo,
    ReadUpto,
    SaveAgent,
    SaveDesired,
    Say,
    Trim,
)
from edge.events_fleet.happenings import (
    AskWanted,
    ClockRead,
    DesiredSaved,
    FleetEvent,
    FleetWanted,
    Heard,
    KeepResult,
    Kept,
    LeaseRead,
    LinkDown,
    LinkUp,
    SettingsWanted,
    StopWanted,
    Tick,
    Trimmed,
    Unheard,
)
from edge.events_fleet.views import AgentKnown, AgentView, Difference, FleetView, Replied, SettingsStatus

__all__ = [
    "AgentKnown",
    "AgentView",
    "Answer",
    "AskWanted",
    "ClockRead",
    "Connect",
    "DesiredSaved",
    "Difference",
    "Disconnect",
    "FleetEffect",
    "FleetEvent",
    "FleetView",
    "FleetWanted",
    "Heard",
    "HoldLease",
    "Keep",
    "KeepResult",
    "Kept",
    "LeaseRead",
    "Leave",
    "LinkDown",
    "LinkUp",
    "PublishTo",
    "ReadUpto",
    "Replied",
    "SaveAgent",
    "SaveDesired",
    "Say",
    "SettingsStatus",
    "SettingsWanted",
    "StopWanted",
    "Tick",
    "Trim",
    "Trimmed",
    "Unheard",
]
