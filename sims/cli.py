"""``jidoka sim`` and ``jidoka demo``: run a scenario, show the score, write the report."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec.structs import replace

from edge.cli.common import note, say, say_json, say_table
from edge.errors import ConfigError, Exit
from sims.cli_replay import compare, replay
from sims.hunt.cli import hunt
from sims.suite.cli import suite
from sims.swarm.cli import swarm

if TYPE_CHECKING:
    from sims.live import Show
    from sims.score_model import Goal, Report

app = typer.Typer(add_completion=False, no_args_is_help=True)
demo_app = typer.Typer(add_completion=False)

Seed = Annotated[int | None, typer.Option(help="Another world of the same kind; overrides the file.", min=0)]
Json = Annotated[bool, typer.Option("--json", help="Only the document, on stdout, also when goals are missed.")]
Live = Annotated[bool, typer.Option("--live/--virtual", help="Real time and real protocols, or virtual time.")]


@app.callback()
def group() -> None:
    """Simulate a line: a belt, a camera, a PLC, and everything that can go wrong."""


@app.command()
def run(
    scenario: Annotated[str, typer.Argument(metavar="SCENARIO", help="A TOML file, or a name as `sim ls` shows it.")],
    live: Live = True,
    seed: Seed = None,
    json: Json = False,
    out: Annotated[Path | None, typer.Option(help="Folder for report and logs (default: out/NAME).")] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Live: keep the agent's trace, as OUT/run/agent.trace, for `sim replay`.")
    ] = False,
) -> None:
    """Run a scenario and score it against the truth. Status 1 when a goal is missed.

    Live, every daemon is a process and speaks the real protocols, so a minute takes a minute. With --virtual the same
    agent and coordinator code runs under a clock that is a number: the same seed gives the same `trace_hash`, and a
    fleet's scenario (`jidoka sim run fleet --virtual`) runs a thousand agents in seconds.
    """
    _run(scenario, live=live, seed=seed, json=json, out=out, record=record)


app.command()(swarm)
app.command()(suite)
app.command()(hunt)
app.command("replay")(replay)
app.command("compare")(compare)


@app.command("ls")
def ls(json: Json = False) -> None:
    """List the scenarios that come with the package."""
    from sims.scenario import load_scenario, shipped
    from sims.virtual.fleet_spec import load_fleet

    found = [load_scenario(str(file))[0] for file in shipped(fleets=False)]
    fleets = [load_fleet(file) for file in shipped(fleets=True)]
    if json:
        say_json(
            [{"name": s.name, "about": s.scenario.about, "parts": s.scenario.parts, "line_s": s.line_s} for s in found]
            + [
                {
                    "name": f.scenario.name,
                    "about": f.scenario.about,
                    "agents": f.fleet.agents,
                    "line_s": f.fleet.seconds,
                }
                for f in fleets
            ]
        )
        return
    rows = [(s.name, str(s.scenario.parts), f"{s.line_s:.0f}", len(s.faults), s.scenario.about) for s in found]
    rows += [(f.scenario.name, "–", f"{f.fleet.seconds:.0f}", len(f.faults), f.scenario.about) for f in fleets]
    say_table(("scenario", "parts", "seconds", "faults", "about"), rows)


@demo_app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for report and logs.")] = Path("out/demo"),
    json: Json = False,
    seed: Seed = None,
) -> None:
    """Run a whole inspection line for a minute: belt, camera, PLC, agent, broker, coordinator; then score it."""
    _run("demo", live=True, seed=seed, json=json, out=out)


def _run(name: str, *, live: bool, seed: int | None, json: bool, out: Path | None, record: bool = False) -> None:
    from sims.scenario import find_scenario, is_fleet, load_scenario

    file = find_scenario(name)
    if is_fleet(file):
        _run_fleet(file, live=live, seed=seed, json=json, out=out)
    scenario, file = load_scenario(name)
    if record and not live:
        what = "a virtual run cannot be recorded"
        raise ConfigError(
            "SIM_RECORD_LIVE", what, "it can be had again at any time", "leave out --record, or --virtual"
        )
    from sims.story_report import report_of

    folder = out or Path("out") / scenario.name
    number = scenario.scenario.seed if seed is None else seed
    with _shown(scenario.scenario.parts, "parts", quiet=json) as show:
        if live:
            from sims.live import run_live

            report, story = run_live(scenario, file, number, folder, show, record=record)
        else:
            from sims.virtual.cell import Cell

            show("loading the model", 0, scenario.scenario.parts)
            report, story = Cell(scenario, file, number).run(show)
        show("writing the report", len(story.outcomes), scenario.scenario.parts)
        report = report_of(scenario, report, story, folder / "report.html")
    if json:
        say_json(report)
    else:
        _tell(report, story.notes)
    raise typer.Exit(int(Exit.OK if report.ok else Exit.MISSED))


def _run_fleet(file: Path, *, live: bool, seed: int | None, json: bool, out: Path | None) -> None:
    from sims.suite.day import day_of_fleet
    from sims.suite.page import write_page
    from sims.virtual.fleet import Fleet
    from sims.virtual.fleet_spec import load_fleet

    spec = load_fleet(file)
    if live:
        what = f"{spec.scenario.name} is a fleet without pictures or processes"
        raise ConfigError("SIM_VIRTUAL_ONLY", what, "it runs in virtual time", "say --virtual")
    began_s = time.perf_counter()
    with _shown(int(spec.fleet.seconds), "simulated seconds", quiet=json) as show:
        fleet = Fleet(spec, seed)
        report = fleet.run(show)
    day = day_of_fleet(fleet, report, time.perf_counter() - began_s)
    page = write_page([day], (out or Path("out") / spec.scenario.name) / "report.html", day.took_s)
    report = replace(report, report=str(page))
    if json:
        say_json(report)
    else:
        score = report.score
        rows = [
            (name.replace("_", " "), str(getattr(score, name)))
            for name in score.__struct_fields__
            if name not in {"lag_ms", "alarms"}
        ]
        lag = score.lag_ms
        rows.append(("lag, ms", f"p50 {lag.p50}  p99 {lag.p99}  max {lag.max}"))
        say_table(("score", report.scenario), rows)
        _tell_goals(report.goals)
        for broken in fleet.broken:
            note(f"broken: {broken.name}: {broken.what}")
        say(f"trace: {report.trace_hash}")
        say(f"report: {report.report}")
    raise typer.Exit(int(Exit.OK if report.ok else Exit.MISSED))


@contextlib.contextmanager
def _shown(total: int, unit: str, *, quiet: bool) -> Iterator[Show]:
    """A live line on stderr: what happens, how many of how many."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    said = ""
    columns = (
        BarColumn(32),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal, transient=True) as bar:
        task = bar.add_task("", total=total)

        def show(text: str, seen: int, _total: int) -> None:
            nonlocal said
            bar.update(task, description=text, completed=seen)
            stage = text.partition(":")[0]
            if not quiet and bar.disable and not stage[:1].isdigit() and stage != said:
                said = stage
                note(text)

        yield show


def _tell(report: Report, notes: list[str]) -> None:
    from sims.report import rows_of

    say_table(("score", report.scenario), rows_of(report.score))
    _tell_goals(report.goals)
    for line in notes:
        note(f"note: {line}")
    if report.trace_hash is not None:
        say(f"trace: {report.trace_hash}")
    say(f"report: {report.report}")


def _tell_goals(goals: Sequence[Goal]) -> None:
    from sims.report import limit_of

    if goals:
        rows = [
            (
                goal.name,
                limit_of(goal),
                "–" if goal.value is None else f"{goal.value:g}",
                "met" if goal.ok else "MISSED",
            )
            for goal in goals
        ]
        say_table(("goal", "limit", "value", ""), rows)
