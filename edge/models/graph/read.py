"""From a file's bytes to :mod:`edge.models.graph.nodes`, bounded in nodes, depth and names.

Own code, because a parser that first unfolds everything cannot be bounded: 8 MB of empty nodes are 576 MB to the ``onnx``
package. See docs/decisions. Weights are not touched: a tensor keeps a view of the file.
"""

from __future__ import annotations

from typing import Any

from edge.errors import ModelError
from edge.models.graph import wire
from edge.models.graph.nodes import Function, Graph, ModelFile, Node, Tensor, Value
from edge.models.graph.wire import Budget, OverflowingError, WireError

MAX_NODES = 100_000
"""In all graphs of a file together; the largest vision models have some 5,000."""
MAX_DEPTH = 16
MAX_CONSTANTS = 200_000
MAX_VALUES = 4096
"""Inputs or outputs of one graph."""
MAX_NAME_BYTES = 4096
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
        raise _too_complex(str(error)) from error
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
        for number, _, value in wire.fields(view, self._budget):
            match number:
                case 1:
                    found.ir_version = wire.signed(value)
                case 2:
                    found.producer = wire.text(value, MAX_NAME_BYTES)
                case 3:
                    found.producer_version = wire.text(value, MAX_NAME_BYTES)
                case 7:
                    if found.graph is not none_yet:  # Protocol Buffers merges them, we would see half a model
                        raise WireError("it holds two graphs")
                    found.graph = self._graph(wire.message(value), 0)
                case 8:
                    domain, version = _opset(wire.message(value), self._budget)
                    found.opsets[domain] = version
                case 14:
                    key, text = _entry(wire.message(value), MAX_METADATA_BYTES, self._budget)
                    found.metadata[key] = text
                case 25:
                    found.functions.append(self._function(wire.message(value)))
        if not found.ir_version or not found.opsets:
            raise WireError("it says no IR version or operator set")
        return found

    def _graph(self, view: memoryview, depth: int) -> Graph:
        if depth > MAX_DEPTH:
            raise _too_complex(f"graphs are nested deeper than {MAX_DEPTH}")
        found = Graph()
        for number, _, value in wire.fields(view, self._budget):
            match number:
                case 1:
                    found.nodes.append(self._node(wire.message(value), depth))
                case 2:
                    found.name = _name(value)
                case 5:
                    tensor = self._tensor(wire.message(value))
                    found.constants[tensor.name] = tensor
                case 15:
                    tensor = self._sparse(wire.message(value))
                    found.constants[tensor.name] = tensor
                case 11:
                    found.inputs.append(_value(wire.message(value), self._budget))
                case 12:
                    found.outputs.append(_value(wire.message(value), self._budget))
        if max(len(found.inputs), len(found.outputs)) > MAX_VALUES:
            raise _too_complex(f"it has more than {MAX_VALUES} inputs or outputs")
        return found

    def _function(self, view: memoryview) -> Function:
        found = Function()
        for number, _, value in wire.fields(view, self._budget):
            match number:
                case 1:
                    found.name = _name(value)
                case 4:
                    found.inputs.append(_name(value))
                case 5:
                    found.outputs.append(_name(value))
                case 7:
                    found.nodes.append(self._node(wire.message(value), 0))
                case 10:
                    found.domain = _name(value)
        return found

    def _node(self, view: memoryview, depth: int) -> Node:
        self._nodes_left -= 1
        if self._nodes_left < 0:
            raise _too_complex(f"it has more than {self._max_nodes} nodes")
        found = Node()
        for number, _, value in wire.fields(view, self._budget):
            match number:
                case 1:
                    found.inputs.append(_name(value))
                case 2:
                    found.outputs.append(_name(value))
                case 3:
                    found.name = _name(value)
                case 4:
                    found.op = _name(value)
                case 5:
                    name, attribute = self._attribute(wire.message(value), depth)
                    found.attributes[name] = attribute
                case 7:
                    found.domain = _name(value)
        return found

    def _attribute(self, view: memoryview, depth: int) -> tuple[str, Any]:
        name = ""
        scalar: Any = None
        listed: list[Any] = []
        parts: list[Any] = []  # graphs and tensors: nothing beside them may hide them
        for number, kind, value in wire.fields(view, self._budget):
            match number:
                case 1:
                    name = _name(value)
                case 2:
                    scalar = wire.float32(value)
                case 3:
                    scalar = wire.signed(value)
                case 4:
                    scalar = wire.text(value)
                case 5 | 10:
                    parts.append(self._tensor(wire.message(value)))
                case 6 | 11:
                    parts.append(self._graph(wire.message(value), depth + 1))
                case 7:
                    listed += wire.float32s(kind, value, self._budget)
                case 8:
                    listed += wire.ints(kind, value, self._budget)
                case 9:
                    listed.append(wire.text(value))
                case 22:
                    parts.append(self._sparse(wire.message(value)))
        if parts:
            return name, parts[0] if len(parts) == 1 else parts
        return name, listed if scalar is None else scalar

    def _tensor(self, view: memoryview) -> Tensor:
        self._constants_left -= 1
        if self._constants_left < 0:
            raise _too_complex(f"it has more than {MAX_CONSTANTS} constants")
        found = Tensor()
        dims: list[int] = []
        listed: list[float] = []
        floats: list[memoryview] = []
        whole = True
        for number, kind, value in wire.fields(view, self._budget):
            match number:
                case 1:
                    dims += wire.ints(kind, value, self._budget)
                case 2:
                    found.data_type = wire.signed(value)
                case 4 | 10 if kind == wire.BYTES:
                    floats.append(wire.message(value))
                case 5 | 7 | 11 if kind == wire.BYTES and len(wire.message(value)) > MAX_LISTED_BYTES:
                    whole = False
                case 4:
                    listed += wire.float32s(kind, value, self._budget)
                case 5 | 7 | 11:
                    listed += wire.ints(kind, value, self._budget)
                case 8:
                    found.name = _name(value)
                case 9:
                    found.raw = wire.message(value)
                case 13:
                    key, text = _entry(wire.message(value), MAX_NAME_BYTES, self._budget)
                    found.external[key] = text
                case 14 if wire.signed(value) == 1 and not found.external:
                    found.external["location"] = found.external.get("location", "")
        if len(floats) == 1 and found.raw is None:
            found.raw = floats[0]  # packed floats are what raw bytes are, little endian both
        if len(dims) > MAX_RANK:
            raise _too_complex(f"a constant has more than {MAX_RANK} dimensions")
        found.dims, found.values = tuple(dims), listed if listed and whole else None
        return found

    def _sparse(self, view: memoryview) -> Tensor:
        """Of a ``SparseTensorProto`` its name and the dimensions it unfolds to: the runtime makes it dense."""
        found = Tensor(sparse=True)
        dims: list[int] = []
        for number, kind, value in wire.fields(view, self._budget):
            match number:
                case 1:
                    found.name = self._tensor(wire.message(value)).name
                case 2:
                    self._tensor(wire.message(value))
                case 3:
                    dims += wire.ints(kind, value, self._budget)
        found.dims = tuple(dims[:MAX_RANK])
        return found


def _value(view: memoryview, budget: Budget) -> Value:
    found = Value()
    for number, _, value in wire.fields(view, budget):
        if number == 1:
            found.name = _name(value)
        elif number == 2:  # noqa: PLR2004  (ValueInfoProto.type)
            _type(wire.message(value), found, budget)
    return found


def _type(view: memoryview, found: Value, budget: Budget) -> None:
    kinds = {4: "sequence", 5: "map", 8: "sparse", 9: "optional"}
    for number, _, value in wire.fields(view, budget):
        if number == 1:
            for inner, _, part in wire.fields(wire.message(value), budget):
                if inner == 1:
                    found.data_type = wire.signed(part)
                elif inner == 2:  # noqa: PLR2004  (TypeProto.Tensor.shape)
                    found.dims = _dims(wire.message(part), budget)
        elif number in kinds:
            found.kind = kinds[number]


def _dims(view: memoryview, budget: Budget) -> tuple[int | str | None, ...]:
    found: list[int | str | None] = []
    for number, _, value in wire.fields(view, budget):
        if number == 1:
            dim: int | str | None = None
            for inner, _, part in wire.fields(wire.message(value), budget):
                if inner == 1:
                    dim = wire.signed(part)
                elif inner == 2:  # noqa: PLR2004  (Dimension.dim_param)
                    dim = wire.text(part, MAX_NAME_BYTES) or None
            found.append(dim)
    return tuple(found)


def _opset(view: memoryview, budget: Budget) -> tuple[str, int]:
    domain, version = "", 0
    for number, _, value in wire.fields(view, budget):
        if number == 1:
            domain = _name(value)
        elif number == 2:  # noqa: PLR2004  (OperatorSetIdProto.version)
            version = wire.signed(value)
    return "" if domain == "ai.onnx" else domain, version


def _entry(view: memoryview, limit: int, budget: Budget) -> tuple[str, str]:
    key = text = ""
    for number, _, value in wire.fields(view, budget):
        if number == 1:
            key = wire.text(value, MAX_NAME_BYTES)
        elif number == 2:  # noqa: PLR2004  (StringStringEntryProto.value)
            text = wire.text(value, limit)
    return key, text


def _name(value: wire.Value) -> str:
    if not isinstance(value, int) and len(value) > MAX_NAME_BYTES:
        raise _too_complex(f"a name is longer than {MAX_NAME_BYTES} bytes")
    return wire.text(value)


def _too_complex(why: str) -> ModelError:
    return ModelError(
        "MODEL_TOO_COMPLEX",
        "the model's graph is refused",
        why,
        "no honest export is like this; check where it is from",
    )
