"""One life of a simulated agent: the real :class:`edge.core.agent.AgentCore`, its effects carried out in virtual time."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, NamedTuple, assert_never

from edge.core.agent import AgentCore
from edge.core.dialogue import boot_from
from edge.core.hearing import hear, refused
from edge.core.shipping import record_bytes
from edge.domain import Kind
from edge.errors import RemoteError
from edge.events import (
    AgentEffect,
    AgentEvent,
    Append,
    Apply,
    Beat,
    Capture,
    Connect,
    Connected,
    Disconnect,
    Disconnected,
    Free,
    KeepEvidence,
    Leave,
    Log,
    MakeSafe,
    Pause,
    Publish,
    Release,
    Send,
    SetRate,
    Store,
    Tick,
    UseRecipe,
)
from edge.topics import BY_KIND, TopicKind, encode, topic
from sims.virtual.clock import ClockWatch
from sims.virtual.kernel import MS
from sims.virtual.outbox import KEEPER_NS, Outbox
from sims.virtual.rooms import Host
from sims.virtual.wire import Arrived, WireDown, WireUp

NOTICE_CLOCK_NS = 500 * MS
"""The live loop looks at its clocks every second."""
TURN_NS = MS // 10
"""A tick that is due again at once comes so much later, as the live loop also has to turn."""


class _Call(NamedTuple):
    call: Callable[[Any, int], None]
    argument: Any


class _Wake:
    """The core's deadline; one that has moved is passed over."""

    __slots__ = ()


_WAKE = _Wake()


class AgentProcess:
    """Born from what the journal says; ``end`` makes it deaf. A :class:`sims.virtual.rooms.Life` for its rooms."""

    __slots__ = (
        "_alive",
        "_host",
        "_outbox",
        "_rooms",
        "_wake_ns",
        "_watch",
        "_wire",
        "_wire_no",
        "core",
        "name",
        "rng",
        "site",
    )

    def __init__(self, host: Host, t_ns: int) -> None:
        settings = host.settings
        self._host = host
        self.name, self.site = settings.agent, settings.site
        self.rng: random.Random = host.rng
        self._alive = True
        self._watch = ClockWatch(host.clock)
        self._wake_ns = 0
        self._wire_no = 0
        self._outbox = Outbox(host, self, self)
        boot = boot_from(host.journal, linked=True)
        self.core = AgentCore(settings, boot, host.plan.policies, host.rng)
        self._wire = host.net.wire(self.name, self, host.plan.keepalive_s, tells_goodbye=True)
        self._rooms = host.plan.rooms(self)
        self.later(t_ns + host.plan.start_ns, self._look_at_clock, True)

    # --- a life, for rooms

    def mono(self, t_ns: int) -> int:
        return self._host.clock.mono(t_ns)

    def true(self, mono_ns: int) -> int:
        return self._host.clock.true(mono_ns)

    def utc_ms(self, t_ns: int) -> int:
        return self._host.clock.utc(t_ns) // MS

    def later(self, at_ns: int, call: Callable[[Any, int], None], argument: object) -> None:
        self._host.kernel.post(at_ns, self, _Call(call, argument))

    def tell_at(self, at_ns: int, event: AgentEvent) -> None:
        self._host.kernel.post(at_ns, self, event)

    def handle(self, event: AgentEvent, t_ns: int) -> None:
        if not self._alive:
            return
        for effect in self.core.handle(event, self._host.clock.mono(t_ns)):
            self._carry(effect, t_ns)
        if self._alive:
            self._sleep(t_ns)

    def journal(self, kind: Kind, payload: bytes, t_ns: int) -> int:
        self._host.kernel.trace.note(t_ns, self.name, payload)
        return self._outbox.append(kind, payload, t_ns)

    # --- a node, for the kernel

    def take(self, event: Any, t_ns: int) -> None:
        if not self._alive:
            return
        kind = type(event)
        if kind is _Call:
            event.call(event.argument, t_ns)
        elif kind is _Wake:
            if t_ns == self._wake_ns:  # else it was put forward meanwhile
                self._wake_ns = 0
                self._sleep(t_ns)
        elif kind is Arrived:
            if event.wire_no == self._wire_no:
                self._arrived(event, t_ns)
        elif kind is WireUp:
            if event.wire_no == self._wire_no:
                self.handle(Connected(self._host.journal.bump("conn_no")), t_ns)
        elif kind is WireDown:
            if event.wire_no == self._wire_no:
                self.handle(Disconnected(event.code, event.what), t_ns)
        else:
            self.handle(event, t_ns)

    # --- a process, for its machine

    def end(self, *, silently: bool) -> None:
        """Nothing reaches this life any more. Its socket is closed, or (``silently``) nobody was told."""
        self._alive = False
        if silently:
            self._wire.vanish()
        else:
            self._wire.cut()

    def notice_clock(self, t_ns: int) -> None:
        """This machine's UTC was changed: it will be seen soon."""
        self.later(t_ns + NOTICE_CLOCK_NS, self._look_at_clock, False)

    # --- a carriage, for the outbox

    def send(self, kind: Kind, payload: bytes, t_ns: int) -> None:
        self._put_out(kind, payload, t_ns)

    def goodbye(self) -> None:
        self._wire.disconnect()

    def _put_out(self, kind: TopicKind, payload: bytes, t_ns: int) -> bool:
        self._host.kernel.trace.note(t_ns, self.name, payload)
        row = BY_KIND[kind]
        return self._wire.publish(topic(self.site, self.name, kind), payload, qos=row.qos, retain=row.retain)

    # --- time

    def _sleep(self, t_ns: int) -> None:
        """A tick where one is due, and a wake for the next."""
        clock = self._host.clock
        mono_ns, due_ns = clock.mono(t_ns), self.core.deadline_ns()
        if due_ns <= mono_ns:
            for effect in self.core.handle(Tick(), mono_ns):
                self._carry(effect, t_ns)
            if not self._alive:
                return
            due_ns = self.core.deadline_ns()
        at_ns = max(clock.true(due_ns), t_ns + TURN_NS)
        if not self._wake_ns or at_ns < self._wake_ns:
            self._wake_ns = at_ns
            self._host.kernel.post(at_ns, self, _WAKE)

    def _look_at_clock(self, first: bool, t_ns: int) -> None:
        clock, wait_ns = self._watch.look(t_ns)
        if clock is not None:
            self.core.handle(clock, self.mono(t_ns))
        if wait_ns is not None:
            self.later(t_ns + wait_ns, self._look_at_clock, False)
        if first:
            self._begin(t_ns)

    def _begin(self, t_ns: int) -> None:
        """The daemon's order: cameras and devices open while the core says its first words."""
        for effect in self.core.start(self.mono(t_ns)):
            self._carry(effect, t_ns)
        for room in (*self._rooms.cameras.values(), *self._rooms.devices.values()):
            room.start(t_ns)
        self._sleep(t_ns)

    def _arrived(self, message: Arrived, t_ns: int) -> None:
        _, name, payload, retained, expiry_s = message
        event: AgentEvent
        try:
            event = hear(name, payload, self.mono(t_ns), expiry_s=expiry_s, retained=retained)
        except RemoteError as error:
            event = refused(name, error.code)
        self.handle(event, t_ns)

    # --- effects

    def _carry(self, effect: AgentEffect, t_ns: int) -> None:
        match effect:
            case Append():
                self._append(effect, t_ns)
                return
            case Publish():
                self._publish(effect, t_ns)
                return
            case Send() | Store() | Disconnect():
                self._outbox.order(effect, t_ns)
            case Free():
                self._outbox.free(effect.kind, effect.upto)
            case Release():
                self._rooms.cameras[effect.ref.source].release(effect)
            case Capture():
                self._rooms.cameras[effect.source].capture(effect, t_ns)
            case KeepEvidence():
                self._rooms.cameras[effect.ref.source].keep(effect, t_ns)
            case Beat():
                self._rooms.devices[effect.device].beat(effect.value, ready=effect.ready, t_ns=t_ns)
            case Apply():
                self._rooms.devices[effect.command.device].apply(effect.command, t_ns)
            case MakeSafe():
                for device in self._rooms.devices.values():
                    device.make_safe(t_ns)
            case Connect():
                self._connect(effect)
            case UseRecipe():
                for camera in self._rooms.cameras.values():
                    camera.use_recipe(effect.recipe)
            case Pause():
                for camera in self._rooms.cameras.values():
                    camera.pause(paused=effect.paused)
            case SetRate():
                self._rooms.cameras[effect.source].set_rate(effect.max_fps, t_ns)
            case Log():
                pass
            case Leave():
                self.later(self._outbox.free_at(t_ns) + KEEPER_NS, self._leave, effect)
            case _:
                assert_never(effect)
        self._host.kernel.trace.effect(t_ns, self.name, effect)

    def _connect(self, effect: Connect) -> None:
        """Our own state is subscribed alone first: by the time the rest stands we know who was here before us."""
        own = topic(self.site, self.name, "state")
        rest = [topic(self.site, self.name, kind) for kind in ("desired", "ask", "ack")]
        self._wire_no = self._wire.connect((own, encode("state", effect.will)), [[own], rest])

    def _leave(self, leave: Leave, t_ns: int) -> None:
        self._alive = False
        self._wire.disconnect()
        self._host.over(t_ns, leave.status, leave.why)

    def _append(self, effect: Append, t_ns: int) -> None:
        kind, payload = effect.kind, record_bytes(effect.kind, effect.record)
        if payload is None:
            self.core.scribe.count(f"too_large_{kind}")
        if payload is None or not self.journal(kind, payload, t_ns):
            self.core.scribe.count(f"not_journalled_{kind}")

    def _publish(self, effect: Publish, t_ns: int) -> None:
        kind = effect.kind
        try:
            payload = encode(kind, effect.message)
        except RemoteError:
            self.core.scribe.count(f"not_published_{kind}")
            return
        if not self._put_out(kind, payload, t_ns):
            self.core.scribe.count(f"not_published_{kind}")
