"""The language between an agent's core and its shells: what can happen (events), what is to be done (effects).

::

    shells ──AgentEvent──▶ mailbox ──▶ core.handle(event, now_ns) ──list[AgentEffect]──▶ carrier ──▶ shells

Both carriers of effects (the live daemon and the simulated fleet) ``match`` over the closed unions below and end in
``assert_never``. ``part_id`` is the agent's own count of parts since boot, from 1; None for a free-running frame.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from edge.domain import Applied, Command, FrameRef, Inference, Kind, Reading, SeqRange
from edge.messages import Message, Record, Result, Scalar
from edge.topics import TopicKind


class Polled(Struct, frozen=True):
    """Fresh values of a PLC or sensor (``reading.source`` is the device)."""

    reading: Reading


class DeviceChanged(Struct, frozen=True):
    """A device came within reach or went out of it."""

    device: str
    up: bool
    code: str = ""
    what: str = ""


class SourceChanged(Struct, frozen=True):
    """A camera came or went. ``missed`` frames or parts while it was away, where known."""

    source: str
    up: bool
    code: str = ""
    what: str = ""
    missed: int = 0


class SourceEnd(Struct, frozen=True):
    """A finite source has delivered its last frame, and all its frames are inferred."""

    source: str


class CaptureFailed(Struct, frozen=True):
    """A capture that was asked for gave no frame."""

    source: str
    part_id: int | None
    code: str
    what: str


class Inferred(Struct, frozen=True):
    """A frame went through the model. ``asked_ns`` is when its capture was asked for (or it was captured)."""

    ref: FrameRef
    part_id: int | None
    inference: Inference
    model: str
    asked_ns: int
    capture_ms: float = 0.0
    queue_ms: float = 0.0
    recipe: str = ""


class InferFailed(Struct, frozen=True):
    """A frame could not be inferred: the model failed, or the frame was dropped by a full slot (FRAME_DROPPED)."""

    source: str
    part_id: int | None
    code: str
    what: str


class Committed(Struct, frozen=True):
    """Everything of ``kind`` up to ``upto`` is durable in the journal."""

    kind: Kind
    upto: int


class Evicted(Struct, frozen=True):
    """The journal gave up records that nobody had acknowledged."""

    kind: Kind
    range: SeqRange
    why: str


class JournalTrouble(Struct, frozen=True):
    """The journal cannot keep records (full, disk failing), or can again (``code`` empty).

    ``stops_line`` with ``critical_full = "stop_line"``.
    """

    code: str
    what: str = ""
    stops_line: bool = False


class EvidenceStored(Struct, frozen=True):
    """A picture was drawn, encoded and appended; ``code`` says why not when ``seq`` is 0."""

    ref: FrameRef
    seq: int
    ask_id: str = ""
    code: str = ""


class Stored(Struct, frozen=True):
    """A :class:`Store` effect is durable (or failed, with a code)."""

    name: str
    code: str = ""


class ClockSet(Struct, frozen=True):
    """UTC = monotonic + offset. It only labels records."""

    utc_offset_ns: int
    trusted: bool


class Tick(Struct, frozen=True):
    """The deadline the core asked for has come."""


class StopAsked(Struct, frozen=True):
    """The daemon was told to stop in good order."""

    why: str


class Connected(Struct, frozen=True):
    """The broker took us in and our subscriptions stand. ``conn_no`` is persisted and rises."""

    conn_no: int


class Disconnected(Struct, frozen=True):
    """No connection: it ended, or an attempt failed."""

    code: str
    what: str


class Received(Struct, frozen=True):
    """A decoded message on one of our topics. ``expiry_ns`` is monotonic: after it the message must not be obeyed."""

    agent: str
    kind: TopicKind
    message: Message
    received_ns: int
    expiry_ns: int | None = None
    retained: bool = False


class Refused(Struct, frozen=True):
    """Bytes from outside that were not understood or too large; they are counted and dropped."""

    code: str


class Sent(Struct, frozen=True):
    """A :class:`Send` effect handed records ``first`` to ``last`` to the connection (nothing when ``last < first``)."""

    kind: Kind
    first: int
    last: int
    bytes: int


AgentEvent = (
    Polled
    | DeviceChanged
    | SourceChanged
    | SourceEnd
    | CaptureFailed
    | Inferred
    | InferFailed
    | Applied
    | Committed
    | Evicted
    | JournalTrouble
    | EvidenceStored
    | Stored
    | ClockSet
    | Tick
    | StopAsked
    | Connected
    | Disconnected
    | Received
    | Refused
    | Sent
)
REMOTE = (Received, Refused)
"""Events of the mailbox's remote lane: bounded, and always behind the local ones."""


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
