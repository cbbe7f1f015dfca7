"""Small things done once on request: ping and snapshot, and the answers to them."""

from __future__ import annotations

from edge.core.scribe import Scribe
from edge.core.settings import Settings
from edge.domain import FrameRef, Health
from edge.events import AgentEffect, EvidenceStored, KeepEvidence, Publish
from edge.messages import Ask, Reply

NEWEST = 0
"""``frame_no`` of a FrameRef that means the newest frame of its source."""


class Asks:
    """Answers asks; a snapshot's answer waits until its picture is durable."""

    def __init__(self, scribe: Scribe) -> None:
        self._scribe = scribe

    def do(self, ask: Ask, settings: Settings, boot_no: int, health: Health) -> list[AgentEffect]:
        match ask.op:
            case "ping":
                versions = settings.versions.get("jidoka", "")
                return [self.done(ask, boot_no=boot_no, ready=health.ready, version=versions)]
            case "snapshot":
                source = str(ask.args.get("source") or next(iter(settings.sources)))
                if source not in settings.sources:
                    return [Publish("reply", Reply(ask.id, ok=False, code="SOURCE_UNKNOWN", what=source[:64]))]
                return [KeepEvidence(FrameRef(source, NEWEST, 0), "snapshot", None, ask.id)]
            case _:
                return [Publish("reply", Reply(ask.id, ok=False, code="CMD_UNKNOWN", what=ask.op[:64]))]

    def done(self, ask: Ask, **body: str | float | bool) -> Publish:
        return Publish("reply", Reply(ask.id, ok=True, body=dict(body)))

    def evidence(self, event: EvidenceStored) -> list[AgentEffect]:
        """A picture is durable; if somebody waits for it, say so."""
        self._scribe.count("evidence" if event.seq else "evidence_lost")
        if not event.ask_id:
            return []
        ok = event.seq > 0
        body: dict[str, str | int | float | bool] = {"evidence_seq": event.seq} if ok else {}
        return [Publish("reply", Reply(event.ask_id, ok, event.code, body=body))]
