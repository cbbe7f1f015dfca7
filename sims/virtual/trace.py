"""What a run did, as one hash: every message that crossed the net and every effect of a core, encoded, in order.

Two runs with equal hashes did the same, byte for byte. The last entries can be kept to see where two runs part.
"""

from __future__ import annotations

from collections import deque
from hashlib import blake2b
from typing import Any, NamedTuple, get_args

import msgspec

from edge.events import AgentEffect
from edge.events_fleet import FleetEffect

FLUSH_BYTES = 1 << 16
_encode = msgspec.msgpack.Encoder().encode
_AGENT = {kind: f"{kind.__name__} ".encode() for kind in get_args(AgentEffect)}
_FLEET = {kind: f"fleet {kind.__name__} ".encode() for kind in get_args(FleetEffect)}
_NAMES: dict[type, bytes] = {**_AGENT, **_FLEET}


class Entry(NamedTuple):
    """One thing that happened. ``data`` begins with what it is."""

    t_ns: int
    node: str
    data: bytes


class Trace:
    """BLAKE2b over entries; ``keep`` of them stay readable (0: none)."""

    def __init__(self, keep: int = 0) -> None:
        self._hash = blake2b(digest_size=16)
        self._buffer = bytearray()
        self._kept: deque[Entry] | None = deque(maxlen=keep) if keep else None
        self.entries = 0

    def note(self, t_ns: int, node: str, data: bytes) -> None:
        """One thing happened at ``node``."""
        self.entries += 1
        buffer = self._buffer
        buffer += b"%d %s %d " % (t_ns, node.encode(), len(data))
        buffer += data
        if len(buffer) > FLUSH_BYTES:
            self._hash.update(buffer)
            buffer.clear()
        if self._kept is not None:
            self._kept.append(Entry(t_ns, node, data))

    def effect(self, t_ns: int, node: str, effect: Any) -> None:
        """An effect that carries no message of its own."""
        self.note(t_ns, node, _NAMES[type(effect)] + _encode(effect))

    def last(self) -> list[Entry]:
        """The newest entries that were kept, oldest first."""
        return list(self._kept or ())

    def digest(self) -> str:
        """32 hex digits of all so far."""
        self._hash.update(self._buffer)
        self._buffer.clear()
        return self._hash.copy().hexdigest()
