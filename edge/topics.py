"""THE table: every topic, who sends it, what it carries, and its limits. A new message is one row here.

Topics are ``jidoka/v1/<site>/<agent>/<kind>``. Both ends, the simulator, the health check, ``docs/protocol.md`` and
the AsyncAPI document read these rows, so that they cannot disagree.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, cast

import msgspec
from msgspec import Raw, Struct

from edge.domain import KINDS, Kind, is_id
from edge.errors import RemoteError
from edge.messages import (
    VERSION,
    Ack,
    Ask,
    Desired,
    Envelope,
    Event,
    Evidence,
    Gap,
    Message,
    Metrics,
    Reply,
    Reported,
    Result,
    State,
)

ROOT = "jidoka/v1"
LEVELS = 5
COORDINATOR = "coordinator"
"""Reserved agent id."""

TopicKind = Literal["state", "results", "events", "evidence", "metrics", "reported", "reply", "desired", "ask", "ack"]
KIB = 1024

MAX_RECORD_BYTES: dict[Kind, int] = {"results": 64 * KIB, "events": 16 * KIB, "evidence": 1024 * KIB}
"""A larger record is refused before it is journalled."""

WINDOW_RECORDS = 256
WINDOW_BYTES = 1024 * KIB
"""At most so much of one stream is sent and not yet acknowledged."""

MAX_PACKET_BYTES = 2 * WINDOW_BYTES + 64 * KIB
"""What both sides announce to the broker as the largest packet they take."""


class Row(NamedTuple):
    """One row of the table. ``every_s`` is the longest time between two while online, 0 where it is sent on change."""

    kind: TopicKind
    sender: Literal["agent", "coordinator"]
    message: type[Struct]
    records: tuple[type[Struct], ...]
    qos: int
    retain: bool
    every_s: float
    max_bytes: int
    codec: Literal["json", "msgpack"]
    says: str


TABLE: tuple[Row, ...] = (
    Row("state", "agent", State, (), 1, True, 0, 16 * KIB, "json", "birth, readiness and will: who is there"),
    Row("results", "agent", Envelope, (Result,), 1, False, 0, WINDOW_BYTES + 128 * KIB, "json", "verdicts in order"),
    Row(
        "events", "agent", Envelope, (Event, Gap), 1, False, 0, WINDOW_BYTES + 64 * KIB, "json", "alarms, faults, gaps"
    ),
    Row(
        "evidence",
        "agent",
        Envelope,
        (Evidence,),
        1,
        False,
        0,
        2 * WINDOW_BYTES,
        "msgpack",
        "pictures of failed and unsure parts",
    ),
    Row("metrics", "agent", Metrics, (), 0, False, 10, 16 * KIB, "json", "counters and gauges"),
    Row(
        "reported",
        "agent",
        Reported,
        (),
        1,
        True,
        0,
        32 * KIB,
        "json",
        "which revision of desired runs, or why it was refused",
    ),
    Row("reply", "agent", Reply, (), 1, False, 0, 64 * KIB, "json", "answers to asks"),
    Row(
        "desired",
        "coordinator",
        Desired,
        (),
        1,
        True,
        0,
        32 * KIB,
        "json",
        "settings and model wanted: a level, not an edge",
    ),
    Row("ask", "coordinator", Ask, (), 1, False, 0, 16 * KIB, "json", "do something once"),
    Row("ack", "coordinator", Ack, (), 1, False, 0, 4 * KIB, "json", "the ledger holds everything up to here"),
)
BY_KIND: dict[str, Row] = {row.kind: row for row in TABLE}

_json = msgspec.json.Encoder()
_pack = msgspec.msgpack.Encoder()
_decoders = {
    row.kind: (msgspec.json.Decoder if row.codec == "json" else msgspec.msgpack.Decoder)(row.message) for row in TABLE
}


class Address(NamedTuple):
    """A topic taken apart."""

    site: str
    agent: str
    kind: TopicKind


def topic(site: str, agent: str, kind: TopicKind) -> str:
    """The topic of one kind; ids were checked when they were configured."""
    return f"{ROOT}/{site}/{agent}/{kind}"


def filters(site: str, sender: Literal["agent", "coordinator"], agent: str = "+") -> list[str]:
    """Topic filters that take in everything ``sender`` says at ``site`` about (or from) ``agent``."""
    return [topic(site, agent, row.kind) for row in TABLE if row.sender == sender]


def parse(text: str) -> Address:
    """Take a topic apart. Raises RemoteError TOPIC_FOREIGN for anything that is not ours."""
    levels = text.split("/", LEVELS)
    known = len(levels) == LEVELS and "/".join(levels[:2]) == ROOT and levels[4] in BY_KIND
    if not known or not (is_id(levels[2]) and is_id(levels[3])):
        raise RemoteError("TOPIC_FOREIGN", f"{text[:200]!r} is not a topic of ours")
    return Address(levels[2], levels[3], BY_KIND[levels[4]].kind)


def encode(kind: TopicKind, message: Message) -> bytes:
    """Bytes of one message. Raises RemoteError MESSAGE_TOO_LARGE, so that nothing larger is ever sent."""
    row = BY_KIND[kind]
    payload = (_json if row.codec == "json" else _pack).encode(message)
    if len(payload) > row.max_bytes:
        raise RemoteError("MESSAGE_TOO_LARGE", f"{kind} has {len(payload)} bytes", f"the limit is {row.max_bytes}")
    return payload


def decode(kind: TopicKind, payload: bytes) -> Message:
    """One message from bytes of unknown origin. Raises RemoteError with a code; never anything else."""
    row = BY_KIND[kind]
    if len(payload) > row.max_bytes:
        raise RemoteError("MESSAGE_TOO_LARGE", f"{kind} has {len(payload)} bytes", f"the limit is {row.max_bytes}")
    try:
        message = cast("Message", _decoders[kind].decode(payload))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteError("MESSAGE_MALFORMED", f"{kind} cannot be read", str(error)) from error
    if message.v != VERSION:
        raise RemoteError("MESSAGE_VERSION", f"{kind} is of version {message.v}", f"version {VERSION} is spoken here")
    if isinstance(message, Envelope):
        _check_envelope(row, message)
    return message


def envelope(log: str, kind: Kind, first_seq: int, records: list[bytes], sent_utc_ms: int) -> bytes:
    """The payload that carries already encoded, consecutive records."""
    body = tuple(Raw(record) for record in records)
    return encode(kind, Envelope(VERSION, log, kind, first_seq, len(records), sent_utc_ms, body))


def _check_envelope(row: Row, message: Envelope) -> None:
    if message.kind != row.kind or message.n != len(message.body) or not 1 <= message.n <= WINDOW_RECORDS:
        raise RemoteError("MESSAGE_MALFORMED", f"{row.kind} has a wrong kind or count")
    if message.first_seq < 1 or not is_id(message.log):
        raise RemoteError("MESSAGE_MALFORMED", f"{row.kind} has a wrong sequence number or log")
    if any(len(bytes(raw)) > MAX_RECORD_BYTES[message.kind] for raw in message.body):
        raise RemoteError("RECORD_TOO_LARGE", f"a record of {row.kind} is over {MAX_RECORD_BYTES[message.kind]} bytes")


assert set(KINDS) <= set(BY_KIND)
