"""What the coordinator's core wants done."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from edge.domain import Kind
from edge.events_fleet.views import AgentKnown, AgentView, FleetView, Replied
from edge.messages import Desired, Message, State
from edge.topics import TopicKind


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
