"""What a model says of itself, without running it where it is a bundle."""

from __future__ import annotations

from pathlib import Path

from edge.models import bundle, graph, guard
from edge.models.bundle import Manifest
from edge.models.inspect.bare import examine
from edge.models.series import manifest as series
from edge.models.series.manifest import SeriesManifest
from edge.models.series.propose import looks_like_series, propose


def look(model: Path) -> tuple[Manifest | SeriesManifest, tuple[str, ...]]:
    """The manifest of a bundle, or what is proposed for a bare file with what is assumed. Raises ModelError."""
    if series.takes_series(model):
        return series.read(model).manifest, ()
    found = bundle.read_any(model)
    if isinstance(found, bundle.Bundle):
        return found.manifest, ()
    signature = guard.examine(found.onnx, found.sha256, external=found.external)
    if looks_like_series(signature):
        return propose(signature, graph.read(found.onnx), found.name)
    proposal = examine(found).proposal
    return proposal.manifest, proposal.assumed
