"""A bundle whose input is windows of samples: the same folder as a picture's (:mod:`edge.models.bundle`), with
``task = "series"`` (or ``raw``) and an ``[input]`` of channels::

    [model]
    name = "bearing"
    task = "series"
    labels = ["normal", "inner", "ball", "outer"]

    [input]
    window_n = 1024
    stride_n = 512
    rate_hz = 12000.0
    layout = "ct"
    channels = [{ name = "drive_end", unit = "g", std = 0.31 }]

    [output]
    head = "class"                    # class | value | score | reconstruction | raw
    activation = "softmax"

    [[variant]]                       # faster forms of the model; written by `jidoka model quantize`

``[files]`` may be left out in a bundle that is written by hand; where it is there, every file must be the listed one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from edge.domain import ModelRef
from edge.errors import ModelError
from edge.models import bundle, external
from edge.models.bundle import About, BareFile, Bundle, Sha256
from edge.models.files import read_bounded
from edge.models.parsing import Text, of_series, text_of
from edge.models.toml import dump_toml, lean
from edge.models.variants.table import Variant, check_names
from edge.series.conventions import SeriesClassHead, SeriesHead, SeriesRawHead
from edge.series.spec import SeriesInput
from edge.vision.spec import Thresholds


class SeriesManifest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of ``model.toml``."""

    schema: Annotated[int, Meta(ge=1, le=bundle.SCHEMA)] = bundle.SCHEMA
    model: About
    input: SeriesInput
    output: SeriesHead
    thresholds: Thresholds = Thresholds()
    variant: Annotated[tuple[Variant, ...], Meta(max_length=16)] = ()
    metrics: dict[str, float] = {}
    files: Annotated[dict[str, Sha256], Meta(max_length=bundle.MAX_FILES)] = {}

    def __post_init__(self) -> None:
        wanted = "raw" if isinstance(self.output, SeriesRawHead) else "series"
        if self.model.task != wanted:
            raise ValueError(f"this head gives task {wanted!r}, [model] says {self.model.task!r}")
        if isinstance(self.output, SeriesClassHead) and not self.model.labels:
            raise ValueError("[model] names no labels; head 'class' needs them")
        check_names(self.variant)
        self.thresholds.check_labels(self.model.labels)


@dataclass(frozen=True, slots=True, eq=False)
class SeriesBundle:
    """A manifest with the very bytes it was checked against. ``assumed``: what a bare file did not tell."""

    manifest: SeriesManifest
    onnx: bytes
    sha256: str
    folder: Path | None = None
    external: dict[str, bytes] = field(default_factory=dict)
    """Data of other files by location, as :mod:`edge.models.external` reads them."""
    assumed: tuple[str, ...] = ()
    variant: str = ""
    """Which of the manifest's variants ``onnx`` is; '' is the model itself."""

    @property
    def ref(self) -> ModelRef:
        """Which model this is, for every verdict it takes part in."""
        return ModelRef(self.manifest.model.name, self.manifest.model.version, self.sha256)


def takes_series(path: Path) -> bool:
    """True for a bundle folder whose manifest gives channels. Never raises: whoever reads it says what is wrong."""
    try:
        return bundle.read_text(path).of_series
    except ModelError:
        return False


def read_model(path: Path) -> Bundle | BareFile | SeriesBundle:
    """What a user names, its manifest read once, whatever it is of. A bare file is not looked into. Raises ModelError as
    :func:`edge.models.bundle.read_any`.
    """
    if not path.is_dir():
        return bundle.read_any(path)
    text = bundle.read_text(path)
    return read(path, text) if text.of_series else bundle.read(path, text)


def read(folder: Path, text: Text | None = None) -> SeriesBundle:
    """Read a bundle and check every file it lists; ``text`` is its manifest where that is read already. Raises ModelError
    as :func:`edge.models.bundle.read`.
    """
    manifest = of_series(text or bundle.read_text(folder), SeriesManifest)
    onnx = read_bounded(folder / bundle.MODEL_FILE, bundle.MAX_MODEL_BYTES)
    beside = external.read_beside(onnx, folder / bundle.MODEL_FILE)
    bundle.listed_files(folder, manifest.files, onnx, beside)
    return SeriesBundle(manifest, onnx, external.identity(bundle.sha256_of(onnx), beside), folder, beside)


def parse(data: bytes, name: str = bundle.MANIFEST_FILE) -> SeriesManifest:
    """Decode and check a manifest. Raises ModelError MODEL_MANIFEST_INVALID naming the line and the key."""
    return of_series(text_of(data, name), SeriesManifest)


def write(
    folder: Path, manifest: SeriesManifest, onnx: bytes, beside: Mapping[str, bytes] | None = None
) -> SeriesBundle:
    """Make a bundle folder; return it as read back. ``beside``: the model's external data by location. ``manifest.files`` is
    computed here.
    """
    files = {bundle.MODEL_FILE: onnx, **(beside or {})}
    for name, data in files.items():
        path = bundle.inside(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    complete = msgspec.structs.replace(manifest, files={name: bundle.sha256_of(data) for name, data in files.items()})
    (folder / bundle.MANIFEST_FILE).write_text(dump_toml(lean(complete)), encoding="utf-8")
    return read(folder)
