"""No model is trusted to load: first its structure, then a trial in a child process under limits, and only then here.

In this order: what is not a regular file or too large (``files.read_bounded``, ``external``); what its structure tells
(``graph.read`` bounded, ``graph.policy``: operators, nodes, loops, sizes); weights that are no numbers
(``graph.weights``). Then the trial: what the runtime refuses, what needs more memory, CPU or time than allowed, what
crashes, what answers with numbers that are not finite. Then ``liveness``: what answers the same whatever it sees. The
trial gets bytes and an empty folder, so there is nothing beside the model to read. The very same bytes are used
afterwards.

A trial costs about as much as a start of the agent, so its result is kept by the model's sha256, the runtime's
version, this guard's version, the policy and the probe's size. Refusals of the structure are not: they cost nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from edge.errors import ModelError
from edge.models import graph, strangers, trial
from edge.models.graph.limits import GraphPolicy
from edge.models.runtime import ort

GUARD_VERSION = 4
"""Raise it with anything that changes what is refused: every cached result becomes void."""

DEFAULT_PROBE_PX = 320
_PROBE_BUDGET_S = 1.5
_MIN_CPU_S, _MAX_CPU_S, _BYTES_A_SECOND = 4, 20, 8 * 1024**2
_MAX_CACHE_BYTES = trial.MAX_DOCUMENT_BYTES


class GuardLimits(Struct, frozen=True):
    """What a model may be, and what its trial may use. Address space, not resident memory, is limited: allocators
    reserve far more than they use, so this is generous. ``cpu_s`` 0 goes by the model's size: what is small must be
    tried quickly. ``liveness`` False lets pass what answers the same whatever it sees.
    """

    memory_bytes: int = 4 * 1024**3
    cpu_s: int = 0
    wall_s: float = 40.0
    policy: GraphPolicy = GraphPolicy()
    liveness: bool = True

    def cpu_s_for(self, n_bytes: int) -> int:
        """Seconds of CPU for a model of so many bytes."""
        return self.cpu_s or min(_MAX_CPU_S, _MIN_CPU_S + n_bytes // _BYTES_A_SECOND)


class Tensor(Struct, frozen=True):
    """An input or output. ``None`` in an input's shape is a free dimension; output shapes are as seen in the trial,
    and so is the range of values, 0 included. ``moves`` says whether an output changed from probe to probe; None
    where nothing could be compared.
    """

    name: str
    shape: tuple[int | None, ...]
    type: str
    low: float = 0.0
    high: float = 0.0
    moves: bool | None = None


class Signature(Struct, frozen=True):
    """What the trial saw. ``finite`` is None where no probe could be run; ``probes`` is how many were. ``warnings``
    are sentences about what is odd but no reason to refuse; ``took_ms`` is by step.
    """

    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    metadata: dict[str, str] = {}
    finite: bool | None = None
    probe_shape: tuple[int, ...] = ()
    code: str = ""
    why: str = ""
    probes: int = 0
    warnings: tuple[str, ...] = ()
    took_ms: dict[str, float] = {}


def examine(
    onnx: bytes,
    sha256: str,
    *,
    external: Mapping[str, bytes] | None = None,
    size_px: tuple[int, int] | None = None,
    cache: Path | None = None,
    limits: GuardLimits | None = None,
    fresh: bool = False,
) -> Signature:
    """Try a model and say what it is. ``size_px`` (width, height) is used where the model leaves them free.

    ``sha256`` stands for the model and its ``external`` data (``external.identity``). ``cache`` is a folder for
    results, by default :func:`cache_folder`; ``fresh`` tries even where a result is there.
    Raises ModelError: MODEL_UNREADABLE, MODEL_TOO_COMPLEX, MODEL_OPERATOR_REFUSED, MODEL_LOOP_UNBOUND,
    MODEL_TENSOR_TOO_LARGE, MODEL_EXTERNAL_REFUSED, MODEL_TOO_NEW, MODEL_LIMITS, MODEL_CRASHED, MODEL_RUN_FAILED,
    MODEL_NOT_FINITE, MODEL_DEAD; MODEL_INPUT_UNFIT for what does not run and takes neither pictures nor series.
    """
    limits = limits or GuardLimits()
    width, height = size_px or (DEFAULT_PROBE_PX, DEFAULT_PROBE_PX)
    key = f"{sha256}-{ort.__version__}-{GUARD_VERSION}-{width}x{height}{_digest(limits.policy)}"
    entry = (cache or cache_folder()) / f"{key}.json"
    signature = None if fresh else _recall(entry)
    if signature is None:
        signature = _try(onnx, external or {}, (width, height), limits)
        # What failed for want of resources may succeed tomorrow, so only what depends on the model alone is kept.
        if signature.code not in {"MODEL_LIMITS", "MODEL_CRASHED"}:
            _remember(entry, signature)
    if signature.code and (signature.code != "MODEL_DEAD" or limits.liveness):
        code = signature.code
        if code == "MODEL_RUN_FAILED":
            strangers.refuse(signature.inputs)  # it may run well, fed with what nobody here has
        raise ModelError(code, _WHAT[code], signature.why, _HINT.get(code, _AGAIN))
    return signature


def cache_folder() -> Path:
    """``$JIDOKA_CACHE_DIR``, else ``jidoka`` in the user's cache folder (XDG Base Directory specification)."""
    own = os.environ.get("JIDOKA_CACHE_DIR")
    if own:
        return Path(own) / "guard"
    base = os.environ.get("XDG_CACHE_HOME", "")
    try:
        root = Path(base) if os.path.isabs(base) else Path.home() / ".cache"  # noqa: PTH117  ('' is not absolute)
    except RuntimeError:  # no home folder, as services may have
        root = Path(tempfile.gettempdir()) / f"jidoka-{os.getuid()}"
    return root / "jidoka" / "guard"


_AGAIN = "export it again, or check where it is from"
_WHAT = {
    "MODEL_UNREADABLE": "the file is not an ONNX model that can be loaded",
    "MODEL_TOO_NEW": "the model needs a newer runtime",
    "MODEL_LIMITS": "the model was stopped in its trial run",
    "MODEL_CRASHED": "the model brought the runtime down in its trial run",
    "MODEL_RUN_FAILED": "the model loads but does not run",
    "MODEL_NOT_FINITE": "the model answers with numbers that are not finite",
    "MODEL_DEAD": "the model answers the same whatever it sees",
}
_HINT = {
    "MODEL_TOO_NEW": f"export it for an older operator set; this is ONNX Runtime {ort.__version__}",
    "MODEL_LIMITS": "if it is only large: [guard] cpu_s, [model] max_memory_mb",
    "MODEL_NOT_FINITE": "export it again",
    "MODEL_DEAD": "quantise or export it again and compare with the original",
}


def _digest(policy: GraphPolicy) -> str:
    """Of a policy that is not the usual one: what one lets pass, another may not."""
    if policy == GraphPolicy():
        return ""
    return "-" + hashlib.sha256(msgspec.json.encode(policy)).hexdigest()[:12]


def _try(onnx: bytes, external: Mapping[str, bytes], size_px: tuple[int, int], limits: GuardLimits) -> Signature:
    from edge.models import liveness
    from edge.models.graph import policy, weights

    started = time.perf_counter()
    model = graph.read(onnx, limits.policy.max_nodes)
    policy.check(model, limits.policy)
    weights.check(model, external)
    lineages = liveness.judged(model)
    structure_ms = (time.perf_counter() - started) * 1e3
    document = _run_trial(onnx, external, size_px, limits, liveness.to_expose(lineages))
    signature = _signature(document)
    took_ms = {"structure": structure_ms, "trial": (time.perf_counter() - started) * 1e3 - structure_ms}
    signature = msgspec.structs.replace(signature, took_ms=took_ms | signature.took_ms)
    if signature.code:
        return signature
    if signature.finite is False:
        why = "its weights are damaged or overflow"
        return msgspec.structs.replace(signature, code="MODEL_NOT_FINITE", why=why)
    outputs = [liveness.seen_of(row) for row in document["outputs"]]
    raws = {name: liveness.seen_of(row) for name, row in document.get("raws", {}).items()}
    why = liveness.why_dead(lineages, outputs, raws, signature.probes) if signature.probes else ""
    return msgspec.structs.replace(signature, code="MODEL_DEAD", why=why) if why else signature


def _run_trial(
    onnx: bytes, external: Mapping[str, bytes], size_px: tuple[int, int], limits: GuardLimits, expose: list[str]
) -> dict[str, Any]:
    """The child's document, or one that says how it ended."""
    cpu_s = limits.cpu_s_for(len(onnx) + sum(map(len, external.values())))
    order = {
        "memory_bytes": limits.memory_bytes,
        "cpu_s": cpu_s,
        "width_px": size_px[0],
        "height_px": size_px[1],
        "model_bytes": len(onnx),
        "external": [(name, len(data)) for name, data in external.items()],
        "expose": expose,
        "budget_s": _PROBE_BUDGET_S,
    }
    data = b"".join((msgspec.json.encode(order), b"\n", onnx, *external.values()))
    with (
        tempfile.TemporaryDirectory(prefix="jidoka-trial-") as empty,
        subprocess.Popen(  # noqa: S603  (our interpreter, our file)
            [sys.executable, "-P", trial.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=empty,
            # A copy: another thread that sets a variable just then (importing OpenCV does) moves the array of them away
            # from under an exec that reads it, which fails with EFAULT. One cold start in a hundred met that.
            env=os.environ.copy(),
            start_new_session=True,  # so that everything it may have started ends with it
        ) as child,
    ):
        try:
            answer, _ = child.communicate(data, limits.wall_s)
        except subprocess.TimeoutExpired:
            return _ended("MODEL_LIMITS", f"it did not answer within {limits.wall_s:g} s")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
    if child.returncode in {-signal.SIGXCPU, -signal.SIGKILL}:
        return _ended("MODEL_LIMITS", f"it used more than {cpu_s} s of CPU or too much memory")
    try:
        document = msgspec.json.decode(answer[: trial.MAX_DOCUMENT_BYTES])
        _signature(document)
    except msgspec.DecodeError:
        return _ended("MODEL_CRASHED", f"the trial ended with status {child.returncode}")
    assert isinstance(document, dict)
    return document


def _ended(code: str, why: str) -> dict[str, Any]:
    return {"code": code, "why": why}


def _signature(document: Any) -> Signature:
    signature = msgspec.convert(document, Signature)
    if signature.code and signature.code not in _WHAT:
        raise msgspec.ValidationError("unknown code")
    return signature


def _recall(entry: Path) -> Signature | None:
    """A damaged or foreign cache entry is as good as none."""
    try:
        if entry.stat().st_size > _MAX_CACHE_BYTES:
            return None
        return _signature(msgspec.json.decode(entry.read_bytes()))
    except (OSError, msgspec.DecodeError):
        return None


def _remember(entry: Path, signature: Signature) -> None:
    """Best effort: without a cache the next start is slower, nothing else. Atomic, as several agents may share it."""
    with contextlib.suppress(OSError):
        entry.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = entry.with_name(f".{entry.name}.{os.getpid()}")
        temporary.write_bytes(msgspec.json.encode(signature))
        temporary.replace(entry)
