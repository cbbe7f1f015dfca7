"""A simulated coordinator: the real :class:`edge.core.fleet.FleetCore` over the ledger in memory.

Works in turns, as the live one does: everything that has come is handled, what is to be kept is committed in one
transaction that takes time, and what arrives meanwhile is the next turn's. A slow disk makes turns longer and larger::

    Arrived ─▶ inbox ─▶ turn: core.handle … Keep, Keep, Keep ─(commit_ns)─▶ Kept ─▶ acks ─▶ next turn
"""

from __future__ import annotations

from collections import deque
from typing import Any, assert_never

from edge.core.backoff import Backoff
from edge.core.fleet import FleetCore
from edge.core.hearing import hear
from edge.core.keeping import batches_of, kept_of, positions_of
from edge.errors import RemoteError, StoreError
from edge.events_fleet import (
    Answer,
    ClockRead,
    Connect,
    DesiredSaved,
    Disconnect,
    FleetEffect,
    FleetEvent,
    Heard,
    HoldLease,
    Keep,
    KeepResult,
    LeaseRead,
    Leave,
    LinkDown,
    LinkUp,
    PublishTo,
    ReadUpto,
    SaveAgent,
    SaveDesired,
    Say,
    Tick,
    Trim,
    Trimmed,
    Unheard,
)
from edge.topics import BY_KIND, COORDINATOR, encode, filters, topic
from sims.virtual.kernel import MS
from sims.virtual.site import SiteHost
from sims.virtual.wire import Arrived, WireDown, WireUp

KEEPALIVE_S = 30


class _Turn:
    __slots__ = ()


class _Done:
    __slots__ = ()


class _Standby:
    __slots__ = ()


_TURN, _DONE, _STANDBY = _Turn(), _Done(), _Standby()


class CoordinatorProcess:
    """One life of a coordinator."""

    def __init__(self, host: SiteHost, holder: str, t_ns: int) -> None:
        self._host, self.holder = host, holder
        self._wire = host.net.wire(host.name, self, KEEPALIVE_S)
        self.commits = 0
        self.core: FleetCore | None = None
        self._inbox: deque[FleetEvent] = deque()
        self._keeps: list[Keep] = []
        self._committing: list[Keep] | None = None
        self._alive = True
        self._wake_ns = 0
        self._wire_no = 0
        host.kernel.post(t_ns, self, _STANDBY)

    def end(self) -> None:
        """Nothing reaches this life any more; its socket closes."""
        self._alive = False
        self._wire.cut()

    @property
    def waiting(self) -> int:
        """Messages that have come and are not handled yet."""
        return len(self._inbox)

    def take(self, event: Any, t_ns: int) -> None:
        if not self._alive:
            return
        kind = type(event)
        if kind is Arrived:
            if event.wire_no == self._wire_no:
                self._post(self._heard(event), t_ns)
        elif kind is _Turn:
            if t_ns == self._wake_ns:
                self._wake_ns = 0
                self._sleep(t_ns)
        elif kind is _Done:
            self._commit(t_ns)
        elif kind is WireUp:
            if event.wire_no == self._wire_no:
                self._post(LinkUp(), t_ns)
        elif kind is WireDown:
            if event.wire_no == self._wire_no:
                self._post(LinkDown(event.code, event.what), t_ns)
        elif kind is _Standby:
            self._stand_by(t_ns)
        else:
            self._post(event, t_ns)

    def _stand_by(self, t_ns: int) -> None:
        host = self._host
        epoch = host.lease.hold(self.holder, t_ns)
        if not epoch:
            self._host.kernel.post(t_ns + 1000 * MS, self, _STANDBY)
            return
        ledger, site = host.ledger, host.site
        self.core = FleetCore(
            site,
            ledger.ledger_id,
            epoch,
            Backoff(0.5, 60.0, host.rng),
            desired=ledger.load_desired(site),
            agents=ledger.load_agents(site),
        )
        self._post(ClockRead(host.clock.utc_offset(t_ns)), t_ns)
        self._post(Tick(), t_ns)

    def _heard(self, message: Arrived) -> FleetEvent:
        try:
            heard = hear(message.topic, message.payload, 0, retained=message.retained)
        except RemoteError as error:
            return Unheard(error.code)
        return Heard(heard.agent, heard.kind, heard.message, heard.retained)

    # --- turns

    def _post(self, event: FleetEvent, t_ns: int) -> None:
        self._inbox.append(event)
        if self._committing is None:
            self._turn(t_ns)

    def _turn(self, t_ns: int) -> None:
        """Handle everything there is; a commit, where there is one to make, ends the turn later."""
        core, inbox = self.core, self._inbox
        if core is None:
            return
        now_ns = self._host.clock.mono(t_ns)
        while inbox:
            for effect in core.handle(inbox.popleft(), now_ns):
                self._carry(effect, t_ns)
            if not self._alive:
                return
        if self._keeps:
            self._committing, self._keeps = self._keeps, []
            spec, records = self._host.spec, sum(len(keep.records) for keep in self._committing)
            took_ns = (
                int((spec.commit_ms * MS + spec.record_us * 1000 * records) * self._host.slowness) + self._host.extra_ns
            )
            self._host.kernel.post(t_ns + took_ns, self, _DONE)
        else:
            self._sleep(t_ns)

    def _commit(self, t_ns: int) -> None:
        keeps, self._committing = self._committing or [], None
        host = self._host
        if host.lease.holder != self.holder:
            self._inbox.append(KeepResult(0, 0, "LEASE_LOST", f"another coordinator serves site {host.site} now"))
            self._turn(t_ns)
            return
        malformed = host.ledger.malformed
        try:
            uptos = host.ledger.commit(batches_of(host.site, keeps, host.clock.utc(t_ns) // MS))
        except StoreError as error:  # nothing is acknowledged, so every agent sends it again
            self._inbox.append(KeepResult(0, 0, error.code, str(error)))
        else:
            self.commits += 1
            records = sum(len(keep.records) for keep in keeps)
            first = [KeepResult(records, host.ledger.malformed - malformed), *kept_of(uptos)]
            self._inbox.extendleft(reversed(first))  # before what has come meanwhile
        self._turn(t_ns)

    def _sleep(self, t_ns: int) -> None:
        core, clock = self.core, self._host.clock
        if core is None or not self._alive:
            return
        deadline_ns = core.deadline_ns()
        if deadline_ns is None:
            return
        if deadline_ns <= clock.mono(t_ns) and self._committing is None:
            self._inbox.append(ClockRead(clock.utc_offset(t_ns)))
            self._inbox.append(Tick())
            core_deadline_ns = deadline_ns
            self._turn(t_ns)
            if core.deadline_ns() == core_deadline_ns:
                self._wake(t_ns + MS)
            return
        self._wake(max(clock.true(deadline_ns), t_ns + MS))

    def _wake(self, at_ns: int) -> None:
        if not self._wake_ns or at_ns < self._wake_ns:
            self._wake_ns = at_ns
            self._host.kernel.post(at_ns, self, _TURN)

    # --- effects

    def _carry(self, effect: FleetEffect, t_ns: int) -> None:
        host = self._host
        ledger, site = host.ledger, host.site
        match effect:
            case Keep():
                self._keeps.append(effect)  # the trace has the message already, as it was sent
                return
            case PublishTo():
                self._publish(effect, t_ns)
                return
            case ReadUpto():
                self._inbox.append(positions_of(effect, ledger.positions(site, effect.agent, effect.log)))
            case SaveAgent():
                ledger.save_agent(site, effect.agent, effect.known)
                return
            case SaveDesired():
                ledger.save_desired(site, effect.agent, effect.desired)
                self._inbox.append(DesiredSaved(effect.request_id, effect.agent, effect.desired))
            case Answer():
                host.answers.append(effect)
            case Connect():
                will = (topic(site, COORDINATOR, "state"), encode("state", effect.will))
                self._wire_no = self._wire.connect(will, [filters(site, "agent")])
            case Disconnect():
                self._wire.disconnect()
            case HoldLease():
                held = host.lease.hold(self.holder, t_ns) > 0
                self._inbox.append(LeaseRead(held))
                self._inbox.append(KeepResult(0))
            case Trim():
                self._inbox.append(Trimmed(0, more=False))
            case Say():
                pass
            case Leave():
                self._leave(effect, t_ns)
            case _:
                assert_never(effect)
        self._host.kernel.trace.effect(t_ns, host.name, effect)

    def _leave(self, leave: Leave, t_ns: int) -> None:
        self._alive = False  # the core has said goodbye to the broker
        self._host.lease.release(self.holder)
        self._host.over(t_ns, leave.code, leave.what)

    def _publish(self, effect: PublishTo, t_ns: int) -> None:
        row = BY_KIND[effect.kind]
        try:
            payload = encode(row.kind, effect.message)
        except RemoteError:
            return
        self._host.kernel.trace.note(t_ns, self._host.name, payload)
        where = topic(self._host.site, effect.agent, row.kind)
        self._wire.publish(where, payload, qos=1, retain=row.retain, expiry_s=effect.expiry_s or None)
