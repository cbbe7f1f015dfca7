"""The report of a run: one HTML file that needs nothing else, with pictures of what was missed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from string import Template

from msgspec import Struct

from edge.errors import StoreError
from sims.chronicle import Chronicle
from sims.faults import Fault
from sims.report_lanes import STYLE, lanes
from sims.report_pictures import Shelf, as_data_url
from sims.report_svg import recall, timeline
from sims.score_model import Goal, Outcome, Report, Score

TEMPLATE = Path(__file__).with_name("report.html")

GOAL_WORDS = {
    "escapes": "bad parts that got through",
    "escape_pct": "bad parts that got through, % of all bad",
    "overkill": "good parts rejected",
    "overkill_pct": "good parts rejected, % of all good",
    "unsure": "parts the model was unsure of",
    "uninspected": "parts nobody inspected",
    "uninspected_not_held": "uninspected parts among the good ones",
    "wrong_part": "wrong part rejected or let through",
    "late": "verdicts too late",
    "misframed": "judged by a picture taken too late",
    "lost": "records lost",
    "doubled": "records or verdicts twice",
    "p50_ms": "trigger to verdict, median, ms",
    "p99_ms": "trigger to verdict, 99 of 100, ms",
    "max_ms": "trigger to verdict, worst, ms",
    "parts_min": "parts",
    "rejects_min": "parts with a flaw above the limit",
    "recall_pct_min": "flaws above the limit found, %",
}


class Told(Struct, frozen=True):
    """What the report tells beside the score."""

    about: str
    outcomes: Sequence[Outcome]
    faults: Sequence[tuple[Fault, float, float]]
    shelves: Sequence[Shelf]
    notes: Sequence[str]
    line_s: float
    setting: str
    chronicle: Chronicle | None = None
    title: str = ""


def write_report(report: Report, told: Told, file: Path) -> Path:
    """Write it. Raises StoreError REPORT_UNWRITABLE."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(as_html(report, told), encoding="utf-8")
    except OSError as error:
        raise StoreError("REPORT_UNWRITABLE", f"cannot write {file}", error.strerror or "") from error
    return file


def as_html(report: Report, told: Told) -> str:
    """The whole page."""
    missed = [goal for goal in report.goals if not goal.ok]
    badge = f"{len(missed)} of {len(report.goals)} goals missed" if missed else "All goals met"
    if not report.goals:
        badge = "No goals set"
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=escape(f"Jidoka: {report.scenario}"),
        name=escape(told.title or report.scenario),
        about=escape(told.about),
        meta=escape(f"{report.mode}, seed {report.seed}, {told.line_s:.0f} s of line time; {told.setting}; {made}"),
        badge=badge,
        badge_class="missed" if missed else "",
        tiles=_tiles(report.score),
        goals_about="what had to hold" if report.goals else "this scenario sets none",
        goals=_goals(report.goals),
        score=_score(report.score),
        style=STYLE,
        lanes=lanes(told.chronicle, curves=False) if told.chronicle else "",
        timeline=timeline(told.outcomes, told.faults, told.line_s),
        recall=recall(report.score.recall),
        gallery="".join(_shelf(shelf) for shelf in told.shelves),
        notes=_notes(told.notes),
        footer="Made by jidoka. A part is a reject when one of its flaws, weighed by contrast, reaches its kind's limit; "
        "borderline parts count in neither escapes nor overkill.",
    )


def rows_of(score: Score) -> list[tuple[str, str]]:
    """The score as words and figures, for table and page alike."""
    latency = score.latency_ms
    fates = ", ".join(f"{n} {fate.replace('_', ' ')}" for fate, n in score.fates.items())
    shown = [
        f"{name} {value:.1f}"
        for name, value in (("p50", latency.p50), ("p99", latency.p99), ("max", latency.max))
        if value is not None
    ]
    return [
        ("parts", f"{score.parts}: {fates or 'none'}"),
        ("truth", ", ".join(f"{n} {name}" for name, n in score.grades.items())),
        ("escapes", f"{score.escapes} ({score.escape_pct:g} % of rejects)"),
        ("overkill", f"{score.overkill} ({score.overkill_pct:g} % of good)"),
        ("recall above the limit", "–" if score.recall_pct is None else f"{score.recall_pct:g} %"),
        ("unsure", str(score.unsure)),
        ("uninspected", f"{score.uninspected}, of them {score.uninspected_not_held} not held"),
        ("wrong part", str(score.wrong_part)),
        ("late, undelivered, misframed", f"{score.late}, {score.undelivered}, {score.misframed}"),
        ("lost, doubled, pending", f"{score.lost}, {score.doubled}, {score.pending}"),
        ("latency, ms", "  ".join(shown) or "–"),
    ]


def _tiles(score: Score) -> str:
    p99 = score.latency_ms.p99
    tiles: list[tuple[str, str, bool | None]] = [
        (str(score.parts), "parts", None),
        (str(score.grades["reject"]), "truly bad", None),
        (str(score.escapes), "escapes", score.escapes == 0),
        (f"{score.overkill_pct:g} %", "overkill", None),
        (str(score.uninspected_not_held), "uninspected, not held", score.uninspected_not_held == 0),
        (str(score.wrong_part), "wrong part", score.wrong_part == 0),
        (f"{score.lost} / {score.doubled}", "lost / doubled", score.lost == score.doubled == 0),
        ("–" if p99 is None else f"{p99:.0f} ms", "p99 to verdict", None),
    ]
    dress = {None: "", True: " good", False: " bad"}
    return "".join(
        f'<div class="tile{dress[state]}"><b>{escape(value)}</b><span>{escape(name)}</span></div>'
        for value, name, state in tiles
    )


def _goals(goals: Sequence[Goal]) -> str:
    if not goals:
        return ""
    rows = "".join(
        f"<tr><td>{escape(GOAL_WORDS.get(goal.name, goal.name))}</td><td class=num>{limit_of(goal)}</td>"
        f"<td class=num>{'–' if goal.value is None else f'{goal.value:g}'}</td>"
        f'<td class="num {"ok" if goal.ok else "no"}">{"met" if goal.ok else "missed"}</td></tr>'
        for goal in goals
    )
    return f"<table><tr><th>goal</th><th class=num>limit</th><th class=num>value</th><th></th></tr>{rows}</table>"


def limit_of(goal: Goal) -> str:
    """``≤ 2`` or ``≥ 200``."""
    return f"{'≥' if goal.name.endswith('_min') else '≤'} {goal.limit:g}"


def _score(score: Score) -> str:
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in rows_of(score))
    return f"<table>{rows}</table>"


def _shelf(shelf: Shelf) -> str:
    figures = "".join(
        f'<figure><img alt="{escape(one.title)}" src="{as_data_url(one.jpeg)}"><figcaption>{escape(one.title)}<br>'
        f"<small>{escape(one.text)}</small></figcaption></figure>"
        for one in shelf.pictures
    )
    about = f'<p class="quiet">{escape(shelf.about)}</p>'
    return f'<section><h2>{escape(shelf.title)}</h2>{about}<div class="shelf">{figures}</div></section>'


def _notes(notes: Sequence[str]) -> str:
    if not notes:
        return ""
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f"<section><h2>Notes</h2><ul>{items}</ul></section>"
