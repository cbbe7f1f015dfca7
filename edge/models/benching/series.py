"""What is measured of a model of windows: the same as of one of pictures (:mod:`edge.models.benching.subject`)."""

from __future__ import annotations

from pathlib import Path

from edge.errors import JidokaError
from edge.models import guard
from edge.models.benching.measuring import Form
from edge.models.benching.subject import Subject, around
from edge.models.bundle import BareFile, read_any
from edge.models.series.loading import predictor_of, read_or_propose
from edge.models.series.manifest import takes_series
from edge.models.series.propose import looks_like_series
from edge.models.series.recordings import windows_in
from edge.models.variants.reading import with_variant
from edge.series.windows import noise

MAX_WINDOWS = 8
"""More say nothing new of what preparing and reading cost."""


def is_series(path: Path, cache: Path | None = None) -> bool:
    """A bundle whose manifest gives channels, or a bare file all of whose inputs are rows or windows. Raises ModelError."""
    if path.is_dir():
        return takes_series(path)
    bare = read_any(path)
    assert isinstance(bare, BareFile)
    return looks_like_series(guard.examine(bare.onnx, bare.sha256, external=bare.external, cache=cache))


def series_subject(path: Path, recordings: Path | None, cache: Path | None = None) -> Subject:
    """Read, guard and feed a series model and its variants. A variant that is refused is left out, and said.

    Without ``recordings``, a table or a folder of some, it is fed with noise of its channels' means and spreads. Raises
    ModelError, InputError.
    """
    found = read_or_propose(path, cache=cache)
    predictor = predictor_of(found, cache=cache)
    notes = [f"assumed: {sentence}" for sentence in found.assumed]
    if recordings is None:
        shown = [noise(found.manifest.input, seed) for seed in range(MAX_WINDOWS)]
        notes.append("fed with noise: name a recording for what a real one costs")
    else:
        shown = windows_in(predictor, recordings, MAX_WINDOWS, notes.append)
    feeds, names = predictor.feeds(shown[0]), predictor.output_names
    forms = [Form("", found.sha256, found.onnx, found.external, feeds, names)]
    for row in found.manifest.variant:
        try:
            made = with_variant(found, row.name)
            predictor_of(made, cache=cache)
        except JidokaError as error:
            notes.append(f"variant {row.name!r} is left out: {error}")
            continue
        forms.append(Form(row.name, made.sha256, made.onnx, {}, feeds, names, row.engines))
    before_ms, after_ms = around(predictor, shown)
    return Subject(found.manifest.model.name, found, tuple(forms), before_ms, after_ms, tuple(notes), "window")
