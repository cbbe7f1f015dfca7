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
from edge.models.tuning.plan import Plan, Wish, carried_out
from edge.models.tuning.runners import AnyRunner, runner_of
from edge.models.variants.reading import with_variant
from edge.vision.conventions import outputs_named

MB = 1024 * 1024
_USUAL = Plan()
_UNLISTED = "the bundle lists no [files], so nothing says whether they are the ones it was made of"


@dataclass(frozen=True, slots=True, eq=False)
class Admitted:
    """A model that passed the guard, in its session. ``assumed``: what a bare file did not tell. ``plan``: how it is to
    be run, and which variant ``bundle`` is.
    """

    bundle: bundle.Bundle
    signature: guard.Signature
    runner: AnyRunner
    assumed: tuple[str, ...] = ()
    plan: Plan = _USUAL


def admit(
    what: bundle.Bundle | bundle.BareFile,
    *,
    cache: Path | None = None,
    limits: guard.GuardLimits | None = None,
    wish: Wish | None = None,
) -> Admitted:
    """Try a model in a child process, unless its result is known, hold it against its manifest, and make its session.

    ``wish``: which variant, and what of a profile of this machine; left out, it is the original run the usual way.
    Raises ModelError; see :mod:`edge.models.guard`, ``inspect`` and ``variants.reading``.
    """
    return carried_out(what, wish, lambda plan: _planned(what, plan, cache, limits), cache)


def _planned(
    what: bundle.Bundle | bundle.BareFile, plan: Plan, cache: Path | None, limits: guard.GuardLimits | None
) -> Admitted:
    if isinstance(what, bundle.BareFile):
        return _bare(what, cache, limits, plan)
    if plan.variant:
        what = with_variant(what, plan.variant)
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
    return Admitted(what, signature, runner_of(what.onnx, what.external, plan.way, names), unlisted, plan)


def limits_of(model: ModelConfig, settings: GuardConfig) -> guard.GuardLimits:
    """What a settings file says of the guard's limits."""
    policy = GraphPolicy(
        operators=settings.operators,
        max_nodes=settings.max_nodes,
        max_if_depth=settings.max_if_depth,
        max_trips=settings.max_trips,
    )
    return guard.GuardLimits(model.max_memory_mb * MB, settings.cpu_s, policy=policy, liveness=settings.liveness)


def wish_of(model: ModelConfig) -> Wish:
    """What a settings file says of how a model is run."""
    return Wish(model.variant, 0 if model.workers == "auto" else model.workers)


def _bare(file: bundle.BareFile, cache: Path | None, limits: guard.GuardLimits | None, plan: Plan) -> Admitted:
    passed = guard.examine(file.onnx, file.sha256, external=file.external, cache=cache, limits=limits)
    runner = runner_of(file.onnx, file.external, plan.way, [o.name for o in passed.outputs])
    # Only bare files need the rules, and these know pictures: not imported before the session is made.
    from edge.models.inspect.bare import examine

    found = examine(file, passed, cache=cache, limits=limits)
    manifest = found.proposal.manifest
    if manifest.model.task == "raw":
        told = found.proposal.evidence.get("task", ())
        seen = "; ".join(contract.describe(t) for t in (*found.facts.signature.inputs, *found.facts.outputs)[:8])
        raise ModelError(
            "MODEL_HEAD_UNKNOWN",
            "cannot tell what the model's output means",
            f"{told[0]}; seen: {seen}" if told and not told[0].startswith("seen") else f"seen: {seen}",
            "put it in a bundle whose model.toml says so: `jidoka model pack` makes a first one",
        )
    made = bundle.Bundle(manifest, file.onnx, file.sha256, external=file.external)
    return Admitted(made, found.facts.signature, runner, found.proposal.assumed, plan)
