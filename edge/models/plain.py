"""A bundle's model by itself: without stages, tiles and golden pictures, for measuring and comparing it."""

from __future__ import annotations

from dataclasses import replace as replaced
from pathlib import Path

from msgspec.structs import replace

from edge.models import guard
from edge.models.admit import Admitted
from edge.models.bundle import Bundle
from edge.models.loading import predictor_of
from edge.models.predictor import Predictor
from edge.vision.conventions import HEAD_TASK
from edge.vision.spec import Thresholds


def plain(admitted: Admitted, thresholds: Thresholds | None = None) -> Predictor:
    """The model alone, with other thresholds where they are given. Raises ModelError."""
    manifest = admitted.bundle.manifest
    about = replace(manifest.model, task=HEAD_TASK.get(type(manifest.output), manifest.model.task))
    bare = replace(
        manifest,
        model=about,
        stage=(),
        tiling=None,
        golden=(),
        thresholds=manifest.thresholds if thresholds is None else thresholds,
    )
    return predictor_of(replaced(admitted, bundle=replaced(admitted.bundle, manifest=bare, golden_files={})))


def examined(found: Bundle, cache: Path | None = None) -> guard.Signature:
    """The guard's word on a bundle's model (or on the variant in its place). Raises ModelError."""
    spec = found.manifest.input
    size_px = (spec.width_px, spec.height_px)
    return guard.examine(found.onnx, found.sha256, external=found.external, size_px=size_px, cache=cache)
