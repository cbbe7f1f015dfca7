"""The wiring of a daemon: builds the rooms, runs the core's loop, and takes everything down in good order.
::

    start:  settings, models (guarded) ▶ journal ▶ core ▶ devices, cameras, infer, evidence, link, page ▶ READY
    loop:   mailbox.get(until the core's deadline) ▶ core.handle ▶ carrier.carry
    stop:   core says MakeSafe … Leave ▶ captures ▶ infer ▶ evidence ▶ devices (safe, closed) ▶ outbox ▶ link ▶ journal
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edge.assembly import core_settings, policies
from edge.config import Loaded
from edge.core.agent import AgentCore
from edge.core.backoff import Backoff
from edge.core.dialogue import boot_from
from edge.core.wanted import DESIRED
from edge.domain import Kind, SeqRange
from edge.errors import StoreError
from edge.events import AgentEvent, Committed, Evicted, JournalTrouble, StopAsked, Tick
from edge.messages import encode_record
from edge.shell.actuate import ActuateThread
from edge.shell.assemble import Models, command_key, endpoint, make_driver
from edge.shell.capture import CaptureThread
from edge.shell.carrier import Carrier, Shells
from edge.shell.clock import UtcWatch
from edge.shell.evidence import EvidenceThread
from edge.shell.framestore import FrameStore
from edge.shell.infer import Infer
from edge.shell.journal import Journal
from edge.shell.keeper import Keeper
from edge.shell.logs import Logger
from edge.shell.mailbox import Mailbox
from edge.shell.status import status_of

if TYPE_CHECKING:
    from edge.shell.sensing import SensorFeed

MB = 1024 * 1024
LOOP_MOST_S = 0.5
CLOCK_EVERY_NS = 1_000_000_000
STATUS_EVERY_NS = 250_000_000
TAIL_EVENTS = 200


class Agent:
    """One running agent. ``run`` blocks on the calling thread, which becomes the core's."""

    def __init__(self, loaded: Loaded, models: Models, log: Logger, *, forget_remote: bool = False) -> None:
        self._loaded = loaded
        self._log = log
        self._mailbox: Mailbox[AgentEvent] = Mailbox()
        self._status: int | None = None
        self._tail: deque[AgentEvent] = deque(maxlen=TAIL_EVENTS)
        self._crash: Exception | None = None
        self._utc = UtcWatch()
        self._utc_offset_ns = 0
        self._core_ns = time.monotonic_ns()
        self._clock_ns = 0
        self._snapshot: dict[str, Any] = {}
        self._lock = threading.Lock()
        self.models = models
        self.data_dir = loaded.path(loaded.config.agent.data_dir)
        journal = loaded.config.journal
        self.journal = Journal(
            self.data_dir / "journal",
            max_bytes=journal.max_mb * MB,
            critical_full=journal.critical_full,
            on_committed=self._on_committed,
            on_evicted=self._on_evicted,
            on_full=self._on_full,
            on_error=self._on_error,
        )
        if forget_remote:
            self.journal.put(DESIRED, b"")
        self.page_config = loaded.config.page
        self.settings = core_settings(loaded, self.models.recipes, command_key(loaded))
        boot = boot_from(self.journal, linked=loaded.config.link is not None)
        self.core = AgentCore(self.settings, boot, policies(loaded), random.SystemRandom())
        self.shells = self._rooms(self.models)
        self._carrier = Carrier(self.shells, log, self.post, self._leave, self.core.scribe.count)

    def post(self, event: AgentEvent) -> None:
        """Put an event in the mailbox; from any thread."""
        self._mailbox.post(event)

    def stop(self, why: str) -> None:
        """Ask for an orderly stop; from any thread, and from the thread that waits for signals."""
        self.post(StopAsked(why))

    def snapshot(self) -> dict[str, Any]:
        """The last status document, made by the core's own thread."""
        return self._snapshot

    def alive(self, within_s: float) -> bool:
        """For the watchdog: the core's loop turned, and every model answered, within this time."""
        oldest_ns = time.monotonic_ns() - int(within_s * 1e9)
        return self._core_ns > oldest_ns and self.shells.infer.last_answer_ns > oldest_ns

    def start(self, warm_timeout_s: float = 60.0, enough: Callable[[], bool] = lambda: False) -> bool:
        """Start the rooms, devices last; False if a model did not warm up (`Infer.wait_warm`): then no device moves."""
        clock = self._utc.check()
        if clock is not None:
            self._utc_offset_ns = clock.utc_offset_ns
            self.core.handle(clock, time.monotonic_ns())
        shells = self.shells
        shells.keeper.start()
        shells.evidence.start()
        shells.infer.start()
        for capture in shells.captures.values():  # they open while the models warm up
            capture.start()
        if not shells.infer.wait_warm(warm_timeout_s, enough):
            return False
        for device in shells.devices.values():
            device.start()
        return True

    def run(self) -> int:
        """The core's loop; returns the exit status. An exception of the core makes everything safe and is raised."""
        try:
            self._carry_all(self.core.start(time.monotonic_ns()))
            while self._status is None:
                self._turn()
        except Exception:
            for device in self.shells.devices.values():
                device.make_safe()
            self._write_tail()
            raise
        if self._crash is not None:
            raise self._crash
        return self._status

    def close(self) -> None:
        """Take everything down; may be called after a failed start."""
        shells = self.shells
        for capture in shells.captures.values():
            capture.stop()
        shells.infer.stop()
        for capture in shells.captures.values():
            capture.join(2.0)
        shells.infer.join(5.0)
        shells.evidence.stop()
        shells.evidence.join(5.0)
        for device in shells.devices.values():
            device.stop()
        for device in shells.devices.values():
            device.join(5.0)
        self.journal.flush(5.0)
        shells.keeper.finish(5.0)
        if shells.link is not None:
            shells.link.close()
        self.journal.close()

    def _turn(self) -> None:
        now_ns = time.monotonic_ns()
        wait_s = min(max(0.0, (self.core.deadline_ns() - now_ns) / 1e9), LOOP_MOST_S)
        event = self._mailbox.get(wait_s)
        now_ns = self._core_ns = time.monotonic_ns()
        if event is not None:
            self._tail.append(event)  # put into words only after a crash: this is every event's way
            self._carry_all(self.core.handle(event, now_ns))
        if now_ns >= self.core.deadline_ns():
            self._carry_all(self.core.handle(Tick(), now_ns))
        self._housekeeping(now_ns)

    def _carry_all(self, effects: list[Any]) -> None:
        for effect in effects:
            self._carrier.carry(effect)

    def _housekeeping(self, now_ns: int) -> None:
        if now_ns - self._clock_ns > CLOCK_EVERY_NS:
            self._clock_ns = now_ns
            clock = self._utc.check()
            if clock is not None:
                self._utc_offset_ns = clock.utc_offset_ns
                self._carry_all(self.core.handle(clock, now_ns))
        shown = self.page_config.enabled  # nobody else reads the document
        if shown and now_ns - self._snapshot.get("made_ns", 0) >= STATUS_EVERY_NS:
            self._snapshot = status_of(self.core, self.shells, self._mailbox.dropped_remote, now_ns)

    def _rooms(self, models: Models) -> Shells:
        loaded, config = self._loaded, self._loaded.config
        store = FrameStore()
        scale = {name: source.mm_per_px for name, source in config.sources.items()}
        infer = Infer(
            models.engines, models.routes, store=store, post=self.post, on_crash=self._on_crash, mm_per_px=scale
        )
        link = None
        if config.link is not None:
            from edge.shell.mqtt import MqttLink  # brings paho, which an agent without a link never needs

            where = endpoint(loaded, config.link)
            link = MqttLink(where, config.agent.site, config.agent.id, self.post, lambda: self.journal.bump("conn_no"))
        evidence = EvidenceThread(
            store,
            lambda record: self.journal.append("evidence", encode_record(record)),
            self.post,
            self._on_crash,
            overlay=config.evidence.overlay,
            jpeg_quality=config.evidence.jpeg_quality,
            max_width_px=config.evidence.max_width_px,
            utc_ms=self._utc_ms,
        )
        captures: dict[str, CaptureThread | SensorFeed] = {n: self._capture(n, infer) for n in config.sources}
        for name, predictor in models.sensors.items():
            from edge.shell.sensing import make_feed  # most agents have cameras only

            captures[name] = make_feed(loaded, name, predictor, infer, self.post, self._on_crash)
        devices = {name: self._device(name) for name in config.devices}
        keeper = Keeper(self.journal, link, self.post, self._utc_ms_now, self._on_crash)
        return Shells(captures, infer, devices, store, evidence, self.journal, keeper, link)

    def _capture(self, name: str, infer: Infer) -> CaptureThread:
        config = self._loaded.config.sources[name]
        source = make_driver(config.driver, self._loaded.source_options[name], name, self._loaded.folder)
        return CaptureThread(
            name,
            source,
            infer,
            self.post,
            self._on_crash,
            Backoff(0.2, 5.0, random.SystemRandom()),
            triggered=config.trigger == "plc",
            deliver=config.deliver,
            finite=bool(getattr(source, "finite", False)),
            timeout_s=config.timeout_s,
            max_fps=config.max_fps,
        )

    def _device(self, name: str) -> ActuateThread:
        config = self._loaded.config
        device = make_driver(config.devices[name].driver, self._loaded.device_options[name], name, self._loaded.folder)
        plc = config.plc if config.plc and config.plc.device == name else None
        return ActuateThread(
            name,
            device,
            self.post,
            self._on_crash,
            Backoff(0.1, 1.0, random.SystemRandom()),
            poll_ms=plc.poll_ms if plc else 0.0,
            every_poll=plc is not None and plc.gate == "agent",
        )

    def _utc_ms(self, at_ns: int) -> int:
        return (at_ns + self._utc_offset_ns) // 1_000_000

    def _utc_ms_now(self) -> int:
        return self._utc_ms(time.monotonic_ns())

    def _leave(self, status: int, why: str) -> None:
        self._log("info", "AGENT_STOPPED", why, {"status": status})
        self._status = status

    def _on_crash(self, error: Exception) -> None:
        """A thread met an exception nobody expected: our bug. Stop in good order, exit 70."""
        with self._lock:
            self._crash = self._crash or error
        self._log("error", "BUG_THREAD", f"{type(error).__name__}: {error}", {})
        self.post(StopAsked("BUG_THREAD"))

    def _on_committed(self, kind: Kind, upto: int) -> None:
        self.post(Committed(kind, upto))

    def _on_evicted(self, kind: Kind, lost: SeqRange, why: str) -> None:
        self.post(Evicted(kind, lost, why))

    def _on_full(self, full: bool) -> None:
        self.post(JournalTrouble("JOURNAL_FULL" if full else "", "it takes nothing more", stops_line=full))

    def _on_error(self, error: StoreError | None) -> None:
        self.post(JournalTrouble(error.code if error else "", error.what if error else ""))

    def _write_tail(self) -> None:
        """The last events before a crash of the core, for whoever mends it."""
        (self.data_dir / "crash.txt").write_text("\n".join(repr(event)[:500] for event in self._tail))
