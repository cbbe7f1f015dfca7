"""No model is trusted to load: first a trial in a child process under limits, and only then here.

Refused before the runtime sees it: what is not a regular file or too large (``files.read_bounded``). Refused by the
trial: what the runtime refuses, what needs more memory, CPU or time than allowed, what crashes, what answers with
numbers that are not finite, and external data (the trial gets bytes and an empty folder, so there is nothing beside
the model to read). The very same bytes are used afterwards.

A trial costs about as much as a start of the agent, so its result is kept by the model's sha256, the runtime's
version, this guard's version and the probe's size.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from edge.errors import ModelError
from edge.models import trial
from edge.models.runtime import ort

GUARD_VERSION = 1
"""Raise it with anything that changes what is refused: every cached result becomes void."""

DEFAULT_PROBE_PX = 320
_MAX_CACHE_BYTES = trial.MAX_DOCUMENT_BYTES


class GuardLimits(Struct, frozen=True):
    """What the trial may use. Address space, not resident memory, is limited: allocators reserve far more than they
    use, so this is generous.
    """

    memory_bytes: int = 4 * 1024**3
    cpu_s: int = 20
    wall_s: float = 40.0


class Tensor(Struct, frozen=True):
    """An input or output. ``None`` in an input's shape is a free dimension; output shapes are as seen in the trial,
    and so is the range of values, 0 included.
    """

    name: str
    shape: tuple[int | None, ...]
    type: str
    low: float = 0.0
    high: float = 0.0


class Signature(Struct, frozen=True):
    """What the trial saw. ``finite`` is None where no probe picture could be run."""

    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    metadata: dict[str, str] = {}
    finite: bool | None = None
    probe_shape: tuple[int, ...] = ()
    code: str = ""
    why: str = ""


def examine(
    onnx: bytes,
    sha256: str,
    *,
    size_px: tuple[int, int] | None = None,
    cache: Path | None = None,
    limits: GuardLimits | None = None,
) -> Signature:
    """Try a model and say what it is. ``size_px`` (width, height) is used where the model leaves them free.

    ``cache`` is a folder for results, by default :func:`cache_folder`.
    Raises ModelError: MODEL_UNREADABLE, MODEL_LIMITS, MODEL_CRASHED, MODEL_RUN_FAILED, MODEL_NOT_FINITE.
    """
    limits = limits or GuardLimits()
    width, height = size_px or (DEFAULT_PROBE_PX, DEFAULT_PROBE_PX)
    entry = (cache or cache_folder()) / f"{sha256}-{ort.__version__}-{GUARD_VERSION}-{width}x{height}.json"
    signature = _recall(entry)
    if signature is None:
        signature = _try(onnx, (width, height), limits)
        # What failed for want of resources may succeed tomorrow, so only what depends on the model alone is kept.
        if signature.code not in {"MODEL_LIMITS", "MODEL_CRASHED"}:
            _remember(entry, signature)
    if signature.code:
        raise ModelError(
            signature.code, _WHAT[signature.code], signature.why, "export it again, or check where it is from"
        )
    if signature.finite is False:
        raise ModelError(
            "MODEL_NOT_FINITE",
            "the model answers with numbers that are not finite",
            "its weights are damaged or overflow",
            "export it again",
        )
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


_WHAT = {
    "MODEL_UNREADABLE": "the file is not an ONNX model that can be loaded",
    "MODEL_LIMITS": "the model was stopped in its trial run",
    "MODEL_CRASHED": "the model brought the runtime down in its trial run",
    "MODEL_RUN_FAILED": "the model loads but does not run",
}


def _try(onnx: bytes, size_px: tuple[int, int], limits: GuardLimits) -> Signature:
    order = {
        "memory_bytes": limits.memory_bytes,
        "cpu_s": limits.cpu_s,
        "width_px": size_px[0],
        "height_px": size_px[1],
    }
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
            answer, _ = child.communicate(msgspec.json.encode(order) + b"\n" + onnx, limits.wall_s)
        except subprocess.TimeoutExpired:
            return Signature(code="MODEL_LIMITS", why=f"it did not answer within {limits.wall_s:g} s")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
    if child.returncode in {-signal.SIGXCPU, -signal.SIGKILL}:
        return Signature(code="MODEL_LIMITS", why=f"it used more than {limits.cpu_s} s of CPU or too much memory")
    try:
        return _signature(msgspec.json.decode(answer[: trial.MAX_DOCUMENT_BYTES]))
    except msgspec.DecodeError:
        return Signature(code="MODEL_CRASHED", why=f"the trial ended with status {child.returncode}")


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
