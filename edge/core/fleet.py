"""The coordinator as a pure machine: who is there, what is wanted of whom, what was acknowledged.

::

      Tick ──▶ Connect ──▶ LinkUp: own state, every desired again
       ▲                      │  Heard(State)    ──▶ ReadUpto ──▶ Kept ──▶ ack      (on every birth)
       │ backoff              │  Heard(Envelope) ──▶ Keep     ──▶ Kept ──▶ ack      (after the commit)
       └────── LinkDown ◀─────┘  Heard(Reply)    ──▶ Answer to whoever asked

``upto`` passes through on its way from the ledger to the agent and is never remembered here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from edge.core.backoff import Backoff
from edge.core.fleet_agent import Member, refusal, view
from edge.core.fleet_self import Ourselves, reasons
from edge.core.fleet_wishes import Wishes
from edge.domain import Kind, is_id
from edge.events_fleet import (
    AgentKnown,
    Answer,
    AskWanted,
    ClockRead,
    Connect,
    DesiredSaved,
    Disconnect,
    FleetEffect,
    FleetEvent,
    FleetView,
    FleetWanted,
    Heard,
    HoldLease,
    Keep,
    KeepResult,
    Kept,
    LeaseRead,
    Leave,
    LinkDown,
    LinkUp,
    PublishTo,
    ReadUpto,
    SaveAgent,
    Say,
    SettingsWanted,
    StopWanted,
    Tick,
    Trim,
    Trimmed,
    Unheard,
)
from edge.messages import Ack, Desired, Envelope, Metrics, Reply, Reported, State
from edge.topics import COORDINATOR

SECOND_NS = 1_000_000_000
LEASE_EVERY_S = 3
TRIM_EVERY_S = 60
MAX_AGENTS = 20_000
"""A foreign publisher could invent agents for ever. One takes about 3 KB; 10,000 were seen to work in virtual time."""


class FleetCore:
    """``handle(event, now_ns) -> effects``; ``deadline_ns()`` says when it next wants a :class:`Tick`."""

    def __init__(
        self,
        site: str,
        ledger: str,
        epoch: int,
        backoff: Backoff,
        *,
        desired: Mapping[str, Desired] | None = None,
        agents: Mapping[str, AgentKnown] | None = None,
        keys: Mapping[str, bytes] | None = None,
        versions: dict[str, str] | None = None,
    ) -> None:
        self._site = site
        self._ledger = ledger
        self._backoff = backoff
        self._wishes = Wishes(site, ledger, dict(desired or {}), dict(keys or {}))
        self._members = {agent: Member(known) for agent, known in (agents or {}).items()}
        self._own = Ourselves(ledger, epoch, dict(versions or {}))
        self._counters: dict[str, int] = {}
        self._utc_offset_ns = 0
        self._connected = False
        self._said_down = False
        self._connect_ns: int | None = 0
        self._lease_ns = 0
        self._trim_ns = 0
        self._keep_code = ""
        self._left = False

    def deadline_ns(self) -> int | None:
        """When the next Tick is wanted (monotonic), or None after the end."""
        if self._left:
            return None
        wanted = [self._lease_ns, self._trim_ns, self._connect_ns, self._wishes.deadline_ns()]
        return min(ns for ns in wanted if ns is not None)

    def handle(self, event: FleetEvent, now_ns: int) -> list[FleetEffect]:
        """Everything that is to be done because of ``event``, in order. Never raises on input."""
        if self._left:
            return []
        match event:
            case Heard():
                return self._heard(event, now_ns)
            case Kept(agent, log, upto):
                return self._acknowledge(agent, log, upto, now_ns)
            case KeepResult():
                return self._kept(event, now_ns)
            case Unheard(code):
                self._count(f"refused_{code.lower()}")
                return []
            case SettingsWanted() | AskWanted():
                return self._wish(event, now_ns)
            case DesiredSaved():
                return self._wishes.saved(event, connected=self._connected)
            case FleetWanted(request_id, agent):
                return [self._show(request_id, agent, now_ns)]
            case LinkUp():
                return self._up(now_ns)
            case LinkDown():
                return self._down(event, now_ns)
            case LeaseRead(held):
                return [] if held else self._leave("LEASE_LOST", f"another coordinator serves site {self._site} now")
            case Trimmed(rows, more):
                self._count("trimmed", rows)
                self._trim_ns = now_ns + (SECOND_NS // 10 if more else TRIM_EVERY_S * SECOND_NS)
                return []
            case ClockRead(offset_ns):
                self._utc_offset_ns = offset_ns
                return []
            case Tick():
                return self._tick(now_ns)
            case StopWanted(why):
                return self._stop(why, now_ns)
            case _:
                assert_never(event)

    def _utc_ms(self, now_ns: int) -> int:
        return (now_ns + self._utc_offset_ns) // 1_000_000

    def _count(self, name: str, n: int = 1) -> None:
        self._counters[name] = self._counters.get(name, 0) + n

    def _own_state(self, now_ns: int) -> PublishTo:
        return PublishTo(COORDINATOR, "state", self._own.online(self._utc_ms(now_ns), self._keep_code))

    def _tick(self, now_ns: int) -> list[FleetEffect]:
        effects = self._wishes.expire(now_ns) + self._wishes.say_again(now_ns, connected=self._connected)
        if now_ns >= self._lease_ns:
            self._lease_ns = now_ns + LEASE_EVERY_S * SECOND_NS
            effects.append(HoldLease())
        if now_ns >= self._trim_ns:
            self._trim_ns = now_ns + TRIM_EVERY_S * SECOND_NS
            effects.append(Trim())
        if self._connect_ns is not None and now_ns >= self._connect_ns:
            self._connect_ns = None
            effects.append(Connect(self._own.next_will()))
        return effects

    def _up(self, now_ns: int) -> list[FleetEffect]:
        self._connected = True
        self._backoff.reset()
        effects: list[FleetEffect] = [self._own_state(now_ns)]
        if self._said_down:
            effects.append(Say("info", "LINK_BACK", "connected to the broker again"))
            self._said_down = False
        return effects + self._wishes.publish_all()

    def _down(self, event: LinkDown, now_ns: int) -> list[FleetEffect]:
        self._connected = False
        self._connect_ns = now_ns + int(self._backoff.next_s() * SECOND_NS)
        for member in self._members.values():
            member.confirmed = False  # its will may go to a broker that then forgets it
        self._count("link_down")
        if self._said_down:
            return []
        self._said_down = True
        return [Say("warning", event.code, f"{event.what}; trying again")]

    def _heard(self, event: Heard, now_ns: int) -> list[FleetEffect]:
        agent, message = event.agent, event.message
        if agent == COORDINATOR:
            return self._heard_ourselves(message, now_ns)
        member = self._members.get(agent)
        if member is None:
            if len(self._members) >= MAX_AGENTS:
                self._count("refused_fleet_full")
                return []
            member = self._members[agent] = Member()
        utc_ms = self._utc_ms(now_ns)
        match message:
            case Envelope():
                member.hear(retained=event.retained, utc_ms=utc_ms)
                self._count("batches")
                records = tuple(bytes(raw) for raw in message.body)
                return [Keep(agent, message.log, message.kind, message.first_seq, records)]
            case State():
                return self._heard_state(event, member, message, utc_ms)
            case Metrics():
                member.hear(retained=event.retained, utc_ms=utc_ms)
                member.metrics = message
                return []
            case Reported():
                member.hear(retained=event.retained, utc_ms=utc_ms)
                member.reported = message
                self._wishes.reported(agent, message, now_ns)
                return [SaveAgent(agent, member.known()), *refusal(agent, message)]
            case Reply():
                member.hear(retained=event.retained, utc_ms=utc_ms)
                answer = self._wishes.reply(agent, message)
                self._count("replies" if answer else "refused_reply_unknown")
                return [answer] if answer else []
            case _:
                self._count("refused_not_an_agents")  # desired, ask and ack are ours alone
                return []

    def _heard_state(self, event: Heard, member: Member, state: State, utc_ms: int) -> list[FleetEffect]:
        before = member.state.status if member.state and member.confirmed else None
        if not member.take_state(state, retained=event.retained, utc_ms=utc_ms):
            self._count("refused_state_older")
            return []
        member.hear(retained=event.retained or state.status != "online", utc_ms=utc_ms)
        effects: list[FleetEffect] = [SaveAgent(event.agent, member.known())]
        if before != state.status:
            effects.append(Say("info", "AGENT_" + state.status.upper(), f"{event.agent} is {state.status}"))
        if state.status == "online" and is_id(state.log):
            effects.append(ReadUpto(event.agent, state.log))
        return effects

    def _heard_ourselves(self, message: object, now_ns: int) -> list[FleetEffect]:
        if not isinstance(message, State) or not self._connected:
            return []
        match self._own.judge(message):
            case "ours":
                return []
            case "other":
                return [Say("warning", "COORDINATOR_OTHER", "another coordinator speaks at this site"), HoldLease()]
            case "stale":
                return [self._own_state(now_ns)]

    def _acknowledge(self, agent: str, log: str, upto: dict[Kind, int], now_ns: int) -> list[FleetEffect]:
        if not self._connected:
            return []
        self._count("acks")
        ack = Ack(self._ledger, log, upto, self._utc_ms(now_ns))
        return [PublishTo(agent, "ack", ack)]

    def _kept(self, event: KeepResult, now_ns: int) -> list[FleetEffect]:
        self._count("records", event.records)
        self._count("malformed_records", event.malformed)
        self._count("keep_failed", bool(event.code))
        if event.code == self._keep_code:
            return []
        self._keep_code = event.code
        if event.code == "LEASE_LOST":
            return self._leave(event.code, event.what)
        said = (
            Say("error", event.code, event.what) if event.code else Say("info", "STORE_BACK", "the ledger takes again")
        )
        own: list[FleetEffect] = [self._own_state(now_ns)] if self._connected else []
        return [said, *own]

    def _wish(self, event: SettingsWanted | AskWanted, now_ns: int) -> list[FleetEffect]:
        utc_ms = self._utc_ms(now_ns)
        member = self._members.get(event.agent)
        if member is None:
            return [Answer(event.request_id, "AGENT_UNKNOWN", f"no agent called {event.agent!r} was ever heard of")]
        if isinstance(event, SettingsWanted):
            return self._wishes.change(event, utc_ms)
        return self._wishes.ask(event, now_ns, utc_ms, reachable=self._connected and member.online)

    def _show(self, request_id: int, agent: str, now_ns: int) -> Answer:
        if agent:
            member = self._members.get(agent)
            if member is None:
                return Answer(request_id, "AGENT_UNKNOWN", f"no agent called {agent!r} was ever heard of")
            return Answer(request_id, body=view(agent, member, self._wishes.desired(agent)))
        views = tuple(view(name, self._members[name], self._wishes.desired(name)) for name in sorted(self._members))
        why_not = reasons(self._keep_code, connected=self._connected)
        utc_ms = self._utc_ms(now_ns)
        whole = FleetView(self._site, self._ledger, self._connected, why_not, utc_ms, views, dict(self._counters))
        return Answer(request_id, body=whole)

    def _stop(self, why: str, now_ns: int) -> list[FleetEffect]:
        state = self._own.stopped(self._utc_ms(now_ns), why)
        return [PublishTo(COORDINATOR, "state", state), *self._leave("", why)]

    def _leave(self, code: str, what: str) -> list[FleetEffect]:
        self._left = True
        return [*self._wishes.give_up(), Disconnect(), Leave(code, what)]
