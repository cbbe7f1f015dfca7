"""The agent's core: one state machine made of small ones. Routes events, collects effects, knows when to wake.

``handle(event, now_ns) -> list[AgentEffect]``; ``deadline_ns()`` is when it next wants a ``Tick``. Nothing that
changes state lives outside the parts below.

    Parts (inspection) · Line (PLC) · HealthBook · Presence · Outbox · Wanted · Scribe (labels, counters)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, assert_never

from msgspec.structs import replace

from edge.core.backoff import Rng
from edge.core.dialogue import Boot, Dialogue
from edge.core.drain import Drain
from edge.core.due import earliest
from edge.core.health import HealthBook
from edge.core.inspection import Part, Parts
from edge.core.latencies import Latencies
from edge.core.line import Line
from edge.core.policy import Policy
from edge.core.scribe import Scribe
from edge.core.settings import Settings
from edge.domain import Applied, Health, Verdict
from edge.errors import Exit
from edge.events import (
    AgentEffect,
    AgentEvent,
    CaptureFailed,
    ClockSet,
    Committed,
    Connected,
    DeviceChanged,
    Disconnect,
    Disconnected,
    Evicted,
    EvidenceStored,
    InferFailed,
    Inferred,
    JournalTrouble,
    Leave,
    Log,
    MakeSafe,
    Pause,
    Polled,
    Publish,
    Received,
    Refused,
    Sent,
    SetRate,
    SourceChanged,
    SourceEnd,
    StopAsked,
    Stored,
    Tick,
    UseRecipe,
)
from edge.messages import Ask, Metrics, State
from edge.topics import MAX_PACKET_BYTES

STIRS = (Committed, EvidenceStored, Inferred)
"""What keeps a run over finite sources from ending."""


class AgentCore:
    """See the module's docstring. ``policies`` maps a recipe to its policy class; options come from the settings."""

    def __init__(self, settings: Settings, boot: Boot, policies: dict[str, Callable[[Any], Policy]], rng: Rng) -> None:
        self.scribe = Scribe(boot.boot_no)
        self.talk = Dialogue(settings, boot, self.scribe, rng, self._do)
        parts = tuple(f"source {name}" for name in settings.sources) + tuple(f"device {n}" for n in settings.devices)
        self._health = HealthBook(parts, self.scribe)
        self._policy_classes = policies
        self._policies: dict[str, Policy] = {}
        self._parts = Parts(self.scribe, self._health, self._policy, self._act)
        self._line = Line(settings, self.scribe) if settings.plc else None
        self._paused = False
        self._stopping = False
        self._metrics_ns = 0
        self._latencies = Latencies()
        self._sources_left = set(settings.sources)
        self._drain = Drain()

    @property
    def settings(self) -> Settings:
        return self.talk.wanted.settings

    def start(self, now_ns: int) -> list[AgentEffect]:
        """The first effects; call once, after the clock was set."""
        effects = self.talk.start(now_ns)
        self._parts.rev = self.talk.wanted.rev
        self._metrics_ns = now_ns
        started = self.scribe.event(now_ns, "AGENT_STARTED", "info", boot_no=self.scribe.boot_no)
        return [started, *effects, *self._setup()]

    def handle(self, event: AgentEvent, now_ns: int) -> list[AgentEffect]:
        """One event in, what is to be done out."""
        effects = self._handle(event, now_ns)
        if isinstance(event, STIRS):
            self._drain.stir(now_ns)
        elif isinstance(event, Tick) and self._drain.over(now_ns, waiting=self.talk.online and self.talk.waiting()):
            effects += self._stop(StopAsked("all sources have ended"), now_ns)
        return effects if self._stopping else effects + self.talk.say(now_ns, self.state, self._stamp())

    def deadline_ns(self) -> int:
        """When a ``Tick`` is wanted next."""
        metrics_ns = self._metrics_ns + self.settings.metrics_every_ns
        line_ns = self._line.deadline_ns() if self._line else None
        others = (self._parts.deadline_ns(), line_ns, self.talk.deadline_ns(), self._drain.deadline_ns())
        due_ns = earliest(*others)
        return metrics_ns if due_ns is None else min(due_ns, metrics_ns)

    def health(self) -> Health:
        """Ready or not, and why not."""
        health = self._health.now()
        return Health(ready=False, why_not=("paused", *health.why_not)) if self._paused else health

    def gauges(self) -> dict[str, float]:
        """Numbers of now, for metrics and the status page."""
        return {**{f"backlog_{kind}": float(n) for kind, n in self.talk.backlog().items()}, **self._latencies.gauges()}

    def _stamp(self) -> tuple[object, ...]:
        """All that :meth:`state` is made of, cheaply: where this is the same, so is the state."""
        return self._health.changes, self._paused, self._line.recipe if self._line else "", self.settings

    def state(self, base: State) -> State:
        """The birth message's contents."""
        settings, health = self.settings, self.health()
        recipe = self._line.recipe if self._line else settings.recipe
        known = settings.recipes.get(recipe) or settings.recipes["default"]
        return replace(
            base,
            status="online",
            ready=health.ready,
            why_not=health.why_not,
            paused=self._paused,
            recipe=recipe,
            devices=self._health.states(),
            model=known.model,
            capabilities=("ping", "snapshot", "pause", "resume", "restart"),
            max_packet_bytes=MAX_PACKET_BYTES,
        )

    def _handle(self, event: AgentEvent, now_ns: int) -> list[AgentEffect]:
        parts = self._parts
        match event:  # what comes most often first: each case is a question
            case Polled():
                return self._polled(event, now_ns)
            case (
                Committed() | Sent() | Received() | Stored() | Evicted() | EvidenceStored() | Disconnected() | Refused()
            ):  # fmt: skip
                return self.talk.handle(event, now_ns) + self._settings_changed()
            case Tick():
                return self._tick(now_ns)
            case Inferred():
                self._latencies.seen(now_ns - event.asked_ns)
                return parts.inferred(self.settings, event, now_ns)
            case Applied():
                return self._line.applied(event, now_ns) if self._line else []
            case CaptureFailed():
                self.scribe.count("capture_failed")
                return parts.give_up(self.settings, event.part_id, event.code.lower(), now_ns, event.source)
            case InferFailed():
                return self._infer_failed(event, now_ns)
            case DeviceChanged():
                return self._device_changed(event, now_ns)
            case SourceChanged():
                return self._changed(f"source {event.source}", event, now_ns)
            case SourceEnd():
                return self._source_end(event, now_ns)
            case StopAsked():
                return self._stop(event, now_ns)
            case ClockSet():
                self.scribe.set_clock(event.utc_offset_ns, trusted=event.trusted)
                return []
            case JournalTrouble():
                return self._journal(event, now_ns)
            case Connected():
                self._metrics_ns = 0
                return self.talk.handle(event, now_ns)
            case _:
                assert_never(event)

    def _infer_failed(self, event: InferFailed, now_ns: int) -> list[AgentEffect]:
        failed = self._parts.give_up(self.settings, event.part_id, event.code.lower(), now_ns, event.source)
        self.scribe.count("infer_failed")
        return failed if event.code == "FRAME_DROPPED" else [*failed, Log("error", event.code, event.what)]

    def _device_changed(self, event: DeviceChanged, now_ns: int) -> list[AgentEffect]:
        plc = self.settings.plc
        if self._line and plc and event.device == plc.device:
            self._line.device(up=event.up)
        return self._changed(f"device {event.device}", event, now_ns)

    def _polled(self, event: Polled, now_ns: int) -> list[AgentEffect]:
        plc = self.settings.plc
        if self._line is None or plc is None or event.reading.source != plc.device or self._paused:
            return []
        return self._line.polled(self.settings, self._parts, event.reading, now_ns)

    def _act(self, part: Part, verdict: Verdict, now_ns: int) -> list[AgentEffect]:
        effects = self._line.act(part, verdict, now_ns) if self._line else []
        why = self._parts.stop_rule.seen(rejected=verdict.decision == "fail", limits=self.settings.stop)
        if not why:
            return effects
        self._parts.stop_rule.clear()
        if self._line:
            effects += self._line.stop(now_ns)
        alarm = self.scribe.event(now_ns, "LINE_STOPPED", "alarm", f"stopped: {why}")
        return [*effects, alarm, Log("error", "LINE_STOPPED", f"{why}; find the cause, then ask 'resume'")]

    def _tick(self, now_ns: int) -> list[AgentEffect]:
        effects = self._parts.tick(self.settings, now_ns)
        if self._line:
            effects = [*self._line.tick(now_ns, ready=self.health().ready), *effects]
        effects += self.talk.tick(now_ns)
        if now_ns >= self._metrics_ns + self.settings.metrics_every_ns:
            self._metrics_ns = now_ns
            if self.talk.online:
                boot_no, counters = self.scribe.boot_no, dict(self.scribe.counters)
                effects.append(
                    Publish("metrics", Metrics(self.scribe.utc_ms(now_ns), boot_no, counters, self.gauges()))
                )
        return effects

    def _changed(self, name: str, event: DeviceChanged | SourceChanged, now_ns: int) -> list[AgentEffect]:
        if event.up:
            return self._health.up(name, now_ns)
        return self._health.down(name, event.code, event.what, now_ns)

    def _source_end(self, event: SourceEnd, now_ns: int) -> list[AgentEffect]:
        self._sources_left.discard(event.source)
        ended = self.scribe.event(now_ns, "SOURCE_ENDED", "info", f"{event.source} has no more frames")
        if self._sources_left:
            return [ended]
        self._drain.begin(now_ns)
        return [ended, Log("info", "SOURCE_ENDED", "all sources have ended")]

    def _journal(self, event: JournalTrouble, now_ns: int) -> list[AgentEffect]:
        if not event.code:
            return self._health.up("journal", now_ns)
        stop = self._line.stop(now_ns) if self._line and event.stops_line else []
        return [*stop, *self._health.down("journal", event.code, event.what, now_ns)]

    def _do(self, ask: Ask, now_ns: int) -> list[AgentEffect]:
        """Carry out one ask whose id is durable."""
        match ask.op:
            case "pause" | "resume":
                self._paused = ask.op == "pause"
                if not self._paused:
                    self._parts.stop_rule.clear()
                release = self._line.release(now_ns) if self._line and not self._paused else []
                event = self.scribe.event(now_ns, f"AGENT_{ask.op.upper()}D", "info", "by ask")
                return [Pause(self._paused), *release, event, self.talk.asks.done(ask)]
            case "restart":
                return [self.talk.asks.done(ask), *self._stop(StopAsked("restart"), now_ns)]
            case _:
                return self.talk.asks.do(ask, self.settings, self.scribe.boot_no, self.health())

    def _settings_changed(self) -> list[AgentEffect]:
        """After a switch: new policies, rates and recipe; nothing when the revision is the same."""
        if self._parts.rev == self.talk.wanted.rev:
            return []
        self._parts.rev = self.talk.wanted.rev
        self._policies.clear()
        return self._setup()

    def _setup(self) -> list[AgentEffect]:
        """What the shells must know of the settings in force."""
        rates = [SetRate(name, source.max_fps) for name, source in self.settings.sources.items()]
        return [UseRecipe(self.settings.recipe), *rates]

    def _policy(self, recipe: str) -> Policy:
        """The recipe's policy, made anew after a change of settings."""
        name = recipe or self.settings.recipe
        if name not in self._policies:
            options = self.settings.policies
            make = self._policy_classes.get(name) or self._policy_classes["default"]
            self._policies[name] = make(options.get(name, options["default"]))
        return self._policies[name]

    def _stop(self, event: StopAsked, now_ns: int) -> list[AgentEffect]:
        """Stop in good order: outputs safe first, then records, then the last word."""
        if self._stopping:
            return []
        self._stopping = True
        stopped = self.scribe.event(now_ns, "AGENT_STOPPED", "info", event.why)
        status = Exit.AGAIN if event.why == "restart" else 0
        return [
            MakeSafe(),
            Pause(paused=True),
            stopped,
            *self.talk.stopping(now_ns),
            Disconnect(),
            Leave(status, event.why),
        ]
