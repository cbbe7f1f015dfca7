"""What people want of agents: settings, which last (a level with a revision), and asks, which happen at most once."""

from __future__ import annotations

import math
from typing import TypeVar

import msgspec

from edge.domain import is_id
from edge.errors import RemoteError
from edge.events_fleet import (
    Answer,
    AskWanted,
    DesiredSaved,
    FleetEffect,
    PublishTo,
    Replied,
    SaveDesired,
    SettingsWanted,
)
from edge.messages import Ask, Desired, Reply, Reported, Scalar, mac_of
from edge.topics import COORDINATOR, encode

AGAIN_NS = 10 * 1_000_000_000
AGAIN_MOST_NS = 600 * 1_000_000_000
S = TypeVar("S", Ask, Desired)

SECOND_NS = 1_000_000_000
MIN_TTL_S = 0.1
MAX_TTL_S = 300.0
MAX_PENDING = 256
"""Asks that wait for a reply at one time."""


class _Pending(msgspec.Struct, frozen=True):
    request_id: int
    agent: str
    op: str
    deadline_ns: int


class _Apart(msgspec.Struct, frozen=True):
    """An agent runs something else than is wanted; it is told again at ``due_ns``."""

    due_ns: int
    wait_ns: int


class Wishes:
    """Desired settings of every agent and the asks under way."""

    def __init__(self, site: str, ledger: str, desired: dict[str, Desired], keys: dict[str, bytes]) -> None:
        self._site = site
        self._ledger = ledger
        self._desired = desired
        self._saving: dict[str, Desired] = {}
        self._keys = keys
        self._pending: dict[str, _Pending] = {}
        self._apart: dict[str, _Apart] = {}

    def desired(self, agent: str) -> Desired | None:
        """What is wanted and durable."""
        return self._desired.get(agent)

    def deadline_ns(self) -> int | None:
        """When the first ask expires, or a desired is to be said again."""
        due = [pending.deadline_ns for pending in self._pending.values()]
        return min([*due, *(apart.due_ns for apart in self._apart.values())], default=None)

    def change(self, event: SettingsWanted, utc_ms: int) -> list[FleetEffect]:
        """Raise the revision; nobody hears of it before it is saved."""
        if event.agent == COORDINATOR or not is_id(event.agent):
            return [Answer(event.request_id, "AGENT_INVALID", f"{event.agent!r} cannot have settings")]
        last = self._saving.get(event.agent) or self._desired.get(event.agent)
        merged: dict[str, Scalar | None] = {} if last is None or event.replace else dict(last.settings)
        merged |= event.settings
        settings = {name: value for name, value in merged.items() if value is not None}
        desired = Desired(self._ledger, (last.rev if last else 0) + 1, settings, issued_utc_ms=utc_ms)
        try:
            encode("desired", self._signed(event.agent, desired))
        except RemoteError as error:
            return [Answer(event.request_id, error.code, error.what)]
        self._saving[event.agent] = desired
        return [SaveDesired(event.request_id, event.agent, desired)]

    def saved(self, event: DesiredSaved, *, connected: bool) -> list[FleetEffect]:
        """It is durable (or not): publish it and answer."""
        if self._saving.get(event.agent) == event.desired:
            del self._saving[event.agent]
        if event.code:
            return [Answer(event.request_id, event.code, event.what)]
        self._desired[event.agent] = event.desired
        told = Replied(str(event.desired.rev), ok=True, body={"rev": event.desired.rev})
        effects: list[FleetEffect] = [self._publish(event.agent)] if connected else []
        return [*effects, Answer(event.request_id, body=told)]

    def publish_all(self) -> list[FleetEffect]:
        """Every desired again: the broker may have forgotten."""
        return [self._publish(agent) for agent in sorted(self._desired)]

    def reported(self, agent: str, reported: Reported, now_ns: int) -> None:
        """Whoever still runs something else after a while is told again: what the broker keeps may have been overwritten."""
        desired = self._desired.get(agent)
        if desired is None or (reported.ledger, reported.rev) == (desired.ledger, desired.rev):
            self._apart.pop(agent, None)
        elif agent not in self._apart:
            self._apart[agent] = _Apart(now_ns + AGAIN_NS, AGAIN_NS)

    def say_again(self, now_ns: int, *, connected: bool) -> list[FleetEffect]:
        """Every desired that is still not what runs, each time after twice as long."""
        effects: list[FleetEffect] = []
        for agent in [agent for agent, apart in self._apart.items() if now_ns >= apart.due_ns]:
            wait_ns = min(2 * self._apart[agent].wait_ns, AGAIN_MOST_NS)
            self._apart[agent] = _Apart(now_ns + wait_ns, wait_ns)
            effects += [self._publish(agent)] if connected else []
        return effects

    def ask(self, event: AskWanted, now_ns: int, utc_ms: int, *, reachable: bool) -> list[FleetEffect]:
        """Send one ask and wait for its reply."""
        if not (is_id(event.op) and is_id(event.ask_id) and MIN_TTL_S <= event.ttl_s <= MAX_TTL_S):
            return [Answer(event.request_id, "ASK_INVALID", f"ttl_s is {MIN_TTL_S} to {MAX_TTL_S:g}, op a short word")]
        if not reachable:
            return [Answer(event.request_id, "AGENT_OFFLINE", f"{event.agent} is not there to be asked")]
        if len(self._pending) >= MAX_PENDING or event.ask_id in self._pending:
            return [Answer(event.request_id, "ASKS_FULL", f"{len(self._pending)} asks are waiting for replies")]
        bare = Ask(event.ask_id, event.agent, event.op, event.ttl_s, event.args, utc_ms)
        ask = self._signed(event.agent, bare)
        try:
            encode("ask", ask)
        except RemoteError as error:
            return [Answer(event.request_id, error.code, error.what)]
        deadline_ns = now_ns + int(event.ttl_s * SECOND_NS)
        self._pending[event.ask_id] = _Pending(event.request_id, event.agent, event.op, deadline_ns)
        return [PublishTo(event.agent, "ask", ask, math.ceil(event.ttl_s))]

    def reply(self, agent: str, message: Reply) -> Answer | None:
        """The answer to whoever asked; None where nobody (any more) waits, or the wrong agent speaks."""
        pending = self._pending.get(message.id)
        if pending is None or pending.agent != agent:
            return None
        del self._pending[message.id]
        body = Replied(message.id, message.ok, message.code, message.what, message.body)
        return Answer(pending.request_id, body=body)

    def expire(self, now_ns: int) -> list[FleetEffect]:
        """Tell those whose time is up."""
        late = [ask_id for ask_id, pending in self._pending.items() if now_ns >= pending.deadline_ns]
        return [self._fail(ask_id, "ASK_EXPIRED", "{agent} did not answer {op} in time") for ask_id in late]

    def give_up(self) -> list[FleetEffect]:
        """We are leaving: nobody shall wait for nothing."""
        return [self._fail(ask_id, "COORDINATOR_STOPPING", "the coordinator stops") for ask_id in list(self._pending)]

    def _fail(self, ask_id: str, code: str, what: str) -> Answer:
        pending = self._pending.pop(ask_id)
        return Answer(pending.request_id, code, what.format(agent=pending.agent, op=pending.op))

    def _publish(self, agent: str) -> PublishTo:
        return PublishTo(agent, "desired", self._signed(agent, self._desired[agent]))

    def _signed(self, agent: str, message: S) -> S:
        key = self._keys.get(agent)
        return message if key is None else msgspec.structs.replace(message, mac=mac_of(key, self._site, agent, message))
