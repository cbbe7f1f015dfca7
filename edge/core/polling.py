"""Which readings of a polled device are worth an event: changes at once, a sign of life now and then."""

from __future__ import annotations

from typing import Any

from edge.domain import Reading

QUIET_KEYS = frozenset({"heartbeat_plc", "encoder"})
"""Values that change all the time; alone they are told only every ``quiet_ns``."""


class Teller:
    """Remembers what was told last. ``every``: all readings are."""

    def __init__(self, quiet_ns: int, *, every: bool = False) -> None:
        self._quiet_ns = quiet_ns
        self._every = every
        self._told_ns = 0
        self._loud: dict[str, Any] | None = None

    @property
    def due_ns(self) -> int:
        """From when on a reading is told, whatever it says."""
        return 0 if self._loud is None or self._every else self._told_ns + self._quiet_ns

    def forget(self) -> None:
        """The device was away: the next reading is told."""
        self._loud = None

    def take(self, reading: Reading) -> bool:
        """True if it is to be told; it then counts as told."""
        loud = {key: value for key, value in reading.values.items() if key not in QUIET_KEYS}
        if reading.at_ns < self.due_ns and loud == self._loud:
            return False
        self._told_ns, self._loud = reading.at_ns, loud
        return True
