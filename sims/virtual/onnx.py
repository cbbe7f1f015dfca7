"""The real model on rendered frames: loaded once for all agents of a run, guarded as anywhere else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from drivers._image import decode_frame
from edge.domain import Inference, ModelRef
from edge.models.loading import load
from edge.models.tuning.profile import recall
from edge.vision.findings import to_inference
from edge.vision.prediction import Prediction
from sims.virtual.delays import DelaySpec, with_profile


class OnnxLooker:
    """A :class:`sims.virtual.camera.Looker`. One session for all: what is looked at at one moment comes one by one."""

    def __init__(
        self,
        bundle: Path,
        *,
        min_score: float | None = None,
        mm_per_px: float | None = None,
        judge: Callable[[Prediction], Inference] = to_inference,
    ) -> None:
        """Raises ModelError."""
        self._predictor = load(bundle, min_score=min_score)
        self._mm_per_px = mm_per_px
        self._judge = judge
        self._name = bundle.stem

    @property
    def name(self) -> str:
        return self._name

    @property
    def ref(self) -> ModelRef:
        """Which model it is."""
        return self._predictor.ref

    def look(self, jpeg: bytes) -> Inference:
        predictor = self._predictor
        prepared = predictor.preprocess(decode_frame(jpeg, "the simulated camera"))
        return self._judge(predictor.postprocess(predictor.run(prepared), prepared, self._mm_per_px))

    def delays(self, stated: DelaySpec) -> DelaySpec:
        """As stated; with ``from_profile`` the model's share as it was measured on this machine, where it was."""
        profile = recall(self.ref.sha256) if stated.from_profile else None
        return stated if profile is None else with_profile(stated, profile.figures.p50_ms, profile.figures.p99_ms)
