"""What a persistent broker has on its disk. Mosquitto with ``autosave_interval 1`` writes every second second.

Saved are retained messages, and the sessions of clients that connected without Clean Start; never wills.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sims.virtual.broker_session import Message, Session

EVERY_S: Final = 2


class Store:
    """The last copy; ``due_s`` is when the next is made."""

    def __init__(self) -> None:
        self.due_s = 0
        self._sessions: list[Session] = []
        self._retained: dict[str, Message] = {}

    def save(self, sessions: Iterable[Session], retained: dict[str, Message], now_s: int) -> None:
        self._sessions = [one.copy() for one in sessions if not one.clean_start]
        self._retained = dict(retained)
        self.due_s = now_s + EVERY_S

    def load(self) -> tuple[list[Session], dict[str, Message]]:
        """Of the copy another one, as it may be read again."""
        return [one.copy() for one in self._sessions], dict(self._retained)
