"""One agent of a swarm: the real core, outbox and journal of an agent, its camera and model replaced by a source of
findings. What its core wants done is carried out here; what it cannot do (no PLC, no camera) is nothing.
"""

from __future__ import annotations

import random
import secrets
from array import array
from collections import deque
from collections.abc import Callable
from typing import Protocol, assert_never

from edge.core.agent import AgentCore
from edge.core.dialogue import boot_from
from edge.core.policy import ThresholdPolicy
from edge.core.shipping import record_bytes
from edge.domain import KINDS, Finding, FrameRef, Inference, Kind
from edge.errors import RemoteError
from edge.events import (
    AgentEffect,
    AgentEvent,
    Append,
    Apply,
    Beat,
    Capture,
    ClockSet,
    Committed,
    Connect,
    Disconnect,
    EvidenceStored,
    Free,
    Inferred,
    KeepEvidence,
    Leave,
    Log,
    MakeSafe,
    Pause,
    Publish,
    Release,
    Send,
    SetRate,
    SourceChanged,
    StopAsked,
    Store,
    Tick,
    UseRecipe,
)
from edge.messages import Evidence, Record
from edge.shell.journal import Journal
from edge.shell.keeper import Keeper
from edge.topics import encode
from sims.memory import MemoryJournal
from sims.swarm.link import SwarmLink
from sims.swarm.plan import LABEL, SOURCE, Plan, Stand, settings_of

S = 1_000_000_000
CAPTURE_NS = 25_000_000
"""So long ago a part was triggered when its findings are there: about what a camera and a small model take."""
SEGMENT_BYTES = 32 * 1024
"""Of a journal in memory. Small, so that a thousand of them stay small."""
DISK_BYTES = 16 * 1024 * 1024
BOX = (101.5, 220.25, 140.0, 260.5)
GOOD = Inference((), 0, 1.4, 18.0, 0.4)


class Host(Protocol):
    """What a cell needs of its hive."""

    clock: ClockSet

    def link_of(self, cell: Cell, name: str) -> SwarmLink: ...

    def stir(self, cell: Cell) -> None:
        """Something waits in the cell's inbox; call :meth:`Cell.turn`. The hive's own thread only."""

    def hand_over(self, cell: Cell, event: AgentEvent) -> None:
        """From another thread."""

    def crashed(self, error: Exception) -> None: ...

    def tell(self, cell: Cell, line: Log) -> None: ...


class Cell:
    """See the module's docstring. One thread, the hive's, calls everything."""

    def __init__(self, plan: Plan, number: int, host: Host) -> None:
        """Raises StoreError where a journal on disk cannot be used."""
        self.number = number
        self.name = plan.name(number)
        self.stirred = False
        self.wake_ns = 0
        """When the hive's timer for it is set; 0 for none."""
        self.left = False
        self.results = 0
        self.lag_ms = array("f")
        self.due_ns = 0
        """When its next part comes."""
        self._plan = plan
        self._host = host
        self._rng = random.Random(f"{plan.seed}/{self.name}")
        self._inbox: deque[AgentEvent] = deque()
        self._waiting: deque[tuple[int, int]] = deque()
        self._frame_no = 0
        self._now_ns = 0
        self._commit: Callable[[], None] | None = None
        self._dirty = False
        self._journal = self._open_journal()
        self.link = host.link_of(self, self.name)
        self._keeper = Keeper(self._journal, self.link, self.post, self._utc_ms, host.crashed)
        self.core = AgentCore(
            settings_of(plan, self.name), boot_from(self._journal, linked=True), {"default": ThresholdPolicy}, self._rng
        )

    def post(self, event: AgentEvent) -> None:
        """An event for the next turn, or the one under way."""
        self._inbox.append(event)
        self._host.stir(self)

    def conn_no(self) -> int:
        """The next number of a connection, durable."""
        return self._journal.bump("conn_no")

    def start(self, now_ns: int) -> None:
        """Boot."""
        self._now_ns = now_ns
        self.core.handle(self._host.clock, now_ns)
        self._carry_all(self.core.start(now_ns))
        self.post(SourceChanged(SOURCE, up=True))

    def produce(self, now_ns: int) -> None:
        """A part went through camera and model."""
        self._frame_no += 1
        inference = GOOD
        if self._rng.random() < self._plan.fail_share:
            found = Finding(LABEL, round(self._rng.uniform(0.6, 0.99), 4), BOX, 812.0)
            inference = Inference((found,), 0, 1.4, 18.0, 0.4)
        at_ns = now_ns - CAPTURE_NS
        self.post(Inferred(FrameRef(SOURCE, self._frame_no, at_ns), None, inference, "swarm", at_ns, 4.0, 0.2))

    def turn(self, now_ns: int) -> None:
        """Handle what waits, then what is due, then make durable what was written."""
        self._now_ns = now_ns
        inbox, core = self._inbox, self.core
        while True:
            while inbox:
                self._carry_all(core.handle(inbox.popleft(), now_ns))
            if not self.left and core.deadline_ns() <= now_ns:
                self._carry_all(core.handle(Tick(), now_ns))
            elif self._dirty and self._commit is not None:
                self._dirty = False
                self._commit()  # says Committed
            elif not inbox:
                return

    def stop(self) -> None:
        """Leave in good order."""
        if not self.left:
            self.post(StopAsked("the swarm ends"))

    def stand(self) -> Stand:
        """Where the journal stands. What was freed a moment ago counts."""
        if isinstance(self._journal, MemoryJournal | Journal):
            self._journal.flush(2.0)
        heads = self._journal.heads()
        return Stand(self.name, self._journal.log, {kind: (heads[kind].last, heads[kind].acked) for kind in KINDS})

    def backlog(self) -> int:
        """Records that are committed and not acknowledged."""
        return sum(self.core.talk.backlog().values())

    def overdue_ms(self, now_ns: int) -> list[float]:
        """The age of every result that is not acknowledged."""
        return [(now_ns - at_ns) / 1e6 for _, at_ns in self._waiting]

    def close(self) -> None:
        """Let go of journal and link."""
        self.link.close()
        self._journal.close()

    def _carry_all(self, effects: list[AgentEffect]) -> None:
        for effect in effects:
            self._carry(effect)

    def _carry(self, effect: AgentEffect) -> None:
        match effect:
            case Append():
                self._append(effect.kind, effect.record)
            case Free():
                self._keeper.carry(effect)
                self._freed(effect)
            case Send() | Store() | Disconnect():
                self._keeper.carry(effect)
            case Publish():
                self._publish(effect)
            case Connect():
                self.link.connect(encode("state", effect.will))
            case KeepEvidence():
                self._picture(effect)
            case Log():
                self._host.tell(self, effect)
            case Leave():
                self.left = True
            case Release() | UseRecipe() | SetRate() | Pause() | MakeSafe() | Capture() | Apply() | Beat():
                pass  # there is no camera, and nothing moves
            case _:
                assert_never(effect)

    def _append(self, kind: Kind, record: Record) -> int:
        payload = record_bytes(kind, record)
        seq = 0 if payload is None else self._journal.append(kind, payload)
        if not seq:
            self.core.scribe.count(f"not_journalled_{kind}")
            return 0
        self._dirty = True
        if kind == "results":
            self.results += 1
            self._waiting.append((seq, self._now_ns))
        return seq

    def _freed(self, effect: Free) -> None:
        if effect.kind == "results":
            waiting = self._waiting
            while waiting and waiting[0][0] <= effect.upto:
                self.lag_ms.append((self._now_ns - waiting.popleft()[1]) / 1e6)

    def _publish(self, effect: Publish) -> None:
        try:
            payload = encode(effect.kind, effect.message)
        except RemoteError:
            payload = b""
        if not payload or not self.link.publish(effect.kind, payload):
            self.core.scribe.count(f"not_published_{effect.kind}")

    def _picture(self, effect: KeepEvidence) -> None:
        """What the evidence thread would make of the frame; of no frame, as many bytes as wanted."""
        result, ref = effect.result, effect.ref
        jpeg = b"\xff\xd8" + bytes(max(0, self._plan.evidence_bytes - 4)) + b"\xff\xd9"
        evidence = Evidence(
            SOURCE, ref.frame_no or self._frame_no, self._utc_ms(), effect.why, jpeg, ask_id=effect.ask_id
        )
        if result is not None:
            evidence = Evidence(
                SOURCE,
                ref.frame_no,
                result.utc_ms,
                effect.why,
                jpeg,
                result.part_id,
                result.boot_no,
                None,
                result.decision,
                640,
                480,
            )
        seq = self._append("evidence", evidence)
        self.post(EvidenceStored(ref, seq, effect.ask_id, "" if seq else "JOURNAL_REFUSED"))

    def _open_journal(self) -> MemoryJournal | Journal:
        if self._plan.disk is not None:
            return Journal(
                self._plan.disk / self.name,
                max_bytes=DISK_BYTES,
                on_committed=lambda kind, upto: self._host.hand_over(self, Committed(kind, upto)),
            )
        journal = MemoryJournal(
            secrets.token_hex(8),
            segment_bytes=SEGMENT_BYTES,
            on_committed=lambda kind, upto: self._inbox.append(Committed(kind, upto)),
        )
        self._commit = journal.commit
        return journal

    def _utc_ms(self) -> int:
        return (self._now_ns + self._host.clock.utc_offset_ns) // 1_000_000
