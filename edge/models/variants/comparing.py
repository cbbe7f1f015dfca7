"""A variant beside its original on the same pictures: what both find, how their numbers differ, how fast each is."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from msgspec.structs import replace as with_fields

from edge.models.admit import Admitted
from edge.models.benching.deciding import raw_error
from edge.models.bundle import Bundle
from edge.models.plain import examined, plain
from edge.models.predictor import Predictor, RawOutputs
from edge.models.tuning.runners import AnyRunner, runner_of
from edge.models.tuning.way import Engine, Way
from edge.models.variants.agreement import SCORE_MARGIN, Seen, Tally, tally_for
from edge.ports import Image
from edge.vision.conventions import HEAD_TASK, HeadSpec
from edge.vision.spec import Thresholds

_LOWEST = 0.01
_SPEED_S = 0.8
_SPEED_ROUNDS = 8


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """One model with its thresholds, and with lower ones, on one session."""

    found: Predictor
    low: Predictor
    runner: AnyRunner

    def look(self, image: Image) -> tuple[Seen, RawOutputs]:
        """Run once, read twice."""
        prepared = self.found.preprocess(image)
        outputs = self.found.run(prepared)
        both = (predictor.postprocess(outputs, prepared) for predictor in (self.found, self.low))
        return Seen(*both), outputs


@dataclass(frozen=True, slots=True)
class Compared:
    """``value`` None: there was nothing to compare. ``held_out_value`` is of the pictures kept back."""

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


def pair_of(found: Bundle, engine: Engine = "onnxruntime") -> Pair:
    """A session of a bundle's model (or of the variant in its place), passed by the guard. Raises ModelError."""
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
    original: Pair, variant: Pair, images: Iterable[tuple[bool, Image]], step: Callable[[], None] = lambda: None
) -> Compared:
    """Over pictures, each with whether it was kept back. Raises ModelError where one of them does not run."""
    everything: Tally | None = None
    kept_back: Tally | None = None
    worst, n, n_kept = 0.0, 0, 0
    for is_kept, image in images:
        (mine, raw), (yours, other) = original.look(image), variant.look(image)
        if everything is None or kept_back is None:
            head = original.found.head
            everything, kept_back = tally_for(head, mine.found), tally_for(head, mine.found)
        everything.add(mine, yours)
        if is_kept:
            kept_back.add(mine, yours)
        worst = max(worst, raw_error(list(raw.tensors.values()), list(other.tensors.values())) or 0.0)
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


def speed(original: Pair, variant: Pair, image: Image) -> float:
    """How many times as fast the variant is, one thread each, in turn: the ratio of the fastest runs, which others on
    the machine disturb least.
    """
    best = [math.inf, math.inf]
    feeds = [pair.found.feeds(image) for pair in (original, variant)]
    for _ in range(_SPEED_ROUNDS):
        for i, pair in enumerate((original, variant)):
            end, first = time.perf_counter() + _SPEED_S / _SPEED_ROUNDS, True
            while first or time.perf_counter() < end:
                started = time.perf_counter()
                pair.runner.run(feeds[i])
                best[i], first = min(best[i], time.perf_counter() - started), False
    return best[0] / best[1]


def as_variant(found: Bundle, name: str, data: bytes, sha256: str) -> Bundle:
    """The bundle with other bytes for its model."""
    return replace(found, onnx=data, sha256=sha256, external={}, variant=name)


def split(n: int) -> list[bool]:
    """Which of ``n`` pictures are kept back: every fourth."""
    return [i % 4 == 3 for i in range(n)]  # noqa: PLR2004


def pictures_for(flags: Sequence[bool]) -> list[int]:
    """Indices of those a variant is made from."""
    return [i for i, kept_back in enumerate(flags) if not kept_back]
