"""What stands between the light and the findings of a run: drawn pictures and the real model, or pictures that say it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge.config import Loaded
from edge.domain import ModelRef
from edge.vision.findings import Zone, to_inference
from sims.camera import Camera
from sims.scenario import Scenario
from sims.virtual.camera import Looker
from sims.virtual.delays import DelaySpec
from sims.virtual.onnx import OnnxLooker
from sims.virtual.stated import StatedCamera, StatedLooker


@dataclass(frozen=True, slots=True)
class Sight:
    """One run's."""

    camera: type[Camera]
    looker: Looker
    delays: DelaySpec
    ref: ModelRef


def sight_of(scenario: Scenario, bundle: Path, loaded: Loaded) -> Sight:
    """As ``[virtual] sight`` says. Raises ModelError."""
    stated = scenario.virtual.delays
    if scenario.virtual.sight == "stated":
        looker = StatedLooker()
        return Sight(StatedCamera, looker, stated, looker.ref)
    zones = tuple(Zone(name, corners) for name, corners in loaded.config.zones.items())
    onnx = OnnxLooker(
        bundle,
        min_score=loaded.config.model.min_score,
        mm_per_px=scenario.camera.mm_per_px,
        judge=lambda prediction: to_inference(prediction, zones),
    )
    return Sight(Camera, onnx, onnx.delays(stated), onnx.ref)
