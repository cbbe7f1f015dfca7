"""What travels between agents and the coordinator: tagged, versioned values, and nothing else.

Every message is a frozen struct. Unknown fields are ignored (a newer sender may add some), unknown tags are
counted and dropped. Field names and meanings never change within ``v`` 1; new ones have defaults.

An agent's records (:class:`Result`, :class:`Event`, :class:`Gap`, :class:`Evidence`) are encoded once, when they are
appended to the journal, and travel in an :class:`Envelope` as they are::

    {"v":1, "log":"9f3c…", "kind":"results", "first_seq":41, "n":3, "sent_utc_ms":…, "body":[{…},{…},{…}]}

Results and events are JSON, readable by anyone who subscribes; evidence is msgpack, as it holds a JPEG.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Literal

import msgspec
from msgspec import Raw, Struct

from edge.domain import Decision, Finding, Kind, ModelRef, Reason, View
from edge.errors import RemoteError

VERSION = 1

Scalar = str | int | float | bool


class Latency(Struct, frozen=True, omit_defaults=True):
    """Milliseconds of one part's way. ``total`` is from trigger (or capture, when free-running) to decision."""

    capture: float = 0.0
    queue: float = 0.0
    preprocess: float = 0.0
    infer: float = 0.0
    postprocess: float = 0.0
    total: float = 0.0


class Result(Struct, frozen=True, tag_field="t", tag="result", omit_defaults=True):
    """One part's (or free-running frame's) verdict.

    ``part_no`` is the PLC's own number (u16), absent without a PLC; ``part_id`` counts this boot's parts from 1.
    ``values``: named numbers the model gave, at most 64; with a sensor ``source`` and ``recipe`` are its name, ``frame_no``
    counts its windows and ``utc_ms`` is that of a window's last sample. ``views``: where several cameras look at a part, each
    of them, also those that gave nothing; ``source``, ``frame_no`` and ``findings`` are then of the one that the verdict
    speaks of.
    """

    decision: Decision
    utc_ms: int
    source: str
    frame_no: int
    part_id: int
    boot_no: int
    part_no: int | None = None
    encoder: int | None = None
    reasons: tuple[Reason, ...] = ()
    findings: tuple[Finding, ...] = ()
    model: ModelRef | None = None
    recipe: str = ""
    settings_rev: int = 0
    latency_ms: Latency = Latency()
    clock_trusted: bool = True
    values: dict[str, float] = {}
    views: tuple[View, ...] = ()


Level = Literal["info", "warning", "alarm"]


class Event(Struct, frozen=True, tag_field="t", tag="event", omit_defaults=True):
    """Something that changed: alarms, faults, settings. ``code`` is a stable word as in :mod:`edge.errors`."""

    code: str
    level: Level
    utc_ms: int
    text: str = ""
    data: dict[str, Scalar] = {}


class Gap(Struct, frozen=True, tag_field="t", tag="gap"):
    """Records ``first`` to ``last`` of ``kind`` will never come, and why (evicted, corrupt, set aside)."""

    kind: Kind
    first: int
    last: int
    why: str
    utc_ms: int


class Evidence(Struct, frozen=True, tag_field="t", tag="evidence", omit_defaults=True):
    """A picture: why it was kept, what was decided, and a JPEG of at most ``topics.MAX_RECORD_BYTES['evidence']``."""

    source: str
    frame_no: int
    utc_ms: int
    why: str
    jpeg: bytes
    part_id: int = 0
    boot_no: int = 0
    part_no: int | None = None
    decision: Decision = "none"
    width_px: int = 0
    height_px: int = 0
    overlay: bool = False
    ask_id: str = ""


Record = Result | Event | Gap | Evidence


class Envelope(Struct, frozen=True):
    """A batch of consecutive records of one kind. ``n == len(body)``."""

    v: int
    log: str
    kind: Kind
    first_seq: int
    n: int
    sent_utc_ms: int
    body: tuple[Raw, ...]


class State(Struct, frozen=True, tag_field="t", tag="state"):
    """Birth, change of readiness, orderly stop; and the will (``offline``).

    ``(log, boot_no, conn_no)`` orders states of one agent: counters persisted in the journal, older ones are ignored.
    """

    status: Literal["online", "offline", "stopped"]
    log: str
    boot_no: int
    conn_no: int
    v: int = VERSION
    utc_ms: int = 0
    ready: bool = False
    why_not: tuple[str, ...] = ()
    paused: bool = False
    recipe: str = ""
    versions: dict[str, str] = {}
    devices: dict[str, str] = {}
    model: ModelRef | None = None
    capabilities: tuple[str, ...] = ()
    max_packet_bytes: int = 0
    ledger: str = ""


class Metrics(Struct, frozen=True, tag_field="t", tag="metrics"):
    """Counters since boot and gauges now; names end in their unit."""

    utc_ms: int
    boot_no: int
    counters: dict[str, int] = {}
    gauges: dict[str, float] = {}
    v: int = VERSION


class Reported(Struct, frozen=True, tag_field="t", tag="reported"):
    """What revision of ``desired`` runs, or was refused and why. ``settings`` are those in force now."""

    ledger: str
    rev: int
    ok: bool
    code: str = ""
    what: str = ""
    settings: dict[str, Scalar] = {}
    v: int = VERSION


class Reply(Struct, frozen=True, tag_field="t", tag="reply"):
    """The answer to one ask."""

    id: str
    ok: bool
    code: str = ""
    what: str = ""
    body: dict[str, Scalar] = {}
    v: int = VERSION


class Desired(Struct, frozen=True, tag_field="t", tag="desired"):
    """What the coordinator wants of one agent: a level, not an edge. ``rev`` rises within a ledger id."""

    ledger: str
    rev: int
    settings: dict[str, Scalar] = {}
    model: str = ""
    issued_utc_ms: int = 0
    mac: str = ""
    v: int = VERSION


class Ask(Struct, frozen=True, tag_field="t", tag="ask"):
    """Do something once: ``ping``, ``snapshot``, ``pause``, ``resume``, ``restart``. Refused ``ttl_s`` after receipt."""

    id: str
    agent: str
    op: str
    ttl_s: float = 10.0
    args: dict[str, Scalar] = {}
    issued_utc_ms: int = 0
    mac: str = ""
    v: int = VERSION


class Ack(Struct, frozen=True, tag_field="t", tag="ack"):
    """The ledger holds, or knows why it never will hold, everything of ``log`` up to these numbers."""

    ledger: str
    log: str
    upto: dict[Kind, int]
    utc_ms: int = 0
    v: int = VERSION


Message = State | Metrics | Reported | Reply | Desired | Ask | Ack | Envelope
Signed = Desired | Ask

_json = msgspec.json.Encoder()
_pack = msgspec.msgpack.Encoder()
_record_json = msgspec.json.Decoder(Result | Event | Gap)
_record_pack = msgspec.msgpack.Decoder(Evidence)


def encode_record(record: Record) -> bytes:
    """The bytes that are journalled and sent, fixed for good."""
    return _pack.encode(record) if isinstance(record, Evidence) else _json.encode(record)


def decode_record(kind: Kind, payload: bytes) -> Record:
    """Inverse of :func:`encode_record`. Raises RemoteError RECORD_MALFORMED."""
    try:
        return _record_pack.decode(payload) if kind == "evidence" else _record_json.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteError("RECORD_MALFORMED", f"a record of {kind} cannot be read", str(error)) from error


def mac_of(key: bytes, site: str, agent: str, message: Signed) -> str:
    """HMAC-SHA-256 (RFC 2104) over site, agent, tag and the message with an empty ``mac``, as 64 hex digits."""
    bare = msgspec.structs.replace(message, mac="")
    text = b"\n".join((site.encode(), agent.encode(), type(message).__name__.encode(), _json.encode(bare)))
    return hmac.new(key, text, hashlib.sha256).hexdigest()


def mac_ok(key: bytes, site: str, agent: str, message: Signed) -> bool:
    """True if ``message.mac`` was made with ``key`` for this very agent; compared in constant time."""
    return hmac.compare_digest(mac_of(key, site, agent, message).encode(), message.mac.encode())
