"""What can happen to the coordinator core, and what it wants done: the fleet half of the language.

::

    MQTT, HTTP, ledger ──FleetEvent──▶ FleetCore.handle(event, now_ns) ──list[FleetEffect]──▶ carrier ──▶ MQTT, ledger

Both carriers (the live coordinator and the simulated fleet) ``match`` over the closed unions and end in
``assert_never``. A ``request_id`` names whoever waits for an :class:`Answer`; the core never knows who that is.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from edge.domain import Kind, ModelRef
from edge.messages import Desired, Message, Reported, Scalar, State
from edge.topics import TopicKind


class LinkUp(Struct, frozen=True):
    """The broker took us in and our subscriptions stand."""


class LinkDown(Struct, frozen=True):
    """No connection: it ended, or an attempt failed."""

    code: str
    what: str


class Heard(Struct, frozen=True):
    """A decoded message on an agent's topic. ``retained`` ones tell nothing about who is there now."""

    agent: str
    kind: TopicKind
    message: Message
    retained: bool = False


class Unheard(Struct, frozen=True):
    """Bytes that were not understood, foreign or too large; counted and dropped."""

    code: str


class Kept(Struct, frozen=True):
    """The ledger's rows say: everything of ``log`` up to these numbers is committed or explained."""

    agent: str
    log: str
    upto: dict[Kind, int]


class KeepResult(Struct, frozen=True):
    """How the commits of one turn went. ``code`` is empty when they are durable, else nothing of them was kept."""

    records: int
    malformed: int = 0
    code: str = ""
    what: str = ""


class SettingsWanted(Struct, frozen=True):
    """Somebody wants an agent to run with these. ``replace`` drops all others; a None removes one."""

    request_id: int
    agent: str
    settings: dict[str, Scalar | None]
    replace: bool = False


class DesiredSaved(Struct, frozen=True):
    """A :class:`SaveDesired` effect is durable, or failed with a code."""

    request_id: int
    agent: str
    desired: Desired
    code: str = ""
    what: str = ""


class AskWanted(Struct, frozen=True):
    """Somebody wants an agent to do something once, and waits for the reply up to ``ttl_s``."""

    request_id: int
    ask_id: str
    agent: str
    op: str
    ttl_s: float
    args: dict[str, Scalar] = {}


class FleetWanted(Struct, frozen=True):
    """Somebody wants to see the fleet, or one agent of it."""

    request_id: int
    agent: str = ""


class LeaseRead(Struct, frozen=True):
    """Whether this process still is the one active coordinator of the site."""

    held: bool


class Trimmed(Struct, frozen=True):
    """Retention removed so many rows; ``more`` remain to be removed."""

    rows: int
    more: bool


class ClockRead(Struct, frozen=True):
    """UTC = monotonic + offset. It only labels."""

    utc_offset_ns: int


class Tick(Struct, frozen=True):
    """The deadline the core asked for has come; also the first event of all."""


class StopWanted(Struct, frozen=True):
    """The process was told to stop in good order."""

    why: str


FleetEvent = (
    LinkUp
    | LinkDown
    | Heard
    | Unheard
    | Kept
    | KeepResult
    | SettingsWanted
    | DesiredSaved
    | AskWanted
    | FleetWanted
    | LeaseRead
    | Trimmed
    | ClockRead
    | Tick
    | StopWanted
)


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


class Keep(Struct, frozen=True):
    """Commit these records. Carriers collect the ones of a turn into one transaction, then say :class:`Kept`."""

    agent: str
    log: str
    kind: Kind
    first_seq: int
    records: tuple[bytes, ...]


class ReadUpto(Struct, frozen=True):
    """Read the positions of a log from the ledger and answer :class:`Kept` with all kinds (0 where there is none)."""

    agent: str
    log: str


class PublishTo(Struct, frozen=True):
    """Publish on an agent's (or our own) topic of ``kind``, with the table's QoS and retain."""

    agent: str
    kind: TopicKind
    message: Message
    expiry_s: int = 0


class SaveDesired(Struct, frozen=True):
    """Make what is wanted durable before anybody hears of it, then answer :class:`DesiredSaved`."""

    request_id: int
    agent: str
    desired: Desired


class SaveAgent(Struct, frozen=True):
    """Remember an agent across restarts; losing one is no harm."""

    agent: str
    known: AgentKnown


class Answer(Struct, frozen=True):
    """To whoever waits under ``request_id``; ``code`` is empty when there is a body."""

    request_id: int
    code: str = ""
    what: str = ""
    body: FleetView | AgentView | Replied | None = None


class Connect(Struct, frozen=True):
    """Try to reach the broker, with this will on our own ``state``."""

    will: State


class Disconnect(Struct, frozen=True):
    """Leave the broker in good order, after everything published has been handed over."""


class HoldLease(Struct, frozen=True):
    """Renew the lease and answer :class:`LeaseRead`."""


class Trim(Struct, frozen=True):
    """Remove a bounded number of rows that retention says may go, then answer :class:`Trimmed`."""


class Say(Struct, frozen=True):
    """One line for the log: a change, never a state."""

    level: Literal["info", "warning", "error"]
    code: str
    text: str


class Leave(Struct, frozen=True):
    """The core is done; ``code`` is empty for an orderly stop."""

    code: str = ""
    what: str = ""


FleetEffect = (
    Keep
    | ReadUpto
    | PublishTo
    | SaveDesired
    | SaveAgent
    | Answer
    | Connect
    | Disconnect
    | HoldLease
    | Trim
    | Say
    | Leave
)
