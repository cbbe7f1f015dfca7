"""Records on their way out: what is journalled of a record, and which journalled ones make one envelope.

Shared by every carrier of effects, live or simulated, so that both put the same bytes on the wire.
"""

from __future__ import annotations

from edge.domain import Kind
from edge.errors import RemoteError
from edge.events import Send, Sent
from edge.messages import Record, encode_record
from edge.topics import MAX_RECORD_BYTES, envelope


def record_bytes(kind: Kind, record: Record) -> bytes | None:
    """The bytes to journal, fixed for good; None where they are over the limit of their kind."""
    payload = encode_record(record)
    return None if len(payload) > MAX_RECORD_BYTES[kind] else payload


def ship(log: str, order: Send, held: list[tuple[int, bytes]], sent_utc_ms: int) -> tuple[Sent, bytes | None]:
    """The envelope of what the journal gave for an order, and what to answer; no bytes where nothing is held."""
    if not held:
        return nothing(order), None
    first, last = held[0][0], held[-1][0]
    try:
        payload = envelope(log, order.kind, first, [record for _, record in held], sent_utc_ms)
    except RemoteError:  # the first alone: limits of records are far below those of envelopes
        last, payload = first, envelope(log, order.kind, first, [held[0][1]], sent_utc_ms)
    return Sent(order.kind, first, last, len(payload)), payload


def nothing(order: Send) -> Sent:
    """The answer where nothing could be handed over."""
    return Sent(order.kind, order.first_seq, order.first_seq - 1, 0)
