"""Small whole numbers that a graph computes from its constants and from the shapes of its tensors.

For the guard: how often a loop turns, how large a tensor becomes, without running anything. Only what such
computations are made of is known; everything else is 'not known', never a guess.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.models.graph.nodes import Graph, Node, Tensor, Value

NOMINAL = 1024
"""What a free dimension counts for: about the side of a picture."""
_MOST = 256  # numbers; shapes and counts are a handful, and hostile ones shall cost nothing
_MAX_DEPTH = 64
_MAX_RANK = 64


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """Numbers; ``exact`` unless a free dimension had a part in them. ``array`` None: a shape of unknown rank."""

    array: NDArray[Any] | None
    exact: bool = True


@dataclass(slots=True, eq=False)
class Scope:
    """A graph's names, with those of the graph around it. ``bound``: names that are another scope's."""

    graph: Graph
    outer: Scope | None = None
    bound: dict[str, tuple[Scope, str]] = field(default_factory=dict)
    producers: dict[str, Node] = field(default_factory=dict)
    inputs: dict[str, Value] = field(default_factory=dict)
    _seen: dict[str, Known | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.inputs = {value.name: value for value in self.graph.inputs}
        self.producers = {name: node for node in self.graph.nodes for name in node.outputs if name}

    def value(self, name: str, depth: int = 0) -> Known | None:
        """The numbers of a tensor; None where they are not known."""
        if not name or depth > _MAX_DEPTH:
            return None
        if name not in self._seen:
            self._seen[name] = None  # a cycle is not known
            self._seen[name] = self._find(name, depth)
        return self._seen[name]

    def number(self, name: str) -> tuple[int, bool] | None:
        """A tensor of one number, and whether it is exact."""
        known = self.value(name)
        if known is None or known.array is None or known.array.size != 1:
            return None
        number = float(known.array.reshape(-1)[0])
        return (int(known.array.reshape(-1)[0]), known.exact) if np.isfinite(number) else None

    def dims(self, name: str) -> tuple[list[int], bool] | None:
        """A tensor's shape where the file says it: of constants and inputs."""
        for _ in range(_MAX_DEPTH):
            node = self.producers.get(name)
            if node is None or node.op not in {"Identity", "Cast"} or not node.inputs:
                break
            name = node.inputs[0]
        constant = self.graph.constants.get(name)
        if constant is not None:
            return list(constant.dims), True
        value = self.inputs.get(name)
        if value is not None:
            if value.dims is None:
                return None
            exact = all(isinstance(d, int) and d > 0 for d in value.dims)
            return [d if isinstance(d, int) and d > 0 else NOMINAL for d in value.dims], exact
        return self.outer.dims(name) if self.outer and name not in self.producers else None

    def _find(self, name: str, depth: int) -> Known | None:
        constant = self.graph.constants.get(name)
        if constant is not None:
            return known_of(constant)
        if name in self.bound:
            scope, other = self.bound[name]
            return scope.value(other, depth + 1)
        node = self.producers.get(name)
        if node is None:
            return self.outer.value(name, depth + 1) if self.outer and name not in self.inputs else None
        if node.domain not in {"", "ai.onnx"} or node.outputs[0] != name:
            return None
        try:
            return self._compute(node, depth)
        except (ValueError, IndexError, TypeError, OverflowError, ZeroDivisionError):
            return None  # the runtime will say what is wrong with it

    def _compute(self, node: Node, depth: int) -> Known | None:
        if node.op == "Constant":
            return _constant(node)
        if node.op in {"Shape", "Size"}:
            return self._shape(node)
        inputs = [self.value(name, depth + 1) if name else Known(None) for name in node.inputs]
        if not inputs or any(one is None for one in inputs):
            return None
        there = [one for one in inputs if one is not None]
        exact = all(one.exact for one in there)
        if there[0].array is None:
            return _of_unknown_rank(node, there)
        rule = _RULES.get(node.op)
        if rule is None or sum(one.array.size for one in there if one.array is not None) > _MOST:
            return None
        with np.errstate(all="ignore"):
            found = np.asarray(rule([one.array for one in there], node.attributes))
        return Known(found, exact) if found.size <= _MOST and found.ndim <= _MAX_RANK else None

    def _shape(self, node: Node) -> Known | None:
        dims = self.dims(node.inputs[0])
        if dims is None:
            return Known(None, exact=False) if node.op == "Shape" else None
        if node.op == "Size":
            return Known(np.array(np.prod(dims[0], dtype=np.float64)), dims[1])
        start, end = node.attributes.get("start", 0), node.attributes.get("end")
        return Known(np.array(dims[0][start:end], np.int64), dims[1])


def known_of(tensor: Tensor) -> Known | None:
    """A small constant's numbers."""
    array = tensor.array(_MOST)
    return None if array is None or array.ndim > _MAX_RANK else Known(array)


def _constant(node: Node) -> Known | None:
    for key in ("value", "value_int", "value_ints", "value_float", "value_floats"):
        value = node.attributes.get(key)
        if isinstance(value, Tensor):
            return known_of(value)
        if isinstance(value, int | float) or (isinstance(value, list) and len(value) <= _MOST):
            return Known(np.array(value))
    return None


def _of_unknown_rank(node: Node, inputs: Sequence[Known]) -> Known | None:
    """One element of a shape of which nothing is known is a free dimension; a part of it stays what it is."""
    if node.op in {"Gather", "GatherElements"} and len(inputs) > 1 and inputs[1].array is not None:
        return Known(np.full(inputs[1].array.shape, NOMINAL, np.int64), exact=False)
    if node.op in {"Squeeze", "ReduceMax", "ReduceMin"}:
        return Known(np.array(NOMINAL), exact=False)
    return Known(None, exact=False) if node.op in {"Slice", "Cast", "Identity"} else None


Rule = Callable[[list[Any], dict[str, Any]], Any]


def _axes(values: list[Any], attributes: dict[str, Any]) -> tuple[int, ...] | None:
    axes = values[1] if len(values) > 1 and values[1] is not None else attributes.get("axes")
    return None if axes is None else tuple(int(a) for a in np.asarray(axes).reshape(-1))


def _slice(values: list[Any], attributes: dict[str, Any]) -> Any:
    data = values[0]
    parts = [*values[1:], *[None] * 4] if len(values) > 1 else [attributes.get(k) for k in ("starts", "ends", "axes")]
    starts, ends = (np.asarray(p).reshape(-1) for p in parts[:2])
    axes = np.arange(len(starts)) if parts[2] is None else np.asarray(parts[2]).reshape(-1)
    steps = np.ones(len(starts), np.int64) if len(parts) < 4 or parts[3] is None else np.asarray(parts[3]).reshape(-1)  # noqa: PLR2004
    index: list[Any] = [slice(None)] * data.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        index[int(axis)] = slice(int(start), int(end), int(step))
    return data[tuple(index)]


def _reduce(function: Callable[..., Any]) -> Rule:
    def rule(values: list[Any], attributes: dict[str, Any]) -> Any:
        return function(values[0], axis=_axes(values, attributes), keepdims=bool(attributes.get("keepdims", 1)))

    return rule


def _div(values: list[Any], _: dict[str, Any]) -> Any:
    first, second = values
    whole = np.issubdtype(np.asarray(first).dtype, np.integer)
    return np.trunc(first / second).astype(np.int64) if whole else first / second


def _unsqueeze(values: list[Any], attributes: dict[str, Any]) -> Any:
    axes = _axes(values, attributes)
    return np.expand_dims(values[0], axes) if axes is not None else values[0]


def _reshape(values: list[Any], attributes: dict[str, Any]) -> Any:
    shape = values[1] if len(values) > 1 else attributes["shape"]
    return values[0].reshape([int(n) for n in np.asarray(shape).reshape(-1)])


_RULES: dict[str, Rule] = {
    "Identity": lambda v, _: v[0],
    "Cast": lambda v, a: v[0].astype(np.int64) if a.get("to") in {6, 7} else v[0],
    "Squeeze": lambda v, a: np.squeeze(v[0], _axes(v, a)),
    "Unsqueeze": _unsqueeze,
    "Reshape": _reshape,
    "Gather": lambda v, a: np.take(v[0], v[1].astype(np.int64), axis=int(a.get("axis", 0))),
    "Slice": _slice,
    "Concat": lambda v, a: np.concatenate(v, int(a.get("axis", 0))),
    "Add": lambda v, _: v[0] + v[1],
    "Sub": lambda v, _: v[0] - v[1],
    "Mul": lambda v, _: v[0] * v[1],
    "Div": _div,
    "Pow": lambda v, _: np.power(v[0].astype(np.float64), v[1]),
    "Neg": lambda v, _: -v[0],
    "Ceil": lambda v, _: np.ceil(v[0]),
    "Floor": lambda v, _: np.floor(v[0]),
    "Max": lambda v, _: np.maximum.reduce(v),
    "Min": lambda v, _: np.minimum.reduce(v),
    "ReduceProd": _reduce(np.prod),
    "ReduceSum": _reduce(np.sum),
    "ReduceMax": _reduce(np.max),
    "ReduceMin": _reduce(np.min),
}
