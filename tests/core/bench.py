"""A core on the bench: a fake journal and link made of lists, time as a number."""

from __future__ import annotations

import random
from typing import Any

from edge.core.agent import AgentCore
from edge.core.dialogue import Boot
from edge.core.policy import LabelRule, ThresholdOptions, ThresholdPolicy
from edge.core.settings import MS, PlcSettings, RecipeSettings, Settings, SourceSettings
from edge.domain import KINDS, Finding, FrameRef, Inference, ModelRef, Reading, RemoteKey
from edge.events import AgentEffect, AgentEvent, Inferred, Polled
from edge.ports import Heads

MODEL = ModelRef("surface", "1.0.0", "ab" * 32)
KEYS = (
    RemoteKey(
        "policy.labels.scratch.min_score", ("policies", "default", "labels", "scratch", "min_score"), "float", 0, 1
    ),
    RemoteKey("stop.consecutive", ("stop", "consecutive"), "int", 0, 100),
)


def settings(**changes: Any) -> Settings:
    values: dict[str, Any] = {
        "site": "s",
        "agent": "a",
        "recipes": {"default": RecipeSettings(MODEL)},
        "policies": {"default": ThresholdOptions(labels={"scratch": LabelRule(min_score=0.5, unsure_score=0.3)})},
        "sources": {"cam": SourceSettings()},
        "devices": ("plc",),
        "plc": PlcSettings("plc", "cam"),
        "remote": KEYS,
    }
    return Settings(**{**values, **changes})


def heads(last: int = 0, acked: int = 0, first: int | None = None) -> Heads:
    return Heads(last, acked, acked + 1 if first is None else first, 0)


class Bench:
    """Feeds events at a time it is told, keeps all effects."""

    def __init__(self, wanted: Settings | None = None, **boot: Any) -> None:
        base: dict[str, Any] = {"log": "log1", "boot_no": 1, "conn_no": 0, "heads": dict.fromkeys(KINDS, heads())}
        self.core = AgentCore(
            wanted or settings(),
            Boot(**{**base, "linked": True, **boot}),
            {"default": ThresholdPolicy},
            random.Random(1),
        )
        self.now_ns = 1_000 * MS
        self.effects: list[AgentEffect] = list(self.core.start(self.now_ns))

    def feed(self, *events: AgentEvent, after_ms: float = 1.0) -> list[AgentEffect]:
        got: list[AgentEffect] = []
        for event in events:
            self.now_ns += int(after_ms * MS)
            got += self.core.handle(event, self.now_ns)
        self.effects += got
        return got

    def poll(self, part_no: int, *, after_ms: float = 1.0, encoder: int = 0, **values: int) -> list[AgentEffect]:
        known = {
            "part_no": part_no,
            "encoder": encoder,
            "encoder_latched": encoder,
            "result_ack": part_no - 1,
            **values,
        }
        return self.feed(Polled(Reading("plc", self.now_ns + int(after_ms * MS), known)), after_ms=after_ms)

    def infer(self, part_id: int | None, frame_no: int, *scores: float, label: str = "scratch") -> list[AgentEffect]:
        findings = tuple(Finding(label, score, (0, 0, 9, 9), 81.0) for score in scores)
        ref = FrameRef("cam", frame_no, self.now_ns)
        return self.feed(Inferred(ref, part_id, Inference(findings), "surface", self.now_ns))


def of(kind: type, effects: list[AgentEffect]) -> list[Any]:
    return [effect for effect in effects if isinstance(effect, kind)]
