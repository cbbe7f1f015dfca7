"""What the coordinator wants: settings as a level (``desired``), things to do once (``ask``).

A new revision is checked, made durable, then switched to at a part boundary, then reported::

    Received(desired) ──checked──▶ Store ──Stored──▶ in force ──▶ Reported(ok) …60 s…▶ trusted
                     └─refused──▶ Reported(code, what)

An agent that crashed twice within the 60 s starts without the revision and says SETTINGS_QUARANTINED.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import msgspec
from msgspec import Struct

from edge.core.scribe import Scribe
from edge.core.settings import S, Settings, remote_values, with_remote
from edge.domain import is_id
from edge.errors import RemoteError
from edge.events import AgentEffect, Log, Publish, Received, Store
from edge.messages import Ask, Desired, Reply, Reported, mac_ok

TRIAL_NS = 60 * S
CRASHES = 2
ASKS_REMEMBERED = 256
TTL_MOST_S = 3600.0
DESIRED = "desired"
ASKS = "asks"


class Kept(Struct, frozen=True):
    """What is stored of the last applied revision. ``crashes`` is -1 once the trial is over."""

    desired: Desired
    crashes: int = 0


class Wanted:
    """Settings in force, and asks under way."""

    def __init__(self, settings: Settings, scribe: Scribe, kept: bytes | None, asks: bytes | None) -> None:
        self._base = settings
        self._scribe = scribe
        self._pending: tuple[Desired, Settings] | None = None
        self._waiting: deque[tuple[Ask, int]] = deque()
        self._done: deque[str] = deque(_ids(asks), maxlen=ASKS_REMEMBERED)
        self._kept = _kept(kept)
        self._reported = Reported("", 0, ok=True)
        self._trial_ends_ns: int | None = None
        self.settings = settings

    @property
    def rev(self) -> int:
        """Revision in force, 0 for the file's own settings."""
        return self._kept.desired.rev if self._kept and self._reported.ok else 0

    @property
    def ledger(self) -> str:
        """The ledger of the last revision seen, or empty."""
        return self._kept.desired.ledger if self._kept else ""

    def start(self, now_ns: int) -> list[AgentEffect]:
        """Put the last applied revision in force again, unless it crashed us twice."""
        kept = self._kept
        if kept is None:
            self._reported = Reported("", 0, ok=True, settings=remote_values(self.settings))
            return []
        if kept.crashes >= 0:
            kept = self._kept = msgspec.structs.replace(kept, crashes=kept.crashes + 1)
        if kept.crashes >= CRASHES:
            what = f"{CRASHES} crashes within {TRIAL_NS // S} s of applying revision {kept.desired.rev}"
            return self._refuse(kept.desired, RemoteError("SETTINGS_QUARANTINED", what), now_ns)
        try:
            self.settings = with_remote(self._base, kept.desired.settings)
        except RemoteError as error:  # the file changed under it
            return self._refuse(kept.desired, error, now_ns)
        self._report_ok(kept.desired)
        if kept.crashes < 0:
            return []
        self._trial_ends_ns = now_ns + TRIAL_NS
        return [Store(DESIRED, msgspec.json.encode(kept))]

    def reported(self) -> list[AgentEffect]:
        """What runs, or was refused; said on every connect."""
        return [Publish("reported", self._reported)]

    def desired(self, event: Received, desired: Desired, now_ns: int) -> list[AgentEffect]:
        """A revision came in."""
        key = self._base.command_key
        if key and not mac_ok(key, self._base.site, self._base.agent, desired):
            self._scribe.count("cmd_forged")
            return [Log("warning", "CMD_FORGED", "a desired message with a wrong signature was dropped")]
        if not is_id(desired.ledger):
            self._scribe.count("refused_ledger_invalid")
            return [Log("warning", "LEDGER_INVALID", "a desired message that names no ledger was dropped")]
        current = self._kept.desired if self._kept else None
        if event.agent != self._base.agent or (self._pending and self._pending[0] == desired):
            return []
        if current and current.ledger == desired.ledger and desired.rev <= current.rev:
            return self.reported()
        if desired.model:
            absent = RemoteError("MODEL_NOT_HELD", f"model {desired.model[:64]!r} is not on this agent")
            return self._refuse(desired, absent, now_ns)
        try:
            settings = with_remote(self._base, desired.settings)
        except RemoteError as error:
            return self._refuse(desired, error, now_ns)
        self._pending = (desired, settings)
        return [Store(DESIRED, msgspec.json.encode(Kept(desired)))]

    def ask(self, event: Received, ask: Ask) -> list[AgentEffect]:
        """An ask came in: refuse it, or make its id durable before anything is done."""
        refusal = self._ask_refusal(event, ask)
        if refusal == "CMD_FORGED":
            self._scribe.count("cmd_forged")
            return [Log("warning", refusal, "an ask with a wrong signature was dropped")]
        if refusal:
            self._scribe.count("asks_refused")
            return [Publish("reply", Reply(ask.id[:64], ok=False, code=refusal))]
        expiry_ns = event.received_ns + int(min(ask.ttl_s, TTL_MOST_S) * S)
        if event.expiry_ns is not None:
            expiry_ns = min(expiry_ns, event.expiry_ns)
        self._done.append(ask.id)
        self._waiting.append((ask, expiry_ns))
        return [Store(ASKS, msgspec.json.encode(list(self._done)))]

    def stored(
        self, name: str, code: str, now_ns: int, do: Callable[[Ask, int], list[AgentEffect]]
    ) -> list[AgentEffect]:
        """Something became durable (or could not): now it may take effect. ``do`` carries out one ask."""
        if name == DESIRED and self._pending:
            return self._switch(code, now_ns)
        effects: list[AgentEffect] = []
        while name == ASKS and self._waiting:
            ask, expiry_ns = self._waiting.popleft()
            if code:
                effects.append(Publish("reply", Reply(ask.id, ok=False, code=code, what="its id could not be stored")))
            elif now_ns >= expiry_ns:
                effects.append(Publish("reply", Reply(ask.id, ok=False, code="CMD_EXPIRED")))
            else:
                self._scribe.count("asks")
                effects += do(ask, now_ns)
        return effects

    def tick(self, now_ns: int) -> list[AgentEffect]:
        """The trial is over: the revision is trusted."""
        if self._trial_ends_ns is None or now_ns < self._trial_ends_ns or self._kept is None:
            return []
        self._trial_ends_ns = None
        self._kept = msgspec.structs.replace(self._kept, crashes=-1)
        return [Store(DESIRED, msgspec.json.encode(self._kept))]

    def stopping(self) -> list[AgentEffect]:
        """An orderly stop within the trial is no crash."""
        if self._trial_ends_ns is None or self._kept is None:
            return []
        kept = msgspec.structs.replace(self._kept, crashes=max(-1, self._kept.crashes - 1))
        return [Store(DESIRED, msgspec.json.encode(kept))]

    def deadline_ns(self) -> int | None:
        return self._trial_ends_ns

    def _switch(self, code: str, now_ns: int) -> list[AgentEffect]:
        assert self._pending is not None
        (desired, settings), self._pending = self._pending, None
        if code:
            return self._refuse(desired, RemoteError(code, "the revision could not be stored"), now_ns)
        self._kept = Kept(desired)
        self.settings = settings
        self._trial_ends_ns = now_ns + TRIAL_NS
        self._report_ok(desired)
        text = ", ".join(f"{name} = {value}" for name, value in desired.settings.items())
        return [
            *self.reported(),
            self._scribe.event(now_ns, "SETTINGS_APPLIED", "info", text, rev=desired.rev),
            Log("info", "SETTINGS_APPLIED", f"revision {desired.rev}: {text}"),
        ]

    def _report_ok(self, desired: Desired) -> None:
        self._reported = Reported(desired.ledger, desired.rev, ok=True, settings=remote_values(self.settings))

    def _refuse(self, desired: Desired, error: RemoteError, now_ns: int) -> list[AgentEffect]:
        what = "; ".join(part for part in (error.what, error.why) if part)
        in_force = remote_values(self.settings)
        self._reported = Reported(desired.ledger, desired.rev, ok=False, code=error.code, what=what, settings=in_force)
        return [
            *self.reported(),
            self._scribe.event(now_ns, error.code, "warning", what, rev=desired.rev),
            Log("warning", error.code, f"revision {desired.rev} refused: {what}"),
        ]

    def _ask_refusal(self, event: Received, ask: Ask) -> str:
        key = self._base.command_key
        if key and not mac_ok(key, self._base.site, self._base.agent, ask):
            return "CMD_FORGED"
        if event.agent != self._base.agent or ask.agent != self._base.agent:
            return "CMD_NOT_FOR_US"
        if not is_id(ask.id):
            return "CMD_MALFORMED"
        if event.retained or ask.ttl_s <= 0:
            return "CMD_EXPIRED"
        return "CMD_REPEATED" if ask.id in self._done else ""


def _kept(data: bytes | None) -> Kept | None:
    try:
        return msgspec.json.decode(data, type=Kept) if data else None
    except msgspec.MsgspecError:
        return None  # our own file, damaged: the coordinator will say it again


def _ids(data: bytes | None) -> list[str]:
    try:
        return msgspec.json.decode(data, type=list[str]) if data else []
    except msgspec.MsgspecError:
        return []
