"""Running a model: frame in, prediction out, in three steps that a pipeline may put in different threads.

::

    prepared = predictor.preprocess(image)              any thread
    outputs  = predictor.run(prepared)                  any thread; blocks in the runtime, without the GIL
    found    = predictor.postprocess(outputs, prepared) any thread
    found    = predictor(image)                         all three

One session a model, shared by all threads. With one thread inside the session and no spinning, two of ours give
1.95 times one; the runtime's own two give 1.5 times and burn a core while they wait.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.domain import ModelRef
from edge.models.bundle import Manifest
from edge.models.result import Result, result_of
from edge.models.timing import since_ms
from edge.models.tuning.plan import Plan
from edge.ports import Image, Runner
from edge.vision import heads
from edge.vision.conventions import HeadSpec
from edge.vision.extras import ExtraInput
from edge.vision.geometry import Geometry
from edge.vision.prediction import Prediction, Timings
from edge.vision.preprocess import Preprocessor, Workspace

MAX_SPARE_WORKSPACES = 8
"""Memory kept for frames in flight; more in flight at once works and costs fresh memory."""


SMALL_PX = 320
"""Sides of a warm-up frame where the input's size follows the frame."""


@dataclass(slots=True, eq=False)
class Prepared:
    """A frame ready for the model. It runs once: afterwards its memory serves the next frame."""

    geometry: Geometry
    preprocess_ms: float
    workspace: Workspace | None


@dataclass(frozen=True, slots=True, eq=False)
class RawOutputs:
    """What the model said, by output name."""

    tensors: dict[str, NDArray[Any]]
    infer_ms: float
    blob: NDArray[Any] | None = None
    """What went in, for heads that compare."""


class Predictor:
    """A model with all that is around it. Any number of threads may use one at the same time.

    ``assumed`` says what :mod:`edge.models.inspect` had to assume of a bare file. ``head`` is the manifest's with what it
    names filled in (a dictionary).
    """

    plan: Plan = Plan()
    """How it was planned to be run here; whoever starts threads takes their number from it."""

    def __init__(
        self,
        manifest: Manifest,
        ref: ModelRef,
        runner: Runner,
        *,
        input_name: str,
        output_names: Sequence[str],
        dtype: str = "float32",
        assumed: tuple[str, ...] = (),
        extra: Sequence[ExtraInput] = (),
        data: Mapping[str, NDArray[Any]] | None = None,
        head: HeadSpec | None = None,
    ) -> None:
        self.manifest = manifest
        self._head = head or manifest.output
        self.ref = ref
        self.assumed = assumed
        self._runner = runner
        self._data = dict(data or {})
        self._needs_input = heads.HEADS[type(manifest.output)].needs_input
        self._input_name = input_name
        self._extra = tuple(extra)
        self._output_names = tuple(output_names)
        self._preprocessor = Preprocessor(manifest.input, dtype)
        self._limits = heads.limits_of(manifest.model.labels, manifest.thresholds)
        self._warm = False
        # append and pop of a deque are atomic: no lock needed.
        self._spare: deque[Workspace] = deque(maxlen=MAX_SPARE_WORKSPACES)

    @property
    def labels(self) -> tuple[str, ...]:
        """What it can find, in the order of ``Prediction.label_ids``."""
        return self.manifest.model.labels

    @property
    def head(self) -> HeadSpec:
        """How outputs are read."""
        return self._head

    @property
    def data(self) -> Mapping[str, NDArray[Any]]:
        """The arrays of the bundle's files that the head names."""
        return self._data

    def with_min_score(self, min_score: float) -> Predictor:
        """The same model and session, with one threshold for all labels."""
        thresholds = msgspec.structs.replace(self.manifest.thresholds, score=min_score, labels={})
        return Predictor(
            msgspec.structs.replace(self.manifest, thresholds=thresholds),
            self.ref,
            self._runner,
            input_name=self._input_name,
            output_names=self._output_names,
            dtype=self._preprocessor.dtype.name,
            assumed=self.assumed,
            extra=self._extra,
            data=self._data,
            head=self._head,
        )

    def preprocess(self, image: Image) -> Prepared:
        """Make a frame ready. Raises ImageError IMAGE_UNFIT."""
        started_ns = time.perf_counter_ns()
        try:
            workspace = self._spare.pop()
        except IndexError:
            workspace = self._preprocessor.workspace()
        geometry = self._preprocessor(image, workspace)
        return Prepared(geometry, since_ms(started_ns), workspace)

    def run(self, prepared: Prepared) -> RawOutputs:
        """Run the model on a prepared frame, once. Raises ModelError MODEL_RUN_FAILED."""
        workspace = prepared.workspace
        assert workspace is not None, "a prepared frame runs once"
        prepared.workspace = None
        started_ns = time.perf_counter_ns()
        outputs = self._runner.run(self._inputs(prepared, workspace))
        infer_ms = since_ms(started_ns)
        blob = workspace.blob.copy() if self._needs_input else None  # the workspace is the next frame's
        self._spare.append(workspace)
        return RawOutputs(dict(zip(self._output_names, outputs, strict=True)), infer_ms, blob)

    def feeds(self, image: Image) -> dict[str, NDArray[Any]]:
        """What the runtime is given for a frame, by input name; yours to keep. Raises ImageError IMAGE_UNFIT."""
        prepared = self.preprocess(image)
        workspace = prepared.workspace
        assert workspace is not None, "it has just been prepared"
        found = {name: np.array(value) for name, value in self._inputs(prepared, workspace).items()}
        self._spare.append(workspace)
        return found

    def _inputs(self, prepared: Prepared, workspace: Workspace) -> dict[str, NDArray[Any]]:
        extra = {one.name: one.value(prepared.geometry) for one in self._extra}
        return {self._input_name: workspace.blob, **extra}

    def postprocess(self, outputs: RawOutputs, prepared: Prepared, mm_per_px: float | None = None) -> Prediction:
        """What the numbers mean, in frame pixels. Raises ModelError MODEL_OUTPUT_UNFIT."""
        started_ns = time.perf_counter_ns()
        context = self.context(prepared.geometry, mm_per_px, outputs.blob)
        prediction = heads.decode(self._head, outputs.tensors, context)
        return replace(prediction, timings=Timings(prepared.preprocess_ms, outputs.infer_ms, since_ms(started_ns)))

    def context(
        self, geometry: Geometry, mm_per_px: float | None = None, blob: NDArray[Any] | None = None
    ) -> heads.Context:
        """All that decoding needs besides the outputs."""
        about, thresholds = self.manifest.model, self.manifest.thresholds
        return heads.Context(geometry, about.labels, thresholds, self._limits, mm_per_px, blob, self._data)

    def __call__(self, image: Image, mm_per_px: float | None = None) -> Result:
        """Frame in (uint8 BGR or grey), prediction out."""
        prepared = self.preprocess(image)
        return result_of(self.postprocess(self.run(prepared), prepared, mm_per_px))

    def batch(self, images: Iterable[Image], *, workers: int = 0) -> list[Result]:
        """Results of many frames in their order, several at a time: the runtime and OpenCV let go of the interpreter.

        ``workers`` threads share the session; 0 takes one a core. The frames are taken from ``images`` as they are
        needed. Raises what the first frame that fails raises.
        """
        from concurrent.futures import ThreadPoolExecutor  # a daemon, which never asks for this, starts without it

        with ThreadPoolExecutor(workers or os.cpu_count() or 1, thread_name_prefix="jidoka-batch") as pool:
            return list(pool.map(self, images))

    def warm_up(self) -> Result:
        """Run once on a grey frame: the runtime allocates on its first run. An input that follows the frame is warmed up
        at its largest first; afterwards a small one shows that the model still answers, at little cost.
        """
        spec = self.manifest.input
        height, width = spec.height_px, spec.width_px
        if spec.follow != "no" and self._warm:
            height, width = min(height, SMALL_PX), min(width, SMALL_PX)
        self._warm = True
        return self(np.full((height, width, 3), 128, np.uint8))
