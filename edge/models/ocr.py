"""A reader of text out of two or three files: where lines are, which way up they stand, what they say.

Preprocessing is PaddleOCR's, which its kin share: BGR, ``(x / 255 - 0.5) / 0.5``. Padding with 0 after that is the grey
value 127.5 before it. Sources: ``tools/infer/predict_det.py``, ``predict_cls.py`` and ``predict_rec.py`` of PaddleOCR.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from msgspec import structs

from edge.domain import ID_PATTERN
from edge.errors import InputError, ModelError
from edge.models import bundle, guard
from edge.models.bundle import About, Manifest
from edge.models.dictionary import METADATA_KEY
from edge.models.files import read_bounded
from edge.models.loading import load
from edge.models.stages import Stage
from edge.vision.conventions import ClassifyHead, CtcHead, TextBoxesHead
from edge.vision.spec import InputSpec, Thresholds

Role = Literal["detect", "turn", "read", ""]

DETECT_PX = 960
"""Frames are made no larger than this before lines are looked for (PaddleOCR's ``det_limit_side_len``); lines are read
at the frame's own resolution.
"""
READ_PX = (1920, 48)
TURN_PX = (192, 48)
_GRAY = 128
DICTIONARY_FILE = "dictionary.txt"

_DETECT = InputSpec(
    width_px=DETECT_PX, height_px=DETECT_PX, color="bgr", mean=(0.5,), std=(0.5,), follow="size", multiple_px=32
)
# Both lines' widths follow the text, up to what they were trained with: 192 px for orientation, and steps of 320 px,
# the width that recognisers saw most.
_line = partial(InputSpec, color="bgr", mean=(0.5,), std=(0.5,), follow="width", pad_value=_GRAY)
_TURN = _line(width_px=TURN_PX[0], height_px=TURN_PX[1], multiple_px=TURN_PX[0])
_READ = _line(width_px=READ_PX[0], height_px=READ_PX[1], multiple_px=320)


@dataclass(frozen=True, slots=True)
class Part:
    """One of the files."""

    path: Path
    role: Role
    signature: guard.Signature


def role_of(signature: guard.Signature) -> Role:
    """What a file does in a reader of text, by its outputs on a picture; empty where it does none of it.

    ``detect``: one map ``[1, 1, h, w]`` of the input's size, 0..1. ``read``: ``[1, T, C]`` or ``[T, 1, C]`` with more
    than ten classes that add up to a probability, or a dictionary in the metadata. ``turn``: two classes for a picture.
    """
    if len(signature.outputs) != 1 or len(signature.probe_shape) != 4:  # noqa: PLR2004  (a picture)
        return ""
    output, (_, channels, height, width) = signature.outputs[0], signature.probe_shape
    match output.shape:
        case (1, 1, int(h), int(w)) if (h, w) == (height, width) and 0.0 <= output.low <= output.high <= 1.0:
            return "detect" if channels == 3 else ""  # noqa: PLR2004  (BGR)
        case (1, 2) if 0.0 <= output.low <= output.high <= 1.0:
            return "turn"
        case (1, int(), int(classes)) | (int(), 1, int(classes)) if METADATA_KEY in signature.metadata or (
            classes > 10 and 0.0 <= output.low <= output.high <= 1.0  # noqa: PLR2004  (digits and the blank)
        ):
            return "read"
        case _:
            return ""


def pack(files: list[Path], folder: Path, *, dictionary: Path | None = None) -> bundle.Bundle:
    """Make a cascade of two or three files, in any order, in place of what bundle there is. It is loaded once before it is
    put there. Raises ModelError and InputError, and OSError where the folder cannot be written.

    ``dictionary`` (UTF-8, one character a line) goes into the bundle where the recogniser has none in its metadata.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError("SAVE_FAILED", f"{folder} is a file", "", "name another folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / bundle.MANIFEST_FILE).is_file():
        raise InputError("SAVE_FAILED", f"{folder} is not empty and no bundle", "", "name another folder")
    parts = [_part(path) for path in files]
    by_role = {part.role: part for part in parts}
    for role, what in (("detect", "finds lines of text"), ("read", "reads a line")):
        if role not in by_role:
            raise ModelError(
                "MODEL_ROLE_ABSENT",
                f"there is no model that {what} among {', '.join(path.name for path in files)}",
                f"seen: {'; '.join(_seen(part) for part in parts)}",
                "name a text detector (DB) and a recogniser (CTC), and if you have one an orientation classifier",
            )
    if len(by_role) < len(parts):
        twice = "; ".join(_seen(part) for part in parts)
        raise ModelError("MODEL_ROLE_TWICE", "two of the files do the same", twice, "name one of each")
    # Beside the folder first and then as a whole: a half-written bundle is worse than none.
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".pack-", dir=folder.parent) as made:
        _write(Path(made), by_role, dictionary, _name(folder))
        load(made)  # a dictionary that is missing or another model's is found out here
        _replace(folder, Path(made))
    return bundle.read(folder)


def _write(folder: Path, parts: dict[Role, Part], dictionary: Path | None, name: str) -> None:
    inner: dict[str, bytes] = {}
    stages = []
    if "turn" in parts:
        about = About(name="turn", task="classify", labels=("0", "180"))
        thresholds = Thresholds(score=0.9)  # PaddleOCR's cls_thresh
        manifest = Manifest(model=about, input=_TURN, output=ClassifyHead(activation="none"), thresholds=thresholds)
        bundle.write(folder / "turn", manifest, parts["turn"].path)
        stages.append(Stage(name="turn", model="turn", use="turn"))
    extra = {} if dictionary is None else {DICTIONARY_FILE: read_bounded(dictionary, bundle.MAX_FILE_BYTES, "FILE")}
    read = parts["read"]
    shape = read.signature.outputs[0].shape
    head = CtcHead(layout="ntc" if shape[0] == 1 else "tnc", dictionary=DICTIONARY_FILE if extra else "")
    about = About(name="read", task="ocr", labels=("text",))
    manifest = Manifest(model=about, input=_sized(_READ, read), output=head, thresholds=Thresholds(score=0.5))
    bundle.write(folder / "read", manifest, read.path, extra)
    stages.append(Stage(name="read", model="read", use="read"))
    inner = {f"{stage.model}/{bundle.MANIFEST_FILE}": _bytes(folder / stage.model) for stage in stages}
    detect = parts["detect"]
    manifest = Manifest(
        model=About(name=name, task="ocr", labels=("text",)),
        input=_sized(_DETECT, detect),
        output=TextBoxesHead(dilate=True),
        thresholds=Thresholds(score=0.5),
        stage=tuple(stages),
    )
    bundle.write(folder, manifest, detect.path, inner)


def _bytes(folder: Path) -> bytes:
    return (folder / bundle.MANIFEST_FILE).read_bytes()


def _sized(spec: InputSpec, part: Part) -> InputSpec:
    """A file whose sides are fixed gets frames of that size."""
    height, width = part.signature.inputs[0].shape[2:]
    if spec.follow == "size" and (height is not None or width is not None):
        fixed = structs.replace(spec, follow="no", fit="letterbox", anchor="top_left", pad_value=0)
        return structs.replace(fixed, width_px=width or spec.width_px, height_px=height or spec.height_px)
    sized = structs.replace(spec, height_px=height or spec.height_px, width_px=width or spec.width_px)
    return sized if width is None else structs.replace(sized, multiple_px=min(width, 1024))


def _part(path: Path) -> Part:
    file = bundle.read_any(path)
    if isinstance(file, bundle.Bundle):
        raise InputError("MODEL_NOT_A_FILE", f"{path} is a bundle", "", "name .onnx files")
    try:
        signature = guard.examine(file.onnx, file.sha256, external=file.external, size_px=TURN_PX)
    except ModelError as error:
        if error.code != "MODEL_RUN_FAILED":
            raise
        # Detectors need sides that can be halved five times, lines of text have a height that cannot.
        signature = guard.examine(file.onnx, file.sha256, external=file.external)
    if None in [dim for tensor in signature.inputs for dim in tensor.shape[1:2]]:
        raise ModelError("MODEL_INPUT_UNFIT", f"{path.name}: the number of channels is not said")
    return Part(path, role_of(signature), signature)


def _seen(part: Part) -> str:
    shapes = ", ".join(str(list(output.shape)) for output in part.signature.outputs[:3])
    return f"{part.path.name} gives {shapes}"


def _name(folder: Path) -> str:
    name = folder.resolve().name
    return name if ID_PATTERN.fullmatch(name) else "reader"


def _replace(folder: Path, made: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
    shutil.copytree(made, folder)
