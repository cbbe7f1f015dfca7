"""How often a Loop or Scan turns, as far as constants and shapes tell.

``Loop`` (operator specification of ONNX): inputs are the trip count M, the condition and the values carried round; the
body gets turn number, condition and values, and gives condition, values and what is collected. M is often left open
and the condition counts instead (as tf2onnx writes TensorFlow's while): ``i < N and …`` with ``i`` going up by a
constant is understood as well.
"""

from __future__ import annotations

import math

from edge.errors import ModelError
from edge.models.graph.nodes import Graph, Node
from edge.models.graph.scope import Scope

Bound = dict[str, tuple[Scope, str]]
_FOREVER = 2**31
"""A trip count like this says 'until the condition ends it'."""
_MAX_STEPS = 32


def bindings(node: Node, body: Graph, scope: Scope) -> Bound:
    """Names of the body that are the same in every turn, with where they come from."""
    if node.op != "Loop":
        return {}
    inner = Scope(body)
    found: Bound = {}
    for value, outside, result in zip(body.inputs[2:], node.inputs[2:], body.outputs[1:], strict=False):
        if _source(inner, result.name) == value.name and outside:
            found[value.name] = (scope, outside)
    return found


def trips(node: Node, body: Graph, scope: Scope, bound: Bound) -> int:
    """An upper bound. Raises ModelError MODEL_LOOP_UNBOUND where there is none."""
    if node.op == "Scan":
        return _scan(node, scope)
    known: list[int] = []
    count = scope.number(node.inputs[0]) if node.inputs else None
    if count is not None and count[0] < _FOREVER:
        known.append(max(0, count[0]))
    inner = Scope(body, scope, bound)
    if body.outputs:
        turns = _of_condition(body.outputs[0].name, node, body, inner)
        known += [] if turns is None else [turns]
    if known:
        return min(known)
    if count is not None:
        return count[0]
    raise unbound(f"how often Loop {node.name[:60]!r} turns depends on what it computes", None)


def unbound(why: str, limit: int | None) -> ModelError:
    """The refusal of a loop."""
    more = f", at most {limit} are allowed" if limit is not None else ""
    return ModelError(
        "MODEL_LOOP_UNBOUND",
        "the model's graph is refused",
        why + more,
        "export with a fixed number of turns; [guard] max_trips raises the limit, 0 lifts it",
    )


def _scan(node: Node, scope: Scope) -> int:
    """A Scan turns once for each row of its inputs: where their shape is not said, they are in memory all the same."""
    n = node.attributes.get("num_scan_inputs")
    if not isinstance(n, int) or n < 1:
        raise unbound(f"Scan {node.name[:60]!r} says not what it runs over", None)
    axes = node.attributes.get("scan_input_axes") or [0] * n
    turns = 0
    for name, axis in zip(node.inputs[-n:], axes, strict=False):
        dims = scope.dims(name)
        if dims is not None and -len(dims[0]) <= axis < len(dims[0]):
            turns = max(turns, dims[0][axis])
    return turns


def _source(scope: Scope, name: str) -> str:
    """Where a name comes from through Identity and Cast."""
    for _ in range(_MAX_STEPS):
        node = scope.producers.get(name)
        if node is None or node.op not in {"Identity", "Cast"} or not node.inputs:
            break
        name = node.inputs[0]
    return name


def _of_condition(name: str, loop: Node, body: Graph, inner: Scope) -> int | None:
    """Turns until ``name`` must be false."""
    names, best = [name], None
    for _ in range(_MAX_STEPS):
        if not names:
            break
        node = inner.producers.get(_source(inner, names.pop()))
        if node is None or len(node.inputs) < 2:  # noqa: PLR2004  (comparisons have two)
            continue
        if node.op == "And":
            names += node.inputs[:2]
            continue
        if node.op in {"Less", "LessOrEqual"}:
            counter, limit = node.inputs[:2]
        elif node.op in {"Greater", "GreaterOrEqual"}:
            limit, counter = node.inputs[:2]
        else:
            continue
        start, until = _counter(counter, loop, body, inner), inner.number(limit)
        if start is not None and until is not None:
            turns = max(0, math.ceil((until[0] - start[0]) / start[1])) + 2
            best = turns if best is None else min(best, turns)
    return best


def _counter(name: str, loop: Node, body: Graph, inner: Scope) -> tuple[int, int] | None:
    """Start and step of what counts up: the turn number, or a carried value to which a constant is added."""
    name = _source(inner, name)
    offset = 0
    node = inner.producers.get(name)
    if node is not None and node.op == "Add" and (step := _step(node, inner)) is not None:
        name, offset = step
    if body.inputs and name == body.inputs[0].name:
        return offset, 1
    for value, outside, result in zip(body.inputs[2:], loop.inputs[2:], body.outputs[1:], strict=False):
        if value.name != name:
            continue
        update = inner.producers.get(_source(inner, result.name))
        begin = inner.outer.number(outside) if inner.outer else None
        if update is None or update.op != "Add" or begin is None:
            return None
        step = _step(update, inner)
        if step is not None and step[0] == name and step[1] >= 1:
            return begin[0] + offset, step[1]
    return None


def _step(node: Node, inner: Scope) -> tuple[str, int] | None:
    """Of ``x + constant`` the name and the constant."""
    if len(node.inputs) != 2:  # noqa: PLR2004  (Add has two)
        return None
    for name, other in (node.inputs, node.inputs[::-1]):
        known = inner.number(other)
        if known is not None and known[1]:
            return _source(inner, name), known[0]
    return None
