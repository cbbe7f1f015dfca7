"""Who we are on the wire: birth, will, readiness, and what to do when another agent uses our id.

::

    away ──Connected──▶ home ──another log online under our id──▶ yielding (60 s, three times, then leave)
      ▲                  │
      └──Disconnected────┘   (back-off)
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from edge.core.backoff import Backoff
from edge.core.scribe import Scribe
from edge.core.settings import S
from edge.errors import Exit
from edge.events import AgentEffect, Connect, Disconnect, Leave, Log, Publish
from edge.messages import State

YIELD_NS = 60 * S
YIELDS = 3
STABLE_NS = 10 * S
"""A connection that held this long makes the next back-off start from the shortest wait."""


class Presence:
    """The connection's state machine."""

    def __init__(self, birth: State, scribe: Scribe, backoff: Backoff, *, linked: bool) -> None:
        self._base = birth
        self._scribe = scribe
        self._backoff = backoff
        self._linked = linked
        self.online = False
        self._said: State | None = None
        self._stamp: object = None
        self._since_ns = 0
        self._retry_ns: int | None = None
        self._yields = 0
        self._connections = 0
        self._before: State | None = None
        self._down_said = False
        self._conn_no = birth.conn_no

    def start(self, now_ns: int) -> list[AgentEffect]:
        self._retry_ns = now_ns if self._linked else None
        return self.tick(now_ns)

    def connected(self, conn_no: int, now_ns: int) -> list[AgentEffect]:
        self.online = True
        self._since_ns = now_ns
        self._retry_ns = None
        self._conn_no = conn_no
        self._said = None
        self._connections += 1
        self._scribe.count("connects")
        effects: list[AgentEffect] = [Log("info", "LINK_UP", "connected to the broker", {"conn_no": conn_no})]
        if self._down_said:
            effects.append(self._scribe.event(now_ns, "LINK_UP", "info", "connected to the broker"))
        self._down_said = False
        before, self._before = self._before, None
        return effects if before is None else [*effects, *self.seen_self(before, now_ns)]

    def disconnected(self, code: str, what: str, now_ns: int) -> list[AgentEffect]:
        was, self.online = self.online, False
        if was and now_ns - self._since_ns >= STABLE_NS:
            self._backoff.reset()
        if self._retry_ns is None:
            self._retry_ns = now_ns + int(self._backoff.next_s() * S)
        if self._down_said:
            return []
        self._down_said = True
        return [
            self._scribe.event(now_ns, code, "warning", what),
            Log("warning", code, f"{what}; trying again, records are kept"),
        ]

    def tick(self, now_ns: int) -> list[AgentEffect]:
        if self._retry_ns is None or now_ns < self._retry_ns or self.online:
            return []
        self._retry_ns = None
        will = replace(self._base, status="offline", conn_no=self._conn_no + 1)
        return [Connect(will)]

    def deadline_ns(self) -> int | None:
        return None if self.online else self._retry_ns

    def say(self, now_ns: int, present: Callable[[State], State], stamp: object = None) -> list[AgentEffect]:
        """Publish our state if it differs from what was said on this connection. ``present`` fills in what is now; it is
        not asked while ``stamp`` (of whatever it is made of) is the one of the last time.
        """
        if not self.online or (self._said is not None and stamp is not None and stamp == self._stamp):
            return []
        self._stamp = stamp
        state = present(replace(self._base, conn_no=self._conn_no))
        if self._said is not None and replace(self._said, utc_ms=0) == state:
            return []
        state = replace(state, utc_ms=self._scribe.utc_ms(now_ns))
        self._said = state
        return [Publish("state", state)]

    def seen_self(self, state: State, now_ns: int) -> list[AgentEffect]:
        """A message on our own ``state`` topic: the broker's echo, an old will, or somebody else with our id."""
        if not self.online:
            self._before = state  # what stood there before our birth
            return []
        if state.log == self._base.log:
            newer = (state.boot_no, state.conn_no) > (self._base.boot_no, self._conn_no)
            if state.status != "online" and not newer:
                self._said = None
            return []
        # The broker lets the later of two clients with one id in and publishes the other's will. A will of a strange
        # log where our own birth stood is therefore a living rival; at our first connection it may be a predecessor's.
        rival = state.status == "online" or (state.status == "offline" and self._connections > 1)
        if not rival:
            self._said = None
            return []
        return self._yield(state, now_ns)

    def overwritten(self) -> None:
        """Something that is no state was left on our ``state`` topic: whoever comes later would never hear of us."""
        self._said = None

    def stopped(self, now_ns: int) -> list[AgentEffect]:
        """The last word before leaving in good order."""
        if not self.online:
            return []
        last = replace(
            self._base, status="stopped", conn_no=self._conn_no, ready=False, utc_ms=self._scribe.utc_ms(now_ns)
        )
        return [Publish("state", last)]

    def _yield(self, other: State, now_ns: int) -> list[AgentEffect]:
        self._yields += 1
        what = "another agent is online under our id"
        effects: list[AgentEffect] = [
            self._scribe.event(now_ns, "AGENT_ID_TAKEN", "alarm", what, log=other.log, times=self._yields),
            Log("error", "AGENT_ID_TAKEN", f"{what} (log {other.log}); give each agent its own id"),
        ]
        if self._yields >= YIELDS:
            return [*effects, Leave(Exit.LINK, "AGENT_ID_TAKEN")]
        effects += self.stopped(now_ns)
        self.online = False
        self._retry_ns = now_ns + YIELD_NS
        return [*effects, Disconnect()]
