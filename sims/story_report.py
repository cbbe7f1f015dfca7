"""From a run's story to its report: which evidence belongs to which part."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from sims.report import Told, write_report
from sims.report_pictures import shelves
from sims.scenario import Scenario
from sims.score_model import Outcome, Report
from sims.story import Story


def report_of(scenario: Scenario, report: Report, story: Story, file: Path) -> Report:
    """Write the HTML report and name it in the document. Raises StoreError."""
    camera = story.camera
    assert camera is not None
    mm_per_px = scenario.camera.mm_per_px

    def evidence(o: Outcome) -> bytes | None:
        kept = story.evidence.get((o.row.boot_no, o.row.part_id)) if o.row else None
        return kept.jpeg if kept else None

    def frame_of(o: Outcome) -> int | None:
        """The frame that was judged, else the first in which the part was seen."""
        if o.row and any(index == o.truth.index for index, _ in _parts_in(o.row.frame_no)):
            return o.row.frame_no
        seen = (no for no in camera.exposures if any(index == o.truth.index for index, _ in _parts_in(no)))
        return next(seen, None)

    def _parts_in(frame_no: int) -> tuple[tuple[int, float], ...]:
        exposure = camera.exposures.get(frame_no)
        return exposure.parts if exposure else ()

    def again(o: Outcome) -> bytes | None:
        frame_no = frame_of(o)
        return None if frame_no is None else camera.again(frame_no)

    def offset_px(o: Outcome) -> float:
        frame_no = frame_of(o)
        found = dict(_parts_in(frame_no)) if frame_no is not None else {}
        return found.get(o.truth.index, 0.0) / mm_per_px

    rows = shelves(story.outcomes, story.parts, evidence, again, offset_px) if camera.draws else []
    setting = f"broker {story.broker}"
    if report.mode == "live":
        setting += f", the line's thread at most {story.worst_lag_ms:.0f} ms late"
    told = Told(
        scenario.scenario.about,
        story.outcomes,
        story.faults,
        rows,
        story.notes,
        story.line_s,
        setting,
        story.chronicle,
        scenario.scenario.title,
    )
    return replace(report, report=str(write_report(report, told, file)))
