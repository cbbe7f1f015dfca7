"""From a bare file to a bundle: what inspect proposes, what the user says, and golden outputs made here."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edge.errors import InputError
from edge.models import bundle, changes, contract, graph, guard, ocr, parsing
from edge.models.admit import Admitted
from edge.models.bundle import BareFile, Bundle, Golden, Manifest
from edge.models.files import read_bounded
from edge.models.inspect.bare import Examined, examine
from edge.models.inspect.licence import UNKNOWN, licence_of, warnings_of
from edge.models.inspect.looking import first_look, with_probe
from edge.models.inspect.probing import probe
from edge.models.loading import predictor_of
from edge.models.predictor import Predictor
from edge.models.runner import OnnxRunner
from edge.models.series import manifest as series_manifest
from edge.models.series.manifest import SeriesManifest
from edge.models.series.propose import looks_like_series
from edge.models.series.propose import propose as propose_series
from edge.models.toml import lean
from edge.vision import heads, imageio
from edge.vision.conventions import HEAD_TASK, CtcHead

MAX_LABELS_BYTES = 1024 * 1024
MAX_PICTURE_BYTES = 32 * 1024**2


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user says: names in class order, ``key=value``, pictures to keep, and one to try ways of feeding on."""

    labels: tuple[str, ...] | None = None
    assignments: tuple[str, ...] = ()
    golden: tuple[Path, ...] = ()
    probe: Path | None = None

    @property
    def settled(self) -> tuple[str, ...]:
        """Parts of a proposal that nobody needs to guess any more."""
        set_keys = {one.partition("=")[0].strip() for one in self.assignments}
        names = ("labels",) if self.labels is not None or "model.labels" in set_keys else ()
        return (*names, "head") if "output.head" in set_keys else names


def read_labels(file: Path) -> tuple[str, ...]:
    """One name a line, in class order; empty lines at the end are none. Raises InputError LABELS_UNFIT and those of
    reading a file.
    """
    data = read_bounded(file, MAX_LABELS_BYTES, "FILE")
    try:
        names = [line.strip() for line in data.decode("utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise InputError("LABELS_UNFIT", f"{file} is not UTF-8", str(error), "save it as UTF-8") from error
    while names and not names[-1]:
        names.pop()
    seen: dict[str, int] = {}
    for number, name in enumerate(names, start=1):
        if not 0 < len(name) <= 64:  # noqa: PLR2004  (as bundle.Label says)
            raise InputError("LABELS_UNFIT", f"{file} line {number} has {len(name)} characters", "1 to 64 are allowed")
        if name in seen:
            why = f"so has line {seen[name]}: names must differ"
            raise InputError("LABELS_UNFIT", f"{file} line {number} has {name!r}", why)
        seen[name] = number
    if not names:
        raise InputError("LABELS_UNFIT", f"{file} names nothing", "", "one name a line, in the order of the classes")
    return tuple(names)


def manifest_of(found: Examined, wishes: Wishes) -> Manifest:
    """The proposal with what the user says in it. Raises InputError SET_WRONG, LABELS_UNFIT."""
    manifest = found.proposal.manifest
    document: dict[str, Any] = lean(manifest)
    if wishes.labels is not None:
        document = document | {"model": document["model"] | {"labels": list(wishes.labels)}}
    if wishes.assignments:
        document = changes.apply(document, list(wishes.assignments), Manifest)
    made = parsing.of_pictures(parsing.changed(document), Manifest)
    _check_labels(found, made, wishes)
    return made


def _check_labels(found: Examined, made: Manifest, wishes: Wishes) -> None:
    if isinstance(made.output, CtcHead):
        return  # its characters are completed, and counted, when it is loaded
    wanted = heads.HEADS[type(made.output)].wants(made.output, found.facts.shapes, len(made.model.labels))
    if not wanted:
        return
    said, kind = len(made.model.labels), HEAD_TASK[type(made.output)]
    seen = ", ".join(f"{name} {list(shape)}" for name, shape in list(found.facts.shapes.items())[:8])
    if wishes.labels is not None and found.proposal.guess is not None and said != found.proposal.guess.n_labels:
        why = f"the model's {kind} output knows {found.proposal.guess.n_labels} classes"
        raise InputError("LABELS_UNFIT", f"--labels gives {said} names", why, "one name a line, in class order")
    raise InputError("SET_WRONG", f"the head needs {wanted} for {said} labels", f"the model gives {seen}")


def pack(
    found: Examined, file: BareFile, folder: Path, wishes: Wishes, limits: guard.GuardLimits | None = None
) -> Bundle:
    """Write the bundle. What the manifest says is tried before anything is written. Raises ModelError, InputError."""
    manifest = manifest_of(found, wishes)
    spec = manifest.input
    size_px = (spec.width_px, spec.height_px)
    signature = guard.examine(file.onnx, file.sha256, external=file.external, size_px=size_px, limits=limits)
    contract.check_manifest(manifest, signature)
    extra = dict(file.external)
    rows: list[Golden] = []
    if wishes.golden:
        made = bundle.Bundle(manifest, file.onnx, file.sha256, external=file.external)
        predictor = predictor_of(Admitted(made, signature, OnnxRunner(file.onnx, file.external)))
        rows += [_golden(predictor, picture, extra) for picture in wishes.golden]
    manifest = msgspec.structs.replace(manifest, golden=tuple(rows))
    try:
        return bundle.write(folder, manifest, file.onnx, extra)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(folder: Path, error: OSError) -> InputError:
    return InputError("PACK_FAILED", f"cannot write {folder}", error.strerror or str(error), "name another folder")


def _golden(predictor: Predictor, picture: Path, extra: dict[str, bytes]) -> Golden:
    """The picture and its raw outputs, as files of the bundle; two pictures of one name get numbers."""
    data = read_bounded(picture, MAX_PICTURE_BYTES, "IMAGE")
    image = imageio.decode(data)
    tensors = predictor.run(predictor.preprocess(image)).tensors
    stem = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in picture.stem)[:48] or "picture"
    name, number = stem, 1
    while f"golden/{name}.npz" in extra:
        name, number = f"{stem}-{number}", number + 1
    suffix = picture.suffix.lower() if picture.suffix[1:].isalnum() else ""
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {name: array for name, array in tensors.items() if isinstance(array, np.ndarray)}
    np.savez_compressed(buffer, **arrays)
    image_name, outputs_name = f"golden/{name}{suffix or '.img'}", f"golden/{name}.npz"
    extra[image_name], extra[outputs_name] = data, buffer.getvalue()
    return Golden(image=image_name, outputs=outputs_name)


@dataclass(frozen=True, slots=True)
class Packed:
    """What was written, as nested dictionaries without defaults, and what to know of it."""

    manifest: dict[str, Any]
    unsure: list[str]
    licence: str
    warnings: list[str]


def pack_any(file: BareFile, folder: Path, wishes: Wishes, limits: guard.GuardLimits | None = None) -> Packed:
    """A bundle of a model of pictures or of series. Raises ModelError, InputError."""
    signature = first_look(file)
    if signature is not None and looks_like_series(signature):
        return _pack_series(file, folder, wishes, signature)
    found = examine(file, limits=limits)
    if wishes.probe is not None:
        image = imageio.decode(read_bounded(wishes.probe, MAX_PICTURE_BYTES, "IMAGE"))
        found = with_probe(found, probe(file, found, image))
    made = pack(found, file, folder, wishes, limits)
    licence = made.manifest.model.licence or licence_of(found.facts.metadata)
    unsure = found.proposal.unsettled(*wishes.settled)
    return Packed(lean(made.manifest), list(unsure), licence, _warnings(licence, found))


def _warnings(licence: str, found: Examined) -> list[str]:
    return [*warnings_of(licence), *found.facts.signature.warnings]


def _pack_series(file: BareFile, folder: Path, wishes: Wishes, signature: guard.Signature) -> Packed:
    if wishes.golden or wishes.probe:
        raise InputError(
            "GOLDEN_UNFIT", "--golden and --probe are for models of pictures", "this one takes windows of samples"
        )
    proposed, assumed = propose_series(signature, graph.read(file.onnx), file.name)
    document: dict[str, Any] = lean(proposed)
    if wishes.labels is not None:
        document = document | {"model": document["model"] | {"labels": list(wishes.labels)}}
    document = changes.apply(document, list(wishes.assignments), SeriesManifest)
    manifest = parsing.of_series(parsing.changed(document), SeriesManifest)
    try:
        made = series_manifest.write(folder, manifest, file.onnx, file.external)
    except OSError as error:
        raise _unwritable(folder, error) from error
    licence = made.manifest.model.licence or licence_of(signature.metadata)
    return Packed(lean(made.manifest), list(assumed), licence, [*warnings_of(licence), *signature.warnings])


def pack_reader(files: list[Path], folder: Path, wishes: Wishes, dictionary: Path | None = None) -> Packed:
    """A cascade of a text detector, a recogniser and perhaps an orientation classifier; it takes the place of a bundle that
    is there. Raises ModelError, InputError.
    """
    if wishes != Wishes():
        raise InputError(
            "SET_WRONG",
            "--set, --golden and --probe are for one file",
            f"{len(files)} files are packed as a reader of text",
            "edit model.toml of the bundle afterwards",
        )
    try:
        made = ocr.pack(files, folder, dictionary=dictionary)
    except OSError as error:
        raise _unwritable(folder, error) from error
    licence = made.manifest.model.licence or UNKNOWN
    return Packed(lean(made.manifest), [], licence, list(warnings_of(licence)))
