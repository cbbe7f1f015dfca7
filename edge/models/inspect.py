"""What can be told from a bare ``.onnx``: a manifest proposed from names, shapes and metadata.

A table of small rules is asked in order; the first that recognises the model proposes input and head, with what it
had to assume. Where none does, the error says what was seen. Shapes alone are read strictly: a wrong guess would
give plausible nonsense, which is worse than a refusal.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass

from msgspec import ValidationError

from edge.domain import ID_PATTERN
from edge.errors import ModelError
from edge.models.bundle import MAX_LABELS, About, Manifest
from edge.models.guard import Signature, Tensor
from edge.vision.conventions import HEAD_TASK, ClassifyHead, End2EndHead, HeadSpec, SegmentHead, YoloV8Head
from edge.vision.spec import MAX_SIDE_PX, Activation, Color, InputSpec

_RANK_IMAGE = 4
_DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8"}


@dataclass(frozen=True, slots=True)
class Proposal:
    """A manifest for a bare file. ``assumed`` says, a sentence each, what the file did not tell."""

    manifest: Manifest
    assumed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Guess:
    """What a rule found out. ``labels`` are empty where the file names none."""

    head: HeadSpec
    n_labels: int
    input: InputSpec
    labels: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()


def propose(signature: Signature, name: str) -> Proposal:
    """A manifest from what the trial saw. Raises ModelError MODEL_INPUT_UNFIT or MODEL_HEAD_UNKNOWN."""
    check_input(signature)
    for rule in RULES:
        guess = rule(signature)
        if guess is not None:
            return _proposal(guess, signature, name)
    seen = "; ".join(_describe(t) for t in (*signature.inputs, *signature.outputs)[:8])
    raise ModelError(
        "MODEL_HEAD_UNKNOWN",
        "cannot tell what the model's output means",
        f"seen: {seen}",
        "put it in a bundle whose model.toml says so",
    )


def check_input(signature: Signature) -> None:
    """Raises ModelError MODEL_INPUT_UNFIT unless the model takes one picture ``(1, 1 or 3, h, w)``."""
    shape = signature.inputs[0].shape if signature.inputs else ()
    if len(signature.inputs) != 1:
        why = f"it has {len(signature.inputs)} inputs"
    elif (
        len(shape) != _RANK_IMAGE
        or shape[0] not in {1, None}
        or shape[1] not in {1, 3, None}
        or signature.inputs[0].type not in _DTYPES
    ):
        why = f"its input is {_describe(signature.inputs[0])}"
    elif max(dim or 0 for dim in shape) > MAX_SIDE_PX:
        why = f"its input is larger than {MAX_SIDE_PX} px a side"
    else:
        return
    raise ModelError(
        "MODEL_INPUT_UNFIT",
        "the model does not take one picture",
        why,
        "needed: one input [1, 1 or 3, height, width] of float32, float16 or uint8",
    )


def check_manifest(manifest: Manifest, signature: Signature) -> None:
    """Raises ModelError MODEL_INPUT_UNFIT if the model cannot take what the manifest's ``[input]`` gives."""
    check_input(signature)
    spec, dims = manifest.input, signature.inputs[0].shape
    for what, said, dim in zip(
        ("channels", "height_px", "width_px"), (spec.channels, spec.height_px, spec.width_px), dims[1:], strict=True
    ):
        if dim not in {None, said}:
            raise ModelError(
                "MODEL_INPUT_UNFIT", f"[input] gives {what} = {said}", f"the model takes {dim}", "correct model.toml"
            )


def dtype_of(signature: Signature) -> str:
    """The input's numpy dtype, after :func:`check_input`."""
    return _DTYPES[signature.inputs[0].type]


def metadata_size_px(metadata: dict[str, str]) -> tuple[int, int] | None:
    """``imgsz`` of Ultralytics metadata, which is ``[height, width]``, as width, height."""
    value = _literal(metadata.get("imgsz", ""))
    match value:
        case [int(height), int(width)] if 0 < height <= MAX_SIDE_PX and 0 < width <= MAX_SIDE_PX:
            return width, height
        case _:
            return None


def _ultralytics(signature: Signature) -> Guess | None:
    """Exports of Ultralytics say task, names and image size in their metadata."""
    metadata = signature.metadata
    names = _literal(metadata.get("names", ""))
    if "task" not in metadata or not isinstance(names, dict) or not 0 < len(names) <= MAX_LABELS:
        return None
    labels = _distinct(tuple(str(names[k])[:64] or str(k) for k in sorted(names, key=_number)))
    shape = signature.outputs[0].shape
    task, n = metadata["task"], len(labels)
    if task == "detect" and len(shape) == 3 and shape[2] == 6 and shape[1] != n + 4:  # noqa: PLR2004  ([1, N, 6])
        head: HeadSpec = End2EndHead()
    elif task == "detect" and len(shape) == 3 and shape[1] == n + 4:  # noqa: PLR2004  ([1, 4 + C, N])
        head = YoloV8Head()
    elif task == "classify" and len(shape) == 2 and shape[1] == n:  # noqa: PLR2004  ([1, C])
        # Its exports end in a softmax, and it crops where it letterboxes for detection.
        head = ClassifyHead(activation="none")
        return Guess(head, n, _input(signature, fit_="crop"), labels)
    else:
        return None
    return Guess(head, n, _input(signature), labels)


def _end2end(signature: Signature) -> Guess | None:
    if len(signature.outputs) != 1:
        return None
    match signature.outputs[0].shape:
        case (1, int(rows), 6) if rows > 6:  # noqa: PLR2004  (more rows than columns: suppressed boxes)
            assumed = (_NUMBERED, _ASSUMED_INPUT)
            return Guess(End2EndHead(), 100, _input(signature), (), assumed)
        case _:
            return None


def _yolov8(signature: Signature) -> Guess | None:
    """``[1, 4 + C, N]`` with N as this input size must give it for strides 8, 16 and 32."""
    if len(signature.outputs) != 1 or len(signature.probe_shape) != _RANK_IMAGE:
        return None
    height, width = signature.probe_shape[2:]
    cells = sum((height // s) * (width // s) for s in (8, 16, 32))
    match signature.outputs[0].shape:
        case (1, int(rows), columns) if columns == cells and rows > 4:  # noqa: PLR2004  (four are the box)
            assumed = (_NUMBERED, _ASSUMED_INPUT)
            return Guess(YoloV8Head(), rows - 4, _input(signature), (), assumed)
        case _:
            return None


def _classify(signature: Signature) -> Guess | None:
    if len(signature.outputs) != 1:
        return None
    match signature.outputs[0].shape:
        case (1, int(n)) | (1, int(n), 1, 1) if 1 < n <= MAX_LABELS:
            activation = _activation(signature.outputs[0], "softmax")
            assumed = (_NUMBERED, _APPLIED[activation])
            small = max(signature.probe_shape[2:]) <= 64  # noqa: PLR2004  (tiny inputs are crops of one sign)
            spec = _input(signature, fit_="stretch" if small else "crop")
            return Guess(ClassifyHead(activation=activation), n, spec, (), (*assumed, _ASSUMED_INPUT))
        case _:
            return None


def _segment(signature: Signature) -> Guess | None:
    """One map a class at the input's size or a whole fraction of it; as many maps as input channels is more likely
    a picture than a segmentation.
    """
    if len(signature.outputs) != 1:
        return None
    match signature.outputs[0].shape:
        case (1, int(n), int(h), int(w)) if 1 <= n <= 256 and n != signature.probe_shape[1]:  # noqa: PLR2004  (classes)
            height, width = signature.probe_shape[2:]
            if height % h or width % w or max(height // h, width // w) > 8:  # noqa: PLR2004  (coarser ones are grids)
                return None
            activation = _activation(signature.outputs[0], "sigmoid" if n == 1 else "softmax")
            head = SegmentHead(activation=activation, background=0 if n > 1 else None, exclusive=n > 1)
            background = "channel 0 is background" if n > 1 else "there is one class"
            assumed = (_NUMBERED, _APPLIED[activation], background, _ASSUMED_INPUT)
            return Guess(head, max(1, n - 1), _input(signature, fit_="stretch"), (), assumed)
        case _:
            return None


RULES: tuple[Callable[[Signature], Guess | None], ...] = (_ultralytics, _end2end, _yolov8, _classify, _segment)

_APPLIED: dict[Activation, str] = {
    "none": "its outputs are probabilities already",
    "softmax": "its outputs are logits, softmax is applied",
    "sigmoid": "its outputs are logits, sigmoid is applied",
}
_NUMBERED = "labels are numbers: the file has no names"
_ASSUMED_INPUT = "pixels go in as RGB 0..1 (small grey models: 0..255)"


def _input(signature: Signature, fit_: str = "letterbox") -> InputSpec:
    channels, height, width = signature.probe_shape[1:]
    color: Color = "gray" if channels == 1 else "rgb"
    # Small grey models are of MNIST's kind, fed with bytes as they are.
    scale = 1.0 if channels == 1 and max(height, width) <= 64 else 1 / 255  # noqa: PLR2004  (as in _classify)
    match fit_:
        case "crop":
            return InputSpec(width_px=width, height_px=height, color=color, scale=scale, fit="crop")
        case "stretch":
            return InputSpec(width_px=width, height_px=height, color=color, scale=scale, fit="stretch")
        case _:
            return InputSpec(width_px=width, height_px=height, color=color, scale=scale)


def _activation(output: Tensor, of_logits: Activation) -> Activation:
    """Values that never left 0..1 on the probe pictures are probabilities already."""
    return "none" if output.low >= 0.0 and output.high <= 1.0 else of_logits


def _proposal(guess: Guess, signature: Signature, name: str) -> Proposal:
    labels = guess.labels or tuple(str(i) for i in range(guess.n_labels))
    about = About(
        name=name if ID_PATTERN.fullmatch(name) else "model",
        task=HEAD_TASK[type(guess.head)],
        labels=labels,
        licence=signature.metadata.get("license", "")[:200],
    )
    try:
        manifest = Manifest(model=about, input=guess.input, output=guess.head)
    except (ValueError, ValidationError) as error:
        raise ModelError("MODEL_HEAD_UNKNOWN", "the model's own description is not usable", str(error)) from error
    free = None in signature.inputs[0].shape[2:] and metadata_size_px(signature.metadata) is None
    size = f"the input's size is free: {guess.input.width_px} x {guess.input.height_px} px is taken"
    return Proposal(manifest, (*guess.assumed, size) if free else guess.assumed)


def _literal(text: str) -> object:
    """A Python literal, as Ultralytics writes them; None where it is none."""
    try:
        return ast.literal_eval(text[:262_144])
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None


def _number(key: object) -> int:
    return key if isinstance(key, int) else 0


def _distinct(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Label lists in the wild repeat names; the later one gets its number."""
    return tuple(
        label if labels.index(label) == number else f"{label[:56]}-{number}" for number, label in enumerate(labels)
    )


def _describe(tensor: Tensor) -> str:
    return f"{tensor.name[:40]} {tensor.type} [{', '.join('?' if d is None else str(d) for d in tensor.shape)}]"
