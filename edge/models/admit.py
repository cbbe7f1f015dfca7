"""The first half of loading: the guard and the session. It knows no pictures, so a daemon can begin with it.

Making the session takes most of a start and does not hold the interpreter lock: whatever else is to be read and
imported is read meanwhile. The second half is :mod:`edge.models.loading`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge.config.agent import GuardConfig, ModelConfig
from edge.errors import ModelError
from edge.models import bundle, contract, guard
from edge.models.graph.limits import GraphPolicy
from edge.models.runner import OnnxRunner
from edge.vision.conventions import outputs_named

MB = 1024 * 1024
_UNLISTED = "the bundle lists no [files], so nothing says whether they are the ones it was made of"


@dataclass(frozen=True, slots=True, eq=False)
class Admitted:
    """A model that passed the guard, in its session. ``assumed``: what a bare file did not tell."""

    bundle: bundle.Bundle
    signature: guard.Signature
    runner: OnnxRunner
    assumed: tuple[str, ...] = ()


def admit(
    what: bundle.Bundle | bundle.BareFile,
    *,
    cache: Path | None = None,
    limits: guard.GuardLimits | None = None,
) -> Admitted:
    """Try a model in a child process, unless its result is known, hold it against its manifest, and make its session.

    Raises ModelError; see :mod:`edge.models.guard` and ``inspect``.
    """
    if isinstance(what, bundle.BareFile):
        return _bare(what, cache, limits)
    spec = what.manifest.input
    signature = guard.examine(
        what.onnx,
        what.sha256,
        external=what.external,
        size_px=(spec.width_px, spec.height_px),
        cache=cache,
        limits=limits,
    )
    contract.check_manifest(what.manifest, signature)
    names = [o.name for o in signature.outputs]
    for output in sorted(outputs_named(what.manifest.output) - {*names}):
        raise ModelError("MODEL_OUTPUT_UNFIT", f"the model has no output {output!r}", f"it has {', '.join(names)}")
    unlisted = () if what.manifest.files else (_UNLISTED,)
    return Admitted(what, signature, OnnxRunner(what.onnx, what.external), unlisted)


def limits_of(model: ModelConfig, settings: GuardConfig) -> guard.GuardLimits:
    """What a settings file says of the guard's limits."""
    policy = GraphPolicy(
        operators=settings.operators,
        max_nodes=settings.max_nodes,
        max_if_depth=settings.max_if_depth,
        max_trips=settings.max_trips,
    )
    return guard.GuardLimits(model.max_memory_mb * MB, settings.cpu_s, policy=policy, liveness=settings.liveness)


def _bare(file: bundle.BareFile, cache: Path | None, limits: guard.GuardLimits | None) -> Admitted:
    passed = guard.examine(file.onnx, file.sha256, external=file.external, cache=cache, limits=limits)
    runner = OnnxRunner(file.onnx, file.external)
    # Only bare files need the rules, and these know pictures: not imported before the session is made.
    from edge.models.inspect.bare import examine

    found = examine(file, passed, cache=cache, limits=limits)
    manifest = found.proposal.manifest
    if manifest.model.task == "raw":
        seen = "; ".join(contract.describe(t) for t in (*found.facts.signature.inputs, *found.facts.outputs)[:8])
        raise ModelError(
            "MODEL_HEAD_UNKNOWN",
            "cannot tell what the model's output means",
            f"seen: {seen}",
            "put it in a bundle whose model.toml says so: `jidoka model pack` makes a first one",
        )
    made = bundle.Bundle(manifest, file.onnx, file.sha256, external=file.external)
    return Admitted(made, found.facts.signature, runner, found.proposal.assumed)
