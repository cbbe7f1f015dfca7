"""What an agent core wants done: the effects its carrier carries out."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from edge.domain import Command, FrameRef, Kind
from edge.messages import Message, Record, Result, Scalar
from edge.topics import TopicKind


class Capture(Struct, frozen=True):
    """Take one frame of ``source`` now, for this part; useless after ``deadline_ns``."""

    source: str
    part_id: int | None
    recipe: str
    deadline_ns: int


class Apply(Struct, frozen=True):
    """Hand a command to its device's thread."""

    command: Command


class MakeSafe(Struct, frozen=True):
    """Put a device (or all, when empty) in its safe state."""

    device: str = ""


class Beat(Struct, frozen=True):
    """Write our heartbeat to the PLC, with whether we can inspect. It comes from the core, so a dead core is silent."""

    device: str
    value: int
    ready: bool


class Append(Struct, frozen=True):
    """Journal one record."""

    kind: Kind
    record: Record


class KeepEvidence(Struct, frozen=True):
    """Draw, encode and journal the frame's picture, then release it."""

    ref: FrameRef
    why: str
    result: Result | None = None
    ask_id: str = ""


class Release(Struct, frozen=True):
    """The frame is not needed any more."""

    ref: FrameRef


class Send(Struct, frozen=True):
    """Publish committed records from ``first_seq`` on, at most so many and so much, and answer :class:`Sent`."""

    kind: Kind
    first_seq: int
    max_n: int
    max_bytes: int


class Free(Struct, frozen=True):
    """The coordinator has everything up to ``upto``."""

    kind: Kind
    upto: int


class Publish(Struct, frozen=True):
    """Publish one message on our own topic of ``kind``, with the table's QoS and retain."""

    kind: TopicKind
    message: Message


class Connect(Struct, frozen=True):
    """Try to reach the broker, with this will."""

    will: Message


class Disconnect(Struct, frozen=True):
    """Leave the broker in good order."""


class Store(Struct, frozen=True):
    """Make a small value durable beside the journal, then answer :class:`Stored`. None removes it."""

    name: str
    value: bytes | None


class UseRecipe(Struct, frozen=True):
    """From the next frame on, this recipe's model and region."""

    recipe: str


class Pause(Struct, frozen=True):
    """Stop or resume taking frames."""

    paused: bool


class SetRate(Struct, frozen=True):
    """At most so many frames a second of a free-running source; 0 is no limit."""

    source: str
    max_fps: float


class Log(Struct, frozen=True):
    """One line for the log: a change, never a state."""

    level: Literal["debug", "info", "warning", "error"]
    code: str
    text: str
    data: dict[str, Scalar] = {}


class Leave(Struct, frozen=True):
    """The core is done: end the process with this status (75 asks the service manager to start us again)."""

    status: int
    why: str


AgentEffect = (
    Capture
    | Apply
    | MakeSafe
    | Beat
    | Append
    | KeepEvidence
    | Release
    | Send
    | Free
    | Publish
    | Connect
    | Disconnect
    | Store
    | UseRecipe
    | Pause
    | SetRate
    | Log
    | Leave
)
