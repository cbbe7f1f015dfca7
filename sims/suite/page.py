"""The suite's page: one HTML file that needs nothing else. Pure but for writing it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from string import Template

from edge.errors import StoreError
from sims.report import limit_of
from sims.report_lanes import STYLE, clock, lanes
from sims.score_model import Goal
from sims.suite.day import Day
from sims.suite.words import goal_words

TEMPLATE = Path(__file__).with_name("suite.html")
FOOTER = (
    "Made by jidoka. The software under test is what runs in the plant: the same agents and coordinator, under a clock that "
    "is a number. The same seed gives the same run, to the last byte."
)


def write_page(days: Sequence[Day], file: Path, took_s: float = 0.0) -> Path:
    """Write it. Raises StoreError REPORT_UNWRITABLE."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(as_html(days, took_s), encoding="utf-8")
    except OSError as error:
        raise StoreError("REPORT_UNWRITABLE", f"cannot write {file}", error.strerror or "") from error
    return file


def as_html(days: Sequence[Day], took_s: float = 0.0) -> str:
    """The whole page; of one day alone, or of many with a table in front."""
    alone = days[0] if len(days) == 1 else None
    missed = [day for day in days if not day.ok]
    if missed:
        badge = "Promise broken" if alone else f"{len(missed)} of {len(days)} promises broken"
    else:
        badge = "Promise kept" if alone else f"All {len(days)} promises kept"
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    ran_s = sum(day.chronicle.seconds for day in days)
    took = f", run in {clock(round(took_s))}" if took_s else ""
    about = (
        ""
        if alone
        else "What can go wrong in a plant, tried on the software that runs there. Each day below says "
        "what happened, what was promised, what was seen, and whether the promise was kept."
    )
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=escape(f"Jidoka: {alone.title}" if alone else "Jidoka: bad days"),
        name=escape(alone.title if alone else "Bad days in the plant"),
        about=escape(about),
        meta=escape(f"{clock(round(ran_s))} of plant time{took}; {made}"),
        badge=badge,
        badge_class="missed" if missed else "",
        style=STYLE,
        index="" if alone else _index(days),
        days="".join(_day(day, alone=alone is not None) for day in days),
        footer=escape(FOOTER),
    )


def _index(days: Sequence[Day]) -> str:
    rows = "".join(
        f'<tr><td><a href="#{day.name}">{escape(day.title)}</a></td><td class="seen">{escape(day.error or day.seen)}</td>'
        f"<td>{_kept(day)}</td></tr>"
        for day in days
    )
    return f"<nav><table><tr><th>what happened</th><th>what was seen</th><th></th></tr>{rows}</table></nav>"


def _kept(day: Day) -> str:
    return '<span class="kept">kept</span>' if day.ok else '<span class="not">broken</span>'


def _day(day: Day, *, alone: bool) -> str:
    head = "" if alone else f'<div class="head"><h2>{escape(day.title)}</h2>{_kept(day)}</div>'
    told = [("happened", day.about), ("promised", day.promise), ("seen", day.error or day.seen)]
    words = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in told if text)
    figures = "".join(f"<div><b>{escape(value)}</b><span>{escape(name)}</span></div>" for name, value in day.figures)
    goals = "".join(_goal(goal) for goal in day.goals)
    pictures = "".join(
        f'<figure><img alt="{escape(one.text)}" src="data:image/jpeg;base64,{base64.b64encode(one.jpeg).decode()}">'
        f"<figcaption>{escape(one.text)}</figcaption></figure>"
        for one in day.pictures
    )
    shots = f'<div class="shots">{pictures}</div>' if pictures else ""
    again = f"jidoka sim run suite/{day.name} --virtual --seed {day.seed}"
    return (
        f'<section id="{day.name}">{head}<dl class="told">{words}</dl>{lanes(day.chronicle)}<div class="figures">{figures}</div>'
        f'<ul class="goals">{goals}</ul>{shots}<p class="small">again: <code>{escape(again)}</code></p></section>'
    )


def _goal(goal: Goal) -> str:
    value = "–" if goal.value is None else f"{round(goal.value, 1):,}".removesuffix(".0")
    style = "" if goal.ok else ' class="missed"'
    return f"<li{style}>{escape(goal_words(goal))}: <b>{value}</b> ({limit_of(goal)})</li>"
