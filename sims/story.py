"""What a run left behind and what it tells beside its score: the same for live and for virtual time. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from sims.camera import Camera
from sims.chronicle import Chronicle
from sims.faults import Fault
from sims.line import PartTruth
from sims.parts import REJECT_SIZE_MM as LIMIT_MM
from sims.parts import Part, grade, is_reject, visible_size_mm
from sims.scenario import Scenario, goal_limits
from sims.score import check, judge, score
from sims.score_model import DefectFact, Outcome, PartFact, Report, Row, StreamState


class Kept(Struct, frozen=True):
    """One evidence picture of the ledger."""

    part_id: int
    boot_no: int
    part_no: int | None
    decision: str
    why: str
    jpeg: bytes


class Left(Struct, frozen=True):
    """What ledger and journal hold at the end; ``evidence`` by (boot_no, part_id)."""

    rows: Sequence[Row]
    streams: Sequence[StreamState]
    evidence: dict[tuple[int, int], Kept]


@dataclass(slots=True)
class Story:
    """What the report tells beside the score."""

    parts: tuple[Part, ...]
    outcomes: list[Outcome] = field(default_factory=list)
    faults: list[tuple[Fault, float, float]] = field(default_factory=list)
    """(fault, began, ended) in seconds of line time, as it really was."""
    notes: list[str] = field(default_factory=list)
    evidence: dict[tuple[int, int], Kept] = field(default_factory=dict)
    camera: Camera | None = None
    line_s: float = 0.0
    worst_lag_ms: float = 0.0
    broker: str = ""
    chronicle: Chronicle | None = None


class Document(Struct, frozen=True):
    """Makes the document of a run (DESIGN §8)."""

    scenario: Scenario
    mode: Literal["live", "virtual"]
    seed: int
    trace_hash: str | None = None
    watch: Callable[[Sequence[Outcome]], int] | None = None
    """Counts the invariants that do not hold, where somebody watches."""

    def scored(self, story: Story, truth: Sequence[PartTruth], left: Left, origin_utc_ms: int) -> Report:
        """Judge every part, count, and check the goals; outcomes and evidence go into the story."""
        assert story.camera is not None
        camera, scenario = story.camera, self.scenario
        facts = [_fact(index, part, camera) for index, part in enumerate(story.parts)]
        mm_per_px = scenario.camera.mm_per_px
        offsets = {
            (frame_no, index): offset_mm / mm_per_px
            for frame_no, exposure in camera.exposures.items()
            for index, offset_mm in exposure.parts
        }
        in_view_px = (scenario.camera.width_px - scenario.belt.part_length_mm / mm_per_px) / 2
        story.outcomes = judge(facts, truth, left.rows, offsets, origin_utc_ms, in_view_px)
        story.evidence = left.evidence
        result = score(story.outcomes, left.streams)
        if self.watch is not None:
            result = replace(result, broken=self.watch(story.outcomes))
        goals = check(result, goal_limits(scenario.goals))
        return Report(scenario.name, self.mode, self.seed, goals, result, self.trace_hash, None)


def _fact(index: int, part: Part, camera: Camera) -> PartFact:
    if not part.defects:
        return PartFact(index, grade(part))
    camera.find(index)
    boxes = {box.number: box.xyxy for box in camera.boxes[index]}
    defects = []
    for number, defect in enumerate(part.defects):
        if number in boxes:
            ratio = visible_size_mm(defect) / LIMIT_MM[defect.kind]
            # a defect at the very limit is a reject by the rule of sims.parts, whatever the rounding here
            ratio = max(1.0, ratio) if is_reject(defect) else min(ratio, 0.999)
            defects.append(DefectFact(defect.kind, ratio, boxes[number]))
    return PartFact(index, grade(part), tuple(defects))
