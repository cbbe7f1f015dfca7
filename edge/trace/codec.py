"""Rows of a trace as bytes: every event and effect under its own name, in msgpack.

::

    row = [t_ns, name of what happened, its fields, [[name of an effect, its fields], …]]

Fields are maps with names, so that a later version may add some with a default. Events are as the core got them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, cast, get_args

import msgspec
from msgspec import Raw, Struct

from edge.domain import Kind
from edge.errors import InputError
from edge.events import AgentEffect, Connect, Happening, Publish, Received
from edge.messages import Ack, Ask, Desired, Envelope, Message, Metrics, Reply, Reported, State
from edge.topics import TopicKind


class TraceSink(Protocol):
    """Whoever keeps a trace: the daemon's recorder, a simulator's node."""

    def keep(self, t_ns: int, what: Happening, effects: list[AgentEffect]) -> None:
        """One row. Called in the core's own order, on its thread, before the effects are carried out; never blocks.

        ``t_ns`` is the ``now_ns`` that the core was given.
        """


class Row(Struct, frozen=True):
    """One row read back. ``effects`` are (name, msgpack) pairs, decoded when asked for: mostly bytes are compared."""

    t_ns: int
    what: Happening
    effects: tuple[tuple[str, bytes], ...]

    @property
    def name(self) -> str:
        """Of what happened, as ``Polled``."""
        return type(self.what).__name__


class _Parcel(Struct, frozen=True, tag_field="t", tag="envelope"):
    """An envelope, whose own class has no tag; its records may be JSON, which is no msgpack."""

    v: int
    log: str
    kind: Kind
    first_seq: int
    n: int
    sent_utc_ms: int
    body: tuple[bytes, ...]


_Wrapped = State | Metrics | Reported | Reply | Desired | Ask | Ack | _Parcel


class _Received(Struct, frozen=True):
    agent: str
    kind: TopicKind
    message: _Wrapped
    received_ns: int
    expiry_ns: int | None = None
    retained: bool = False


class _Publish(Struct, frozen=True):
    kind: TopicKind
    message: _Wrapped


class _Connect(Struct, frozen=True):
    will: _Wrapped


_MIRRORS: dict[type, Any] = {Received: _Received, Publish: _Publish, Connect: _Connect}
"""Those that carry a message of any kind, which msgspec can only read back where each has a tag."""

HAPPENINGS: dict[str, type] = {one.__name__: one for one in get_args(Happening)}
EFFECTS: dict[str, type] = {one.__name__: one for one in get_args(AgentEffect)}


def _plain(value: Any) -> Any:
    """A number of numpy's, which a plug-in may let through."""
    if hasattr(value, "item"):
        return value.item()
    raise NotImplementedError(f"{type(value).__name__} cannot stand in a trace")


_encoder = msgspec.msgpack.Encoder(enc_hook=_plain)
_decoders = {name: msgspec.msgpack.Decoder(_MIRRORS.get(kind, kind)) for name, kind in (HAPPENINGS | EFFECTS).items()}
_rows = msgspec.msgpack.Decoder(list[tuple[int, str, Raw, list[tuple[str, Raw]]]])


def pack(thing: Happening | AgentEffect) -> bytes:
    """One event or effect as msgpack, without its name. Raises TypeError for what no message can hold."""
    return _encoder.encode(_wrapped(thing))


def unpack(name: str, data: bytes) -> Any:
    """Inverse of :func:`pack`. Raises InputError TRACE_UNREADABLE."""
    decoder = _decoders.get(name)
    if decoder is None:
        raise InputError("TRACE_UNREADABLE", f"there is no event or effect called {name[:60]!r}", hint=HINT)
    try:
        thing = decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError("TRACE_UNREADABLE", f"a row of {name} cannot be read", str(error), HINT) from error
    return _unwrapped(thing)


HINT = "read it with the version of jidoka that wrote it"


def pack_row(t_ns: int, what: Happening, effects: Iterable[AgentEffect]) -> bytes:
    """One row. Raises TypeError for what no message can hold."""
    packed = [(type(effect).__name__, _wrapped(effect)) for effect in effects]
    return _encoder.encode((t_ns, type(what).__name__, _wrapped(what), packed))


def pack_rows(rows: Iterable[bytes]) -> bytes:
    """Packed rows as the contents of one block."""
    return _encoder.encode([Raw(row) for row in rows])


def unpack_rows(block: bytes) -> list[Row]:
    """Inverse of :func:`pack_rows`. Raises InputError TRACE_UNREADABLE."""
    try:
        rows = _rows.decode(block)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError("TRACE_UNREADABLE", "a block of the trace cannot be read", str(error), HINT) from error
    return [
        Row(t_ns, _happening(name, bytes(what)), tuple((effect, bytes(data)) for effect, data in effects))
        for t_ns, name, what, effects in rows
    ]


def _happening(name: str, data: bytes) -> Happening:
    if name not in HAPPENINGS:
        raise InputError("TRACE_UNREADABLE", f"there is no event called {name[:60]!r}", hint=HINT)
    return cast("Happening", unpack(name, data))


def _wrapped(thing: Any) -> Any:
    """With an envelope put into a parcel; anything else encodes as it is, under the same field names."""
    for field in ("message", "will"):
        message = getattr(thing, field, None)
        if isinstance(message, Envelope):
            body = tuple(bytes(one) for one in message.body)
            parcel = _Parcel(
                message.v, message.log, message.kind, message.first_seq, message.n, message.sent_utc_ms, body
            )
            return {name: parcel if name == field else getattr(thing, name) for name in thing.__struct_fields__}
    return thing


def _unwrapped(thing: Any) -> Any:
    match thing:
        case _Received(agent, kind, message, received_ns, expiry_ns, retained):
            return Received(agent, kind, _message(message), received_ns, expiry_ns, retained)
        case _Publish(kind, message):
            return Publish(kind, _message(message))
        case _Connect(will):
            return Connect(_message(will))
        case _:
            return thing


def _message(wrapped: _Wrapped) -> Message:
    if not isinstance(wrapped, _Parcel):
        return wrapped
    body = tuple(Raw(one) for one in wrapped.body)
    return Envelope(wrapped.v, wrapped.log, wrapped.kind, wrapped.first_seq, wrapped.n, wrapped.sent_utc_ms, body)
