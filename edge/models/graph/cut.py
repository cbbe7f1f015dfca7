"""A model's inner tensors made its outputs, and what they do not need left out: half of a network is a feature extractor.

Done on the file's own bytes, field by field, so that nothing else of it changes and no other package is needed. Field
numbers are those of ``onnx.proto3``, as in :mod:`edge.models.graph.nodes`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence

from edge.errors import ModelError
from edge.models.graph.read import MAX_FIELDS
from edge.models.graph.wire import (
    BYTES,
    FIXED32,
    FIXED64,
    VARINT,
    Budget,
    OverflowingError,
    Value,
    WireError,
    fields,
    message,
    text,
)

_GRAPH = 7  # of ModelProto
_NODE, _INITIALIZER, _INPUT, _OUTPUT, _VALUE_INFO = 1, 5, 11, 12, 13  # of GraphProto
_NODE_INPUT, _NODE_OUTPUT, _NODE_OP, _NODE_ATTRIBUTE = 1, 2, 4, 5  # of NodeProto
_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS = 6, 11  # of AttributeProto
_TENSOR_NAME = 8  # of TensorProto
_MOST_DEPTH = 4


def cut(onnx: bytes, tensors: Sequence[str]) -> bytes:
    """The model with these tensors as its only outputs. Raises ModelError MODEL_UNREADABLE or MODEL_TENSOR_UNKNOWN."""
    reader = _Reader()
    try:
        return b"".join(
            _field(number, kind, reader.graph(message(value), tensors) if number == _GRAPH else value)
            for number, kind, value in reader.fields(memoryview(onnx))
        )
    except (WireError, OverflowingError) as error:
        raise _unreadable(error) from error


def inner_tensors(onnx: bytes, ops: Sequence[str]) -> list[str]:
    """Outputs of the main graph's nodes of these kinds, in order. Raises ModelError MODEL_UNREADABLE."""
    reader = _Reader()
    found: list[str] = []
    try:
        for number, _, graph in reader.fields(memoryview(onnx)):
            if number == _GRAPH:
                for part, _, node in reader.fields(message(graph)):
                    if part == _NODE and reader.names(message(node), _NODE_OP)[:1] in [[op] for op in ops]:
                        found += reader.names(message(node), _NODE_OUTPUT)
    except (WireError, OverflowingError) as error:
        raise _unreadable(error) from error
    return found


class _Reader:
    """One file, read within bounds."""

    def __init__(self) -> None:
        self._budget = Budget(MAX_FIELDS, 0)

    def fields(self, view: memoryview) -> Iterator[tuple[int, int, Value]]:
        return fields(view, self._budget)

    def names(self, view: memoryview, number: int) -> list[str]:
        """All strings of one field."""
        return [text(value) for n, _, value in self.fields(view) if n == number]

    def graph(self, view: memoryview, tensors: Sequence[str]) -> bytes:
        """A graph without what these tensors do not need."""
        parts = list(self.fields(view))
        nodes = [message(value) for number, _, value in parts if number == _NODE]
        made = [self.names(node, _NODE_OUTPUT) for node in nodes]
        _check(tensors, {name for names in made for name in names})
        needed, kept = set(tensors), set()
        # By the specification nodes are in topological order, so one way back sees every reader before what it reads.
        for index in range(len(nodes) - 1, -1, -1):
            if needed.intersection(made[index]):
                kept.add(index)
                needed.update(self._read(nodes[index]))
        constants = {self._tensor_name(value) for number, _, value in parts if number == _INITIALIZER}
        out, index = [], -1
        for number, kind, value in parts:
            if number == _NODE:
                index += 1
            if not self._drops(number, value, index, kept, needed, constants):
                out.append(_field(number, kind, value))
        # A value's type may be left out: the runtime infers it.
        named = [_field(1, BYTES, memoryview(name.encode())) for name in tensors]
        return b"".join([*out, *(_field(_OUTPUT, BYTES, memoryview(value)) for value in named)])

    def _drops(
        self, number: int, value: Value, index: int, kept: set[int], needed: set[str], constants: set[str]
    ) -> bool:
        if number == _NODE:
            return index not in kept
        if number == _INITIALIZER:
            return self._tensor_name(value) not in needed
        if number == _INPUT:  # old files list constants among the inputs
            name = next(iter(self.names(message(value), 1)), "")
            return name in constants and name not in needed
        return number in {_OUTPUT, _VALUE_INFO}

    def _tensor_name(self, tensor: Value) -> str:
        return next(iter(self.names(message(tensor), _TENSOR_NAME)), "")

    def _read(self, node: memoryview, depth: int = 0) -> Iterator[str]:
        """What a node reads; branches and loops read from the graph around them by name."""
        for number, _, value in self.fields(node):
            if number == _NODE_INPUT:
                yield text(value)
            elif number == _NODE_ATTRIBUTE and depth < _MOST_DEPTH:
                for inner, _, graph in self.fields(message(value)):
                    if inner in {_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS}:
                        yield from self._read_inside(message(graph), depth + 1)

    def _read_inside(self, graph: memoryview, depth: int) -> Iterator[str]:
        for number, _, value in self.fields(graph):
            if number == _NODE:
                yield from self._read(message(value), depth)
            elif number == _OUTPUT:
                yield from self.names(message(value), 1)


def _unreadable(error: Exception) -> ModelError:
    return ModelError("MODEL_UNREADABLE", "the file is not an ONNX model that can be cut", str(error))


def _check(tensors: Sequence[str], known: set[str]) -> None:
    for name in tensors:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = (
                f"did you mean {near[0]!r}?" if near else "names are those of the graph's edges, as Netron shows them"
            )
            raise ModelError("MODEL_TENSOR_UNKNOWN", f"the model has no tensor {name!r} that it computes", "", hint)


def _field(number: int, kind: int, value: Value | bytes) -> bytes:
    key = _varint(number << 3 | kind)
    if kind == VARINT:
        assert isinstance(value, int)
        return key + _varint(value)
    assert not isinstance(value, int)
    if kind in {FIXED32, FIXED64}:
        return key + bytes(value)
    return key + _varint(len(value)) + bytes(value)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:  # noqa: PLR2004  (seven bits a byte)
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
