"""The trial run of an untrusted model, in a process of its own. Run by path, never imported by the rest.

Reads one line of JSON (limits, probe size) and then the model's bytes from stdin; prints one line of JSON: what the
model's inputs and outputs are, its metadata, and whether its answers to probe inputs are finite. Whatever kills it
(memory, CPU, a crash in the runtime) kills only this process. It imports nothing of the project: the child must be
up fast and must not depend on the folder it is started in.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
from typing import Any

MAX_DOCUMENT_BYTES = 4 * 1024**2
_MAX_META_CHARS = 262_144  # of one value; dictionaries of text recognisers come near 100,000
_RANK_IMAGE = 4


def main() -> int:
    """Exit status 0 with a document on stdout, also when the model is refused."""
    _tie()
    order: dict[str, Any] = json.loads(sys.stdin.buffer.readline())
    memory, cpu_s = order["memory_bytes"], order["cpu_s"]
    # No core file of a process that was made to die.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    data = sys.stdin.buffer.read()
    try:
        document = _examine(data, order)
    except MemoryError:
        document = {"code": "MODEL_LIMITS", "why": "it needs more memory than a model may"}
    sys.stdout.write(json.dumps(document) + "\n")
    return 0


def _tie() -> None:
    """Leave nothing behind, however our parent ends: it takes us with it (Linux), and the empty folder that we were
    started in goes now. A parent that ended before gives us no whole model, which ends us as well.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    with contextlib.suppress(OSError):
        os.rmdir(os.getcwd())  # noqa: PTH106, PTH109  (pathlib only for this would be slower than this)


def _examine(data: bytes, order: dict[str, Any]) -> dict[str, Any]:
    import numpy as np
    import onnxruntime

    ort: Any = onnxruntime  # its typing does not export what its documentation does
    ort.set_default_logger_severity(4)
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001  (the runtime has no common base for its errors)
        return _refusal("MODEL_UNREADABLE", error)
    inputs = [{"name": i.name, "shape": _dims(i.shape), "type": i.type} for i in session.get_inputs()]
    declared = [{"name": o.name, "shape": _dims(o.shape), "type": o.type} for o in session.get_outputs()]
    metadata = {k[:256]: v[:_MAX_META_CHARS] for k, v in session.get_modelmeta().custom_metadata_map.items()}
    document = {"inputs": inputs, "outputs": declared, "metadata": metadata}
    if len(inputs) != 1 or len(inputs[0]["shape"]) != _RANK_IMAGE:
        return document  # whoever asked knows what to say about an input that is no picture
    shape = _probe_shape(inputs[0]["shape"], order)
    kinds = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}
    kind = kinds.get(inputs[0]["type"])
    if kind is None:
        return document
    noise = np.random.default_rng(0).random(shape)
    probes = [np.zeros(shape), noise if kind is not np.uint8 else noise * 255]
    finite = True
    for probe in probes:
        try:
            outputs = session.run(None, {inputs[0]["name"]: probe.astype(kind)})
        except Exception as error:  # noqa: BLE001  (as above)
            return _refusal("MODEL_RUN_FAILED", error)
        for entry, output in zip(declared, outputs, strict=True):
            array = np.asarray(output)
            entry["shape"] = list(array.shape)
            if array.dtype.kind in "fiu" and array.size:
                finite = finite and bool(np.isfinite(array).all())
                if finite:
                    entry["low"] = min(entry.get("low", 0.0), float(array.min()))
                    entry["high"] = max(entry.get("high", 0.0), float(array.max()))
    return document | {"finite": finite, "probe_shape": list(shape)}


def _probe_shape(dims: list[int | None], order: dict[str, Any]) -> tuple[int, ...]:
    """Free dimensions become one picture, three channels and the size that was asked for."""
    wanted = (1, 3, order["height_px"], order["width_px"])
    return tuple(want if dim is None else dim for dim, want in zip(dims, wanted, strict=True))


def _dims(shape: list[Any]) -> list[int | None]:
    return [d if isinstance(d, int) and d > 0 else None for d in shape]


def _refusal(code: str, error: Exception) -> dict[str, Any]:
    if isinstance(error, MemoryError) or "bad_alloc" in str(error) or "Failed to allocate memory" in str(error):
        return {"code": "MODEL_LIMITS", "why": "it needs more memory than a model may"}
    return {"code": code, "why": " ".join(str(error).split())[:400]}


if __name__ == "__main__":
    sys.exit(main())
