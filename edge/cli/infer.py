"""``jidoka infer``: one shot of the inspection path on pictures, folders and videos."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge.cli.common import note, progress, say_json, say_table
from edge.errors import Exit, InputError, JidokaError, ModelError

if TYPE_CHECKING:
    from edge.cli.media import Item
    from edge.models.predictor import Predictor
    from edge.vision.prediction import Prediction

app = typer.Typer(add_completion=False)

_SHOWN = 8
"""So many kinds of finding are named in a line of the table."""


@app.command()
def infer(
    model: Annotated[Path, typer.Argument(help="A bundle folder, an .onnx file, or `codes`.", metavar="MODEL")],
    inputs: Annotated[
        list[Path],
        typer.Argument(
            help="Pictures, folders of pictures, videos; tables of samples (.csv, .jsonl, .npy) for series models.",
            metavar="IMAGE|FOLDER|VIDEO|TABLE...",
        ),
    ],
    save: Annotated[Path | None, typer.Option(help="Write overlay pictures into this folder.", metavar="DIR")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document: a list, one object an input.")] = False,
    min_score: Annotated[
        float | None, typer.Option(help="One threshold for all labels, instead of the bundle's.", min=0.0, max=1.0)
    ] = None,
    mm_per_px: Annotated[float | None, typer.Option(help="Size of a pixel of the frame, for areas in mm².")] = None,
    every: Annotated[int, typer.Option(help="Of a video, take every N-th frame.", min=1, metavar="N")] = 1,
    variant: Annotated[
        str,
        typer.Option(help="Of a bundle: which of its variants; auto: as the agent would run it here.", metavar="NAME"),
    ] = "original",
) -> None:
    """Run a model once on pictures, a video or sensor samples and say what it finds.

    Exits 0 whatever is found. An input that cannot be read keeps its place, and the status is 3 at the end.
    """
    from edge.cli import media
    from edge.cli.infer_series import infer_series, is_series

    if is_series(model, inputs):
        infer_series(model, inputs, json=json, min_score=min_score, variant=variant)
        return
    if mm_per_px is not None and not mm_per_px > 0:
        raise typer.BadParameter("must be above 0", param_hint="--mm-per-px")
    media.quiet_decoders()
    predictor = _loaded(model, min_score, variant)
    for sentence in predictor.assumed:
        note(f"assumed: {sentence}")
    for sentence in predictor.plan.notes:
        note(sentence)
    inputs_there = frozenset(_full(path) for path in inputs)
    work = _Work(predictor, mm_per_px, None if save is None else _folder(save), inputs_there, want_rows=not json)
    total = media.count(inputs, every)
    with progress("infer") as bar:
        task = bar.add_task(predictor.ref.name, total=total)
        for item in media.items(inputs, every):
            work.take(item)
            bar.advance(task)
    if json:
        say_json(work.documents)
    else:
        say_table(("source", "found", "ms"), work.rows)
    for error in work.errors:
        note(error)
    if work.errors:
        raise typer.Exit(int(Exit.INPUT))


def _loaded(model: Path, min_score: float | None, variant: str) -> Predictor:
    """The model, or an error that names it."""
    from edge.models.loading import load
    from edge.models.tuning.plan import Wish

    try:
        return load(model, min_score=min_score, wish=Wish(variant) if variant != "original" else None)
    except ModelError as error:
        what = error.what if str(model) in error.what else f"{model}: {error.what}"
        raise ModelError(error.code, what, error.why, error.hint) from error


@dataclass(slots=True)
class _Work:
    """Results as they come in, in the order of the inputs."""

    predictor: Predictor
    mm_per_px: float | None
    folder: Path | None
    inputs: frozenset[Path]
    want_rows: bool
    documents: list[dict[str, Any]] = field(default_factory=list)
    rows: list[tuple[str, str, str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    written: set[Path] = field(default_factory=set)

    def take(self, item: Item) -> None:
        """Inspect one input; what cannot be inspected keeps its place."""
        try:
            if item.error is not None:
                raise item.error
            assert item.image is not None
            prediction = self.predictor(item.image, self.mm_per_px)
        except JidokaError as error:
            self._refuse(item.source, error)
            return
        if self.folder is not None:
            self._save(self.folder, item, prediction)
        if self.want_rows:
            timings = prediction.timings
            ms = timings.preprocess_ms + timings.infer_ms + timings.postprocess_ms
            self.rows.append((item.source, _summary(prediction), f"{ms:.1f}"))
        else:
            from edge.vision.document import to_document

            self.documents.append(to_document(item.source, prediction))

    def _refuse(self, source: str, error: JidokaError) -> None:
        from edge.vision.document import error_document

        self.rows.append((source, error.code, ""))
        self.documents.append(error_document(source, error))
        what = error.what if source in error.what else f"{source}: {error.what}"
        self.errors.append(str(type(error)(error.code, what, error.why, error.hint)))

    def _save(self, folder: Path, item: Item, prediction: Prediction) -> None:
        from edge.vision.draw import overlay
        from edge.vision.imageio import encode_jpeg

        assert item.image is not None
        path = self._free_path(folder, item.source)
        try:
            path.write_bytes(encode_jpeg(overlay(item.image, prediction)))
        except OSError as error:
            raise InputError("SAVE_FAILED", f"cannot write {path}", str(error), "name another folder") from error

    def _free_path(self, folder: Path, source: str) -> Path:
        """A name like the source's that no other overlay of this run and no input has."""
        name, _, frame = source.partition("#") if re.search(r"#\d+$", source) else (source, "", "")
        stem = Path(name).stem + (f"_{int(frame):06d}" if frame else "")
        path, number = folder / f"{stem}.jpg", 1
        while path in self.written or self._is_input(path):
            path, number = folder / f"{stem}_{number}.jpg", number + 1
        self.written.add(path)
        return path

    def _is_input(self, path: Path) -> bool:
        """True for a named input and for what lies in a folder that was named: never to be written over."""
        full = _full(path)
        return full in self.inputs or (full.parent in self.inputs and full.exists())


def _full(path: Path) -> Path:
    """Without links; a link that leads to itself stays what it is, for whoever reads it to refuse."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        return path.absolute()


def _folder(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError("SAVE_FAILED", f"cannot make folder {path}", str(error), "name another folder") from error
    return path


def _summary(prediction: Prediction) -> str:
    """``2 person 0.96, 1 tie 0.50``: how many of each, with the best score; a class just by its score, named numbers last."""
    if prediction.task in {"ocr", "codes"}:
        from edge.vision.captions import summary

        return summary(prediction, _SHOWN) or "nothing"
    if prediction.anomaly is not None:
        from edge.vision.captions import against_limit

        return against_limit(prediction.anomaly)
    best: dict[str, float] = {}
    for name, score in zip(prediction.names, prediction.scores.tolist(), strict=True):
        best.setdefault(name, score)
    counts = Counter(prediction.names)
    one = prediction.task == "classify"
    words = [f"{name} {score:.2f}" if one else f"{counts[name]} {name} {score:.2f}" for name, score in best.items()]
    words += [f"{name} {value:.4g}" for name, value in prediction.values.items()]
    more = len(words) - _SHOWN
    return ", ".join([*words[:_SHOWN], *([f"and {more} more kinds"] if more > 0 else [])]) or "nothing"
