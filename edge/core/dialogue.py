"""Everything between this agent and the coordinator: presence, outbox, wanted settings, asks."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from edge.core.asks import Asks
from edge.core.backoff import Backoff, Rng
from edge.core.due import earliest
from edge.core.outbox import Outbox
from edge.core.presence import Presence
from edge.core.scribe import Scribe
from edge.core.settings import Settings
from edge.core.wanted import ASKS, DESIRED, Wanted
from edge.domain import Kind
from edge.events import (
    AgentEffect,
    Committed,
    Connected,
    Disconnected,
    Evicted,
    EvidenceStored,
    Received,
    Refused,
    Sent,
    Store,
    Stored,
)
from edge.messages import Ack, Ask, Desired, State
from edge.ports import Heads, Journal
from edge.topics import COORDINATOR

LEDGER = "ledger"
Do = Callable[[Ask, int], list[AgentEffect]]
OutsideEvent = Committed | Evicted | EvidenceStored | Stored | Connected | Disconnected | Received | Refused | Sent


class Boot(Struct, frozen=True):
    """What the wiring knows at start: the journal's identity and heads, and what was stored beside it."""

    log: str
    boot_no: int
    conn_no: int
    heads: dict[Kind, Heads]
    linked: bool
    kept: bytes | None = None
    asks: bytes | None = None
    ledger: bytes | None = None


def boot_from(journal: Journal, *, linked: bool) -> Boot:
    """What a journal says at a start, which it counts. Raises StoreError."""
    conn_no = journal.get("conn_no") or b"0"  # as `bump` writes it
    return Boot(
        log=journal.log,
        boot_no=journal.bump("boot_no"),
        conn_no=int(conn_no) if conn_no.isdigit() else 0,
        heads=journal.heads(),
        linked=linked,
        kept=journal.get(DESIRED) or None,
        asks=journal.get(ASKS) or None,
        ledger=journal.get(LEDGER) or None,
    )


class Dialogue:
    """Routes what comes from journal and link. ``do`` carries out an ask that concerns the line."""

    def __init__(self, settings: Settings, boot: Boot, scribe: Scribe, rng: Rng, do: Do) -> None:
        birth = State("offline", boot.log, boot.boot_no, boot.conn_no, versions=settings.versions)
        self._scribe = scribe
        self._do = do
        self._outbox = Outbox(boot.log, boot.heads, scribe, (boot.ledger or b"").decode())
        self._presence = Presence(birth, scribe, Backoff(0.5, 60.0, rng), linked=boot.linked)
        self.wanted = Wanted(settings, scribe, boot.kept, boot.asks)
        self.asks = Asks(scribe)

    @property
    def online(self) -> bool:
        return self._presence.online

    def start(self, now_ns: int) -> list[AgentEffect]:
        return [*self.wanted.start(now_ns), *self._presence.start(now_ns)]

    def handle(self, event: OutsideEvent, now_ns: int) -> list[AgentEffect]:
        """One event of journal or link."""
        match event:
            case Committed():
                return self._outbox.committed(event)
            case Sent():
                return self._outbox.sent(event, now_ns)
            case Evicted():
                alarm = self._scribe.event(now_ns, "JOURNAL_EVICTED", "alarm", event.why, kind=event.kind)
                return [self._scribe.gap(now_ns, event.kind, event.range, event.why), alarm]
            case EvidenceStored():
                return self.asks.evidence(event)
            case Stored():
                return self.wanted.stored(event.name, event.code, now_ns, self._do)
            case Connected():
                effects = self._presence.connected(event.conn_no, now_ns)
                return [*effects, *self.wanted.reported(), *self._outbox.connected(now_ns)]
            case Disconnected():
                effects = self._presence.disconnected(event.code, event.what, now_ns)
                return [*effects, *self._outbox.disconnected(now_ns)]
            case Refused():
                self._scribe.count(f"refused_{event.code.lower()}")
                if event.kind == "state":
                    self._presence.overwritten()
                return []
            case Received():
                return self._received(event, now_ns)

    def tick(self, now_ns: int) -> list[AgentEffect]:
        return self._presence.tick(now_ns) + self.wanted.tick(now_ns) + self._outbox.tick(now_ns)

    def deadline_ns(self) -> int | None:
        return earliest(self._outbox.deadline_ns(), self._presence.deadline_ns(), self.wanted.deadline_ns())

    def say(self, now_ns: int, present: Callable[[State], State], stamp: object) -> list[AgentEffect]:
        """Our state on the wire says what is true now; see :meth:`Presence.say`."""
        return self._presence.say(now_ns, present, stamp)

    def stopping(self, now_ns: int) -> list[AgentEffect]:
        """The last words of an orderly stop."""
        return [*self.wanted.stopping(), *self._presence.stopped(now_ns)]

    def backlog(self) -> dict[Kind, int]:
        """Committed records the coordinator has not acknowledged."""
        return self._outbox.backlog()

    def waiting(self) -> bool:
        """True while the coordinator has not acknowledged everything."""
        return any(self.backlog().values())

    def _received(self, event: Received, now_ns: int) -> list[AgentEffect]:
        message, ours = event.message, event.agent != COORDINATOR
        if isinstance(message, State):
            return self._presence.seen_self(message, now_ns) if ours else []
        if isinstance(message, Desired):
            return self.wanted.desired(event, message, now_ns)
        if isinstance(message, Ask):
            return self.wanted.ask(event, message)
        if isinstance(message, Ack):
            known = self._outbox.ledger
            effects = self._outbox.acknowledged(message, now_ns)
            if self._outbox.ledger != known:
                effects.append(Store(LEDGER, self._outbox.ledger.encode()))
            return effects
        self._scribe.count("refused_unexpected")
        return []
