"""OpenVINO behind the port ``Runner`` (extra ``openvino``): Intel's runtime for CPUs, where it is installed.

Computes in float32, as ONNX Runtime does: left alone it takes bfloat16 where the CPU has it, which is another model.
Threads are capped as of our other runner: each of ``workers`` streams has ``intra`` threads.

Source: OpenVINO documentation, "Performance Hints and Thread Scheduling" and "Supported Properties" of the CPU device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from queue import SimpleQueue
from typing import Any

import numpy as np

from edge.errors import ModelError
from edge.models.tuning.way import Way
from edge.ports import Blob

EXTRA = 'pip install "jidoka-edge[openvino]"'


class OpenVinoRunner:
    """A compiled model with as many infer requests as workers. Safe to call from several threads: each call takes a
    free request, and waits for one where all are busy.
    """

    provider = "openvino"

    def __init__(
        self,
        onnx: bytes,
        external: Mapping[str, bytes] | None = None,
        way: Way | None = None,
        output_names: Sequence[str] = (),
    ) -> None:
        """``output_names`` as ONNX Runtime calls them; the order is the model's with both.

        Raises ModelError ENGINE_NOT_INSTALLED, MODEL_EXTERNAL_UNFIT, MODEL_UNREADABLE.
        """
        way = way or Way(engine="openvino")
        if external:
            why = "OpenVINO reads weights beside the model by itself, past our checks"
            raise ModelError("MODEL_EXTERNAL_UNFIT", "not with OpenVINO", why, "export it with its weights inside")
        openvino = _openvino()
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",
            "NUM_STREAMS": way.workers,
            "INFERENCE_NUM_THREADS": way.workers * way.intra,
        }
        try:
            core = openvino.Core()
            compiled = core.compile_model(core.read_model(onnx), "CPU", settings)
            self._requests: SimpleQueue[Any] = SimpleQueue()
            for _ in range(way.workers):
                self._requests.put(compiled.create_infer_request())
            self._outputs = list(compiled.outputs)
            self.input_name: str = compiled.inputs[0].get_any_name()
            self.output_names: tuple[str, ...] = tuple(output_names) or tuple(
                output.get_any_name() for output in self._outputs
            )
        except Exception as error:  # RuntimeError mostly; nothing is promised
            raise ModelError("MODEL_UNREADABLE", "OpenVINO cannot load the model", str(error)) from error

    def run(self, inputs: dict[str, Blob]) -> list[Blob]:
        """All outputs, in the model's order. Raises ModelError MODEL_RUN_FAILED."""
        request = self._requests.get()
        try:
            found = request.infer(inputs, share_inputs=True)
            # The arrays are views of the request's own memory, which the next frame writes over.
            return [np.array(found[output]) for output in self._outputs]
        except Exception as error:
            raise ModelError("MODEL_RUN_FAILED", "the model does not run with OpenVINO", str(error)) from error
        finally:
            self._requests.put(request)


def installed() -> str:
    """The version of OpenVINO, '' where it is not installed. Imports nothing."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("openvino")
    except PackageNotFoundError:
        return ""


def _openvino() -> Any:
    try:
        import openvino
    except ImportError as error:
        raise ModelError("ENGINE_NOT_INSTALLED", "OpenVINO is not installed", str(error), EXTRA) from error
    return openvino
