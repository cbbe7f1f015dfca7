"""One verdict at a time through the PLC's result registers: the next is written when the last was acknowledged.

::

    idle ──give──▶ written ──result_ack = its part_no──▶ idle      (or no answer for ANSWER_NS: go on, the PLC's
                     │ give: waits in line                          no_verdict rule covers the one that was lost)

Two verdicts written within one scan of the PLC would leave only the second.
"""

from __future__ import annotations

from collections import deque

from edge.core.settings import MS
from edge.domain import Command
from edge.events import Apply

ANSWER_NS = 60 * MS
"""Several scans of any PLC that can follow a line."""
WAITING_MOST = 64


class Handover:
    """The line of verdicts in front of the registers."""

    def __init__(self) -> None:
        self._waiting: deque[Command] = deque(maxlen=WAITING_MOST)
        self._written: int | None = None
        self._until_ns = 0

    def give(self, command: Command, now_ns: int) -> list[Apply]:
        """A new verdict: written at once when the registers are free."""
        self._waiting.append(command)
        return self.tick(now_ns)

    def acknowledged(self, part_no: int, now_ns: int) -> list[Apply]:
        """The PLC shows this part as its last accepted one."""
        if part_no == self._written:
            self._written = None
        return self.tick(now_ns)

    def tick(self, now_ns: int) -> list[Apply]:
        """Write the next verdict if the registers are free, or the answer is overdue."""
        if self._written is not None and now_ns >= self._until_ns:
            self._written = None
        if self._written is not None or not self._waiting:
            return []
        command = self._waiting.popleft()
        self._written, self._until_ns = command.part_no, now_ns + ANSWER_NS
        return [Apply(command)]

    def deadline_ns(self) -> int | None:
        """When the answer to the last one is overdue, if somebody waits for it."""
        return self._until_ns if self._waiting else None

    def clear(self) -> None:
        """The PLC went away: what waited is past its deadline when it is back."""
        self._waiting.clear()
        self._written = None
