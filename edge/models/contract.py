"""What a model must take and give, held against what its manifest says: asked for bundles and bare files alike."""

from __future__ import annotations

from edge.errors import ModelError
from edge.models.bundle import Manifest
from edge.models.guard import Signature, Tensor
from edge.vision.spec import MAX_SIDE_PX, Layout

_RANK_IMAGE = 4
_CHANNELS = {1, 3}
_DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8", "tensor(int32)": "int32"}
WHOLE = {"uint8", "int32"}
"""Types that take pixels 0..255 as they are (int32: MoveNet)."""


def picture_of(signature: Signature) -> Tensor | None:
    """The input that takes the picture: the first of four dimensions, else the first."""
    rank_four = (one for one in signature.inputs if len(one.shape) == _RANK_IMAGE)
    return next(rank_four, next(iter(signature.inputs), None))


def check_input(signature: Signature) -> None:
    """Raises ModelError MODEL_INPUT_UNFIT unless an input of the model takes one picture: ``(1, c, h, w)`` or
    ``(1, h, w, c)`` with one or three channels.
    """
    found = picture_of(signature)
    if found is None:
        why = "it has no inputs"
    elif found.type not in _DTYPES or found.shape[:1] not in {(1,), (None,)} or layout_of(found.shape) is None:
        why = f"its input is {describe(found)}"
    elif 1 in _sides(found.shape):
        why = f"its input is {describe(found)}: a row of numbers, as features are, and no picture"
    elif max(dim or 0 for dim in found.shape) > MAX_SIDE_PX:
        why = f"its input is larger than {MAX_SIDE_PX} px a side"
    else:
        return
    raise ModelError(
        "MODEL_INPUT_UNFIT",
        "the model does not take one picture",
        why,
        "needed: an input [1, 1 or 3, height, width] or [1, height, width, 1 or 3] of float32, float16, uint8 or int32",
    )


def _sides(shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
    return shape[1:3] if layout_of(shape) == "nhwc" else shape[2:]


def layout_of(shape: tuple[int | None, ...]) -> Layout | None:
    """Where the channels are: at a place with 1 or 3; where both ends have that, or both are free, ONNX's own."""
    if len(shape) != _RANK_IMAGE:
        return None
    if shape[1] in _CHANNELS:
        return "nchw"
    if shape[3] in _CHANNELS:
        return "nhwc"
    return "nchw" if shape[1] is None else None


def check_manifest(manifest: Manifest, signature: Signature) -> None:
    """Raises ModelError MODEL_INPUT_UNFIT if the model cannot take what the manifest's ``[input]`` gives."""
    check_input(signature)
    spec = manifest.input
    found = picture_of(signature)
    assert found is not None
    shape = found.shape
    said = {"channels": spec.channels, "height_px": spec.height_px, "width_px": spec.width_px}
    order = ("channels", "height_px", "width_px") if spec.layout == "nchw" else ("height_px", "width_px", "channels")
    for what, dim in zip(order, shape[1:], strict=True):
        if dim not in {None, said[what]}:
            raise ModelError(
                "MODEL_INPUT_UNFIT",
                f"[input] gives {what} = {said[what]} in layout {spec.layout}",
                f"the model takes {dim}: its input is {describe(found)}",
                "correct model.toml",
            )


def dtype_of(signature: Signature) -> str:
    """The input's numpy dtype, after :func:`check_input`."""
    found = picture_of(signature)
    assert found is not None
    return _DTYPES[found.type]


def describe(tensor: Tensor) -> str:
    """``images tensor(float) [1, 3, ?, ?]``."""
    return f"{tensor.name[:40]} {tensor.type} [{', '.join('?' if d is None else str(d) for d in tensor.shape)}]"
