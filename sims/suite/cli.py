"""``jidoka sim suite``: the plant's bad days, one after another or at once, and one page that tells of them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import Struct

from edge.cli.common import note, say, say_json, say_table
from edge.errors import Exit, InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sims.suite.day import Day


class DayLine(Struct, frozen=True):
    """One scenario in the document of ``--json``."""

    name: str
    title: str
    ok: bool
    seen: str
    goals: tuple[object, ...]
    seed: int
    trace_hash: str
    took_s: float
    error: str = ""


class SuiteDocument(Struct, frozen=True):
    """The document of ``--json``."""

    ok: bool
    days: tuple[DayLine, ...]
    took_s: float
    report: str


def suite(
    only: Annotated[str, typer.Option("--only", metavar="PATTERN", help="Those with this in their name.")] = "",
    jobs: Annotated[int, typer.Option(help="So many at a time; 0: one a core.", min=0, max=256)] = 0,
    json: Annotated[
        bool, typer.Option("--json", help="Only the document, on stdout, also when goals are missed.")
    ] = False,
    model: Annotated[
        str, typer.Option(metavar="BUNDLE", help="Lines inspect with this model instead of the one in their files.")
    ] = "",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for suite.html.")] = Path("out/suite"),
) -> None:
    """Run the plant's bad days in virtual time, and write one page about them. Status 1 when a promise is broken.

    Each scenario in sims/scenarios/suite says what happens and what must hold: a broker that is gone for ten minutes at
    shift change, a power cut, a dirty lens, a lost ledger. The same seed gives the same run.

    Does a new model hold on them? jidoka sim suite --only camera --model my-bundle

    One alone, with its own report: jidoka sim run suite/NAME --virtual
    """
    from sims.scenario import BUILTIN
    from sims.suite.day import find_days
    from sims.suite.page import write_page
    from sims.suite.runner import run_days

    files = find_days(only)
    began_s = time.perf_counter()

    def done(day: Day, number: int) -> None:
        if not json:
            note(f"{number}/{len(files)} {'kept  ' if day.ok else 'BROKEN'} {day.took_s:5.1f} s  {day.title}")

    if model and not model.startswith(BUILTIN) and not Path(model).exists():
        raise InputError("MODEL_ABSENT", f"there is no model at {model}")
    bundle = model if not model or model.startswith(BUILTIN) else str(Path(model).resolve())
    days = run_days(files, jobs, done, bundle)
    took_s = time.perf_counter() - began_s
    report = write_page(days, out / "suite.html", took_s)
    if json:
        say_json(_document(days, took_s, report))
    else:
        _tell(days, took_s, report)
    raise typer.Exit(int(Exit.OK if all(day.ok for day in days) else Exit.MISSED))


def _document(days: Sequence[Day], took_s: float, report: Path) -> SuiteDocument:
    lines = tuple(
        DayLine(d.name, d.title, d.ok, d.seen, d.goals, d.seed, d.trace_hash, round(d.took_s, 2), d.error) for d in days
    )
    return SuiteDocument(all(day.ok for day in days), lines, round(took_s, 2), str(report))


def _tell(days: Sequence[Day], took_s: float, report: Path) -> None:
    from sims.report import limit_of
    from sims.suite.words import goal_words

    missed = [(day, goal) for day in days for goal in day.goals if not goal.ok]
    rows = [
        (day.name, goal_words(goal), limit_of(goal), "–" if goal.value is None else f"{goal.value:g}")
        for day, goal in missed
    ]
    rows += [(day.name, day.error, "", "") for day in days if day.error]
    if rows:
        say_table(("scenario", "broken", "limit", "value"), rows)
    kept = sum(day.ok for day in days)
    say(f"{kept} of {len(days)} promises kept, in {took_s:.0f} s")
    say(f"report: {report}")
