"""The first half of loading: read and guard. It knows no pictures, so a daemon can begin with it.

What follows, making the session, takes most of a start and does not hold the interpreter lock: whatever else is to be
read and imported is read meanwhile. The second half is :mod:`edge.models.loading`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge.config.agent import ModelConfig
from edge.errors import ModelError
from edge.models import bundle, guard, inspect
from edge.models.files import read_bounded

MB = 1024 * 1024


@dataclass(frozen=True, slots=True, eq=False)
class Admitted:
    """A model that passed the guard. ``assumed``: what a bare file did not tell."""

    bundle: bundle.Bundle
    signature: guard.Signature
    assumed: tuple[str, ...] = ()


def admit(path: Path, *, cache: Path | None = None, limits: guard.GuardLimits | None = None) -> Admitted:
    """Read a bundle folder or an ``.onnx`` file and try it in a child process, unless its result is known.

    Raises ModelError; see :mod:`edge.models.bundle`, ``guard`` and ``inspect``.
    """
    found, signature, assumed = (_from_bundle if path.is_dir() else _from_file)(path, cache, limits)
    output, names = found.manifest.output.output, [o.name for o in signature.outputs]
    if output and output not in names:
        raise ModelError("MODEL_OUTPUT_UNFIT", f"the model has no output {output!r}", f"it has {', '.join(names)}")
    return Admitted(found, signature, assumed)


def admit_model(path: Path, model: ModelConfig) -> Admitted:
    """:func:`admit` with what a settings file says of the model's limits."""
    return admit(path, limits=guard.GuardLimits(memory_bytes=model.max_memory_mb * MB))


def _from_bundle(
    folder: Path, cache: Path | None, limits: guard.GuardLimits | None
) -> tuple[bundle.Bundle, guard.Signature, tuple[str, ...]]:
    found = bundle.read(folder)
    size_px = (found.manifest.input.width_px, found.manifest.input.height_px)
    signature = guard.examine(found.onnx, found.sha256, size_px=size_px, cache=cache, limits=limits)
    inspect.check_manifest(found.manifest, signature)
    return found, signature, ()


def _from_file(
    path: Path, cache: Path | None, limits: guard.GuardLimits | None
) -> tuple[bundle.Bundle, guard.Signature, tuple[str, ...]]:
    onnx = read_bounded(path, bundle.MAX_MODEL_BYTES)
    if not onnx:
        raise ModelError("MODEL_UNREADABLE", f"{path} is empty", "", "export or copy it again")
    sha256 = bundle.sha256_of(onnx)
    signature = guard.examine(onnx, sha256, cache=cache, limits=limits)
    size_px = inspect.metadata_size_px(signature.metadata)
    if size_px and signature.probe_shape and signature.probe_shape[2:] != (size_px[1], size_px[0]):
        # Free dimensions: the size it was trained with is in its metadata.
        signature = guard.examine(onnx, sha256, size_px=size_px, cache=cache, limits=limits)
    proposal = inspect.propose(signature, path.stem)
    return bundle.Bundle(proposal.manifest, onnx, sha256), signature, proposal.assumed
