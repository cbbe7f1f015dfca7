"""What a model's graph may be, decided from its structure before the runtime sees a byte of it.

The runtime loads graphs that never end, that unfold to a hundred thousand nodes from a kilobyte, or that ask for all
the memory there is; a child process under limits survives them, but only after seconds of a core. So what can be told
without running is told here: which operators there are, how many nodes with local functions counted as often as they
are called (without unfolding them), how deep branches go, how often loops turn, how large constants make a tensor.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from edge.errors import ModelError
from edge.models.graph import bombs, loops
from edge.models.graph.limits import GraphPolicy
from edge.models.graph.nodes import Function, Graph, ModelFile, Node, Tensor
from edge.models.graph.operators import allowed, spelled
from edge.models.graph.scope import Scope

MAX_CALLS = 32
"""Local functions that call each other, one inside the other."""


class Cost(Struct, frozen=True):
    """Of a list of nodes, all that is inside them counted: ``trips`` is of the loops in the deepest nest."""

    nodes: int = 0
    if_depth: int = 0
    trips: int = 1


def check(model: ModelFile, policy: GraphPolicy) -> Cost:
    """Hold a model against the policy.

    Raises ModelError: MODEL_OPERATOR_REFUSED, MODEL_TOO_COMPLEX, MODEL_LOOP_UNBOUND, MODEL_TENSOR_TOO_LARGE,
    MODEL_EXTERNAL_REFUSED (external data where the runtime takes it only from files).
    """
    return _Check(model, policy).run()


def graphs_of(node: Node) -> Iterator[tuple[str, Graph]]:
    """The graphs inside a node, by attribute name."""
    for name, value in node.attributes.items():
        for one in value if isinstance(value, list) else (value,):
            if isinstance(one, Graph):
                yield name, one


def tensors_of(node: Node) -> Iterator[Tensor]:
    """The constants that a node has as attributes."""
    for value in node.attributes.values():
        for one in value if isinstance(value, list) else (value,):
            if isinstance(one, Tensor):
                yield one


class _Check:
    def __init__(self, model: ModelFile, policy: GraphPolicy) -> None:
        self._model = model
        self._policy = policy
        self._more = frozenset(policy.operators)
        self._functions: dict[tuple[str, str], list[Function]] = {}
        for function in model.functions:
            domain = "" if function.domain == "ai.onnx" else function.domain
            self._functions.setdefault((domain, function.name), []).append(function)
        self._costs: dict[tuple[str, str], Cost] = {}
        self._calling: list[tuple[str, str]] = []

    def run(self) -> Cost:
        cost = self._graph(self._model.graph, None, {}, top=True)
        for key in self._functions:  # what nobody calls is looked at too: the runtime does
            self._call(key)
        return self._within(cost)

    def _graph(
        self, graph: Graph, outer: Scope | None, bound: dict[str, tuple[Scope, str]], *, top: bool = False
    ) -> Cost:
        for tensor in graph.constants.values():
            if tensor.external and not top:
                raise _refused("MODEL_EXTERNAL_REFUSED", f"an inner graph keeps {tensor.name!r} in another file")
            bombs.check_constant(tensor, self._policy.max_elements)
        return self._nodes(graph.nodes, Scope(graph, outer, bound))

    def _nodes(self, nodes: Sequence[Node], scope: Scope) -> Cost:
        count, depth, trips = 0, 0, 1
        for node in nodes:
            cost = self._node(node, scope)
            count, depth, trips = count + cost.nodes, max(depth, cost.if_depth), max(trips, cost.trips)
            self._within(Cost(count, depth, trips))
        return Cost(count, depth, trips)

    def _node(self, node: Node, scope: Scope) -> Cost:
        domain = "" if node.domain == "ai.onnx" else node.domain
        for tensor in tensors_of(node):
            if tensor.external:
                raise _refused("MODEL_EXTERNAL_REFUSED", f"a constant of {node.op} is kept in another file")
            bombs.check_constant(tensor, self._policy.max_elements)
        inner = Cost()
        if (domain, node.op) in self._functions:
            inner = self._call((domain, node.op))
        elif not allowed(domain, node.op, self._more):
            raise _refused(
                "MODEL_OPERATOR_REFUSED",
                f"operator {spelled(domain, node.op)[:80]!r} is not on the list of what is allowed",
                "export without it, or allow it with [guard] operators (check: --allow)",
            )
        bombs.check_node(node, scope, self._policy.max_elements)
        return self._add(inner, self._bodies(node, scope), is_if=node.op == "If")

    def _bodies(self, node: Node, scope: Scope) -> Cost:
        """What the graphs inside a node cost, and how often they turn."""
        found = [(name, graph) for name, graph in graphs_of(node)]
        if not found:
            return Cost()
        trips, bound = 1, {}
        if node.op in {"Loop", "Scan"} and self._policy.max_trips:
            body = found[0][1]
            bound = loops.bindings(node, body, scope)
            trips = loops.trips(node, body, scope, bound)
            if trips > self._policy.max_trips:
                raise loops.unbound(f"{node.op} {node.name[:60]!r} turns {trips} times", self._policy.max_trips)
        costs = [self._graph(graph, scope, bound) for _, graph in found]
        return Cost(
            sum(cost.nodes for cost in costs),
            max(cost.if_depth for cost in costs),
            trips * max(cost.trips for cost in costs),
        )

    def _add(self, call: Cost, bodies: Cost, *, is_if: bool) -> Cost:
        return self._within(
            Cost(
                1 + call.nodes + bodies.nodes,
                max(call.if_depth, bodies.if_depth) + is_if,
                max(call.trips, bodies.trips),
            )
        )

    def _call(self, key: tuple[str, str]) -> Cost:
        """What a call of a local function costs: each is looked at once, however often it is called."""
        if key in self._costs:
            return self._costs[key]
        if key in self._calling or len(self._calling) >= MAX_CALLS:
            raise _refused(
                "MODEL_TOO_COMPLEX", f"local functions call each other in a circle or deeper than {MAX_CALLS}"
            )
        self._calling.append(key)
        costs = [self._nodes(f.nodes, Scope(Graph(nodes=f.nodes))) for f in self._functions[key]]
        self._calling.pop()
        # Overloads of one name: the dearest.
        cost = Cost(max(c.nodes for c in costs), max(c.if_depth for c in costs), max(c.trips for c in costs))
        self._costs[key] = cost
        return cost

    def _within(self, cost: Cost) -> Cost:
        limits = self._policy
        if cost.nodes > limits.max_nodes:
            raise _refused(
                "MODEL_TOO_COMPLEX", f"it has more than {limits.max_nodes} nodes, local functions counted as called"
            )
        if cost.if_depth > limits.max_if_depth:
            raise _refused("MODEL_TOO_COMPLEX", f"If is nested deeper than {limits.max_if_depth}")
        if cost.trips > limits.max_trips > 0:
            raise loops.unbound(f"loops inside each other turn {cost.trips} times", limits.max_trips)
        return cost


def _refused(code: str, why: str, hint: str = "no usual export is like this; check where it is from") -> ModelError:
    return ModelError(code, "the model's graph is refused", why, hint)
