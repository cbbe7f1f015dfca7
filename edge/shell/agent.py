"""The wiring of a daemon: builds the rooms, runs the core's loop, and takes everything down in good order.
::

    start:  settings, models (guarded) ▶ journal ▶ core ▶ devices, cameras, infer, evidence, link, page ▶ READY
    loop:   mailbox.get(until the core's deadline) ▶ core.handle ▶ carrier.carry
    stop:   core says MakeSafe … Leave ▶ captures ▶ infer ▶ evidence ▶ devices (safe, closed) ▶ outbox ▶ link ▶ journal
"""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edge.assembly import core_settings, policies
from edge.config import Loaded
from edge.core.agent import AgentCore
from edge.core.dialogue import boot_from
from edge.core.wanted import DESIRED
from edge.domain import Kind, SeqRange
from edge.errors import StoreError
from edge.events import (
    AgentEffect,
    AgentEvent,
    Committed,
    Counted,
    Evicted,
    JournalTrouble,
    Started,
    StopAsked,
    Tick,
)
from edge.shell.assemble import Models, command_key
from edge.shell.carrier import Carrier
from edge.shell.clock import UtcWatch
from edge.shell.journal import Journal
from edge.shell.logs import Logger
from edge.shell.mailbox import Mailbox
from edge.shell.rooms import make_rooms
from edge.shell.status import status_of

if TYPE_CHECKING:
    from edge.shell.record import RecordAsked

MB = 1024 * 1024
LOOP_MOST_S = 0.5
CLOCK_EVERY_NS = 1_000_000_000
STATUS_EVERY_NS = 250_000_000
TAIL_EVENTS = 200


class Agent:
    """One running agent. ``run`` blocks on the calling thread, which becomes the core's."""

    def __init__(
        self,
        loaded: Loaded,
        models: Models,
        log: Logger,
        *,
        forget_remote: bool = False,
        record: RecordAsked | None = None,
    ) -> None:
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
        seed = secrets.randbits(64)
        self.core = AgentCore(self.settings, boot, policies(loaded), random.Random(seed))
        self.shells = make_rooms(loaded, models, self.journal, self.post, self._on_crash, self._utc_ms)
        self._carrier = Carrier(self.shells, log, self.post, self._leave, self._count)
        self._recorder = None
        if record is not None:
            from edge.shell.record import make_recorder  # most agents run without

            self._recorder = make_recorder(record, loaded, models, (self.settings, boot, seed), log)

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
            self._hand(clock, time.monotonic_ns())
        if self._recorder is not None:
            self._recorder.start()
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
            self._hand(Started(), time.monotonic_ns())
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
        if self._recorder is not None:
            self._recorder.close()

    def _turn(self) -> None:
        now_ns = time.monotonic_ns()
        wait_s = min(max(0.0, (self.core.deadline_ns() - now_ns) / 1e9), LOOP_MOST_S)
        event = self._mailbox.get(wait_s)
        now_ns = self._core_ns = time.monotonic_ns()
        if event is not None:
            self._tail.append(event)  # put into words only after a crash: this is every event's way
            self._hand(event, now_ns)
        if now_ns >= self.core.deadline_ns():
            self._hand(Tick(), now_ns)
        self._housekeeping(now_ns)

    def _hand(self, what: AgentEvent | Started, now_ns: int) -> None:
        """One step of the core, kept where that is wanted, and carried out."""
        effects: list[AgentEffect] = []
        try:
            effects = self.core.start(now_ns) if isinstance(what, Started) else self.core.handle(what, now_ns)
        finally:
            if self._recorder is not None:
                self._recorder.keep(now_ns, what, effects)  # also what the core could not bear
        for effect in effects:
            self._carrier.carry(effect)

    def _count(self, name: str) -> None:
        self.core.scribe.count(name)
        if self._recorder is not None:
            self._recorder.keep(time.monotonic_ns(), Counted(name), [])

    def _housekeeping(self, now_ns: int) -> None:
        if now_ns - self._clock_ns > CLOCK_EVERY_NS:
            self._clock_ns = now_ns
            clock = self._utc.check()
            if clock is not None:
                self._utc_offset_ns = clock.utc_offset_ns
                self._hand(clock, now_ns)
        shown = self.page_config.enabled  # nobody else reads the document
        if shown and now_ns - self._snapshot.get("made_ns", 0) >= STATUS_EVERY_NS:
            self._snapshot = status_of(self.core, self.shells, self._mailbox.dropped_remote, now_ns)

    def _utc_ms(self, at_ns: int) -> int:
        return (at_ns + self._utc_offset_ns) // 1_000_000

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
