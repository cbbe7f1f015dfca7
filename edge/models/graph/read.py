"""From a file's bytes to :mod:`edge.models.graph.nodes`, bounded in nodes, depth and names.

Own code, because a parser that first unfolds everything cannot be bounded: 8 MB of empty nodes are 576 MB to the ``onnx``
package. See docs/decisions. Weights are not touched: a tensor keeps a view of the file.
"""

from __future__ import annotations

from typing import Any

from edge.errors import ModelError
from edge.models.graph.nodes import Function, Graph, ModelFile, Node, Tensor
from edge.models.graph.small import MAX_NAME_BYTES, entry_of, name_of, opset_of, too_complex, value_info
from edge.models.graph.wire import (
    BYTES,
    Budget,
    OverflowingError,
    WireError,
    fields,
    float32,
    float32s,
    ints,
    message,
    signed,
)
from edge.models.graph.wire import text as string

MAX_NODES = 100_000
"""In all graphs of a file together; the largest vision models have some 5,000."""
MAX_DEPTH = 16
MAX_CONSTANTS = 200_000
MAX_VALUES = 4096
"""Inputs or outputs of one graph."""
MAX_RANK = 64
MAX_METADATA_BYTES = 1024 * 1024
MAX_FIELDS = 3_000_000
"""Parts of messages in all; two seconds of reading. The largest vision models have some 100,000."""
MAX_NUMBERS = 8_000_000
"""Numbers (or bytes, where they are packed) of attributes and constants that are listed one by one."""
MAX_LISTED_BYTES = 1_000_000
"""A packed constant longer than this is not listed: nobody needs the numbers of weights."""


def read(data: bytes | memoryview, max_nodes: int = MAX_NODES) -> ModelFile:
    """The structure of an ONNX file. Raises ModelError MODEL_UNREADABLE (no ONNX), MODEL_TOO_COMPLEX."""
    try:
        return _Reader(max_nodes).model(memoryview(data))
    except OverflowingError as error:
        raise too_complex(str(error)) from error
    except WireError as error:
        raise ModelError(
            "MODEL_UNREADABLE",
            "the file is not an ONNX model that can be loaded",
            str(error),
            "export or copy it again",
        ) from error


class _Reader:
    def __init__(self, max_nodes: int) -> None:
        self._nodes_left = max_nodes
        self._max_nodes = max_nodes
        self._constants_left = MAX_CONSTANTS
        self._budget = Budget(MAX_FIELDS, MAX_NUMBERS)

    def model(self, view: memoryview) -> ModelFile:
        found = ModelFile()
        none_yet = found.graph
        for number, _, value in fields(view, self._budget):
            match number:
                case 1:
                    found.ir_version = signed(value)
                case 2:
                    found.producer = string(value, MAX_NAME_BYTES)
                case 3:
                    found.producer_version = string(value, MAX_NAME_BYTES)
                case 7:
                    if found.graph is not none_yet:  # Protocol Buffers merges them, we would see half a model
                        raise WireError("it holds two graphs")
                    found.graph = self._graph(message(value), 0)
                case 8:
                    domain, version = opset_of(message(value), self._budget)
                    found.opsets[domain] = version
                case 14:
                    key, text = entry_of(message(value), MAX_METADATA_BYTES, self._budget)
                    found.metadata[key] = text
                case 25:
                    found.functions.append(self._function(message(value)))
        if not found.ir_version or not found.opsets:
            raise WireError("it says no IR version or operator set")
        return found

    def _graph(self, view: memoryview, depth: int) -> Graph:
        if depth > MAX_DEPTH:
            raise too_complex(f"graphs are nested deeper than {MAX_DEPTH}")
        found = Graph()
        for number, _, value in fields(view, self._budget):
            match number:
                case 1:
                    found.nodes.append(self._node(message(value), depth))
                case 2:
                    found.name = name_of(value)
                case 5:
                    tensor = self._tensor(message(value))
                    found.constants[tensor.name] = tensor
                case 15:
                    tensor = self._sparse(message(value))
                    found.constants[tensor.name] = tensor
                case 11:
                    found.inputs.append(value_info(message(value), self._budget))
                case 12:
                    found.outputs.append(value_info(message(value), self._budget))
        if max(len(found.inputs), len(found.outputs)) > MAX_VALUES:
            raise too_complex(f"it has more than {MAX_VALUES} inputs or outputs")
        return found

    def _function(self, view: memoryview) -> Function:
        found = Function()
        for number, _, value in fields(view, self._budget):
            match number:
                case 1:
                    found.name = name_of(value)
                case 4:
                    found.inputs.append(name_of(value))
                case 5:
                    found.outputs.append(name_of(value))
                case 7:
                    found.nodes.append(self._node(message(value), 0))
                case 10:
                    found.domain = name_of(value)
        return found

    def _node(self, view: memoryview, depth: int) -> Node:
        self._nodes_left -= 1
        if self._nodes_left < 0:
            raise too_complex(f"it has more than {self._max_nodes} nodes")
        found = Node()
        for number, _, value in fields(view, self._budget):
            match number:
                case 1:
                    found.inputs.append(name_of(value))
                case 2:
                    found.outputs.append(name_of(value))
                case 3:
                    found.name = name_of(value)
                case 4:
                    found.op = name_of(value)
                case 5:
                    name, attribute = self._attribute(message(value), depth)
                    found.attributes[name] = attribute
                case 7:
                    found.domain = name_of(value)
        return found

    def _attribute(self, view: memoryview, depth: int) -> tuple[str, Any]:
        name = ""
        scalar: Any = None
        listed: list[Any] = []
        parts: list[Any] = []  # graphs and tensors: nothing beside them may hide them
        for number, kind, value in fields(view, self._budget):
            match number:
                case 1:
                    name = name_of(value)
                case 2:
                    scalar = float32(value)
                case 3:
                    scalar = signed(value)
                case 4:
                    scalar = string(value)
                case 5 | 10:
                    parts.append(self._tensor(message(value)))
                case 6 | 11:
                    parts.append(self._graph(message(value), depth + 1))
                case 7:
                    listed += float32s(kind, value, self._budget)
                case 8:
                    listed += ints(kind, value, self._budget)
                case 9:
                    listed.append(string(value))
                case 22:
                    parts.append(self._sparse(message(value)))
        if parts:
            return name, parts[0] if len(parts) == 1 else parts
        return name, listed if scalar is None else scalar

    def _tensor(self, view: memoryview) -> Tensor:
        self._constants_left -= 1
        if self._constants_left < 0:
            raise too_complex(f"it has more than {MAX_CONSTANTS} constants")
        found = Tensor()
        dims: list[int] = []
        listed: list[float] = []
        floats: list[memoryview] = []
        whole = True
        for number, kind, value in fields(view, self._budget):
            match number:
                case 1:
                    dims += ints(kind, value, self._budget)
                case 2:
                    found.data_type = signed(value)
                case 4 | 10 if kind == BYTES:
                    floats.append(message(value))
                case 5 | 7 | 11 if kind == BYTES and len(message(value)) > MAX_LISTED_BYTES:
                    whole = False
                case 4:
                    listed += float32s(kind, value, self._budget)
                case 5 | 7 | 11:
                    listed += ints(kind, value, self._budget)
                case 8:
                    found.name = name_of(value)
                case 9:
                    found.raw = message(value)
                case 13:
                    key, text = entry_of(message(value), MAX_NAME_BYTES, self._budget)
                    found.external[key] = text
                case 14 if signed(value) == 1 and not found.external:
                    found.external["location"] = found.external.get("location", "")
        if len(floats) == 1 and found.raw is None:
            found.raw = floats[0]  # packed floats are what raw bytes are, little endian both
        if len(dims) > MAX_RANK:
            raise too_complex(f"a constant has more than {MAX_RANK} dimensions")
        found.dims, found.values = tuple(dims), listed if listed and whole else None
        return found

    def _sparse(self, view: memoryview) -> Tensor:
        """Of a ``SparseTensorProto`` its name and the dimensions it unfolds to: the runtime makes it dense."""
        found = Tensor(sparse=True)
        dims: list[int] = []
        for number, kind, value in fields(view, self._budget):
            match number:
                case 1:
                    found.name = self._tensor(message(value)).name
                case 2:
                    self._tensor(message(value))
                case 3:
                    dims += ints(kind, value, self._budget)
        found.dims = tuple(dims[:MAX_RANK])
        return found
