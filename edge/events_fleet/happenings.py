"""What can happen to the coordinator's core."""

from __future__ import annotations

from msgspec import Struct

from edge.domain import Kind
from edge.messages import Desired, Message, Scalar
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
