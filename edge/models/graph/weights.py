"""Are the weights numbers? A NaN among them spoils every answer, sometimes only on pictures that a trial did not show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from edge.errors import ModelError
from edge.models.graph.nodes import DTYPES, Graph, ModelFile, Tensor
from edge.models.graph.policy import graphs_of, tensors_of

_WEIGHTED = frozenset(
    {"Conv", "ConvTranspose", "Gemm", "MatMul", "BatchNormalization", "InstanceNormalization", "LayerNormalization",
     "GroupNormalization", "LSTM", "GRU", "RNN", "PRelu", "FusedConv", "FusedGemm", "FusedMatMul", "DequantizeLinear",
     "QuantizeLinear", "QLinearConv", "QLinearMatMul"}
)  # fmt: skip
"""Operators whose constant operands are weights or scales. Elsewhere an infinity may be meant: masks of attention, the
border of a maximum."""
_BFLOAT16 = 16
_BITS = frozenset({10, _BFLOAT16})
_CHUNK = 1 << 22


def check(model: ModelFile, files: Mapping[str, bytes]) -> None:
    """Raises ModelError MODEL_NOT_FINITE naming the tensor: a weight that is NaN or infinite, or a NaN in any other
    constant of more than one number. ``files``: external data by its location.
    """
    for graph in _all_graphs(model):
        weights = {name for node in graph.nodes if node.op in _WEIGHTED for name in node.inputs}
        named = list(graph.constants.items())
        for node in graph.nodes:
            named += [(node.outputs[0] if node.outputs else "", tensor) for tensor in tensors_of(node)]
        for name, tensor in named:
            what = _worst(tensor, files)
            if what == "inf" and name not in weights:
                continue
            if what == "NaN" and name not in weights and tensor.size <= 1:
                continue  # asked for and replaced, as in nan_to_num
            if what:
                raise ModelError(
                    "MODEL_NOT_FINITE",
                    "the model's weights are not all numbers",
                    f"tensor {name[:80]!r} {list(tensor.dims)[:8]} holds {what}",
                    "it was damaged in training or quantisation: export a sound checkpoint",
                )


def _all_graphs(model: ModelFile) -> Iterator[Graph]:
    todo = [model.graph, *(Graph(nodes=function.nodes) for function in model.functions)]
    while todo:
        graph = todo.pop()
        yield graph
        todo += [inner for node in graph.nodes for _, inner in graphs_of(node)]


def _worst(tensor: Tensor, files: Mapping[str, bytes]) -> str:
    """``NaN``, ``inf`` or nothing."""
    raw = tensor.raw
    if tensor.external:
        place = placed(tensor)
        content = files.get(tensor.external.get("location", ""))
        raw = memoryview(content)[place[0] : place[0] + place[1]] if content is not None and place else None
    if raw is None and tensor.data_type in _BITS and tensor.values:
        raw = memoryview(np.array(tensor.values).astype(np.uint16).tobytes())  # in int32_data they are bits
    if raw is None:
        floats = [v for v in tensor.values or () if isinstance(v, float)]
        return _of(np.array(floats)) if floats else ""
    if tensor.data_type == _BFLOAT16:
        bits = np.frombuffer(raw[: len(raw) // 2 * 2], np.uint16)
        special = bits[(bits & 0x7F80) == 0x7F80]  # noqa: PLR2004  (the exponent of what is no number)
        return "" if not special.size else "NaN" if (special & 0x7F).any() else "inf"
    dtype = DTYPES.get(tensor.data_type)
    if dtype is None or dtype.kind != "f":
        return ""
    array = np.frombuffer(raw[: len(raw) // dtype.itemsize * dtype.itemsize], dtype)
    seen = {_of(array[at : at + _CHUNK]) for at in range(0, array.size, _CHUNK)}
    return "NaN" if "NaN" in seen else "inf" if "inf" in seen else ""


def _of(array: np.ndarray[tuple[int, ...], np.dtype[np.floating]]) -> str:
    # A sum is finite only if all are, and much the quicker; it may overflow, so a second look decides.
    with np.errstate(all="ignore"):
        if np.isfinite(array.sum(dtype=np.float64)):
            return ""
    finite = np.isfinite(array)
    return "" if finite.all() else "NaN" if np.isnan(array).any() else "inf"


_BYTES = {n: dtype.itemsize for n, dtype in DTYPES.items()} | {14: 8, 15: 16, 16: 2, 17: 1, 18: 1, 19: 1, 20: 1}
_HALF_BYTES = frozenset({21, 22, 23})
"""uint4, int4, float4: two in a byte."""


def placed(tensor: Tensor) -> tuple[int, int] | None:
    """Offset and size in bytes of external data; None where they are not told or make no sense."""
    if any(dim < 0 for dim in tensor.dims):
        return None
    if tensor.data_type in _HALF_BYTES:
        size = (tensor.size + 1) // 2
    elif tensor.data_type in _BYTES:
        size = tensor.size * _BYTES[tensor.data_type]
    else:
        return None
    try:
        offset = int(tensor.external.get("offset", "0"))
        length = int(tensor.external.get("length", str(size)))
    except ValueError:
        return None
    return (offset, size) if offset >= 0 and length == size else None
