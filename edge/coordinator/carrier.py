"""Carries out the coordinator core's effects. No rule of the business lives here.

Effects are carried out in order, except :class:`Keep`, :class:`SaveAgent` and :class:`ReadUpto`: the ones of a turn are
collected and carried out together, as one transaction costs about as much as ten. A thousand agents that come back at
once took 20 s of commits, of one agent each.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import assert_never

from edge.coordinator import lease
from edge.coordinator.desk import Desk
from edge.coordinator.ledger import SqlLedger
from edge.coordinator.link import SelectorLink
from edge.coordinator.retention import Retention
from edge.core.fleet import FleetCore
from edge.core.keeping import batches_of, kept_of, positions_of
from edge.errors import RemoteError, StoreError
from edge.events_fleet import (
    AgentKnown,
    Answer,
    Connect,
    DesiredSaved,
    Disconnect,
    FleetEffect,
    FleetEvent,
    HoldLease,
    Keep,
    KeepResult,
    LeaseRead,
    Leave,
    PublishTo,
    ReadUpto,
    SaveAgent,
    SaveDesired,
    Say,
    Trim,
    Trimmed,
)
from edge.messages import Message
from edge.ports import Upto
from edge.topics import BY_KIND, encode

SayLine = Callable[[str, str, str], None]
"""(level, code, text)."""


class Carrier:
    """Between one core and the world. Everything happens in the coordinator's one thread."""

    def __init__(
        self, site: str, core: FleetCore, ledger: SqlLedger, desk: Desk, retention: Retention, say: SayLine
    ) -> None:
        self._site = site
        self._core = core
        self._ledger = ledger
        self._desk = desk
        self._retention = retention
        self._say = say
        self._keeps: list[Keep] = []
        self._agents: dict[str, AgentKnown] = {}
        self._reads: list[ReadUpto] = []
        self._events: deque[FleetEvent] = deque()
        self.link: SelectorLink | None = None
        self.left: Leave | None = None
        self.commit_s = 0.0
        self.commits = 0

    def post(self, event: FleetEvent) -> None:
        """An event for the next :meth:`turn` (or the one under way)."""
        self._events.append(event)

    def turn(self) -> None:
        """Handle every event there is, commit what they brought, handle what came of it."""
        self._handle_all()
        while self._keeps or self._agents or self._reads:
            if self._keeps:
                self._commit()
            if self._agents:
                self._save_agents()
            if self._reads:
                self._read_positions()
            self._handle_all()

    def _handle_all(self) -> None:
        while self._events:
            event = self._events.popleft()
            for effect in self._core.handle(event, time.monotonic_ns()):
                self._carry(effect)

    def _carry(self, effect: FleetEffect) -> None:
        match effect:
            case Keep():
                self._keeps.append(effect)
            case PublishTo(agent, kind, message, expiry_s):
                self._publish(agent, kind, message, expiry_s)
            case ReadUpto():
                self._reads.append(effect)
            case Answer():
                self._desk.answer(effect)
            case SaveDesired():
                self._save_desired(effect)
            case SaveAgent(agent, known):
                self._agents[agent] = known
            case Connect(will):
                if self.link is not None:
                    self.link.connect(encode("state", will))
            case Disconnect():
                if self.link is not None:
                    self.link.close()
            case HoldLease():
                self._hold_lease()
            case Trim():
                self._trim()
            case Say(level, code, text):
                self._say(level, code, text)
            case Leave():
                self.left = effect
            case _:
                assert_never(effect)

    def _commit(self) -> None:
        keeps, self._keeps = self._keeps, []
        now_utc_ms = time.time_ns() // 1_000_000
        batches = batches_of(self._site, keeps, now_utc_ms)
        malformed, began = self._ledger.malformed, time.perf_counter()
        try:
            uptos = self._ledger.commit(batches)
        except StoreError as error:  # nothing is acknowledged, so every agent sends it again
            self.post(KeepResult(0, 0, error.code, str(error)))
            return
        self.commit_s += time.perf_counter() - began
        self.commits += 1
        self.post(KeepResult(sum(len(keep.records) for keep in keeps), self._ledger.malformed - malformed))
        for kept in kept_of(uptos):
            self.post(kept)

    def _save_agents(self) -> None:
        agents, self._agents = self._agents, {}
        self._try(lambda: self._ledger.save_agents(self._site, agents))

    def _read_positions(self) -> None:
        reads, self._reads = self._reads, []

        def read() -> None:
            rows: dict[tuple[str, str], list[Upto]] = {(asked.agent, asked.log): [] for asked in reads}
            for row in self._ledger.positions_of_logs(self._site, rows.keys()):
                rows[row.agent, row.log].append(row)
            for asked in reads:
                self.post(positions_of(asked, rows[asked.agent, asked.log]))

        self._try(read)

    def _save_desired(self, effect: SaveDesired) -> None:
        code, what = self._try(lambda: self._ledger.save_desired(self._site, effect.agent, effect.desired))
        self.post(DesiredSaved(effect.request_id, effect.agent, effect.desired, code, what))

    def _hold_lease(self) -> None:
        def hold() -> None:
            now_utc_ms = time.time_ns() // 1_000_000
            epoch = lease.hold(self._ledger.engine, self._site, self._ledger.holder, now_utc_ms)
            self.post(LeaseRead(epoch > 0))
            self.post(KeepResult(0))

        self._try(hold)

    def _trim(self) -> None:
        def trim() -> None:
            rows, more = self._retention.trim(time.time_ns() // 1_000_000)
            self.post(Trimmed(rows, more))

        self._try(trim)

    def _try(self, do: Callable[[], None]) -> tuple[str, str]:
        """(code, what) of the StoreError it raised, and tell the core; ("", "") when it went well."""
        try:
            do()
        except StoreError as error:
            self.post(KeepResult(0, 0, error.code, str(error)))
            return error.code, str(error)
        return "", ""

    def _publish(self, agent: str, kind: str, message: Message, expiry_s: int) -> None:
        if self.link is None:
            return
        row = BY_KIND[kind]
        try:
            payload = encode(row.kind, message)
        except RemoteError as error:
            self._say("error", error.code, f"not sent to {agent}: {error}")
            return
        # Only the levels are retained; an ack or ask kept by the broker would be obeyed again by the next boot.
        self.link.publish(agent, kind, payload, retain=row.retain, expiry_s=expiry_s)
