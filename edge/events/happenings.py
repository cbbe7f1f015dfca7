"""What can happen to an agent: the events its shells post."""

from __future__ import annotations

from msgspec import Struct

from edge.domain import Applied, FrameRef, Inference, Kind, Reading, SeqRange
from edge.messages import Message
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
    """Bytes from outside that were not understood or too large; they are counted and dropped. ``kind`` is the topic's, where
    that was one of ours.
    """

    code: str
    kind: str = ""


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


class Started(Struct, frozen=True):
    """``AgentCore.start`` was called: once, after the clock was set."""


class Counted(Struct, frozen=True):
    """The carrier could not carry out an effect, and counted it among the core's counters, which metrics tell."""

    name: str


Happening = AgentEvent | Started | Counted
"""All the ways into a core: an event handed to ``AgentCore.handle``, and two others. What a trace is made of."""
