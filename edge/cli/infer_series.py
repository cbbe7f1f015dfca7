"""``jidoka infer`` on tables of sensor samples: one object a window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from edge.cli.common import note, progress, say_json, say_table
from edge.errors import Exit, InputError, JidokaError, ModelError
from edge.series.spec import TABLE_SUFFIXES

if TYPE_CHECKING:
    from edge.models.series.predictor import SeriesPredictor
    from edge.series.windows import Window
    from edge.vision.prediction import Prediction

_SHOWN = 8
"""So many classes or values are named in a line of the table."""


def is_series(model: Path, inputs: Sequence[Path]) -> bool:
    """Whether the model, or for a bare file the inputs, are of samples and not of pictures."""
    if model.is_dir():
        from edge.models.series.manifest import takes_series

        return takes_series(model)
    return model.suffix.lower() == ".onnx" and all(one.suffix.lower() in TABLE_SUFFIXES for one in inputs)


def infer_series(
    model: Path, inputs: Sequence[Path], *, json: bool, min_score: float | None, variant: str = "original"
) -> None:
    """Windows over every file; what cannot be used keeps its place, and the status is 3 at the end."""
    from edge.models.series.loading import load_series
    from edge.models.tuning.plan import Wish

    try:
        wish = Wish(variant) if variant != "original" else None
        predictor = load_series(model, min_score=min_score, wish=wish)
    except ModelError as error:
        what = error.what if str(model) in error.what else f"{model}: {error.what}"
        raise ModelError(error.code, what, error.why, error.hint) from error
    for sentence in predictor.assumed:
        note(f"assumed: {sentence}")
    for sentence in predictor.plan.notes:
        note(sentence)
    work = _Work(predictor)
    with progress("infer") as bar:
        task = bar.add_task(predictor.ref.name, total=None)
        for file in inputs:
            for _ in work.windows(file):
                bar.advance(task)
    if json:
        say_json(work.documents)
    else:
        say_table(("source", "window", "found", "ms"), work.rows)
    for line in work.errors:
        note(line)
    if work.errors:
        raise typer.Exit(int(Exit.INPUT))


@dataclass(slots=True)
class _Work:
    predictor: SeriesPredictor
    documents: list[dict[str, Any]] = field(default_factory=list)
    rows: list[tuple[str, str, str, str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def windows(self, file: Path) -> Iterator[None]:
        """Take one file; yields after each window. Of one file only the first faulty window is told in words."""
        from edge.models.files import read_bounded
        from edge.series.table import MAX_TABLE_BYTES, parse_table

        before = len(self.errors)
        try:
            table = parse_table(read_bounded(file, MAX_TABLE_BYTES, "FILE"), str(file))
            faulty = 0
            for window in self.predictor.windows(table, str(file)):
                faulty += not self._window(file, window, tell=not faulty)
                yield
            if faulty > 1:
                self.errors[-1] += f" (and {faulty - 1} more windows)"
        except JidokaError as error:
            del self.errors[before:]
            self._refuse(file, None, error, tell=True)

    def _window(self, file: Path, window: Window, *, tell: bool) -> bool:
        try:
            prediction = self.predictor(window.values)
        except InputError as error:
            self._refuse(file, window, error, tell=tell)
            return False
        from edge.vision.document import to_document

        document = to_document(f"{file}#{window.start}", prediction)
        self.documents.append(document | {"window": _where(window)})
        timings = prediction.timings
        ms = timings.preprocess_ms + timings.infer_ms + timings.postprocess_ms
        self.rows.append((str(file), _said(window), summary(prediction), f"{ms:.2f}"))
        return True

    def _refuse(self, file: Path, window: Window | None, error: JidokaError, *, tell: bool) -> None:
        from edge.vision.document import error_document

        source = str(file) if window is None else f"{file}#{window.start}"
        document = error_document(source, error)
        self.documents.append(document if window is None else document | {"window": _where(window)})
        self.rows.append((str(file), "" if window is None else _said(window), error.code, ""))
        if tell:
            what = error.what if str(file) in error.what else f"{source}: {error.what}"
            self.errors.append(str(type(error)(error.code, what, error.why, error.hint)))


def _where(window: Window) -> dict[str, Any]:
    """``start`` and ``end`` (not included) count samples from 0; times in seconds where the file has them."""
    place: dict[str, Any] = {"start": window.start, "end": window.end}
    if window.from_s is not None and window.to_s is not None:
        place |= {"from_s": round(window.from_s, 6), "to_s": round(window.to_s, 6)}
    if window.group is not None:
        place["group"] = window.group
    return place


def _said(window: Window) -> str:
    group = "" if window.group is None else f"{window.group}: "
    return f"{group}{window.start}-{window.end}" if window.end - window.start > 1 else f"{group}{window.start}"


def summary(prediction: Prediction) -> str:
    """``wear 0.93``, ``rul 34.2``, ``score 0.12 of 0.2``."""
    scores = prediction.scores.tolist()
    words = [f"{name} {score:.2f}" for name, score in zip(prediction.names, scores, strict=True)]
    anomaly = prediction.anomaly
    if anomaly is not None:
        known = anomaly.threshold != float("inf")
        words.append(f"score {anomaly.score:.4g}" + (f" of {anomaly.threshold:.4g}" if known else ""))
    words += [f"{name} {value:.4g}" for name, value in prediction.values.items() if name != "score"]
    return ", ".join(words[:_SHOWN]) + (" …" if len(words) > _SHOWN else "")
