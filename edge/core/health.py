"""Whether the cell can do its work, and if not, why not: one line when something fails, one when it returns."""

from __future__ import annotations

from edge.core.scribe import Scribe
from edge.domain import Health
from edge.events import AgentEffect, Log


class HealthBook:
    """What must be well for the cell to inspect: every part has a name and is up, or down with a reason."""

    def __init__(self, parts: tuple[str, ...], scribe: Scribe) -> None:
        self._down: dict[str, str] = dict.fromkeys(parts, "starting")
        self._scribe = scribe
        self._up: set[str] = set()
        self.changes = 0
        """Rises whenever :meth:`now` or :meth:`states` may say something new."""

    def now(self) -> Health:
        """Ready, or the sentences that say why not."""
        why = tuple(f"{name}: {reason}" for name, reason in sorted(self._down.items()))
        return Health(not why, why)

    def states(self) -> dict[str, str]:
        """Name -> ``up`` or the reason, for the birth message."""
        return {
            **dict.fromkeys(sorted(self._up), "up"),
            **{name: f"down: {reason}"[:200] for name, reason in self._down.items()},
        }

    def up(self, name: str, now_ns: int) -> list[AgentEffect]:
        """A part is well again."""
        if name not in self._up or name in self._down:
            self.changes += 1
        self._up.add(name)
        reason = self._down.pop(name, None)
        if reason is None:
            return []
        if reason == "starting":
            return [Log("info", "PART_UP", f"{name} is there")]
        record = self._scribe.event(now_ns, "PART_UP", "info", f"{name} is back", part=name)
        return [record, Log("info", "PART_UP", f"{name} is back")]

    def down(self, name: str, code: str, what: str, now_ns: int) -> list[AgentEffect]:
        """A part failed; said once, until it is back."""
        before = self._down.get(name)
        self._down[name] = f"{code} {what}".strip()
        self.changes += self._down[name] != before
        if before is not None and before != "starting":
            return []
        record = self._scribe.event(now_ns, code or "PART_DOWN", "alarm", what, part=name)
        return [record, Log("error", code or "PART_DOWN", f"{name}: {what}")]
