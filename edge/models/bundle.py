"""A bundle: a folder that says all that is needed to get from a camera frame to findings, without a line of code.

::

    my-model/
      model.onnx         the graph with its weights; external data beside it, as the graph names it
      model.toml         the manifest below
      golden/            optional: pictures and the raw outputs they must give
      MODEL_CARD.md      optional, as any other file; every file is listed under [files]

    [model]
    name = "brushed-metal"            # an id: letters, digits, . _ -
    version = "1.0.0"                 # semantic version
    task = "segment"                  # left out, the head says it
    labels = ["scratch", "pit"]       # in the order of the model's classes, background not counted
    licence = "Apache-2.0"            # SPDX

    [input]                           # see edge.vision.spec.InputSpec; only the size is needed
    width_px = 320
    height_px = 320
    color = "gray"                    # bgr | rgb | gray

    [output]                          # see edge.vision.conventions
    head = "segment"
    activation = "sigmoid"            # parameters of the head

    [thresholds]                      # see edge.vision.spec.Thresholds
    score = 0.5
    labels = { pit = 0.4 }

    [tiling]                          # optional: large frames in pieces, see edge.vision.spec.Tiling
    width_px = 640
    height_px = 640

    [calibration]                     # where [thresholds] anomaly is from; written by `jidoka model calibrate`

    [[stage]]                         # optional: further models on what this one found, see edge.models.stages

    [[variant]]                       # faster forms of the model; written by `jidoka model quantize`

    [metrics]                         # optional numbers for people
    recall = 0.991

    [[golden]]                        # optional
    image = "golden/ok.png"
    outputs = "golden/ok.npz"         # raw outputs by name

    [files]                           # written by `write`, checked by `read`; left out by hand, nothing is compared
    "model.onnx" = "<sha256, 64 hex digits>"
"""

from __future__ import annotations

import hashlib
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from edge.domain import ID_PATTERN, ModelRef
from edge.errors import ModelError
from edge.models import external, stages
from edge.models.files import read_bounded
from edge.models.parsing import Text, of_pictures, text_of
from edge.models.toml import dump_toml, lean
from edge.models.variants.table import Variant, check_names
from edge.vision.conventions import HEAD_TASK, HeadSpec, files_of
from edge.vision.spec import Calibration, InputSpec, Task, Thresholds, Tiling

SCHEMA = 1
MODEL_FILE = "model.onnx"
MANIFEST_FILE = "model.toml"
MAX_MODEL_BYTES = 512 * 1024**2
MAX_MANIFEST_BYTES = 256 * 1024
MAX_FILE_BYTES = 64 * 1024**2
MAX_FILES = 256
MAX_LABELS = 10_000
LABELLED: frozenset[Task] = frozenset({"classify", "detect", "segment", "keypoints"})
"""Tasks whose rows are of a class that must have a name."""
TILED: frozenset[Task] = frozenset({"detect", "segment", "keypoints", "anomaly"})
"""Tasks that say where in the frame something is, so that a part of it can be looked at by itself."""
VERSION_PATTERN = re.compile(r"\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?")

Label = Annotated[str, Meta(min_length=1, max_length=64)]
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class About(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[model]``: what it is called and what it knows."""

    name: str
    version: str = "0.0.0"
    task: Task
    labels: Annotated[tuple[Label, ...], Meta(max_length=MAX_LABELS)] = ()
    licence: str = ""
    description: str = ""

    def __post_init__(self) -> None:
        if not ID_PATTERN.fullmatch(self.name):
            raise ValueError(f"name {self.name!r} may hold letters, digits, '.', '_' and '-', at most 64")
        if not VERSION_PATTERN.fullmatch(self.version):
            raise ValueError(f"version {self.version!r} is not like 1.2.3")
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("labels must differ from each other")


class Golden(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A picture and the raw outputs (``.npz``, by output name) it gave where the bundle was made."""

    image: str
    outputs: str
    tolerance: Annotated[float, Meta(gt=0.0)] = 1e-3


class Manifest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of ``model.toml``."""

    schema: Annotated[int, Meta(ge=1, le=SCHEMA)] = SCHEMA
    model: About
    input: InputSpec
    output: HeadSpec
    thresholds: Thresholds = Thresholds()
    tiling: Tiling | None = None
    calibration: Calibration | None = None
    stage: stages.Stages = ()
    variant: Annotated[tuple[Variant, ...], Meta(max_length=16)] = ()
    metrics: dict[str, float] = {}
    golden: tuple[Golden, ...] = ()
    files: Annotated[dict[str, Sha256], Meta(max_length=MAX_FILES)] = {}

    def __post_init__(self) -> None:
        expected = stages.task_of(HEAD_TASK[type(self.output)], self.stage)
        if self.model.task != expected:
            raise ValueError(f"head gives task {expected!r}, [model] says {self.model.task!r}")
        if not self.model.labels and self.model.task in LABELLED:
            raise ValueError(f"[model] names no labels; task {self.model.task!r} needs them")
        stages.check(self.model.labels, self.stage)
        check_names(self.variant)
        if self.tiling is not None and self.model.task not in TILED:
            raise ValueError(f"[tiling] is not for task {self.model.task!r}")
        self.thresholds.check_labels(self.model.labels)


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A manifest with the very bytes it was checked against, so that nothing can change in between."""

    manifest: Manifest
    onnx: bytes
    sha256: str
    folder: Path | None = None
    golden_files: dict[str, bytes] = field(default_factory=dict)
    data_files: dict[str, bytes] = field(default_factory=dict)
    """What the head needs besides the model."""
    external: dict[str, bytes] = field(default_factory=dict)
    """Weights that lie in files beside the model, by location."""
    variant: str = ""
    """Which of the manifest's variants ``onnx`` is, see :mod:`edge.models.variants.reading`; '' is the model itself."""

    @property
    def ref(self) -> ModelRef:
        """Which model this is, for every verdict it takes part in."""
        return ModelRef(self.manifest.model.name, self.manifest.model.version, self.sha256)


@dataclass(frozen=True, slots=True, eq=False)
class BareFile:
    """An ``.onnx`` file without a manifest; ``name`` is the file's own, without its ending."""

    name: str
    onnx: bytes
    sha256: str
    external: dict[str, bytes] = field(default_factory=dict)


def read_any(path: Path) -> Bundle | BareFile:
    """A bundle folder or a bare file. Raises ModelError, as :func:`read`; MODEL_UNREADABLE for an empty file."""
    if path.is_dir():
        return read(path)
    onnx = read_bounded(path, MAX_MODEL_BYTES)
    if not onnx:
        raise ModelError("MODEL_UNREADABLE", f"{path} is empty", "", "export or copy it again")
    files = external.read_beside(onnx, path)
    return BareFile(path.stem, onnx, external.identity(sha256_of(onnx), files), files)


def sha256_of(data: bytes) -> str:
    """64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def read_text(folder: Path) -> Text:
    """A bundle's manifest, parsed and not looked into. Raises ModelError MODEL_MANIFEST_ABSENT, MODEL_MANIFEST_INVALID."""
    if not (folder / MANIFEST_FILE).exists():
        raise ModelError(
            "MODEL_MANIFEST_ABSENT",
            f"folder {folder} is not a model bundle",
            f"it has no {MANIFEST_FILE}",
            "name a bundle folder or an .onnx file",
        )
    return text_of(read_bounded(folder / MANIFEST_FILE, MAX_MANIFEST_BYTES), str(folder / MANIFEST_FILE))


def read(folder: Path, text: Text | None = None) -> Bundle:
    """Read a bundle and check every file it lists; ``text`` is its manifest where that is read already.

    Raises ModelError: MODEL_MANIFEST_ABSENT, MODEL_MANIFEST_INVALID, MODEL_ABSENT, MODEL_CHECKSUM,
    MODEL_NOT_A_FILE, MODEL_TOO_LARGE.
    """
    manifest = of_pictures(text or read_text(folder), Manifest)
    onnx = read_bounded(folder / MODEL_FILE, MAX_MODEL_BYTES)
    beside = external.read_beside(onnx, folder / MODEL_FILE)
    golden_names = {name for golden in manifest.golden for name in (golden.image, golden.outputs)}
    data_names = set(files_of(manifest.output))
    kept = listed_files(folder, manifest.files, onnx, beside, golden_names | data_names)
    for name in sorted((golden_names | data_names | set(beside)) - set(manifest.files)):
        if manifest.files:
            raise _invalid(str(folder / MANIFEST_FILE), f'[files] does not list "{name}"')
        if name not in beside:
            kept[name] = read_bounded(inside(folder, name), MAX_FILE_BYTES)
    golden_files, data_files = ({n: kept[n] for n in names} for names in (golden_names, data_names))
    return Bundle(manifest, onnx, external.identity(sha256_of(onnx), beside), folder, golden_files, data_files, beside)


def listed_files(
    folder: Path, files: dict[str, str], onnx: bytes, beside: dict[str, bytes], wanted: set[str] | None = None
) -> dict[str, bytes]:
    """Compare every file that ``[files]`` lists with its sha256, and give those ``wanted``, by name.

    ``onnx`` and ``beside`` are the model and its external data as read already. Raises ModelError MODEL_CHECKSUM,
    MODEL_MANIFEST_INVALID (the model is not listed, or a file is outside), MODEL_ABSENT, MODEL_TOO_LARGE.
    """
    if files and MODEL_FILE not in files:
        raise _invalid(str(folder / MANIFEST_FILE), f'[files] does not list "{MODEL_FILE}"')
    kept: dict[str, bytes] = {}
    for name, digest in files.items():
        if name == MODEL_FILE:
            data = onnx
        else:
            data = beside[name] if name in beside else read_bounded(inside(folder, name), MAX_FILE_BYTES)
        if sha256_of(data) != digest:
            raise ModelError(
                "MODEL_CHECKSUM",
                f"{folder / name} is not the file that {MANIFEST_FILE} lists",
                "its sha256 differs",
                "copy the bundle again, or write it anew if you changed it on purpose",
            )
        if wanted and name in wanted:
            kept[name] = data
    return kept


def parse(data: bytes, name: str = MANIFEST_FILE) -> Manifest:
    """Decode and check a manifest. Raises ModelError MODEL_MANIFEST_INVALID naming the line and the key."""
    return of_pictures(text_of(data, name), Manifest)


def write(folder: Path, manifest: Manifest, onnx: Path | bytes, extra: dict[str, bytes] | None = None) -> Bundle:
    """Make a bundle folder of an ONNX file (or its bytes), a manifest and any other files by relative name; return it
    as read back.

    External data that lies beside the file ``onnx`` is taken along; with bytes it is among ``extra``.
    ``manifest.files`` is computed here. Files of an older bundle in the same folder are replaced, others are kept.
    """
    beside = {} if isinstance(onnx, bytes) else external.read_beside(read_bounded(onnx, MAX_MODEL_BYTES), onnx)
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(onnx, bytes):
        (folder / MODEL_FILE).write_bytes(onnx)
    elif onnx.resolve() != (folder / MODEL_FILE).resolve():
        shutil.copyfile(onnx, folder / MODEL_FILE)
    files = {MODEL_FILE: sha256_of((folder / MODEL_FILE).read_bytes())}
    for name, data in sorted((beside | (extra or {})).items()):
        path = inside(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        files[name] = sha256_of(data)
    complete = msgspec.structs.replace(manifest, files=files)
    (folder / MANIFEST_FILE).write_text(dump_toml(lean(complete)), encoding="utf-8")
    return read(folder)


def inside(folder: Path, name: str) -> Path:
    """The path of a listed file; nothing a manifest says leads out of its folder, symbolic links included."""
    path = folder / name
    if not name or Path(name).is_absolute() or not path.resolve().is_relative_to(folder.resolve()):
        raise _invalid(str(folder / MANIFEST_FILE), f"[files] names {name!r}, which is outside the bundle")
    return path


def _invalid(name: str, why: str) -> ModelError:
    return ModelError("MODEL_MANIFEST_INVALID", f"{name} is not a valid manifest", why, "see the guide on bundles")
