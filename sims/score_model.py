"""The values a score is made from and of: truth, ledger rows, outcomes, figures, goals. Pure."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from edge.domain import Decision, Finding, SeqRange
from sims.line import PartTruth
from sims.parts import Grade

Box = tuple[float, float, float, float]


class Row(Struct, frozen=True):
    """One result as the ledger holds it."""

    log: str
    seq: int
    decision: Decision
    utc_ms: int
    frame_no: int
    part_id: int
    boot_no: int
    part_no: int | None = None
    findings: tuple[Finding, ...] = ()


class StreamState(Struct, frozen=True):
    """One stream of an agent: how far its journal had committed, and what the ledger holds or explains."""

    log: str
    kind: str
    committed: int
    held: tuple[SeqRange, ...]
    gaps: tuple[SeqRange, ...] = ()
    rows: int = 0
    """Rows in the ledger; more than numbers in ``held`` means a key was stored twice."""
    kept: SeqRange | None = None
    """What the agent's journal still holds for the coordinator: not lost, it goes out at the next start."""


class DefectFact(Struct, frozen=True):
    """One true defect: its size over the limit, and its box (px) with the part centred in the picture."""

    kind: str
    size_ratio: float
    box: Box


class PartFact(Struct, frozen=True):
    """What a part truly is."""

    index: int
    grade: Grade
    defects: tuple[DefectFact, ...] = ()


class Outcome(Struct, frozen=True):
    """One part, judged."""

    truth: PartTruth
    fact: PartFact
    decision: Decision
    row: Row | None
    found: tuple[bool, ...]
    escape: bool
    overkill: bool
    wrong_part: bool
    uninspected: bool
    late: bool
    misframed: bool
    verdicts: int


class Latency(Struct, frozen=True):
    """Milliseconds; null when no verdict arrived."""

    p50: float | None
    p99: float | None
    max: float | None


class RecallBin(Struct, frozen=True):
    """Defects of one kind and size, and how many were found. ``upto`` is null for the last bin."""

    kind: str
    ratio_from: float
    ratio_upto: float | None
    defects: int
    found: int


class Score(Struct, frozen=True):
    """All figures of one run; see the top of this file for what they mean."""

    parts: int
    escapes: int
    overkill: int
    unsure: int
    uninspected: int
    uninspected_not_held: int
    wrong_part: int
    late: int
    undelivered: int
    misframed: int
    lost: int
    pending: int
    doubled: int
    latency_ms: Latency
    grades: dict[str, int]
    fates: dict[str, int]
    escape_pct: float
    overkill_pct: float
    recall_pct: float | None
    recall: tuple[RecallBin, ...]
    broken: int | None = None


class Goal(Struct, frozen=True):
    """One goal: ``value`` must be at most ``limit``, or at least for names ending in ``_min``. Null is not met."""

    name: str
    limit: float
    value: float | None
    ok: bool


class Report(Struct, frozen=True):
    """The document of a run (DESIGN §8)."""

    scenario: str
    mode: Literal["live", "virtual"]
    seed: int
    goals: tuple[Goal, ...]
    score: Score
    trace_hash: str | None
    report: str | None

    @property
    def ok(self) -> bool:
        return all(goal.ok for goal in self.goals)
