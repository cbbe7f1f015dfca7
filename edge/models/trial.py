"""The trial run of an untrusted model, in a process of its own. Run by path, never imported by the rest.

Reads one line of JSON (limits, probe size, how many bytes follow), then the model's bytes and those of its external
data from stdin; prints one line of JSON: what the model's inputs and outputs are, its metadata, whether its answers to
probe inputs are finite, and whether they change with the input at all. Whatever kills it (memory, CPU, a crash in the
runtime) kills only this process. It imports nothing of the project but its neighbour ``probes``: the child must be up
fast and must not depend on the folder it is started in.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
import time
from typing import Any

MAX_DOCUMENT_BYTES = 4 * 1024**2
_MAX_META_CHARS = 262_144  # of one value; dictionaries of text recognisers come near 100,000
_MAX_TENSORS = 1024  # inputs or outputs


def main() -> int:
    """Exit status 0 with a document on stdout, also when the model is refused."""
    _tie()
    order: dict[str, Any] = json.loads(sys.stdin.buffer.readline())
    memory, cpu_s = order["memory_bytes"], order["cpu_s"]
    # No core file of a process that was made to die.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    try:
        data = sys.stdin.buffer.read(order["model_bytes"])
        files = {name: sys.stdin.buffer.read(size) for name, size in order["external"]}
        document = _examine(data, files, order)
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


def _examine(data: bytes, files: dict[str, bytes], order: dict[str, Any]) -> dict[str, Any]:
    started = time.perf_counter()
    try:
        session = _session(data, files)
    except Exception as error:  # noqa: BLE001  (the runtime has no common base for its errors)
        return _refusal("MODEL_UNREADABLE", error)
    loaded = time.perf_counter()
    inputs = [{"name": i.name, "shape": _dims(i.shape), "type": i.type} for i in session.get_inputs()]
    outputs = [{"name": o.name, "shape": _dims(o.shape), "type": o.type} for o in session.get_outputs()]
    metadata = {k[:256]: v[:_MAX_META_CHARS] for k, v in session.get_modelmeta().custom_metadata_map.items()}
    document = {"inputs": inputs[:_MAX_TENSORS], "outputs": outputs[:_MAX_TENSORS], "metadata": metadata}
    if max(len(inputs), len(outputs)) > _MAX_TENSORS:
        return {"code": "MODEL_RUN_FAILED", "why": f"it has more than {_MAX_TENSORS} inputs or outputs"}
    probes = _probes()
    try:
        tried = probes.run(session, inputs, order)
    except probes.NoProbe as no:
        return document | {"warnings": [str(no)]}  # whoever asked knows what to say about such an input
    except Exception as error:  # noqa: BLE001  (as above)
        if any(i["type"] == "tensor(string)" for i in inputs):
            # An encoder of categories (ONNX-ML) refuses a text it was not trained on, and which it was only it knows.
            return document | {"warnings": ["it takes texts, and refused ours: it was loaded, but not tried"]}
        return document | _refusal("MODEL_RUN_FAILED", error)
    warnings = tried.describe(outputs)
    found = {
        "finite": tried.finite,
        "probe_shape": tried.shape,
        "probes": tried.count,
        "warnings": warnings,
        "took_ms": {"load": (loaded - started) * 1e3, "probe": (time.perf_counter() - loaded) * 1e3},
    }
    if tried.finite and order["expose"] and tried.suspicious():
        del session
        found["raws"] = _look_inside(data, files, inputs, order)
    return document | found


def _look_inside(
    data: bytes, files: dict[str, bytes], inputs: list[dict[str, Any]], order: dict[str, Any]
) -> dict[str, Any]:
    """Do the named tensors inside the graph change with the input? Nothing where that cannot be found out."""
    probes = _probes()
    try:
        session = _session(data + _more_outputs(order["expose"]), files)
        tried = probes.run(session, inputs, order)
    except Exception:  # noqa: BLE001  (it is only a second look)
        return {}
    rows: list[dict[str, Any]] = [{"name": o.name, "shape": _dims(o.shape)} for o in session.get_outputs()]
    tried.describe(rows)
    return {row["name"]: row for row in rows if row["name"] in order["expose"] and row.get("moves") is not None}


def _session(data: bytes, files: dict[str, bytes]) -> Any:
    import onnxruntime

    ort: Any = onnxruntime  # its typing does not export what its documentation does
    ort.set_default_logger_severity(4)
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    if files:
        options.add_external_initializers_from_files_in_memory(
            list(files), list(files.values()), [len(content) for content in files.values()]
        )
    return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def _more_outputs(names: list[str]) -> bytes:
    """Messages put one after the other are merged (Protocol Buffers, encoding), so outputs can be appended:
    ``ModelProto.graph`` is field 7, ``GraphProto.output`` 12, ``ValueInfoProto.name`` 1.
    """

    def field(number: int, content: bytes) -> bytes:
        size, length = len(content), b""
        while size >> 7:
            length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
        return bytes([number << 3 | 2]) + length + bytes([size]) + content

    return field(7, b"".join(field(12, field(1, name.encode())) for name in names))


def _probes() -> Any:
    """Our neighbour; this file's folder is not on the path, as it holds names that others have too."""
    import importlib.util

    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "probes.py")  # noqa: PTH100, PTH118, PTH120
    spec = importlib.util.spec_from_file_location("probes", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules.get("probes") or importlib.util.module_from_spec(spec)
    if "probes" not in sys.modules:
        sys.modules["probes"] = module
        spec.loader.exec_module(module)
    return module


def _dims(shape: list[Any]) -> list[int | None]:
    return [d if isinstance(d, int) and d > 0 else None for d in shape]


def _refusal(code: str, error: Exception) -> dict[str, Any]:
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError) or "bad_alloc" in text or "Failed to allocate memory" in text:
        return {"code": "MODEL_LIMITS", "why": "it needs more memory than a model may"}
    if "Unsupported model IR version" in text or "is under development" in text:
        code = "MODEL_TOO_NEW"
    # In front is where in the runtime's own source it was noticed, with a signature: of no use to anybody here.
    noticed = text.rfind("onnxruntime::")
    said = text[noticed:].partition(") ")[2] if noticed >= 0 else ""
    return {"code": code, "why": (said or text)[:400]}


if __name__ == "__main__":
    sys.exit(main())
