"""Traces to give away: names are replaced by pseudonyms, in everything that enters the core.

What comes out of the core is then made by a second core, which sees pseudonyms only: so nothing can leak through a text
that the core put together, and such a trace replays exactly as any other. Where the second core decides otherwise than
the first did, which only rules on texts can make it do, it is counted.

==========================================  ==================================================================
site, agent, journal, ledger, ids of asks    ``site-1``, ``agent-1``, ``log-``, ``ledger-``, ``ask-`` and a hash
texts that were read, wanted, or reported    ``text-`` and a hash: equal texts stay equal, white space aside
  by a PLC (lots, serial numbers)
URLs, addresses, hosts, paths in messages    ``url``, ``address``, ``host``, ``path``
==========================================  ==================================================================

Hashes are keyed with a key that nobody keeps. Counts (part numbers, encoder), times, labels, and the names of cameras,
devices, recipes and models stay: rules need them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import msgspec
from msgspec.structs import replace

from edge.core.agent import AgentCore
from edge.core.backoff import Rng
from edge.core.dialogue import Boot
from edge.core.settings import Settings
from edge.core.wanted import Kept
from edge.domain import Decision
from edge.events import AgentEffect, Append, EvidenceStored, Happening, Inferred, Polled, Received
from edge.messages import Ack, Ask, Desired, Message, Reply, Result, State
from edge.topics import COORDINATOR
from edge.trace.clean import Signer
from edge.trace.head import Policies
from edge.trace.step import advance

SITE, AGENT = "site-1", "agent-1"
_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^\s'\",;)>]+", re.IGNORECASE)
_ADDRESS = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b|\[?\b(?:[0-9a-f]{0,4}:){3,7}[0-9a-f]{0,4}\b\]?", re.IGNORECASE)
_HOST = re.compile(r"\b[a-z0-9](?:[a-z0-9-]*\.)+[a-z]{2,}\b(?=:\d|\b)|\b[a-z0-9][\w-]*(?=:\d{2,5}\b)", re.IGNORECASE)
_PATH = re.compile(r"(?<![\w.])/(?:[\w.@+-]+/)*[\w.@+-]+")


class Masks:
    """Pseudonyms. ``hosts`` are names that stand in texts without anything that shows what they are."""

    def __init__(self, settings: Settings, key: bytes, hosts: Sequence[str] = ()) -> None:
        self._key = key
        self._agent = settings.agent
        names = sorted({one for one in (*hosts, settings.site, settings.agent) if len(one) > 1}, key=len, reverse=True)
        self._named = re.compile("|".join(rf"\b{re.escape(one)}\b" for one in names)) if names else None

    def word(self, kind: str, value: str) -> str:
        """One id, as ``log-3f09ac21bd``; nothing stays nothing."""
        digest = blake2b(f"{kind}\0{value}".encode(), key=self._key, digest_size=5)
        return f"{kind}-{digest.hexdigest()}" if value else ""

    def read(self, text: str) -> str:
        """A text of the line. White space does not count, as most rules do not count it either."""
        return self.word("text", "".join(text.split()))

    def agent(self, name: str) -> str:
        """Whom a topic is of."""
        return name if name in {COORDINATOR, ""} else AGENT if name == self._agent else self.word("agent", name)

    def said(self, text: str) -> str:
        """What a driver or library says of a trouble."""
        for pattern, mask in ((_URL, "url"), (_ADDRESS, "address"), (_PATH, "path"), (_HOST, "host")):
            text = pattern.sub(mask, text)
        return self._named.sub("host", text) if self._named else text

    def scalars(self, values: dict[str, Any]) -> dict[str, Any]:
        """Texts among named values."""
        return {name: self.read(value) if isinstance(value, str) else value for name, value in values.items()}


class Anonymous:
    """One agent under pseudonyms: ``settings`` and ``boot`` for its second core, and that core's rows."""

    def __init__(self, settings: Settings, boot: Boot, keys: tuple[bytes, bytes], hosts: Sequence[str] = ()) -> None:
        """``keys``: for signatures, for pseudonyms; at most 64 bytes of random each."""
        self._masks = Masks(settings, keys[1], hosts)
        self._signer = Signer(settings, keys[0], site=SITE, agent=AGENT)
        self._choices = {key.name for key in settings.remote if key.choices}
        policies = {recipe: self._options(options) for recipe, options in settings.policies.items()}
        self.settings = replace(settings, site=SITE, agent=AGENT, policies=policies, command_key=self._signer.key)
        word = self._masks.word
        ledger = (boot.ledger or b"").decode()
        self.boot = replace(
            boot,
            log=word("log", boot.log),
            kept=self._kept(boot.kept),
            asks=self._asks(boot.asks),
            ledger=word("ledger", ledger).encode() or None,
        )
        self.changed = 0
        self._core: AgentCore | None = None

    def begin(self, policies: Policies, rng: Rng) -> None:
        """Make the second core. ``rng`` must give what the first core's gives."""
        self._core = AgentCore(self.settings, self.boot, policies, rng)

    def row(self, t_ns: int, what: Happening, effects: Sequence[AgentEffect]) -> tuple[Happening, list[AgentEffect]]:
        """The same happening under pseudonyms, and what the second core makes of it."""
        assert self._core is not None
        masked = self.what(what)
        made = advance(self._core, t_ns, masked)
        self.changed += sum(a != b for a, b in zip(_decided(effects), _decided(made), strict=False))
        return masked, made

    def what(self, what: Happening) -> Happening:
        """An event under pseudonyms."""
        masks = self._masks
        match what:
            case Polled(reading):
                return Polled(replace(reading, values=masks.scalars(reading.values)))
            case Inferred(inference=inference) if any(one.text for one in inference.findings):
                findings = tuple(replace(one, text=masks.read(one.text)) for one in inference.findings)
                return replace(what, inference=replace(inference, findings=findings))
            case EvidenceStored(ask_id=ask_id):
                return replace(what, ask_id=masks.word("ask", ask_id))
            case Received(agent=agent, message=message):
                return replace(what, agent=masks.agent(agent), message=self._message(message))
            case _:
                text = getattr(what, "what", "")
                return replace(what, what=masks.said(text)) if text else what

    def _message(self, message: Message) -> Message:
        """As far as an agent's core looks at it."""
        word = self._masks.word
        match message:
            case State(status, log, boot_no, conn_no):
                return State(status, word("log", log), boot_no, conn_no)
            case Desired() | Ask():
                genuine = self._signer.genuine(message)
                masked: Message = self._signer.sign(self._masked(message), genuine=genuine)
                return masked
            case Ack(ledger, log):
                return replace(message, ledger=word("ledger", ledger), log=word("log", log))
            case _:
                return Reply("", ok=False)  # no core expects any other kind, and it is counted alike

    def _masked(self, message: Desired | Ask) -> Desired | Ask:
        masks = self._masks
        if isinstance(message, Ask):
            agent, args = masks.agent(message.agent), self._settings(message.args)
            return replace(message, id=masks.word("ask", message.id), agent=agent, args=args)
        settings = self._settings(message.settings)
        return replace(message, ledger=masks.word("ledger", message.ledger), settings=settings)

    def _settings(self, values: dict[str, Any]) -> dict[str, Any]:
        """Those with a text of their own (an expected lot); a text that is one of a few stays, and so does a source."""
        masked = self._masks.scalars(values)
        return {name: values[name] if name in self._choices or name == "source" else masked[name] for name in values}

    def _options(self, options: Any) -> Any:
        rules = getattr(options, "read", None)
        if not isinstance(rules, dict):
            return options
        read = self._masks.read
        return replace(options, read={name: replace(r, expected=read(r.expected)) for name, r in rules.items()})

    def _kept(self, value: bytes | None) -> bytes | None:
        try:
            kept = msgspec.json.decode(value, type=Kept) if value else None
        except msgspec.MsgspecError:
            kept = None
        if kept is None:
            return None
        masked = self._signer.sign(self._masked(kept.desired), genuine=self._signer.genuine(kept.desired))
        return msgspec.json.encode(replace(kept, desired=masked))

    def _asks(self, value: bytes | None) -> bytes | None:
        try:
            ids = msgspec.json.decode(value, type=list[str]) if value else None
        except msgspec.MsgspecError:
            ids = None
        return None if ids is None else msgspec.json.encode([self._masks.word("ask", one) for one in ids])


def _decided(effects: Sequence[AgentEffect]) -> list[Decision]:
    return [one.record.decision for one in effects if isinstance(one, Append) and isinstance(one.record, Result)]
