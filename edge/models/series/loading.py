"""From what a user names to a series model that runs: a bundle folder or a bare ``.onnx`` file."""

from __future__ import annotations

from pathlib import Path

from edge.errors import ModelError
from edge.models import guard
from edge.models.bundle import BareFile, read_any
from edge.models.graph.read import read as read_graph
from edge.models.series import manifest, propose
from edge.models.series.manifest import SeriesBundle
from edge.models.series.predictor import SeriesPredictor
from edge.models.tuning.plan import Plan, Wish, carried_out
from edge.models.tuning.runners import runner_of
from edge.models.variants.reading import with_variant
from edge.series.windows import Feed, feeds_of


def load_series(
    model: str | Path,
    *,
    min_score: float | None = None,
    cache: Path | None = None,
    limits: guard.GuardLimits | None = None,
    wish: Wish | None = None,
) -> SeriesPredictor:
    """Load a series model, guarded. ``wish``: which of the bundle's variants, and how to run it; left out, the original
    the usual way. Raises ModelError; see :mod:`edge.models.series.manifest`, ``guard`` and ``variants.reading``.
    """
    found = read_or_propose(Path(model), cache=cache, limits=limits)
    return predictor_of(found, min_score, cache=cache, limits=limits, wish=wish)


def read_or_propose(path: Path, *, cache: Path | None = None, limits: guard.GuardLimits | None = None) -> SeriesBundle:
    """A bundle as it is, a bare file with what is proposed for it once the guard let it pass. Raises ModelError."""
    if path.is_dir():
        return manifest.read(path)
    bare = read_any(path)
    assert isinstance(bare, BareFile)
    signature = guard.examine(bare.onnx, bare.sha256, external=bare.external, cache=cache, limits=limits)
    proposed, assumed = propose.propose(signature, read_graph(bare.onnx), bare.name)
    return SeriesBundle(proposed, bare.onnx, bare.sha256, None, bare.external, assumed)


def predictor_of(
    found: SeriesBundle,
    min_score: float | None = None,
    *,
    cache: Path | None = None,
    limits: guard.GuardLimits | None = None,
    wish: Wish | None = None,
) -> SeriesPredictor:
    """The second half of :func:`load_series`, with what is read already. Raises ModelError."""
    predictor = carried_out(found, wish, lambda plan: planned(found, plan, cache=cache, limits=limits), cache)
    return predictor if min_score is None else predictor.with_min_score(min_score)


def planned(
    found: SeriesBundle, plan: Plan, *, cache: Path | None = None, limits: guard.GuardLimits | None = None
) -> SeriesPredictor:
    """The model run as a plan says; its answer to one window was held against its head. Raises ModelError."""
    if plan.variant:
        found = with_variant(found, plan.variant)
    signature = guard.examine(found.onnx, found.sha256, external=found.external, cache=cache, limits=limits)
    names = [output.name for output in signature.outputs]
    runner = runner_of(found.onnx, found.external, plan.way, names)
    predictor = SeriesPredictor(
        found.manifest,
        found.ref,
        runner,
        feeds=_feeds(found, signature),
        output_names=runner.output_names,
        assumed=found.assumed,
    )
    predictor.check()
    predictor.plan = plan
    return predictor


def _feeds(found: SeriesBundle, signature: guard.Signature) -> tuple[Feed, ...]:
    """Raises ModelError MODEL_INPUT_UNFIT where manifest and model differ."""
    try:
        feeds = feeds_of(found.manifest.input, {one.name: _dtype(one) for one in signature.inputs})
        for feed, tensor in zip(feeds, signature.inputs, strict=True):
            _check_shape(found.manifest, feed, tensor)
    except ValueError as error:
        what = "the model cannot take what [input] gives"
        raise ModelError("MODEL_INPUT_UNFIT", what, str(error), "correct model.toml") from error
    return feeds


def _check_shape(said: manifest.SeriesManifest, feed: Feed, tensor: guard.Tensor) -> None:
    spec, c = said.input, len(feed.channels)
    t = spec.window_n
    if not c:
        if tensor.shape not in {(None,), (1,)}:
            raise ValueError(f"length_input {tensor.name!r} must take one number, [1]")
        return
    wanted = {"tc": (1, t, c), "ct": (1, c, t)}.get(spec.layout, (1, t * c))
    fits = len(wanted) == len(tensor.shape) and all(
        dim in {None, want} for dim, want in zip(tensor.shape, wanted, strict=True)
    )
    if not fits:
        dims = ", ".join("?" if dim is None else str(dim) for dim in tensor.shape)
        raise ValueError(f"layout {spec.layout!r} gives {list(wanted)}, input {tensor.name!r} is [{dims}]")


def _dtype(tensor: guard.Tensor) -> str:
    if tensor.type not in propose.DTYPES:
        raise ValueError(f"its input {tensor.name!r} is {tensor.type}")
    return propose.DTYPES[tensor.type]
