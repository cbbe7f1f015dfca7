"""Bytes from the broker to an event: the same way for agents, for the coordinator, and for a simulated link."""

from __future__ import annotations

from edge.errors import RemoteError
from edge.events import Received, Refused
from edge.topics import COORDINATOR, decode, parse

S = 1_000_000_000


def hear(topic: str, payload: bytes, received_ns: int, *, expiry_s: int | None = None, retained: bool) -> Received:
    """Decode one message from outside. ``expiry_s``: what is left of its life (MQTT 5.0, 3.3.2.3.3). Raises RemoteError."""
    address = parse(topic)
    if address.agent == COORDINATOR and address.kind != "state":
        raise RemoteError("TOPIC_FOREIGN", "the coordinator has no such topic")
    body = decode(address.kind, payload)
    expiry_ns = None if expiry_s is None else received_ns + expiry_s * S
    return Received(address.agent, address.kind, body, received_ns, expiry_ns, retained)


def refused(topic: str, code: str) -> Refused:
    """What is left of a message that :func:`hear` did not take."""
    try:
        return Refused(code, parse(topic).kind)
    except RemoteError:
        return Refused(code)
