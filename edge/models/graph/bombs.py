"""Tensors that a few bytes make huge: where constants tell how large, nobody need try."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from edge.errors import ModelError
from edge.models.graph.nodes import Node, Tensor
from edge.models.graph.scope import Scope

_MAX_STEP = 2**20
"""Of one number of a window, stride or border; the runtime pads borders before it looks at anything else."""
_WINDOWS = ("pads", "strides", "kernel_shape", "dilations", "output_padding", "output_shape")


def check_constant(tensor: Tensor, most: int) -> None:
    """Raises ModelError for a constant whose stated size is impossible or larger than ``most`` where it is sparse
    (the runtime makes it dense).
    """
    if any(dim < 0 for dim in tensor.dims):
        raise _unreadable(f"constant {tensor.name[:60]!r} has a negative dimension")
    if tensor.sparse and tensor.size > most:
        raise too_large(f"sparse constant {tensor.name[:60]!r} unfolds to {tensor.size} numbers", most)


def check_node(node: Node, scope: Scope, most: int) -> None:
    """Raises ModelError MODEL_TENSOR_TOO_LARGE."""
    for key in _WINDOWS:
        value = node.attributes.get(key)
        if isinstance(value, list) and any(isinstance(n, int) and abs(n) > _MAX_STEP for n in value):
            raise too_large(f"{node.op} has {key} = {str(value)[:60]}", _MAX_STEP)
    size = _size(node, scope)
    if size is not None and size > most:
        raise too_large(f"{node.op} makes a tensor of {size} numbers", most)


def too_large(why: str, most: int) -> ModelError:
    """The refusal."""
    return ModelError(
        "MODEL_TENSOR_TOO_LARGE",
        "the model's graph is refused",
        f"{why}, at most {most} are allowed",
        "check where it is from",
    )


def _unreadable(why: str) -> ModelError:
    return ModelError("MODEL_UNREADABLE", "the file is not an ONNX model that can be loaded", why, "export it again")


def _size(node: Node, scope: Scope) -> int | None:
    """Elements of what a node makes, at least; None where constants do not tell."""
    match node.op:
        case "ConstantOfShape":
            return _product(_numbers(node, scope, 0))
        case "Expand" | "Reshape":
            return _product(_numbers(node, scope, 1))
        case "RandomNormal" | "RandomUniform":
            return _product(node.attributes.get("shape"))
        case "Tile":
            return _times(node, scope, _numbers(node, scope, 1))
        case "Upsample":
            return _times(node, scope, node.attributes.get("scales") or _numbers(node, scope, 1))
        case "Resize":
            sizes = _numbers(node, scope, 3)
            return (
                _product(sizes) if sizes else _times(node, scope, _numbers(node, scope, min(2, len(node.inputs) - 1)))
            )
        case "Pad":
            return _padded(node, scope)
        case "Range":
            ends = [_numbers(node, scope, at) for at in range(3)]
            if all(end is not None and len(end) == 1 for end in ends):
                start, limit, delta = (float(end[0]) for end in ends if end)
                return max(0, math.ceil((limit - start) / delta)) if delta and math.isfinite(limit - start) else None
        case "OneHot" | "HannWindow" | "HammingWindow" | "BlackmanWindow":
            return _product(_numbers(node, scope, 1 if node.op == "OneHot" else 0))
        case "EyeLike":
            dims = scope.dims(node.inputs[0]) if node.inputs else None
            return _product(dims[0]) if dims and dims[1] else None
        case "MaxUnpool":
            return _product(_numbers(node, scope, 2))
        case "DFT" | "CenterCropPad":
            return _product(_numbers(node, scope, 1))
    return None


def _numbers(node: Node, scope: Scope, at: int) -> list[float] | None:
    """The numbers of an input, where they are exactly known."""
    if at >= len(node.inputs) or not node.inputs[at]:
        return None
    known = scope.value(node.inputs[at])
    if known is None or not known.exact or known.array is None or known.array.dtype.kind not in "iuf":
        return None
    return list(known.array.reshape(-1).tolist())


def _product(numbers: Iterable[Any] | None) -> int | None:
    if numbers is None:
        return None
    total = 1.0
    for number in numbers:
        if not isinstance(number, int | float) or math.isnan(number):
            return None
        total *= max(1.0, float(number))  # 0 and -1 mean 'as it was' in some
    return 2**63 if total > 2**63 else int(total)


def _times(node: Node, scope: Scope, factors: Iterable[Any] | None) -> int | None:
    """A tensor made larger by factors: of its own size where that is known."""
    times = _product(factors)
    if times is None:
        return None
    dims = scope.dims(node.inputs[0]) if node.inputs else None
    own = _product(dims[0]) if dims and dims[1] else 1
    return times * (own or 1)


def _padded(node: Node, scope: Scope) -> int | None:
    pads = node.attributes.get("pads") or node.attributes.get("paddings") or _numbers(node, scope, 1)
    if not isinstance(pads, list) or len(pads) % 2 or not all(isinstance(p, int | float) for p in pads):
        return None
    half = len(pads) // 2
    dims = scope.dims(node.inputs[0]) if node.inputs else None
    own = dims[0] if dims and dims[1] and len(dims[0]) == half else [1] * half
    return _product(
        max(1, size + before + after) for size, before, after in zip(own, pads[:half], pads[half:], strict=True)
    )
