"""What is measured: a model and its variants, each passed by the guard, with a real input."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import JidokaError
from edge.models.admit import admit
from edge.models.benching.measuring import Form
from edge.models.bundle import BareFile, Bundle, read_any
from edge.models.plain import examined, plain
from edge.models.predictor import Predictor
from edge.models.series.manifest import SeriesBundle
from edge.models.series.predictor import SeriesPredictor
from edge.models.timing import since_ms
from edge.models.variants.reading import with_variant
from edge.ports import Image
from edge.vision import imageio

_TIMED = 15
"""So often is each picture prepared and read, of which the median is told."""


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """``forms``: the original first. ``before_ms`` and ``after_ms``: preparing a frame and reading the outputs, once
    on one thread. ``notes``: what a person should know of the measurement. ``unit``: what goes in at a time, in a word.
    """

    name: str
    found: Bundle | BareFile | SeriesBundle
    forms: tuple[Form, ...]
    before_ms: float
    after_ms: float
    notes: tuple[str, ...]
    unit: str = "frame"


def subject_of(path: Path, images: Sequence[Image], cache: Path | None = None) -> Subject:
    """Read, guard and feed a model and its variants. A variant that is refused is left out, and said.

    Without ``images`` a golden picture is taken, else noise. Raises ModelError.
    """
    found = read_any(path)
    admitted = admit(found, cache=cache)
    notes = []
    stages = admitted.bundle.manifest.stage
    if stages:
        notes.append(f"only the first model is measured; {len(stages)} stages come on top")
    predictor = plain(admitted)
    shown = list(images) or _own_picture(admitted.bundle)
    if not shown:
        spec = admitted.bundle.manifest.input
        shown = [np.random.default_rng(0).integers(0, 256, (spec.height_px, spec.width_px, 3), np.uint8)]
        notes.append("fed with noise: name a picture for what a real one costs")
    feeds = predictor.feeds(shown[0])
    original = admitted.bundle
    names = admitted.runner.output_names
    forms = [Form("", original.sha256, original.onnx, original.external, feeds, names)]
    for row in original.manifest.variant:
        try:
            made = with_variant(original, row.name)
            examined(made, cache)
        except JidokaError as error:
            notes.append(f"variant {row.name!r} is left out: {error}")
            continue
        forms.append(Form(row.name, made.sha256, made.onnx, {}, feeds, names, row.engines))
    before_ms, after_ms = around(predictor, shown)
    name = original.manifest.model.name
    return Subject(name, found, tuple(forms), before_ms, after_ms, tuple(notes))


def _own_picture(found: Bundle) -> list[Image]:
    for golden in found.manifest.golden:
        try:
            return [imageio.decode(found.golden_files[golden.image])]
        except JidokaError:
            continue
    return []


def around(predictor: Predictor | SeriesPredictor, images: Sequence[NDArray[Any]]) -> tuple[float, float]:
    """Median ms before and after the model, over pictures or windows."""
    one: Any = predictor  # three steps, the same of both
    before, after = [], []
    for image in images:
        for _ in range(_TIMED):
            started_ns = time.perf_counter_ns()
            prepared = one.preprocess(image)
            before.append(since_ms(started_ns))
            outputs = one.run(prepared)
            started_ns = time.perf_counter_ns()
            one.postprocess(outputs, prepared)
            after.append(since_ms(started_ns))
    return float(np.median(before)), float(np.median(after))
