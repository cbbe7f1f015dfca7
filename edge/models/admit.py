"""The first half of loading: the guard. It knows no pictures, so a daemon can begin with it.

What follows, making the session, takes most of a start and does not hold the interpreter lock: whatever else is to be
read and imported is read meanwhile. The second half is :mod:`edge.models.loading`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge.config.agent import ModelConfig
from edge.errors import ModelError
from edge.models import bundle, guard, inspect
from edge.vision.conventions import outputs_named

MB = 1024 * 1024


@dataclass(frozen=True, slots=True, eq=False)
class Admitted:
    """A model that passed the guard. ``assumed``: what a bare file did not tell."""

    bundle: bundle.Bundle
    signature: guard.Signature
    assumed: tuple[str, ...] = ()


def admit(
    what: bundle.Bundle | bundle.BareFile, *, cache: Path | None = None, limits: guard.GuardLimits | None = None
) -> Admitted:
    """Try a model in a child process, unless its result is known, and hold it against its manifest.

    Raises ModelError; see :mod:`edge.models.guard` and ``inspect``.
    """
    if isinstance(what, bundle.BareFile):
        return _bare(what, cache, limits)
    spec = what.manifest.input
    signature = guard.examine(
        what.onnx, what.sha256, size_px=(spec.width_px, spec.height_px), cache=cache, limits=limits
    )
    inspect.check_manifest(what.manifest, signature)
    names = [o.name for o in signature.outputs]
    for output in sorted(outputs_named(what.manifest.output) - {*names}):
        raise ModelError("MODEL_OUTPUT_UNFIT", f"the model has no output {output!r}", f"it has {', '.join(names)}")
    return Admitted(what, signature)


def limits_of(model: ModelConfig) -> guard.GuardLimits:
    """What a settings file says of the trial's limits."""
    return guard.GuardLimits(memory_bytes=model.max_memory_mb * MB)


def _bare(file: bundle.BareFile, cache: Path | None, limits: guard.GuardLimits | None) -> Admitted:
    signature = guard.examine(file.onnx, file.sha256, cache=cache, limits=limits)
    size_px = inspect.metadata_size_px(signature.metadata)
    if size_px and signature.probe_shape and signature.probe_shape[2:] != (size_px[1], size_px[0]):
        # Free dimensions: the size it was trained with is in its metadata.
        signature = guard.examine(file.onnx, file.sha256, size_px=size_px, cache=cache, limits=limits)
    proposal = inspect.propose(signature, file.name)
    return Admitted(bundle.Bundle(proposal.manifest, file.onnx, file.sha256), signature, proposal.assumed)
