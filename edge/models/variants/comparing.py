"""A variant beside its original on the same pictures or windows: what both find, how their numbers differ, how fast each is."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from msgspec.structs import replace as with_fields
from numpy.typing import NDArray

from edge.models.admit import Admitted
from edge.models.benching.deciding import raw_error
from edge.models.bundle import Bundle
from edge.models.plain import examined, plain
from edge.models.predictor import Predictor
from edge.models.series.loading import planned
from edge.models.series.manifest import SeriesBundle
from edge.models.series.predictor import SeriesPredictor
from edge.models.tuning.plan import Plan
from edge.models.tuning.runners import runner_of
from edge.models.tuning.way import Engine, Way
from edge.models.variants.agreement import SCORE_MARGIN, Scores, Seen, Tally, tally_for
from edge.models.variants.numbers import Classes, Values
from edge.ports import Runner
from edge.series.conventions import (
    SeriesClassHead,
    SeriesHead,
    SeriesRawHead,
    SeriesReconstructionHead,
    SeriesScoreHead,
    SeriesValueHead,
)
from edge.vision.conventions import HEAD_TASK, HeadSpec
from edge.vision.prediction import Prediction
from edge.vision.spec import Thresholds

Given = NDArray[Any]
"""A picture, or the samples ``(T, C)`` of a window."""

_LOWEST = 0.01
_SPEED_S = 0.8
_SPEED_ROUNDS = 8


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """One model with its thresholds, and with lower ones, on one session. Of windows the best class is listed whatever
    the thresholds are: there both are the same.
    """

    found: Predictor | SeriesPredictor
    low: Predictor | SeriesPredictor
    runner: Runner

    def look(self, given: Given) -> tuple[Seen, list[Any]]:
        """Run once, read twice. A picture, or a window's samples ``(T, C)``; the raw outputs come along."""
        one: Any = self.found  # the steps are the same of both kinds
        low: Any = self.low
        prepared = one.preprocess(given)
        outputs = one.run(prepared)
        found = one.postprocess(outputs, prepared)
        seen = Seen(found, found if low is one else low.postprocess(outputs, prepared))
        return seen, list(outputs.tensors.values())


@dataclass(frozen=True, slots=True)
class Compared:
    """``value`` None: there was nothing to compare. ``pictures`` may be windows; ``held_out_value`` is of those kept back."""

    figure: str
    value: float | None
    held_out_value: float | None
    pictures: int
    held_out: int
    score_error: float
    raw_error: float

    @property
    def lower(self) -> float | None:
        """Of all pictures and of those kept back."""
        values = [one for one in (self.value, self.held_out_value) if one is not None]
        return min(values) if values and self.value is not None else None


def pair_of(found: Bundle | SeriesBundle, engine: Engine = "onnxruntime") -> Pair:
    """A session of a bundle's model (or of the variant in its place), passed by the guard. Raises ModelError."""
    if isinstance(found, SeriesBundle):
        predictor = planned(found, Plan(way=Way(engine=engine)))
        return Pair(predictor, predictor, predictor.runner)
    signature = examined(found)
    runner = runner_of(found.onnx, found.external, Way(engine=engine), [o.name for o in signature.outputs])
    admitted = Admitted(found, signature, runner)
    return Pair(plain(admitted), plain(admitted, lower(found.manifest.output, found.manifest.thresholds)), runner)


def lower(head: HeadSpec, thresholds: Thresholds) -> Thresholds:
    """Thresholds lower by the margin; none at all for classes, of which the first counts however unsure it is."""
    if HEAD_TASK.get(type(head)) in {"classify", "series"}:
        return with_fields(thresholds, score=0.0, labels={})

    def less(score: float) -> float:
        return min(score, max(_LOWEST, score - SCORE_MARGIN))

    labels = {label: less(score) for label, score in thresholds.labels.items()}
    return with_fields(thresholds, score=less(thresholds.score), labels=labels)


def compare(
    original: Pair, variant: Pair, material: Iterable[tuple[bool, Given]], step: Callable[[], None] = lambda: None
) -> Compared:
    """Over pictures or windows, each with whether it was kept back. Raises ModelError where one does not run."""
    everything: Tally | None = None
    kept_back: Tally | None = None
    worst, n, n_kept = 0.0, 0, 0
    for is_kept, given in material:
        (mine, raw), (yours, other) = original.look(given), variant.look(given)
        if everything is None or kept_back is None:
            head = original.found.head
            everything, kept_back = _tally(head, mine.found), _tally(head, mine.found)
        everything.add(mine, yours)
        if is_kept:
            kept_back.add(mine, yours)
        worst = max(worst, raw_error(raw, other) or 0.0)
        n, n_kept = n + 1, n_kept + is_kept
        step()
    assert everything is not None, "there is at least one picture"
    assert kept_back is not None
    return Compared(
        everything.figure,
        everything.value,
        kept_back.value,
        n,
        n_kept,
        everything.score_error,
        worst if math.isfinite(worst) else float(np.finfo(np.float32).max),
    )


def _tally(head: HeadSpec | SeriesHead, found: Prediction) -> Tally:
    match head:
        case SeriesClassHead():
            return Classes()
        case SeriesValueHead() | SeriesRawHead():
            return Values()
        case SeriesScoreHead() | SeriesReconstructionHead():
            return Scores()
    return tally_for(head, found)


def speed(original: Pair, variant: Pair, given: Given) -> float:
    """How many times as fast the variant is, one thread each, in turn: the ratio of the fastest runs, which others on
    the machine disturb least.
    """
    best = [math.inf, math.inf]
    feeds = [pair.found.feeds(given) for pair in (original, variant)]
    for _ in range(_SPEED_ROUNDS):
        for i, pair in enumerate((original, variant)):
            end, first = time.perf_counter() + _SPEED_S / _SPEED_ROUNDS, True
            while first or time.perf_counter() < end:
                started = time.perf_counter()
                pair.runner.run(feeds[i])
                best[i], first = min(best[i], time.perf_counter() - started), False
    return best[0] / best[1]


def as_variant(found: Bundle | SeriesBundle, name: str, data: bytes, sha256: str) -> Bundle | SeriesBundle:
    """The bundle with other bytes for its model."""
    return replace(found, onnx=data, sha256=sha256, external={}, variant=name)


def split(n: int) -> list[bool]:
    """Which of ``n`` pictures are kept back: every fourth."""
    return [i % 4 == 3 for i in range(n)]  # noqa: PLR2004


def pictures_for(flags: Sequence[bool]) -> list[int]:
    """Indices of those a variant is made from."""
    return [i for i, kept_back in enumerate(flags) if not kept_back]
