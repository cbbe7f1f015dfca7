"""``jidoka model bench``: the fastest safe way to run a model on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge.cli.common import note, progress, say, say_json, say_table
from edge.errors import Exit, InputError

if TYPE_CHECKING:
    from edge.models.benching.deciding import Decision, Row
    from edge.models.benching.subject import Subject
    from edge.models.tuning.machine import Machine
    from edge.ports import Image

MAX_PICTURES = 8
"""More say nothing new of what preparing and reading cost."""


def bench(
    bundle: Annotated[Path, typer.Argument(help="A bundle folder or an .onnx file.", metavar="BUNDLE")],
    inputs: Annotated[
        Path | None,
        typer.Argument(
            help="What it shall see: a picture or, of a series model, a table of samples; or a folder of some.",
            metavar="IMAGE|TABLE|FOLDER",
        ),
    ] = None,
    latency_ms: Annotated[
        float | None, typer.Option(help="99 of 100 frames must be through in so many ms, decoding excepted.", min=0.01)
    ] = None,
    provider: Annotated[
        list[str] | None,
        typer.Option(help="Also try this execution provider of ONNX Runtime. May be repeated.", metavar="NAME"),
    ] = None,
    rounds: Annotated[int, typer.Option(help="Every way is measured so often, in turn.", min=1, max=100)] = 3,
    seconds: Annotated[float, typer.Option(help="Of one measurement.", min=0.01, max=600)] = 0.5,
    keep: Annotated[bool, typer.Option("--keep/--no-keep", help="Keep the choice for the agent.")] = True,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Measure ways of running a model on this machine, and recommend one.

    Workers on a shared session against threads inside it, spinning, levels of graph rewriting, OpenVINO and execution
    providers where they are installed, and the bundle's variants (`jidoka model quantize`). Each runs in a process of
    its own, in turn, over several rounds; ratios are to the usual way (one worker, one thread). The choice is kept as a
    profile, which the agent uses where [model] leaves it open, as long as machine and runtime are the same. Leave the
    machine alone meanwhile. Status 1 where nothing keeps to --latency-ms.
    """
    from edge.models.benching.configs import configs_of
    from edge.models.benching.deciding import decide, noise_of, rows_of
    from edge.models.benching.measuring import measure
    from edge.models.tuning.machine import this_machine

    machine = this_machine()
    subject = _subject(bundle, inputs)
    for sentence in subject.notes:
        note(sentence)
    configs = configs_of(subject.forms, cores=machine.cores, providers=provider or (), openvino=bool(machine.openvino))
    with progress("bench") as bar:
        task = bar.add_task(subject.name, total=len(configs) * rounds)
        measured = measure(configs, rounds=rounds, seconds=seconds, step=lambda _: bar.advance(task))
    besides_ms = subject.before_ms + subject.after_ms
    rows = rows_of(measured)
    if not rows[0].runs:
        from edge.errors import ModelError

        raise ModelError(measured[0].code or "MODEL_RUN_FAILED", f"{bundle} does not run the usual way", rows[0].why)
    decision = decide(rows, noise_of(measured[0]), limit_ms=latency_ms, besides_ms=besides_ms)
    profile = _keep(subject, machine, decision, latency_ms) if keep and decision.met else None
    if json:
        say_json(_document(bundle, subject, machine, decision, profile))
    else:
        _say(bundle, subject, machine, decision, profile, rounds)
    if not decision.met:
        raise typer.Exit(int(Exit.MISSED))


def _subject(bundle: Path, inputs: Path | None) -> Subject:
    """Raises ModelError, InputError, ImageError."""
    from edge.models.benching.series import is_series, series_subject
    from edge.models.benching.subject import subject_of

    return series_subject(bundle, inputs) if is_series(bundle) else subject_of(bundle, _images(inputs))


def _images(place: Path | None) -> list[Image]:
    """At most :data:`MAX_PICTURES`. Raises InputError and ImageError."""
    if place is None:
        return []
    from itertools import islice

    from edge.cli import media

    media.quiet_decoders()
    found = []
    for item in islice(media.items([place], 1), MAX_PICTURES):
        if item.error is not None:
            raise item.error
        assert item.image is not None
        found.append(item.image)
    if not found:
        raise InputError("FOLDER_EMPTY", f"{place} has no pictures")
    return found


def _keep(subject: Subject, machine: Machine, decision: Decision, latency_ms: float | None) -> Path:
    from datetime import UTC, datetime

    from edge.models.tuning.profile import Figures, Profile, keep

    row = decision.rows[decision.chosen]
    form = next(form for form in subject.forms if form.name == row.variant)
    figures = Figures(
        fps=row.fps, p50_ms=row.p50_ms, p99_ms=row.p99_ms, cpu_ms=row.cpu_ms, memory_mb=row.memory_mb, ratio=row.ratio
    )
    return keep(
        Profile(
            sha256=subject.found.sha256,
            variant=row.variant,
            variant_sha256=form.sha256 if row.variant else "",
            way=row.way,
            machine=machine,
            figures=figures,
            latency_ms=latency_ms,
            measured_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        )
    )


def _document(
    bundle: Path, subject: Subject, machine: Machine, decision: Decision, profile: Path | None
) -> dict[str, Any]:
    return {
        "bundle": str(bundle),
        "sha256": subject.found.sha256,
        "machine": machine,
        "before_ms": subject.before_ms,
        "after_ms": subject.after_ms,
        "noise": decision.noise,
        "rows": [{"name": row.name} | _plain(row) for row in decision.rows],
        "recommended": decision.chosen,
        "reason": decision.reason,
        "met": decision.met,
        "profile": None if profile is None else str(profile),
        "notes": list(subject.notes),
    }


def _plain(row: Row) -> dict[str, Any]:
    import msgspec

    found: dict[str, Any] = msgspec.to_builtins(row)
    return found


def _say(
    bundle: Path, subject: Subject, machine: Machine, decision: Decision, profile: Path | None, rounds: int
) -> None:
    unit = subject.unit
    columns = ("", "runtime", "threads", f"{unit}s/s", "x", "+-", "p50 ms", "p99 ms", "CPU ms", "alone", "MB", "remark")
    say_table(columns, [_cells(i, row, decision) for i, row in enumerate(decision.rows)])
    row = decision.rows[decision.chosen]
    say(f"recommended: {row.name}: {row.fps:.1f} {unit}s/s, {row.ratio:.2f} x the usual way ({decision.reason})")
    note(
        f"the model alone; preparing a {unit} takes {subject.before_ms:.2g} ms more, reading the outputs "
        f"{subject.after_ms:.2g} ms; alone: CPU of a {unit} when they come slowly"
    )
    if rounds > 1:
        note(f"noise: the usual way varied by +-{decision.noise:.0%} over the rounds; less than that says nothing")
    else:
        note("noise: unknown, as there was one round only")
    if not machine.multiplies_int8:
        note("this CPU has no instructions for sums of int8 products: int8 gains little here")
    if profile is not None:
        note(f"kept for the agent in {profile} (see [model] variant and workers)")
    elif not decision.met:
        note(f"{bundle}: nothing was kept, as nothing keeps to the limit")


def _cells(index: int, row: Row, decision: Decision) -> tuple[str, ...]:
    mark = "->" if index == decision.chosen else ""
    runtime = f"{row.way.runtime} {row.variant}".strip()
    if not row.runs:
        return (mark, runtime, row.way.name, "", "", "", "", "", "", "", "", row.why)
    times = (f"{row.p50_ms:.3g}", f"{row.p99_ms:.3g}")
    numbers = (f"{row.fps:.1f}", f"{row.ratio:.2f}", f"{row.spread:.2f}", *times)
    costs = (f"{row.cpu_ms:.2f}", f"{row.paced_cpu_ms:.2f}", f"{row.memory_mb:.0f}")
    return (mark, runtime, row.way.name, *numbers, *costs, row.why)
