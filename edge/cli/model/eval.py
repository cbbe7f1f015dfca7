"""``jidoka model eval``: how right a model is on a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge.cli.common import note, progress, say, say_json, say_table
from edge.errors import Exit, InputError, ModelError

if TYPE_CHECKING:
    from edge.evaluate.results import Evaluation
    from edge.evaluate.run import Evaluator
    from edge.evaluate.truth import Dataset

_FORMATS = ("folders", "coco", "yolo", "masks", "csv")

Html = Annotated[Path | None, typer.Option(help="Write a report: one file, with curves and the worst cases.")]
Form = Annotated[
    str | None, typer.Option("--format", help=f"What the data set is, if it is not told right: {', '.join(_FORMATS)}.")
]
EscapeRate = Annotated[
    float, typer.Option(help="Find the threshold at which at most this share of bad pictures passes.", min=0.0, max=1.0)
]
Good = Annotated[
    list[str] | None, typer.Option(help="A class that means that nothing is wrong; told by its name by default.")
]
Rename = Annotated[
    list[str] | None,
    typer.Option("--map", help="A class of the data set and the model's label for it.", metavar="CLASS=LABEL"),
]
MinScore = Annotated[
    float | None, typer.Option(help="Working threshold for all labels, instead of the bundle's.", min=0.0, max=1.0)
]


def evaluate(
    model: Annotated[Path, typer.Argument(help="A bundle folder or an .onnx file.", metavar="MODEL")],
    dataset: Annotated[Path, typer.Argument(help="A folder, COCO JSON, data.yaml or CSV.", metavar="DATASET")],
    html: Html = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    form: Form = None,
    escape_rate: EscapeRate = 0.01,
    confidence: Annotated[float, typer.Option(help="Of intervals.", min=0.5, max=0.9999)] = 0.95,
    good: Good = None,
    rename: Rename = None,
    min_score: MinScore = None,
    mm_per_px: Annotated[float | None, typer.Option(help="Size of a pixel of the frame, for limits in mm².")] = None,
    limit: Annotated[int | None, typer.Option(help="Take so many pictures, spread over the set.", min=1)] = None,
    variant: Annotated[
        str,
        typer.Option(help="Of a bundle: which of its variants; auto: as the agent would run it here.", metavar="NAME"),
    ] = "original",
) -> None:
    """Measure how right a model is: its task's figures, escapes and overkill with intervals, the worst cases.

    Data sets: a folder with a folder a class (one of them good: good and bad are told apart); MVTec's
    test/ and ground_truth/; COCO JSON; YOLO text files; images/ and masks/, or masks beside the
    pictures; CSV with a header: file,label or file,label,x0,y0,x1,y1 or file,mask or file,text. For
    models of samples: a folder of tables a class, or CSV with file,label or file and numbers, each
    file a table.

    Ctrl-C ends early and says what was found so far.
    """
    from edge.cli import media
    from edge.evaluate.datasets import READERS, read_dataset
    from edge.evaluate.run import Evaluator, Settings

    if form is not None and form not in READERS:
        raise typer.BadParameter(f"one of {', '.join(READERS)}", param_hint="--format")
    if mm_per_px is not None and not mm_per_px > 0:
        raise typer.BadParameter("must be above 0", param_hint="--mm-per-px")
    settings = Settings(_renames(rename or []), frozenset(good or ()), escape_rate, confidence, mm_per_px)
    media.quiet_decoders()
    truth = read_dataset(dataset, form)
    if limit is not None and limit < len(truth.samples):
        truth = _spread(truth, limit)
    for sentence in truth.said:
        note(f"data set: {sentence}")
    evaluator = Evaluator(
        _loaded(model, min_score, variant, [sample.file for sample in truth.samples]), truth, settings
    )
    _judge(evaluator, model, html, json=json)


def _loaded(model: Path, min_score: float | None, variant: str, files: list[Path]) -> Any:
    """A predictor of pictures or of windows of samples, or an error that names the model. What a bare file takes is told by
    the data set's files.
    """
    from edge.cli.infer_series import is_series
    from edge.models.loading import load
    from edge.models.series.loading import load_series
    from edge.models.tuning.plan import Wish

    predictor: Any
    try:
        wish = Wish(variant) if variant != "original" else None
        if is_series(model, files):
            predictor = load_series(model, min_score=min_score, wish=wish)
        else:
            predictor = load(model, min_score=min_score, wish=wish)
    except ModelError as error:
        what = error.what if str(model) in error.what else f"{model}: {error.what}"
        raise ModelError(error.code, what, error.why, error.hint) from error
    for sentence in predictor.assumed:
        note(f"assumed: {sentence}")
    return predictor


def _judge(evaluator: Evaluator, model: Path, html: Path | None, *, json: bool) -> None:
    import msgspec

    broken = _run(evaluator)
    evaluation = evaluator.finish()
    manifest, truth = evaluator.model.manifest, evaluator.dataset
    identity = msgspec.to_builtins(evaluator.model.ref) | {"licence": manifest.model.licence, "file": str(model)}
    if html is not None:
        _report(evaluator, evaluation, identity, html)
    _say(evaluation, truth, identity, json=json)
    if html is not None:
        note(f"report: {html}")
    if broken:
        note(f"ended early: after {evaluator.taken} of {len(truth.samples)} pictures")
        raise typer.Exit(int(Exit.INTERRUPTED))
    if evaluation.failed:
        raise typer.Exit(int(Exit.INPUT))


def _run(evaluator: Evaluator) -> bool:
    """True when it was broken off with something to say."""
    try:
        with progress("eval") as bar:
            task = bar.add_task("pictures", total=len(evaluator.dataset.samples))
            for _ in evaluator.run():
                bar.advance(task)
    except KeyboardInterrupt:
        if not evaluator.records:
            raise
        return True
    return False


def _say(evaluation: Evaluation, truth: Dataset, identity: dict[str, Any], *, json: bool) -> None:
    from edge.evaluate.document import lines, table_rows, to_document, worst_first

    for one in evaluation.failed[:20]:
        what = one.what if one.source in one.what else f"{one.source}: {one.what}"
        note(f"{one.code}: {what}")
    if len(evaluation.failed) > 20:  # noqa: PLR2004  (as above)
        note(f"and {len(evaluation.failed) - 20} more could not be judged")
    if json:
        say_json(to_document(evaluation, truth, identity))
        return
    for sentence in evaluation.notes:
        note(f"assumed: {sentence}")
    say_table(("measure", "value", "interval"), lines(evaluation))
    for table in evaluation.scored.tables:
        say()
        say_table(table.columns, table_rows(table), title=table.title)
    worst = worst_first(evaluation)[:5]
    if worst:
        say()
        say_table(("worst", "what"), [(record.name, record.note) for record in worst])


def _report(evaluator: Evaluator, evaluation: Evaluation, identity: dict[str, Any], file: Path) -> None:
    from datetime import UTC, datetime

    from edge.evaluate.report.gallery import shelves
    from edge.evaluate.report.page import as_html, write_report

    with progress("report") as bar:
        task = bar.add_task("worst cases", total=None)
        cases = shelves(evaluator, evaluation, lambda: bar.advance(task))
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    assumed = getattr(evaluator.model, "assumed", ())
    write_report(file, as_html(evaluation, evaluator.dataset, identity, assumed, cases, made))


def _renames(pairs: list[str]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        name, equals, label = pair.partition("=")
        if not (name and equals and label):
            raise typer.BadParameter(f"{pair!r} is not CLASS=LABEL", param_hint="--map")
        found[name] = label
    return found


def _spread(truth: Dataset, limit: int) -> Dataset:
    from dataclasses import replace

    if not truth.samples:
        raise InputError("DATASET_EMPTY", f"{truth.root} has no pictures")
    step = len(truth.samples) / limit
    picked = tuple(truth.samples[int(i * step)] for i in range(limit))
    return replace(
        truth, samples=picked, said=(*truth.said, f"{limit} of {len(truth.samples)} pictures, spread evenly")
    )
