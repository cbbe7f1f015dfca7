"""A trace's way back into a core."""

from __future__ import annotations

from edge.core.agent import AgentCore
from edge.events import AgentEffect, Counted, Happening, Started


def advance(core: AgentCore, t_ns: int, what: Happening) -> list[AgentEffect]:
    """Hand one row's happening to a core, in the way it came: what a replay does."""
    match what:
        case Started():
            return core.start(t_ns)
        case Counted(name):
            core.scribe.count(name)
            return []
        case _:
            return core.handle(what, t_ns)
