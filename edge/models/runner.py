"""The runtime: an ONNX Runtime session behind the port ``Runner``. Knows nothing of pictures, so it is there early."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge.errors import ModelError
from edge.models.runtime import ort
from edge.models.tuning.way import Way
from edge.ports import Blob

_LEVELS = {
    "none": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}


class OnnxRunner:
    """An ONNX Runtime session, by default on the CPU: one thread inside, no spinning. Safe to call from several threads.

    ``provider`` is the one that is really used: the runtime falls back to the CPU with no more than a warning.
    """

    def __init__(self, onnx: bytes, external: Mapping[str, bytes] | None = None, way: Way | None = None) -> None:
        """``external``: data of other files by location (:mod:`edge.models.external`); the runtime opens none itself."""
        way = way or Way()
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = way.intra, 1
        spinning = "1" if way.spinning else "0"
        options.add_session_config_entry("session.intra_op.allow_spinning", spinning)
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        options.graph_optimization_level = _LEVELS[way.optimisation]
        # Warnings are of exporters' habits, by the hundred; errors come as exceptions as well.
        options.log_severity_level = 4
        if external:
            options.add_external_initializers_from_files_in_memory(
                list(external), list(external.values()), [len(data) for data in external.values()]
            )
        try:
            self._session: Any = ort.InferenceSession(onnx, options, providers=[way.provider])
        except Exception as error:  # the runtime's errors have no common base of their own
            raise ModelError("MODEL_UNREADABLE", "the model cannot be loaded", str(error)) from error
        # Its Python half keeps the file's bytes for a change of providers, which never comes: that is memory for nothing.
        self._session._model_bytes = None  # noqa: SLF001 - there is no public way
        self.provider: str = self._session.get_providers()[0]
        self.input_name: str = self._session.get_inputs()[0].name
        self.output_names: tuple[str, ...] = tuple(o.name for o in self._session.get_outputs())

    def run(self, inputs: dict[str, Blob]) -> list[Blob]:
        """All outputs, in the model's order. Raises ModelError MODEL_RUN_FAILED."""
        try:
            outputs: list[Blob] = self._session.run(None, inputs)
        except Exception as error:  # as above
            raise ModelError("MODEL_RUN_FAILED", "the model does not run", str(error)) from error
        return outputs
