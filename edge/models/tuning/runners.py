"""A runner for a way of running."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edge.models.runner import OnnxRunner
from edge.models.tuning.openvino import OpenVinoRunner
from edge.models.tuning.way import Way

AnyRunner = OnnxRunner | OpenVinoRunner


def runner_of(onnx: bytes, external: Mapping[str, bytes], way: Way, output_names: Sequence[str] = ()) -> AnyRunner:
    """Make the session. Raises ModelError, as the runners do."""
    if way.engine == "openvino":
        return OpenVinoRunner(onnx, external, way, output_names)
    return OnnxRunner(onnx, external, way)
