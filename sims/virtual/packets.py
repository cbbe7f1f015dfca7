"""What crosses the simulated wire: MQTT 5's control packets as small values, QoS 0 and 1 only.

Payloads are the very bytes the product encodes; only the framing around them is left out. Reason codes are MQTT 5's
(section 2.4). ``mid`` is the packet identifier, 1 to 65,535 where QoS is 1, else 0.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

SUCCESS: Final = 0x00
WITH_WILL: Final = 0x04
NO_SUBSCRIBERS: Final = 0x10
NO_SUBSCRIPTION: Final = 0x11
UNSPECIFIED: Final = 0x80
MALFORMED: Final = 0x81
PROTOCOL_ERROR: Final = 0x82
NOT_AUTHORISED: Final = 0x87
SHUTTING_DOWN: Final = 0x8B
KEEP_ALIVE_TIMEOUT: Final = 0x8D
TAKEN_OVER: Final = 0x8E
FILTER_INVALID: Final = 0x8F
TOPIC_INVALID: Final = 0x90
QUOTA_EXCEEDED: Final = 0x97

NEVER: Final = 0xFFFFFFFF
"""Session expiry that never comes (3.1.2.11.2)."""
MAX_MID: Final = 0xFFFF


class Props(Struct, frozen=True):
    """Properties of a PUBLISH that are carried as they are (3.3.2.3.5 to 3.3.2.3.9)."""

    response_topic: str = ""
    correlation: bytes = b""
    user: tuple[tuple[str, str], ...] = ()
    content_type: str = ""


class Will(Struct, frozen=True):
    """The will of a CONNECT (3.1.3.2). ``delay_s`` and ``expiry_s`` are whole seconds; ``expiry_s`` None is none."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False
    delay_s: int = 0
    expiry_s: int | None = None
    props: Props | None = None


class Connect(Struct, frozen=True):
    """3.1. ``keepalive_s`` 0 is none; ``receive_max`` and ``max_packet_bytes`` 0 are 'not said'."""

    client_id: str
    clean_start: bool = True
    keepalive_s: int = 0
    expiry_s: int = 0
    receive_max: int = 0
    max_packet_bytes: int = 0
    will: Will | None = None


class ConnAck(Struct, frozen=True, gc=False):
    """3.2."""

    reason: int = SUCCESS
    session_present: bool = False


class Publish(Struct, frozen=True, gc=False):
    """3.3. ``expiry_s`` is the message expiry interval that is left, None where there is none."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    mid: int = 0
    dup: bool = False
    expiry_s: int | None = None
    props: Props | None = None


class PubAck(Struct, frozen=True, gc=False):
    """3.4."""

    mid: int
    reason: int = SUCCESS


class Filter(Struct, frozen=True, gc=False):
    """One filter of a SUBSCRIBE with its options (3.8.3.1). ``handling``: 0 send retained, 1 if new, 2 never."""

    text: str
    qos: int = 1
    no_local: bool = False
    as_published: bool = False
    handling: int = 0


class Subscribe(Struct, frozen=True):
    """3.8."""

    mid: int
    filters: tuple[Filter, ...]


class SubAck(Struct, frozen=True):
    """3.9: for each filter the granted QoS, or a reason from 0x80."""

    mid: int
    reasons: tuple[int, ...]


class Unsubscribe(Struct, frozen=True):
    """3.10."""

    mid: int
    filters: tuple[str, ...]


class UnsubAck(Struct, frozen=True):
    """3.11."""

    mid: int
    reasons: tuple[int, ...]


class PingReq(Struct, frozen=True, gc=False):
    """3.12."""


class PingResp(Struct, frozen=True, gc=False):
    """3.13."""


class Disconnect(Struct, frozen=True, gc=False):
    """3.14, either way. ``expiry_s`` changes the session's expiry. The connection ends with it."""

    reason: int = SUCCESS
    expiry_s: int | None = None


class Closed(Struct, frozen=True, gc=False):
    """Not a packet: the connection itself ended (FIN or RST) without a word, or never came about (``refused``)."""

    refused: bool = False


class Handshake(Struct, frozen=True, gc=False):
    """Not a packet either: TCP's own, before the first."""

    answer: bool = False


ToBroker = Connect | Publish | PubAck | Subscribe | Unsubscribe | PingReq | Disconnect | Closed
ToClient = ConnAck | Publish | PubAck | SubAck | UnsubAck | PingResp | Disconnect | Closed

PING: Final = PingReq()
PONG: Final = PingResp()
CLOSED: Final = Closed()
REFUSED: Final = Closed(refused=True)
SYN: Final = Handshake()
SYNACK: Final = Handshake(answer=True)


def size_bytes(packet: ToBroker | ToClient | Handshake) -> int:
    """Bytes on the wire, TCP and IP not counted; exact for PUBLISH with an ASCII topic, about right for the others."""
    if isinstance(packet, Publish):
        props = 0 if packet.expiry_s is None else 5
        if (extra := packet.props) is not None:
            props += 3 + len(extra.response_topic.encode()) if extra.response_topic else 0
            props += 3 + len(extra.correlation) if extra.correlation else 0
            props += 3 + len(extra.content_type.encode()) if extra.content_type else 0
            props += sum(5 + len(key.encode()) + len(value.encode()) for key, value in extra.user)
        rest = 2 + len(packet.topic.encode()) + (2 if packet.qos else 0) + _varint(props) + props + len(packet.payload)
        return 1 + _varint(rest) + rest
    if isinstance(packet, Connect):
        will = 0 if packet.will is None else 8 + len(packet.will.topic) + len(packet.will.payload)
        return 28 + len(packet.client_id) + will
    if isinstance(packet, Subscribe):
        return 5 + sum(3 + len(one.text) for one in packet.filters)
    return 0 if isinstance(packet, Closed | Handshake) else 6


def _varint(value: int) -> int:
    """Length of a variable byte integer (1.5.5)."""
    return 1 if value < 128 else 2 if value < 16_384 else 3 if value < 2_097_152 else 4
