"""A coordinator core on a bench: a clock that tests move, and short words for what happens."""

from __future__ import annotations

import random
from typing import Any

from edge.core.backoff import Backoff
from edge.core.fleet import SECOND_NS, FleetCore
from edge.events_fleet import DesiredSaved, FleetWanted, Heard, LinkUp, SaveDesired, SettingsWanted, Tick
from edge.messages import State

KEY = b"secret"


class Bench:
    """A core with a clock that tests move."""

    def __init__(self, **more: Any) -> None:
        self.core = FleetCore("hall", "ledger1", 4, Backoff(0.5, 60.0, random.Random(1)), keys={"a1": KEY}, **more)
        self.now_ns = 0

    def __call__(self, event: Any) -> list[Any]:
        return self.core.handle(event, self.now_ns)

    def pass_s(self, seconds: float) -> list[Any]:
        """Let time pass, with a Tick at every deadline on the way."""
        end_ns, effects = self.now_ns + int(seconds * SECOND_NS), []
        while (deadline_ns := self.core.deadline_ns()) is not None and deadline_ns <= end_ns:
            self.now_ns = max(self.now_ns, deadline_ns)
            effects += self(Tick())
        self.now_ns = end_ns
        return effects

    def up(self) -> None:
        self(Tick())
        self(LinkUp())

    def birth(self, agent: str = "a1", **more: Any) -> list[Any]:
        state = State(**({"status": "online", "log": "log1", "boot_no": 1, "conn_no": 1, "ready": True} | more))
        return self(Heard(agent, "state", state))

    def view(self, agent: str = "a1") -> Any:
        (answer,) = self(FleetWanted(1, agent))
        return answer.body

    def want(self, settings: dict[str, Any], agent: str = "a1", **more: Any) -> list[Any]:
        effects = self(SettingsWanted(7, agent, settings, **more))
        if effects and isinstance(effects[0], SaveDesired):
            effects = self(DesiredSaved(7, agent, effects[0].desired))
        return effects


def of(effects: list[Any], kind: type) -> list[Any]:
    return [effect for effect in effects if isinstance(effect, kind)]
