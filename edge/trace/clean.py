"""Keeps secrets out of a trace, so that it can still be replayed exactly.

The core knows one secret, the key of commands, and checks signatures with it. In a trace every signature that is
genuine is made anew with a key of the trace's own; a wrong one is left empty, and stays wrong. The same is done to what
the core stores. Names and passwords in URLs are taken out of texts. Other secrets never enter a core.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec.structs import replace

from edge.core.dialogue import Boot
from edge.core.settings import Settings
from edge.core.wanted import DESIRED, Kept
from edge.events import AgentEffect, Append, Happening, Log, Publish, Received, Store
from edge.messages import Ask, Desired, Event, Signed, State, mac_of, mac_ok

_USERINFO = re.compile(r"(?<=://)\S*@")
"""Up to the last ``@``: a password may hold any character that somebody forgot to escape."""


def without_userinfo(text: str) -> str:
    """URLs in it lose what stands before their host."""
    return _USERINFO.sub("", text) if "@" in text else text


class Signer:
    """Makes signatures anew. ``key`` is the trace's own; it is used only where the agent has one."""

    def __init__(self, settings: Settings, key: bytes, *, site: str = "", agent: str = "") -> None:
        """``site`` and ``agent`` are what they are called in the trace, where that is not what they are."""
        self._true = settings
        self._key = key if settings.command_key else b""
        self._site, self._agent = site or settings.site, agent or settings.agent

    @property
    def key(self) -> bytes:
        """What the settings in the trace have as ``command_key``."""
        return self._key

    def genuine(self, message: Signed) -> bool:
        """As the agent judges it."""
        true = self._true
        return bool(true.command_key) and mac_ok(true.command_key, true.site, true.agent, message)

    def sign(self, message: Any, *, genuine: bool) -> Any:
        """With a signature of the trace's, or none."""
        bare = replace(message, mac="")
        return replace(bare, mac=mac_of(self._key, self._site, self._agent, bare)) if genuine else bare


class Clean:
    """What may be written of one agent's happenings and effects."""

    def __init__(self, settings: Settings, boot: Boot, key: bytes) -> None:
        self._signer = Signer(settings, key)
        self.settings = replace(settings, command_key=self._signer.key)
        self.boot = replace(boot, kept=self._kept(boot.kept))

    def what(self, what: Happening) -> Happening:
        """An event without secrets."""
        if isinstance(what, Received):
            message = what.message
            if isinstance(message, Desired | Ask):
                return replace(what, message=self._signed(message))
            return what
        text = getattr(what, "what", "")
        return replace(what, what=without_userinfo(text)) if "@" in text else what

    def effect(self, effect: AgentEffect) -> AgentEffect:
        """An effect without secrets: it says what an event said."""
        match effect:
            case Store(name, value) if name == DESIRED:
                return Store(name, self._kept(value))
            case Log(text=text) if "@" in text:
                return replace(effect, text=without_userinfo(text))
            case Append(record=Event(text=text) as record) if "@" in text:
                return replace(effect, record=replace(record, text=without_userinfo(text)))
            case Publish(message=State() as state):
                return replace(effect, message=_state(state))
            case _:
                return effect

    def _signed(self, message: Signed) -> Signed:
        signed: Signed = self._signer.sign(message, genuine=self._signer.genuine(message))
        return signed

    def _kept(self, value: bytes | None) -> bytes | None:
        """The stored revision holds its signature, too."""
        if not value:
            return value
        try:
            kept = msgspec.json.decode(value, type=Kept)
        except msgspec.MsgspecError:
            return None  # damaged: the core reads nothing from it either
        return msgspec.json.encode(replace(kept, desired=self._signed(kept.desired)))


def _state(state: State) -> State:
    """It repeats what devices said."""
    said = (*state.why_not, *state.devices.values())
    if not any("@" in one for one in said):
        return state
    devices = {name: without_userinfo(one) for name, one in state.devices.items()}
    return replace(state, why_not=tuple(map(without_userinfo, state.why_not)), devices=devices)
