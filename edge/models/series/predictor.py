"""Running a series model: a window of samples in, prediction out. The same three steps as a picture's
:class:`~edge.models.predictor.Predictor`, so that the same threads run it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.domain import ModelRef
from edge.errors import ModelError
from edge.models.series.manifest import SeriesManifest
from edge.models.timing import since_ms
from edge.models.tuning.plan import Plan
from edge.ports import Runner
from edge.series import heads
from edge.series.conventions import (
    SeriesHead,
    SeriesRawHead,
    SeriesReconstructionHead,
    SeriesScoreHead,
    SeriesValueHead,
)
from edge.series.select import on_grid, select
from edge.series.table import Table
from edge.series.windows import Feed, Window, blobs, check_whole, fill, scaled, too_short, windows
from edge.vision.heads.base import limits_of
from edge.vision.prediction import Prediction, Timings


@dataclass(frozen=True, slots=True, eq=False)
class PreparedWindow:
    """A window ready for the model. ``fed`` ``(t, c)`` is what the model sees, before its layout."""

    inputs: dict[str, NDArray[Any]]
    fed: NDArray[np.float64]
    preprocess_ms: float


@dataclass(frozen=True, slots=True, eq=False)
class SeriesOutputs:
    """What the model said, by output name: arrays, or lists of maps."""

    tensors: dict[str, Any]
    infer_ms: float


class SeriesPredictor:
    """A series model with all that is around it. Any number of threads may use one at the same time.

    Called with samples ``(T, C)`` of one window, in the channels' order and units, it gives a prediction: ``names``
    and ``scores`` of classes, ``values``, ``anomaly``. ``predict(table)`` does so for every window of a file.
    """

    plan: Plan = Plan()
    """How it was planned to be run here; whoever starts threads takes their number from it."""

    def __init__(
        self,
        manifest: SeriesManifest,
        ref: ModelRef,
        runner: Runner,
        *,
        feeds: Sequence[Feed],
        output_names: Sequence[str],
        assumed: tuple[str, ...] = (),
    ) -> None:
        self.manifest = manifest
        self.ref = ref
        self.assumed = assumed
        self._runner = runner
        self._feeds = tuple(feeds)
        self._output_names = tuple(output_names)
        self._limits = limits_of(manifest.model.labels, manifest.thresholds)
        self._channels = tuple(channel.name for channel in manifest.input.channels)

    @property
    def runner(self) -> Runner:
        """The session by itself, for measuring."""
        return self._runner

    @property
    def head(self) -> SeriesHead:
        """How outputs are read."""
        return self.manifest.output

    @property
    def output_names(self) -> tuple[str, ...]:
        """In the model's order."""
        return self._output_names

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes it knows, in the order of ``Prediction.label_ids``."""
        return self.manifest.model.labels

    @property
    def channels(self) -> tuple[str, ...]:
        """What a sample consists of, in order."""
        return self._channels

    @property
    def values(self) -> tuple[str, ...] | None:
        """Names of the numbers it gives; None where only its answers tell."""
        match self.manifest.output:
            case SeriesValueHead(values=values):
                return tuple(value.name for value in values)
            case SeriesScoreHead():
                return ("score",)
            case SeriesReconstructionHead():
                return ("score", *(f"error.{name}" for name in self._channels))
            case SeriesRawHead():
                return None
            case _:
                return ()

    def with_min_score(self, min_score: float) -> SeriesPredictor:
        """The same model and session, with one threshold for all labels."""
        thresholds = msgspec.structs.replace(self.manifest.thresholds, score=min_score, labels={})
        other = SeriesPredictor(
            msgspec.structs.replace(self.manifest, thresholds=thresholds),
            self.ref,
            self._runner,
            feeds=self._feeds,
            output_names=self._output_names,
            assumed=self.assumed,
        )
        other.plan = self.plan
        return other

    def feeds(self, samples: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """The tensors that go in for one window. Raises InputError SERIES_GAP, SERIES_SHORT."""
        return self.preprocess(samples).inputs

    def preprocess(self, image: NDArray[Any]) -> PreparedWindow:
        """Make a window ready: ``image`` float ``(T, C)``, NaN where a value is missing; short gaps are closed as the
        manifest says. Raises InputError SERIES_GAP, SERIES_SHORT.
        """
        started_ns = time.perf_counter_ns()
        spec = self.manifest.input
        samples = np.asarray(image, np.float64).reshape(-1, len(spec.channels))
        samples = fill(samples, spec)
        check_whole(samples, spec)
        return PreparedWindow(blobs(samples, spec, self._feeds), scaled(samples, spec), since_ms(started_ns))

    def run(self, prepared: PreparedWindow) -> SeriesOutputs:
        """Run the model on one window. Raises ModelError MODEL_RUN_FAILED."""
        started_ns = time.perf_counter_ns()
        outputs = self._runner.run(prepared.inputs)
        return SeriesOutputs(dict(zip(self._output_names, outputs, strict=True)), since_ms(started_ns))

    def postprocess(
        self, outputs: SeriesOutputs, prepared: PreparedWindow, mm_per_px: float | None = None
    ) -> Prediction:
        """What the numbers mean. Raises ModelError MODEL_OUTPUT_UNFIT, MODEL_NOT_FINITE."""
        del mm_per_px  # pictures have that
        started_ns = time.perf_counter_ns()
        manifest = self.manifest
        context = heads.SeriesContext(self.labels, self._limits, self._channels, prepared.fed, manifest.input.layout)
        try:
            found = heads.decode(manifest.output, outputs.tensors, context)
        except ValueError as error:  # a shape that changed since the trial, as free axes may
            raise ModelError(
                "MODEL_OUTPUT_UNFIT", "the model's output is not what its head needs", str(error)
            ) from error
        return replace(found, timings=Timings(prepared.preprocess_ms, outputs.infer_ms, since_ms(started_ns)))

    def __call__(self, samples: NDArray[Any]) -> Prediction:
        """Samples ``(T, C)`` of one window in, prediction out."""
        prepared = self.preprocess(samples)
        return self.postprocess(self.run(prepared), prepared)

    def windows(self, table: Table, name: str = "the table") -> Iterator[Window]:
        """Every window of a file's samples. Raises InputError for a file that does not fit: SERIES_CHANNEL_ABSENT,
        SERIES_UNIT, SERIES_NOT_A_NUMBER, SERIES_RATE, SERIES_SHORT and others.
        """
        spec = self.manifest.input
        samples = on_grid(select(table, spec, name), spec, name)
        count = 0
        for window in windows(samples, spec):
            count += 1
            yield window
        if not count:
            error = too_short(len(samples.values), spec)
            raise type(error)(error.code, f"{name}: {error.what}", error.why, error.hint)

    def check(self) -> None:
        """Run one window of the channels' own means and hold the answer against the head: before the first real one.
        Raises ModelError MODEL_OUTPUT_UNFIT, MODEL_RUN_FAILED, MODEL_NOT_FINITE.
        """
        prepared = self.preprocess(self._quiet())
        outputs = self.run(prepared).tensors
        wanted = heads.wants(self.manifest.output, outputs, self.labels, prepared.fed.size)
        if wanted:
            seen = ", ".join(f"{name} {_shape(output)}" for name, output in list(outputs.items())[:8])
            hint = "check head and labels in the manifest"
            raise ModelError("MODEL_OUTPUT_UNFIT", f"the model gives {seen}", f"its head needs {wanted}", hint)
        self.postprocess(SeriesOutputs(outputs, 0.0), prepared)

    def warm_up(self) -> Prediction:
        """Run once on a window where nothing happens: the runtime allocates on its first run."""
        return self(self._quiet())

    def _quiet(self) -> NDArray[np.float64]:
        spec = self.manifest.input
        means = [0.0 if channel.categories else channel.offset_and_scale[0] for channel in spec.channels]
        return np.tile(np.array(means), (spec.window_n, 1))


def _shape(output: Any) -> str:
    return "a sequence of maps" if isinstance(output, list) else str(list(np.asarray(output).shape))
