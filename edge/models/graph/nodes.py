"""The structure of an ONNX file as values: graphs, nodes, attributes, tensors.

Field numbers are those of ``onnx.proto3`` (ONNX IR specification, https://github.com/onnx/onnx/blob/main/docs/IR.md).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

DTYPES: dict[int, np.dtype[Any]] = {
    number: np.dtype(name)
    for number, name in {
        1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool",
        10: "float16", 11: "float64", 12: "uint32", 13: "uint64",
    }.items()
}  # fmt: skip
"""``TensorProto.DataType`` of what numpy has; 8 is string, 14 up are complex, bfloat16, float8 and 4 bits."""


_FLOAT16 = 10


@dataclass(slots=True, eq=False)
class Tensor:
    """A constant. ``raw`` is a view of the file (little endian), None where ``values`` lists its numbers.

    ``external`` has the keys of its place in another file (``location``, ``offset``, ``length``), else it is empty.
    """

    name: str = ""
    dims: tuple[int, ...] = ()
    data_type: int = 0
    raw: memoryview | None = None
    values: list[float] | None = None
    external: dict[str, str] = field(default_factory=dict)
    sparse: bool = False
    """Given by its non-zero elements, of which nothing is kept here but ``dims``."""

    @property
    def size(self) -> int:
        """Number of elements; negative dimensions count as given."""
        n = 1
        for dim in self.dims:
            n *= dim
        return n

    def array(self, most: int = 4096) -> NDArray[Any] | None:
        """Its numbers, for constants of at most ``most`` elements; None where there are more, or they are not here."""
        dtype = DTYPES.get(self.data_type)
        if dtype is None or self.external or self.sparse or not 0 <= self.size <= most:
            return None
        if self.raw is not None:
            if len(self.raw) != self.size * dtype.itemsize:
                return None
            return np.frombuffer(self.raw, dtype).reshape(self.dims)
        if self.values is None or len(self.values) != self.size:
            return None
        if self.data_type == _FLOAT16:  # in int32_data they are bits, one number each (onnx.proto3)
            return np.array(self.values).astype(np.uint16).view(dtype).reshape(self.dims)
        return np.array(self.values).astype(dtype).reshape(self.dims)


@dataclass(slots=True, eq=False)
class Node:
    """One operation. ``domain`` is '' for ONNX's own. Of attributes, only what was asked for is here (see ``read``)."""

    op: str = ""
    domain: str = ""
    name: str = ""
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    attributes: dict[str, Any] = field(default_factory=dict)
    """Name -> int, float, str, list of them, Tensor, or Graph."""


@dataclass(slots=True, eq=False)
class Value:
    """An input or output. ``dims``: a number, a name, or None; None for no shape at all. ``kind`` is ``tensor``, or
    ``sequence``, ``map``, ``optional``, ``sparse``: then ``data_type`` is 0.
    """

    name: str = ""
    data_type: int = 0
    dims: tuple[int | str | None, ...] | None = None
    kind: str = "tensor"


@dataclass(slots=True, eq=False)
class Graph:
    """Nodes in the file's order (topological, by the specification)."""

    name: str = ""
    nodes: list[Node] = field(default_factory=list)
    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    constants: dict[str, Tensor] = field(default_factory=dict)
    """Initialisers by name."""


@dataclass(slots=True, eq=False)
class Function:
    """A local function: a node whose (domain, op) is its own stands for its nodes."""

    name: str = ""
    domain: str = ""
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class ModelFile:
    """All that a file says of itself. ``opsets``: version by domain ('' is ONNX's own)."""

    ir_version: int = 0
    producer: str = ""
    producer_version: str = ""
    opsets: dict[str, int] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    graph: Graph = field(default_factory=Graph)
    functions: list[Function] = field(default_factory=list)
