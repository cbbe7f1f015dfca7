"""Carries out the core's effects, live. Dull on purpose: an ``if`` about the business would belong in a core."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from edge.core.shipping import record_bytes
from edge.errors import RemoteError
from edge.events import (
    AgentEffect,
    AgentEvent,
    Append,
    Apply,
    Beat,
    Capture,
    Connect,
    Disconnect,
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
    UseRecipe,
)
from edge.ports import Journal, Link
from edge.shell.actuate import ActuateThread
from edge.shell.capture import CaptureThread
from edge.shell.evidence import EvidenceThread
from edge.shell.framestore import FrameStore
from edge.shell.infer import Infer
from edge.shell.keeper import Keeper
from edge.shell.logs import Logger
from edge.topics import TopicKind, encode

if TYPE_CHECKING:
    from edge.shell.sensing import SensorFeed


@dataclass(frozen=True, slots=True)
class Shells:
    """All rooms with threads of one agent."""

    captures: Mapping[str, CaptureThread | SensorFeed]
    infer: Infer
    devices: Mapping[str, ActuateThread]
    store: FrameStore
    evidence: EvidenceThread
    journal: Journal
    keeper: Keeper
    link: Link | None


class Carrier:
    """``leave`` is called with the exit status when the core is done; ``count`` counts what could not be carried out."""

    def __init__(
        self,
        shells: Shells,
        log: Logger,
        post: Callable[[AgentEvent], None],
        leave: Callable[[int, str], None],
        count: Callable[[str], None],
    ) -> None:
        self._shells = shells
        self._log = log
        self._post = post
        self._leave = leave
        self._count = count

    def carry(self, effect: AgentEffect) -> None:
        """One effect."""
        shells = self._shells
        match effect:
            case Apply():
                shells.devices[effect.command.device].apply(effect.command)
            case Beat():
                shells.devices[effect.device].beat(effect.value, ready=effect.ready)
            case MakeSafe():
                for device in shells.devices.values():
                    device.make_safe()
            case Capture():
                shells.captures[effect.source].capture(effect)
            case Append():
                self._append(effect)
            case KeepEvidence():
                shells.evidence.keep(effect)
            case Release():
                shells.store.release(effect.ref)
            case Send() | Free() | Store() | Disconnect():
                shells.keeper.order(effect)
            case Publish():
                self._publish(effect)
            case Connect():
                if shells.link is not None:
                    shells.link.connect(encode("state", effect.will))
            case UseRecipe():
                shells.infer.use_recipe(effect.recipe)
            case Pause():
                for capture in shells.captures.values():
                    capture.pause(effect.paused)
            case SetRate():
                shells.captures[effect.source].set_rate(effect.max_fps)
            case Log():
                self._log(effect.level, effect.code, effect.text, effect.data)
            case Leave():
                self._leave(effect.status, effect.why)
            case _:
                assert_never(effect)

    def _append(self, effect: Append) -> None:
        payload = record_bytes(effect.kind, effect.record)
        if payload is None:
            self._count(f"too_large_{effect.kind}")
        if payload is None or not self._shells.journal.append(effect.kind, payload):
            self._count(f"not_journalled_{effect.kind}")

    def _publish(self, effect: Publish) -> None:
        kind: TopicKind = effect.kind
        try:
            payload = encode(kind, effect.message)
        except RemoteError as error:
            self._count(f"not_published_{kind}")
            self._log("error", error.code, str(error), {})
            return
        if self._shells.link is None or not self._shells.link.publish(kind, payload):
            self._count(f"not_published_{kind}")
