"""``jidoka sim hunt``: look for the smallest scenario that breaks a rule."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge.cli.common import note, say, say_json
from edge.errors import ConfigError, Exit

if TYPE_CHECKING:
    from sims.hunt.play import Spec
    from sims.hunt.search import Hunt, Plan, Told

Scenarios = Annotated[
    list[str] | None,
    typer.Argument(metavar="[SCENARIO]…", help="TOML files or names of `sim ls`; without, all of them."),
]
Json = Annotated[bool, typer.Option("--json", help="Only the document, on stdout.")]


def hunt(
    scenario: Scenarios = None,
    seconds: Annotated[float, typer.Option(help="Look for so long; shrinking comes on top.", min=0.1)] = 120.0,
    runs: Annotated[int, typer.Option(help="At most so many runs; 0: as many as there is time for.", min=0)] = 0,
    seed: Annotated[int, typer.Option(help="Another order of runs.", min=0)] = 1,
    jobs: Annotated[int, typer.Option(help="Processes; 0: one for each core.", min=0)] = 0,
    invariant: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only this one; may be repeated.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for what is found.")] = Path("out/hunt"),
    json: Json = False,
) -> None:
    """Vary seeds and fault timings until an invariant breaks, and print the smallest scenario that breaks it.

    Every run is a scenario of its own: few agents or parts, faults at random times, a network, a disk. It runs in
    virtual time and is watched record by record and command by command. What breaks is made smaller (fewer faults,
    fewer agents and parts, default settings, rounder times) and written as OUT/INVARIANT.toml; `jidoka sim run FILE
    --virtual` shows it again, with the same trace. Status 1 when something was found, 0 when nothing was.

    Invariants: lost, doubled, differs, unsettled, unconverged, wrong_part, let_through, misframed, unsafe, crashed.
    """
    from sims.hunt.play import INVARIANTS
    from sims.hunt.search import Plan

    for name in invariant or ():
        if name not in INVARIANTS:
            hint = f"one of {', '.join(INVARIANTS)}"
            raise ConfigError("HUNT_INVARIANT", f"there is no invariant {name}", hint=hint)
    plan = Plan(_bases(scenario or []), seed, seconds, runs, jobs or os.cpu_count() or 1, frozenset(invariant or ()))
    state = _hunt(plan, quiet=json)
    if state.found is not None:
        from sims.hunt.found import written

        state.found = written(state.found, out)
    if json:
        _say_document(plan, state)
    else:
        _tell(state)
    raise typer.Exit(int(_status(state)))


def _status(state: Hunt) -> Exit:
    if state.found is not None:
        return Exit.MISSED
    return Exit.INTERRUPTED if state.interrupted else Exit.OK


def _bases(names: list[str]) -> tuple[Spec, ...]:
    """Fleets run ten times as fast as lines: without names every second run is one."""
    from sims.hunt.found import placed
    from sims.scenario import FOLDER, find_scenario, is_fleet, load_scenario, shipped
    from sims.virtual.fleet_spec import FleetScenario, load_fleet

    def one(file: Path) -> Spec:
        return load_fleet(file) if is_fleet(file) else placed(load_scenario(str(file))[0], file)

    if names:
        return tuple(one(find_scenario(name)) for name in names)
    suite = [one(file) for file in sorted((FOLDER / "suite").glob("*.toml"))]
    fleets = [one(file) for file in shipped(fleets=True)] + [spec for spec in suite if isinstance(spec, FleetScenario)]
    lines = [one(file) for file in shipped(fleets=False)]
    lines += [spec for spec in suite if not isinstance(spec, FleetScenario)]
    return tuple(spec for i, line in enumerate(lines) for spec in (line, fleets[i % len(fleets)]))


def _hunt(plan: Plan, *, quiet: bool) -> Hunt:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from sims.hunt.search import hunt as search

    console = Console(stderr=True)
    columns = (BarColumn(32), TimeElapsedColumn(), TextColumn("{task.description}"))
    said = ""
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal, transient=True) as bar:
        task = bar.add_task("starting", total=plan.runs or plan.seconds)

        def told(state: Hunt, text: str) -> None:
            nonlocal said
            done = state.runs if plan.runs else state.seconds
            pace = state.runs / max(state.seconds, 0.001)
            kinds = f"{len(state.coverage)} kinds of fault"
            bar.update(task, completed=done, description=f"{text}: {state.runs} runs, {pace:.0f}/s, {kinds}")
            if not quiet and bar.disable and text != said:
                said = text
                note(text)

        show: Told = told
        return search(plan, show)


def _tell(state: Hunt) -> None:
    kinds = ", ".join(f"{kind} {n}" for kind, n in sorted(state.coverage.items()))
    note(f"{state.runs} runs in {state.seconds:.1f} s ({state.runs / max(state.seconds, 0.001):.0f}/s); with {kinds}")
    found = state.found
    if found is None:
        say("interrupted: nothing was found so far" if state.interrupted else "nothing was found")
        return
    note(f"run {found.number}: {found.faults_first} faults made {found.faults} in {found.shrink_runs} runs")
    say(Path(found.file or "").read_text(encoding="utf-8").rstrip())


def _say_document(plan: Plan, state: Hunt) -> None:
    say_json(
        {
            "seed": plan.seed,
            "runs": state.runs,
            "seconds": round(state.seconds, 2),
            "runs_per_s": round(state.runs / max(state.seconds, 0.001), 1),
            "coverage": dict(sorted(state.coverage.items())),
            "interrupted": state.interrupted,
            "found": state.found,
        }
    )
