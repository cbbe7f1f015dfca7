"""A memory bank: what good pictures look like to a network that was trained for something else.

After PatchCore (Roth et al., CVPR 2022): features of places of good pictures, thinned to those that are furthest from
each other (section 3.2, greedy k-centre selection with distances measured in a random projection).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from edge.domain import ModelRef
from edge.errors import InputError, ModelError
from edge.models import contract, guard
from edge.models.bundle import About, BareFile, Bundle, Manifest, sha256_of, write
from edge.models.graph.cut import cut, inner_tensors
from edge.models.inspect.bare import examine
from edge.models.predictor import Predictor
from edge.models.runner import OnnxRunner
from edge.ports import Image
from edge.vision.conventions import MemoryBankHead
from edge.vision.heads.memory_bank import cells_of
from edge.vision.region import cut as cut_out
from edge.vision.spec import InputSpec, Layout, Tiling
from edge.vision.stretch import inside_frame
from edge.vision.tiles import tiles_of

Floats = NDArray[np.float32]

MOST_ROWS = 200_000
"""So many places of all pictures together are looked at; of more, each picture gives its share, drawn at random."""
_PROJECTED = 64
_RANK = 4
_FEWEST_CHANNELS = 8
_FEWEST_CELLS = 4
_COARSER = 3
"""A cell stands for so many pixels a side at least: finer ones know too little, and there are too many of them."""
_NAMED = 8
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's, which most feature extractors are fed with (torchvision.transforms)."""


@dataclass(frozen=True, slots=True, eq=False)
class Extractor:
    """A model whose outputs are feature maps, ready to look at pictures."""

    predictor: Predictor
    head: MemoryBankHead
    onnx: bytes
    assumed: tuple[str, ...] = ()

    def places(self, image: Image) -> Floats:
        """Features of the places of a frame, ``(n, d)``, tile by tile; those of the padding are left out."""
        tiling = self.predictor.manifest.tiling
        if tiling is None:
            return self._places(image)
        tiles = tiles_of(image.shape[1], image.shape[0], tiling)
        return np.concatenate([self._places(cut_out(image, tile)[0]) for tile in tiles])

    def _places(self, image: Image) -> Floats:
        prepared = self.predictor.preprocess(image)
        cells = cells_of(self.head, self.predictor.run(prepared).tensors)
        numbers = np.arange(cells.shape[0] * cells.shape[1]).reshape(cells.shape[:2])
        inside = inside_frame(numbers, prepared.geometry).ravel()
        return np.asarray(cells.reshape(-1, cells.shape[2])[inside], np.float32)


def extractor_of(
    found: Bundle | BareFile, tensors: Sequence[str], *, tiling: Tiling | None = None, cache: Path | None = None
) -> Extractor:
    """A bundle or bare file with ``tensors`` as its outputs; none: those that it has. Pictures are looked at in tiles
    with ``tiling``, as the bundle made of it will.

    Raises ModelError: MODEL_TENSOR_UNKNOWN, MODEL_FEATURES_UNFIT where the outputs are no feature maps, and whatever
    the guard finds.
    """
    if found.external:
        why = "its weights lie in files beside it"
        raise ModelError("MODEL_FEATURES_UNFIT", "the model cannot be cut", why, "save it as one file first")
    spec, about, assumed = _described(found, cache)
    onnx = cut(found.onnx, tensors) if tensors else found.onnx
    digest = sha256_of(onnx)
    signature = guard.examine(onnx, digest, size_px=(spec.width_px, spec.height_px), cache=cache)
    shapes = {o.name: tuple(d or 0 for d in o.shape) for o in signature.outputs}
    layout = _layout(shapes, spec)
    if layout is None:
        raise _unfit(found.onnx, shapes, spec, cache)
    head = MemoryBankHead(features=tuple(shapes), layout=layout)
    runner = OnnxRunner(onnx)
    predictor = Predictor(
        Manifest(model=about, input=spec, output=head, tiling=tiling),
        ModelRef(about.name, about.version, digest),
        runner,
        input_name=runner.input_name,
        output_names=runner.output_names,
        dtype=contract.dtype_of(signature),
    )
    return Extractor(predictor, head, onnx, assumed)


def rows_of(extractor: Extractor, images: Iterable[Image], count: int, done: Callable[[], None]) -> Floats:
    """Places of ``count`` good pictures, ``(n, d)``. ``done`` is called after each."""
    share = max(1, MOST_ROWS // max(1, count))
    rng = np.random.default_rng(0)  # seeded: the same pictures give the same bundle
    kept: list[Floats] = []
    for image in images:
        places = extractor.places(image)
        if len(places) > share:
            places = places[rng.choice(len(places), share, replace=False)]
        kept.append(places)
        done()
    if not kept:
        raise InputError("FOLDER_EMPTY", "there are no good pictures to remember")
    return np.concatenate(kept)


def bank_of(rows: Floats, most: int, done: Callable[[], None]) -> dict[str, NDArray[np.float32]]:
    """``bank``, ``mean`` and ``gain`` (see :class:`MemoryBankHead`). ``done`` is called after each place chosen."""
    mean, spread = rows.mean(axis=0), rows.std(axis=0)
    # A feature that hardly ever differs among good pictures must not drown the others by a tiny spread.
    gain = 1 / np.maximum(spread, 1e-3 * float(rows.std()) + 1e-12)
    standard = np.asarray((rows - mean) * gain, np.float32)
    bank = standard[_far_apart(standard, most, done)]
    return {"bank": bank, "mean": mean.astype(np.float32), "gain": gain.astype(np.float32)}


def write_bank(
    folder: Path, extractor: Extractor, arrays: Mapping[str, NDArray[np.float32]], pictures: Sequence[str]
) -> Bundle:
    """The bundle: the cut model, the bank, and the sha256 of the ``pictures`` in it, so that none of them calibrates."""
    packed = io.BytesIO()
    everything: dict[str, Any] = {**arrays, "pictures": np.array(sorted(pictures))}
    np.savez_compressed(packed, **everything)
    manifest = extractor.predictor.manifest
    said = f"memory bank of {len(arrays['bank'])} places from {len(pictures)} good pictures"
    about = replace(manifest.model, description=said)
    return write(folder, replace(manifest, model=about), extractor.onnx, {extractor.head.bank: packed.getvalue()})


def _far_apart(rows: Floats, most: int, done: Callable[[], None]) -> NDArray[np.intp]:
    """Indices of rows, each the one furthest from all before it. Distances in a random projection are right to some
    percent (Johnson and Lindenstrauss), and the whole costs a tenth.
    """
    if len(rows) <= most:
        return np.arange(len(rows))
    rng = np.random.default_rng(0)
    width = min(_PROJECTED, rows.shape[1])
    points = rows @ rng.standard_normal((rows.shape[1], width)).astype(np.float32)
    chosen = [int(rng.integers(len(rows)))]
    nearest = np.square(points - points[chosen[0]]).sum(axis=1)
    while len(chosen) < most:
        chosen.append(int(nearest.argmax()))
        np.minimum(nearest, np.square(points - points[chosen[-1]]).sum(axis=1), out=nearest)
        done()
    return np.array(chosen)


def _described(found: Bundle | BareFile, cache: Path | None) -> tuple[InputSpec, About, tuple[str, ...]]:
    """How pictures go in, what it is called, and what had to be assumed."""
    assumed: tuple[str, ...] = ()
    if isinstance(found, Bundle):
        manifest = found.manifest
    else:
        proposal = examine(found, cache=cache).proposal
        # Of what names its classes have, nothing is used.
        manifest, assumed = proposal.manifest, proposal.unsettled("labels")
    spec = manifest.input
    if manifest.model.task == "raw" and spec.channels == len(_MEAN) and not isinstance(found, Bundle):
        spec = replace(spec, color="rgb", scale=1 / 255, mean=_MEAN, std=_STD)
        assumed = ("pixels go in as RGB with ImageNet's mean and spread",)
    if spec.fit == "crop":
        spec = replace(spec, fit="stretch")  # defects at the border count
    spec = replace(spec, follow="no")
    about = About(name=manifest.model.name, version="1.0.0", task="anomaly", licence=manifest.model.licence)
    return spec, about, assumed


def _layout(shapes: Mapping[str, tuple[int, ...]], spec: InputSpec) -> Layout | None:
    """Where the channels of all of them are; None where they are no feature maps. Maps have the input's proportions."""
    layouts: tuple[Layout, ...] = ("nchw", "nhwc")
    return next((one for one in layouts if all(_fits(s, one, spec) for s in shapes.values())), None)


def _fits(shape: tuple[int, ...], layout: Layout, spec: InputSpec) -> bool:
    if len(shape) != _RANK or shape[0] != 1:
        return False
    channels, height, width = shape[1:] if layout == "nchw" else (shape[3], shape[1], shape[2])
    if channels < _FEWEST_CHANNELS or min(height, width) < _FEWEST_CELLS or height * _COARSER > spec.height_px:
        return False
    # Rounded up at every halving, so that a cell more or less is possible on either side.
    return abs(height * spec.width_px - width * spec.height_px) <= 2 * max(spec.width_px, spec.height_px)


def _unfit(onnx: bytes, shapes: Mapping[str, tuple[int, ...]], spec: InputSpec, cache: Path | None) -> ModelError:
    """What is wrong, and inner tensors that would do."""
    seen = ", ".join(f"{name} {list(shape)}" for name, shape in list(shapes.items())[:4])
    names = _candidates(onnx, spec, cache)
    hint = f"name some with --tensor, such as {', '.join(names)}" if names else "name inner tensors with --tensor"
    why = f"needed: maps [1, c, h, w] of the input's proportions, {_FEWEST_CHANNELS} channels or more"
    return ModelError("MODEL_FEATURES_UNFIT", f"the outputs are no feature maps: {seen}", why, hint)


def _candidates(onnx: bytes, spec: InputSpec, cache: Path | None) -> list[str]:
    """Sums and joins, which end the blocks of nearly all trunks."""
    names = inner_tensors(onnx, ("Add", "Concat")) or inner_tensors(onnx, ("Relu", "Clip"))
    try:
        opened = cut(onnx, names) if names else onnx
        signature = guard.examine(opened, sha256_of(opened), size_px=(spec.width_px, spec.height_px), cache=cache)
    except ModelError:
        return []
    shapes = {o.name: tuple(d or 0 for d in o.shape) for o in signature.outputs}
    fitting = [n for n, s in shapes.items() if _layout({n: s}, spec)]
    return [f"{n} {list(shapes[n])}" for n in fitting[:: max(1, len(fitting) // _NAMED)][:_NAMED]]
