"""From what a user names to a model that runs: a bundle folder or a bare ``.onnx`` file."""

from __future__ import annotations

from pathlib import Path

from edge.errors import ModelError
from edge.models import bundle, golden, guard, inspect
from edge.models.files import read_bounded
from edge.models.predictor import OnnxRunner, Predictor
from edge.vision import heads


def load(
    model: str | Path,
    *,
    min_score: float | None = None,
    cache: Path | None = None,
    limits: guard.GuardLimits | None = None,
) -> Predictor:
    """Load a model, guarded: nothing of it is run here that did not pass a trial in a child process.

    ``model`` is a bundle folder or an ``.onnx`` file. ``min_score`` overrides the bundle's thresholds. ``cache`` is
    where trial results are kept. Raises ModelError; see :mod:`edge.models.bundle`, ``guard`` and ``inspect``.
    """
    path = Path(model)
    predictor = _from_bundle(path, cache, limits) if path.is_dir() else _from_file(path, cache, limits)
    return predictor if min_score is None else predictor.with_min_score(min_score)


def _from_bundle(folder: Path, cache: Path | None, limits: guard.GuardLimits | None) -> Predictor:
    found = bundle.read(folder)
    size_px = (found.manifest.input.width_px, found.manifest.input.height_px)
    signature = guard.examine(found.onnx, found.sha256, size_px=size_px, cache=cache, limits=limits)
    inspect.check_manifest(found.manifest, signature)
    predictor = _predictor(found, signature, ())
    golden.check(found, predictor)
    return predictor


def _from_file(path: Path, cache: Path | None, limits: guard.GuardLimits | None) -> Predictor:
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
    return _predictor(bundle.Bundle(proposal.manifest, onnx, sha256), signature, proposal.assumed)


def _predictor(found: bundle.Bundle, signature: guard.Signature, assumed: tuple[str, ...]) -> Predictor:
    manifest = found.manifest
    names = [o.name for o in signature.outputs]
    if manifest.output.output and manifest.output.output not in names:
        raise ModelError(
            "MODEL_OUTPUT_UNFIT", f"the model has no output {manifest.output.output!r}", f"it has {', '.join(names)}"
        )
    seen = next(o for o in signature.outputs if manifest.output.output in {"", o.name})
    heads.check_shape(manifest.output, tuple(d or 0 for d in seen.shape), len(manifest.model.labels))
    runner = OnnxRunner(found.onnx)
    return Predictor(
        manifest,
        found.ref,
        runner,
        input_name=runner.input_name,
        output_names=runner.output_names,
        dtype=inspect.dtype_of(signature),
        assumed=assumed,
    )
