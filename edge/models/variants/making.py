"""From a bundle and pictures (or windows) to a variant that agrees with the original and is the fastest of those that do."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from edge.errors import InputError, JidokaError, ModelError, StoreError
from edge.models.bundle import MANIFEST_FILE, Bundle, Manifest, sha256_of
from edge.models.bundle import parse as parse_pictures
from edge.models.runtime import ort
from edge.models.series.manifest import SeriesBundle, SeriesManifest
from edge.models.series.manifest import parse as parse_series
from edge.models.toml import dump_toml, lean
from edge.models.tuning.machine import Machine
from edge.models.tuning.way import Engine
from edge.models.variants import comparing, nodes
from edge.models.variants.comparing import Compared, Given, Pair
from edge.models.variants.recipes import Recipe, make, prepared, recipes_for
from edge.models.variants.table import FOLDER, Agreed, Variant
from edge.ports import Image
from edge.vision.region import cut
from edge.vision.spec import Tiling
from edge.vision.tiles import tiles_of

CARRIERS = frozenset({"ZipMap", "ArrayFeatureExtractor", "LabelEncoder", "CastMap"})
"""Operators of ONNX-ML that only hand on what others found."""
CONVOLVING = frozenset({"Conv", "ConvTranspose"})
SMALL_ALREADY = frozenset({"ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul", "DequantizeLinear"})
FLOAT_ONLY = frozenset({"GRU", "RNN"})
"""Recurrent layers that ONNX Runtime's tools and kernels have no int8 form of; ``LSTM`` has one, dynamic."""
LEAST_PICTURES = 4
LEAST_WINDOWS = 16
"""Every fourth is kept back, and of three scores and fewer no correlation can be told."""
MAX_PICTURES = 200
"""More make no better ranges, and each is looked at by every candidate."""


@dataclass(slots=True)
class Tried:
    """One recipe: what came of it. ``error``: it could not be made, or the guard refused it."""

    recipe: Recipe
    data: bytes = b""
    compared: Compared | None = None
    speed: float = 0.0
    error: str = ""

    def agrees(self, least: float) -> bool:
        """Whether it may be used."""
        lower = None if self.compared is None else self.compared.lower
        return lower is not None and lower >= least


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """Pictures by index, as they are needed: ``load`` reads one. Of series models: the samples ``(T, C)`` of windows."""

    load: Callable[[int], Given]
    count: int
    what: str = "pictures"

    def images(self) -> Iterator[tuple[bool, Given]]:
        """All, each with whether it is kept back."""
        for i, kept_back in enumerate(comparing.split(self.count)):
            yield kept_back, self.load(i)


@dataclass(slots=True)
class Search:
    """The work, recipe by recipe, so that whoever calls can show how far it is."""

    found: Bundle | SeriesBundle
    material: Material
    machine: Machine
    least: float
    tried: list[Tried] = field(default_factory=list)
    _original: Pair | None = None
    _model: Any = None

    def __post_init__(self) -> None:
        tiling = None if isinstance(self.found, SeriesBundle) else self.found.manifest.tiling
        if tiling is not None:
            self.material = Material(_tile_by_tile(self.material.load, tiling), self.material.count)

    def recipes(self, mode: str, method: str) -> list[list[Recipe]]:
        """What is worth a try, in groups. Raises ModelError MODEL_NOT_QUANTIZABLE, InputError CALIBRATION_TOO_FEW."""
        least = LEAST_WINDOWS if isinstance(self.found, SeriesBundle) else LEAST_PICTURES
        if self.material.count < least:
            what = f"{self.material.count} {self.material.what} are too few"
            raise InputError("CALIBRATION_TOO_FEW", what, f"at least {least} are needed: every fourth is kept back")
        self._original = comparing.pair_of(self.found)
        self._model = prepared(self.found.onnx, dict(self.found.external))
        layers = set(nodes.learnt(self._model.graph))
        kinds = {node.op_type for node in self._model.graph.node if node.name in layers}
        if mode != "fp16" and not kinds - FLOAT_ONLY:
            raise ModelError("MODEL_NOT_QUANTIZABLE", "the model has no layers to make smaller", self._why_none(kinds))
        return recipes_for(
            mode,
            method,
            has_convolutions=not kinds.isdisjoint(CONVOLVING),
            is_series=isinstance(self.found, SeriesBundle),
            is_recurrent="LSTM" in kinds,
        )

    def _why_none(self, kinds: set[str]) -> str:
        """What a model consists of that has nothing for int8 to gain on, in words."""
        if kinds:
            return f"ONNX Runtime has no int8 form of {' and '.join(sorted(kinds))}"
        graph = self._model.graph
        if any(node.op_type in SMALL_ALREADY for node in graph.node):
            return "it is int8 already"
        classical = sorted({node.op_type for node in graph.node if node.domain == "ai.onnx.ml"} - CARRIERS)
        trees = [name for name in classical if name.startswith("TreeEnsemble")]
        if trees:
            return f"{trees[0]} compares numbers with thresholds: there are no products that int8 makes faster"
        if classical:
            return f"{', '.join(classical)} of ONNX-ML compute in float32 only"
        return "it has no convolution and no product with constant weights"

    def run(self, recipe: Recipe) -> Tried:
        """Make it and hold it against the original."""
        assert self._original is not None, "recipes() comes first"
        one = Tried(recipe)
        self.tried.append(one)
        try:
            one.data = make(self._model, recipe, self._feeds, self.machine)
            made = comparing.as_variant(self.found, recipe.name, one.data, sha256_of(one.data))
            pair = comparing.pair_of(made)
            one.compared = comparing.compare(self._original, pair, self.material.images())
            one.speed = comparing.speed(self._original, pair, self.material.load(0))
        except ModelError as error:
            one.error = error.why or error.what if error.code == "MODEL_NOT_QUANTIZABLE" else str(error)
        return one

    def best(self) -> Tried | None:
        """The fastest that agrees."""
        good = [one for one in self.tried if one.agrees(self.least)]
        return max(good, key=lambda one: one.speed, default=None)

    def engines(self, best: Tried) -> tuple[Engine, ...]:
        """With which engines that are installed it agrees: chosen with the first, then tried with the others."""
        assert self._original is not None
        found: tuple[Engine, ...] = ("onnxruntime",)
        if self.machine.openvino:
            made = comparing.as_variant(self.found, best.recipe.name, best.data, sha256_of(best.data))
            try:
                pair = comparing.pair_of(made, "openvino")
                lower = comparing.compare(self._original, pair, self.material.images()).lower
            except ModelError:  # it does not know an operator, say
                return found
            if lower is not None and lower >= self.least:
                found = (*found, "openvino")
        return found

    def refusal(self) -> JidokaError:
        """Why there is none, in one line."""
        compared = [(one, one.compared) for one in self.tried if one.compared is not None]
        known = [(lower, one, c) for one, c in compared if (lower := c.lower) is not None]
        if known:
            lower, one, c = max(known, key=lambda row: row[0])
            why = f"the best ({one.recipe.how}): {lower:.3f} of 1 asked {self.least:g}: {c.figure}, {c.pictures} {self.material.what}"
            hint = f"more {self.material.what}, another --mode, or a larger --max-drop"
            return ModelError("MODEL_VARIANT_DISAGREES", "no variant agrees with the original", why, hint)
        if compared:
            what = "nothing can be said of how a variant agrees with the original"
            why = f"the model finds nothing in these {self.material.what}, or says the same of all"
            return InputError("CALIBRATION_SAYS_NOTHING", what, why, f"take {self.material.what} of what it is for")
        why = "; ".join(dict.fromkeys(one.error for one in self.tried))
        return ModelError("MODEL_NOT_QUANTIZABLE", "no variant of the model could be made", why)

    def _feeds(self) -> Iterator[dict[str, NDArray[Any]]]:
        assert self._original is not None
        for i in comparing.pictures_for(comparing.split(self.material.count)):
            feeds = self._original.found.feeds(self.material.load(i))
            yield {name: np.ascontiguousarray(value) for name, value in feeds.items()}


def _tile_by_tile(load: Callable[[int], Image], tiling: Tiling) -> Callable[[int], Image]:
    """A model that looks in tiles shall be made from tiles: of each picture another one."""

    def tile(i: int) -> Image:
        image = load(i)
        tiles = tiles_of(image.shape[1], image.shape[0], tiling)
        return cut(image, tiles[i % len(tiles)])[0]

    return tile


def row_for(
    found: Bundle | SeriesBundle,
    one: Tried,
    least: float,
    machine: Machine,
    name: str,
    engines: tuple[Engine, ...] = ("onnxruntime",),
) -> Variant:
    """The manifest's row of a variant that agrees."""
    compared = one.compared
    assert compared is not None
    value = compared.lower
    assert value is not None
    agreed = Agreed(
        figure=compared.figure,
        value=max(_short(value), least),  # cutting digits off must not undo that it agrees
        least=least,
        pictures=compared.pictures,
        held_out=compared.held_out,
        held_out_value=None if compared.held_out_value is None else _short(compared.held_out_value),
        score_error=_short(compared.score_error),
        raw_error=_short(compared.raw_error),
    )
    return Variant(
        name=name,
        sha256=sha256_of(one.data),
        of=found.sha256,
        how=one.recipe.how,
        made_with=f"onnxruntime {ort.__version__}",
        speed=round(one.speed, 2) or 0.01,
        on=machine.cpu,
        agreement=agreed,
        engines=engines,
    )


def put(found: Bundle | SeriesBundle, row: Variant, data: bytes, output: Path | None = None) -> Path:
    """Write a variant into the bundle, or into a copy of it: first the file, then the manifest that names it. What a
    person wrote into model.toml is kept. Raises StoreError BUNDLE_UNWRITABLE.
    """
    assert found.folder is not None
    folder = found.folder if output is None else output
    try:
        if output is not None:
            shutil.copytree(found.folder, output, dirs_exist_ok=True)
        (folder / FOLDER).mkdir(exist_ok=True)
        _whole(folder / row.file, data)
        rows = (*(one for one in found.manifest.variant if one.name != row.name), row)
        text = (folder / MANIFEST_FILE).read_text(encoding="utf-8")
        wanted: Manifest | SeriesManifest = replace(found.manifest, variant=rows)
        _whole(folder / MANIFEST_FILE, _text(text, wanted).encode())
    except OSError as error:
        raise StoreError("BUNDLE_UNWRITABLE", f"{folder} cannot be written to", str(error)) from error
    return folder


def _text(text: str, wanted: Manifest | SeriesManifest) -> str:
    """The manifest's text with other ``[[variant]]`` tables, which stand at its end."""
    kept = "\n".join(_without_variants(text.splitlines())).rstrip()
    made = f"{kept}\n\n{dump_toml({'variant': [lean(row) for row in wanted.variant]})}"
    parse = parse_pictures if isinstance(wanted, Manifest) else parse_series
    try:
        if parse(made.encode()) == wanted:
            return made
    except ModelError:
        pass
    return dump_toml(lean(wanted))


def _without_variants(lines: Sequence[str]) -> Iterator[str]:
    ours = False
    for line in lines:
        head = line.strip()
        if head.startswith("["):
            ours = head.startswith(("[[variant]]", "[variant."))
        if not ours:
            yield line


def _whole(path: Path, data: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data)
    part.replace(path)


def _short(value: float) -> float:
    """Four digits, downwards where it is a share: an agreement must not become better by writing it down."""
    return np.floor(value * 1e4).item() / 1e4 if value <= 1 else round(value, 4)
