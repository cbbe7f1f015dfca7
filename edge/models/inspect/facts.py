"""What a file says of itself, gathered once for all rules: names, shapes, what the trial saw, the graph's two ends.

Field numbers and operators are ONNX's (https://onnx.ai/onnx/operators/). Only constants of a few numbers are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from edge.models import contract
from edge.models.graph import Graph, ModelFile, Node
from edge.models.guard import Signature, Tensor
from edge.vision.spec import Layout

_SHAPERS = frozenset({
    "Cast", "Concat", "Flatten", "Identity", "Reshape", "Resize", "Slice", "Split", "Squeeze", "Transpose",
    "Unsqueeze", "Upsample", "DequantizeLinear", "QuantizeLinear", "Gather", "Pad",
})  # fmt: skip
"""Operations that move numbers without changing what they mean."""
_CONVS = frozenset({"Conv", "ConvInteger", "QLinearConv", "MatMul", "Gemm", "ConvTranspose", "DynamicQuantizeLinear"})
_MAX_STEPS = 64


@dataclass(frozen=True, slots=True)
class Inside:
    """What the graph does to pixels before its first convolution: ``x * gain + bias``, one number or three."""

    gain: tuple[float, ...]
    bias: tuple[float, ...]
    ops: tuple[str, ...]

    @property
    def mean(self) -> tuple[float, ...]:
        """The input value that becomes 0, a channel."""
        return tuple(-b / g for g, b in zip(self.gain, self.bias, strict=True))


@dataclass(frozen=True, slots=True)
class Facts:
    """All that rules may look at. ``height`` and ``width`` are those of the trial's picture."""

    signature: Signature
    name: str = "model"
    producer: str = ""
    layout: Layout = "nchw"
    channels: int = 3
    height: int = 0
    width: int = 0
    free: bool = False
    inside: Inside | None = None
    ends: dict[str, str] = field(default_factory=dict)
    """Output -> the operation that made its numbers: ``sigmoid``, ``softmax``, ``argmax``, ``topk``, ``nms`` or ''."""
    ops: frozenset[str] = frozenset()
    convolutions: int = 0
    pair_of: int = 0
    """C, where two last layers give C scores and 4 C box numbers (detectors of two stages); else 0."""
    argmax_over: int = 0
    """Classes that an argmax chooses from, where the convolution before it tells; else 0."""

    @property
    def metadata(self) -> dict[str, str]:
        """Of the file."""
        return self.signature.metadata

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """As seen in the trial."""
        return self.signature.outputs

    @property
    def others(self) -> tuple[Tensor, ...]:
        """Inputs beside the picture."""
        picture = contract.picture_of(self.signature)
        return tuple(one for one in self.signature.inputs if one is not picture)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of the outputs by name; 0 for what is not known."""
        return {o.name: tuple(d or 0 for d in o.shape) for o in self.outputs}

    @property
    def only(self) -> tuple[int, ...]:
        """The shape of the one output; () where there are several."""
        return tuple(d or 0 for d in self.outputs[0].shape) if len(self.outputs) == 1 else ()

    def cells(self, *strides: int) -> int:
        """Grid cells of these strides on this input, rounded up as padded convolutions do."""
        return sum(-(-self.height // s) * -(-self.width // s) for s in strides)

    def applied(self, output: str) -> str:
        """``sigmoid`` or ``softmax`` where the graph ends in one or the trial's values say so (all in 0..1)."""
        end = self.ends.get(output, "")
        if end in {"sigmoid", "softmax"}:
            return end
        tensor = next(o for o in self.outputs if o.name == output)
        return "range" if tensor.low >= 0.0 and 0.0 < tensor.high <= 1.0 + 1e-4 else ""


def gather(signature: Signature, file: ModelFile | None = None, name: str = "model") -> Facts:
    """Facts of a model that passed the guard; ``file`` is its structure, where it could be read."""
    picture = contract.picture_of(signature)
    shape: tuple[int | None, ...] = picture.shape if picture else ()
    layout = contract.layout_of(shape) or "nchw"
    if file and picture and len(shape) > 1 and shape[1] == shape[-1] and _starts_nhwc(file.graph, picture.name):
        layout = "nhwc"
    probe = signature.probe_shape or tuple(d or 0 for d in shape)
    channels, height, width = 0, 0, 0
    if len(probe) == 4:  # noqa: PLR2004  (rank of a picture)
        channels, height, width = probe[1:] if layout == "nchw" else (probe[3], probe[1], probe[2])
    spatial = shape[2:] if layout == "nchw" else shape[1:3]
    return Facts(
        signature=signature,
        name=name,
        producer=_producer(file),
        layout=layout,
        channels=channels,
        height=height,
        width=width,
        free=None in spatial,
        inside=_inside(file.graph, picture.name) if file and picture else None,
        ends=_ends(file.graph) if file else {},
        ops=frozenset(n.op for n in file.graph.nodes) if file else frozenset(),
        convolutions=sum(n.op == "Conv" for n in file.graph.nodes) if file else 0,
        pair_of=_pair_of(file.graph) if file else 0,
        argmax_over=_argmax_over(file.graph) if file else 0,
    )


def _producer(file: ModelFile | None) -> str:
    """Who exported it. Paddle's converter leaves the field empty and signs in the graph's name."""
    if file is None:
        return ""
    names = f"{file.producer} {file.graph.name}".lower()
    for word in ("paddle", "tf2onnx", "cntk", "keras", "skl2onnx", "mxnet", "caffe", "onnx.quantize", "pytorch"):
        if word in names:
            return word
    return file.producer


def _starts_nhwc(graph: Graph, first: str) -> bool:
    return any(n.op == "Transpose" and n.inputs[:1] == [first] and n.attributes.get("perm") == [0, 3, 1, 2]
               for n in graph.nodes)  # fmt: skip


def _inside(graph: Graph, at: str) -> Inside | None:
    """Follow the picture through arithmetic with constants until something mixes pixels."""
    gain, bias = np.ones(1), np.zeros(1)
    ops: list[str] = []
    for node in _way(graph, at):
        step = _affine(graph, node, at)
        if step is not None:
            gain, bias = gain * step[0], bias * step[0] + step[1]
            ops.append(node.op)
        elif node.op not in _SHAPERS:
            break
        at = node.outputs[0]
    if not ops or not np.isfinite(gain).all() or not gain.all():
        return None
    gain, bias = np.broadcast_arrays(gain, bias)
    return Inside(tuple(map(float, gain)), tuple(map(float, bias)), tuple(ops))


def _way(graph: Graph, at: str) -> Iterator[Node]:
    """The nodes that the picture passes one after the other, as long as only one takes it."""
    for _ in range(_MAX_STEPS):
        takers = [n for n in graph.nodes if at in n.inputs and n.op != "Shape"]
        if len(takers) != 1 or not takers[0].outputs or takers[0].op in _CONVS:
            return
        yield takers[0]
        at = takers[0].outputs[0]


def _affine(graph: Graph, node: Node, at: str) -> tuple[np.ndarray, np.ndarray] | None:
    """``(gain, bias)`` of one node, each one number or one a channel."""
    if node.op == "BatchNormalization":
        parts = [_small(graph, name) for name in node.inputs[1:5]]
        if all(p is not None and p.size <= 4 for p in parts):  # noqa: PLR2004  (channels of a picture)
            scale, offset, mean, var = (np.asarray(p) for p in parts)
            gain = scale / np.sqrt(var + float(node.attributes.get("epsilon", 1e-5)))
            return gain, offset - mean * gain
        return None
    if node.op not in {"Add", "Sub", "Mul", "Div"} or len(node.inputs) != 2:  # noqa: PLR2004  (binary)
        return None
    turned = node.inputs[1] == at
    value = _small(graph, node.inputs[0] if turned else node.inputs[1])
    if value is None:
        return None
    one = np.ones_like(value)
    match node.op, turned:
        case "Add", _:
            return one, value
        case "Sub", False:
            return one, -value
        case "Sub", True:
            return -one, value
        case "Mul", _:
            return value, 0 * value
        case "Div", False if value.all():
            return 1 / value, 0 * value
    return None


def _small(graph: Graph, name: str) -> np.ndarray | None:
    """A constant of at most four numbers, flat."""
    tensor = graph.constants.get(name)
    if tensor is None:
        made = next((n for n in graph.nodes if n.op == "Constant" and n.outputs[:1] == [name]), None)
        tensor = made.attributes.get("value") if made else None
    array = tensor.array(4) if tensor is not None and hasattr(tensor, "array") else None
    return None if array is None or array.size == 0 else array.astype(np.float64).reshape(-1)


_KINDS = {
    "Sigmoid": "sigmoid", "HardSigmoid": "sigmoid", "Softmax": "softmax", "ArgMax": "argmax", "TopK": "topk",
    "NonMaxSuppression": "nms", "EfficientNMS_TRT": "nms", "LogSoftmax": "logsoftmax", "Relu": "relu",
    "Tanh": "tanh",
}  # fmt: skip


def _ends(graph: Graph) -> dict[str, str]:
    """For every output the first operation, seen from the end, that is more than a change of shape."""
    makers = {name: node for node in graph.nodes for name in node.outputs}
    return {value.name: _end(makers, value.name) for value in graph.outputs}


def _end(makers: dict[str, Node], name: str) -> str:
    for _ in range(_MAX_STEPS):
        node = makers.get(name)
        if node is None or not node.inputs:
            return ""
        if node.op not in _SHAPERS:
            return _KINDS.get(node.op, "")
        if node.op == "Concat":
            kinds = {_KINDS.get(makers[i].op, "") for i in node.inputs if i in makers}
            if len(kinds) > 1:
                return "mixed"
        name = node.inputs[0]
    return ""


def _argmax_over(graph: Graph) -> int:
    """Output channels of the last convolution with weights before an argmax."""
    makers = {name: node for node in graph.nodes for name in node.outputs}
    name = next((n.inputs[0] for n in graph.nodes if n.op == "ArgMax" and n.inputs), "")
    for _ in range(_MAX_STEPS):
        node = makers.get(name)
        if node is None or not node.inputs:
            return 0
        if node.op == "Conv" and len(node.inputs) > 1:
            weights = graph.constants.get(node.inputs[1])
            return weights.dims[0] if weights is not None and weights.dims else 0
        name = node.inputs[0]
    return 0


def _pair_of(graph: Graph) -> int:
    """Class scores and a box for each class from fully connected layers: how many classes, background included."""
    widths: set[int] = set()
    for node in graph.nodes:
        if node.op not in {"Gemm", "MatMul"} or len(node.inputs) < 2:  # noqa: PLR2004  (data, weights)
            continue
        weights = graph.constants.get(node.inputs[1])
        if weights is not None and len(weights.dims) == 2:  # noqa: PLR2004  (a matrix)
            widths.add(weights.dims[0 if node.attributes.get("transB") else 1])
    pairs = [n for n in widths if n > 1 and 4 * n in widths]
    return pairs[0] if len(pairs) == 1 else 0
