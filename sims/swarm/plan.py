"""What a swarm is to be, and what travels between its boss and its workers: plain values, handed over a pipe."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Final

from msgspec import Struct

from edge.core.policy import LabelRule, ThresholdOptions
from edge.core.settings import EvidenceSettings, RecipeSettings, Settings, SourceSettings
from edge.domain import Kind, ModelRef, RemoteKey
from edge.shell.endpoint import Endpoint

SOURCE: Final = "cam"
LABEL: Final = "scratch"
SETTING: Final = "policy.labels.scratch.min_score"
MODEL: Final = ModelRef("swarm", "1.0.0", "0" * 64)
_REMOTE: Final = (RemoteKey(SETTING, ("policies", "default", "labels", LABEL, "min_score"), "float", 0.0, 1.0),)


class Plan(Struct, frozen=True):
    """One swarm. ``connects_per_s`` 0: all at once. ``fail_share`` of the parts fail; ``evidence_bytes`` is the size of the
    picture that each of those gives, 0 for none. ``disk`` is the folder of the journals, None keeps them in memory.
    """

    agents: int
    site: str
    endpoint: Endpoint
    prefix: str = "swarm"
    seed: int = 1
    fail_share: float = 0.05
    evidence_bytes: int = 0
    connects_per_s: float = 250.0
    disk: Path | None = None

    def name(self, number: int) -> str:
        """The agent's id, from number 1 on."""
        return f"{self.prefix}-{number:05d}"


def settings_of(plan: Plan, agent: str) -> Settings:
    """What an agent's core is told: one camera without a PLC, one label that fails a part, one setting from afar."""
    return Settings(
        plan.site,
        agent,
        {"default": RecipeSettings(MODEL)},
        {"default": ThresholdOptions(labels={LABEL: LabelRule(min_score=0.5)})},
        {SOURCE: SourceSettings()},
        evidence=EvidenceSettings(("fail", "unsure") if plan.evidence_bytes else ()),
        remote=_REMOTE,
        versions={"jidoka": version("jidoka-edge")},
    )


class Step(Struct, frozen=True):
    """Boss to worker: from ``start_ns`` to ``end_ns`` (monotonic, one clock for all processes of a machine) the first
    ``active`` agents of the swarm give ``rate`` results a second each.
    """

    rate: float
    active: int
    start_ns: int
    end_ns: int


class Tell(Struct, frozen=True):
    """Boss to worker: hand in the step's figures, and where every journal stands."""


class Part(Struct, frozen=True):
    """Boss to worker: everybody leaves in good order."""


class Progress(Struct, frozen=True):
    """Worker to boss, twice a second. ``backlog`` are records committed and not acknowledged."""

    online: int
    results: int
    backlog: int


class Stand(Struct, frozen=True):
    """Where one agent's journal stands: by kind, (last committed, acknowledged up to)."""

    agent: str
    log: str
    heads: dict[Kind, tuple[int, int]]


class Told(Struct, frozen=True):
    """Worker to boss: milliseconds as 32-bit floats (``array('f')``), records journalled since the step began, and what
    the agents' cores counted since their boot.
    """

    lag_ms: bytes
    behind_ms: bytes
    results: int
    stands: tuple[Stand, ...]
    counters: dict[str, int]
    errors: tuple[str, ...]


class Parted(Struct, frozen=True):
    """Worker to boss, its last word: how many said that they stop, and CPU seconds of the process."""

    stopped: int


Order = Step | Tell | Part
Word = Progress | Told | Parted
