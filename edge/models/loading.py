"""From what a user names to a model that runs: a bundle folder or a bare ``.onnx`` file."""

from __future__ import annotations

import zipfile
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from edge.errors import ModelError
from edge.models import cascade, contract, dictionary, golden
from edge.models.admit import Admitted, admit
from edge.models.bundle import MANIFEST_FILE, Bundle
from edge.models.guard import GuardLimits
from edge.models.inputs import extra_inputs
from edge.models.predictor import Predictor
from edge.models.series.manifest import SeriesBundle, read_model
from edge.models.stages import BUILTIN, is_codes
from edge.models.tiled import TiledPredictor
from edge.models.tuning.plan import Plan, Wish
from edge.vision import heads


def load(
    model: str | Path,
    *,
    min_score: float | None = None,
    cache: Path | None = None,
    limits: GuardLimits | None = None,
    wish: Wish | None = None,
) -> Predictor:
    """Load a model, guarded: nothing of it is run here that did not pass a trial in a child process.

    ``model`` is a bundle folder, an ``.onnx`` file or a built-in (``codes``, see :mod:`edge.models.codes`).
    ``min_score`` overrides the bundle's thresholds. ``cache`` is where trial results are kept. ``wish``: which of the
    bundle's variants, and how to run it; left out, the original the usual way. Raises ModelError; see
    :mod:`edge.models.bundle`, ``guard`` and ``inspect``.
    """
    predictor = _load(model, 0, cache=cache, limits=limits, wish=wish)
    return _at(predictor, min_score, predictor.plan)


def _load(
    model: str | Path, depth: int, *, cache: Path | None, limits: GuardLimits | None, wish: Wish | None = None
) -> Predictor:
    if is_codes(str(model)) and not (Path(model) / MANIFEST_FILE).exists():
        from edge.models.codes import load_codes

        return load_codes(str(model).removeprefix(BUILTIN))
    found = read_model(Path(model))
    if isinstance(found, SeriesBundle):
        hint = "it is for `jidoka infer` on tables, and for [sensors]"
        raise ModelError("MODEL_TAKES_SERIES", f"{model} takes windows of samples, no pictures", "", hint)
    admitted = admit(found, cache=cache, limits=limits, wish=wish)
    return predictor_of(admitted, cache=cache, limits=limits, depth=depth)


def predictor_of(
    admitted: Admitted,
    min_score: float | None = None,
    *,
    cache: Path | None = None,
    limits: GuardLimits | None = None,
    depth: int = 0,
) -> Predictor:
    """The second half of :func:`load`: everything around the session.

    Golden pictures are checked here. The models of a cascade's stages are loaded here, each guarded; ``depth`` says how
    many bundles this one lies in.
    """
    found = admitted.bundle
    manifest = found.manifest
    head = dictionary.completed(found, admitted.signature)
    shapes = {output.name: tuple(d or 0 for d in output.shape) for output in admitted.signature.outputs}
    heads.check_shapes(head, shapes, len(manifest.model.labels))
    picture = contract.picture_of(admitted.signature)
    assert picture is not None, "the contract was checked before"
    predictor = Predictor(
        manifest,
        found.ref,
        admitted.runner,
        input_name=picture.name,
        output_names=admitted.runner.output_names,
        dtype=contract.dtype_of(admitted.signature),
        assumed=admitted.assumed,
        extra=extra_inputs(admitted.signature, manifest.input),
        data=_data_of(found),
        head=head,
    )
    golden.check(found, predictor)
    if manifest.tiling is not None:
        predictor = TiledPredictor(predictor)
    predictor = cascade.build(predictor, found, partial(_load, cache=cache, limits=limits), depth)
    return _at(predictor, min_score, admitted.plan)


def _at(predictor: Predictor, min_score: float | None, plan: Plan) -> Predictor:
    if min_score is not None:
        predictor = predictor.with_min_score(min_score)
    predictor.plan = plan
    return predictor


def _data_of(found: Bundle) -> dict[str, NDArray[Any]]:
    """The arrays of the files that the head names. Raises ModelError MODEL_DATA_UNREADABLE."""
    data: dict[str, NDArray[Any]] = {}
    for name, content in found.data_files.items():
        try:
            data |= golden.arrays_of(content)
        except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
            raise ModelError(
                "MODEL_DATA_UNREADABLE", f"{name} of the bundle cannot be read", str(error), "make the bundle again"
            ) from error
    return data
