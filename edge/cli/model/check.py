"""``jidoka model check``: may this model be used here?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge.cli.common import note, say, say_json, say_table


def check(
    model: Annotated[Path, typer.Argument(help="A bundle folder or an .onnx file.", metavar="MODEL")],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    allow: Annotated[
        list[str] | None,
        typer.Option(help="Also allow this operator: Op, domain:Op or domain:*. May be repeated.", metavar="OP"),
    ] = None,
    max_nodes: Annotated[int, typer.Option(help="Nodes, local functions counted as called.", min=1)] = 20_000,
    max_trips: Annotated[int, typer.Option(help="Turns of a loop; 0 lets loops turn for ever.", min=0)] = 100_000,
    cpu_s: Annotated[int, typer.Option(help="Of the trial; 0 goes by the model's size.", min=0)] = 0,
    memory_mb: Annotated[int, typer.Option(help="Address space of the trial.", min=64)] = 4096,
    dead_too: Annotated[bool, typer.Option("--dead-too", help="Let pass what never changes its answer.")] = False,
) -> None:
    """Ask everything of a model that is asked before it is used, and say what was found.

    Files and their sha256, the graph against the policy, weights, a trial in a child process under limits, whether it is
    alive, what the manifest says against what was seen, golden outputs. Nothing is taken from earlier trials. Status 3
    and one line for the first 'no'. The options are those of [guard] in agent.toml.
    """
    from edge.errors import ModelError
    from edge.models import checking
    from edge.models.graph.limits import GraphPolicy
    from edge.models.guard import GuardLimits

    policy = GraphPolicy(operators=tuple(allow or ()), max_nodes=max_nodes, max_trips=max_trips)
    limits = GuardLimits(memory_mb * 1024**2, cpu_s, policy=policy, liveness=not dead_too)
    try:
        report = checking.check(model, limits=limits)
    except ModelError as error:
        what = error.what if str(model) in error.what else f"{model}: {error.what}"
        raise ModelError(error.code, what, error.why, error.hint) from error
    if json:
        say_json(report)
        return
    say_table(("step", "found", "ms"), [(one.step, one.found, f"{one.ms:.0f}") for one in report.steps])
    for sentence in report.warnings:
        note(f"warning: {sentence}")
    say(f"{model}: nothing against it, {report.ms:.0f} ms; sha256 {report.sha256}")
