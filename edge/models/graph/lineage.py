"""Where the numbers of an output come from: the raw tensors behind what rounds, clips, picks or suppresses.

For liveness. A detector that finds nothing in noise gives zeros, and so do a clipped anomaly score, an argmax and a
quantised probability; none of that says that the model is dead. So one looks behind such operations, at what the last
operation that computes gave: the logits.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from edge.models.graph.nodes import Graph, ModelFile, Node
from edge.models.graph.scope import Scope

MAX_RAWS = 16
"""Of one output; a model has a handful."""
_MAX_STEPS = 40_000
"""Of all outputs together; usual models need some hundreds."""

_SCORES = frozenset({"Sigmoid", "Softmax", "LogSoftmax", "HardSigmoid", "Hardmax", "ArgMax", "TopK", "QLinearSigmoid"})
"""What only scores go through."""
_FIRST = _SCORES | {
    "Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Slice", "Split", "Gather",
    "GatherElements", "GatherND", "Expand", "Tile", "Pad", "Resize", "Upsample", "DepthToSpace", "SpaceToDepth",
    "Dropout", "ReduceMax", "ReduceMin", "ArgMin", "Clip", "Relu", "Round", "Floor", "Ceil", "Sign", "QuantizeLinear",
    "DequantizeLinear", "NonZero", "Compress", "OneHot", "Mod", "Not", "Abs", "MaxPool", "Trilu",
    "ThresholdedRelu", "QLinearSoftmax",
}  # fmt: skip
_ALL = frozenset({"Concat", "Max", "Min", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal", "And", "Or"})
_OPAQUE = frozenset({"If", "Loop", "Scan", "SequenceAt", "ConcatFromSequence", "OptionalGetElement", "RoiAlign"})
_NO_DATA = frozenset({"Shape", "Size"})
"""What follows from a shape does not follow from the picture."""


@dataclass(slots=True)
class Lineage:
    """Of one output. ``raws``: tensors that depend on the input. ``opaque``: some of it could not be followed.
    ``scores``: it went through what only scores go through. ``step``: of the last quantisation, 0 for none.
    """

    output: str
    raws: list[str] = field(default_factory=list)
    opaque: bool = False
    scores: bool = False
    step: float = 0.0


def lineages(model: ModelFile) -> list[Lineage]:
    """One for each output of the model, in its order."""
    scope = Scope(model.graph)
    moving = _moving(model.graph)
    functions = {(f.domain, f.name) for f in model.functions}
    found, left = [], _MAX_STEPS
    for value in model.graph.outputs:
        lineage, left = _trace(value.name, scope, moving, functions, left)
        found.append(lineage)
    return found


def _moving(graph: Graph) -> set[str]:
    """Names of tensors that follow from an input's numbers."""
    found = {value.name for value in graph.inputs} - set(graph.constants)
    for node in graph.nodes:  # topological, by the specification
        if node.op not in _NO_DATA and not found.isdisjoint(_uses(node, 0)):
            found.update(name for name in node.outputs if name)
    return found


def _uses(node: Node, depth: int) -> set[str]:
    """Names that a node reads, those of graphs inside it included."""
    names = {name for name in node.inputs if name}
    for value in node.attributes.values():
        for one in value if isinstance(value, list) else (value,):
            if isinstance(one, Graph) and depth < 16:  # noqa: PLR2004  (the reader's limit)
                for inner in one.nodes:
                    names |= _uses(inner, depth + 1)
                names.update(output.name for output in one.outputs)
    return names


def _trace(
    output: str, scope: Scope, moving: set[str], functions: set[tuple[str, str]], left: int
) -> tuple[Lineage, int]:
    """The lineage, and how many steps are left."""
    found = Lineage(output)
    names, seen = [output], set[str]()
    while names and left > 0:
        left -= 1
        name = names.pop()
        if name in seen or name not in moving:
            continue
        seen.add(name)
        node = scope.producers.get(name)
        if node is None:
            continue  # the input itself
        if (node.domain, node.op) in functions or node.op in _OPAQUE:
            found.opaque = True
            continue
        behind = _behind(node)
        if behind is None:
            found.raws.append(name)
            found.opaque = found.opaque or len(found.raws) > MAX_RAWS
            continue
        found.scores = found.scores or node.op in _SCORES or node.op == "NonMaxSuppression"
        if node.op == "DequantizeLinear" and not found.step and len(node.inputs) > 1:
            found.step = _step(scope, node.inputs[1])
        names += behind
    found.opaque = found.opaque or bool(names)
    return found, left


def _behind(node: Node) -> list[str] | None:
    """Where the numbers of a node come from that computes none itself; None for one that does."""
    if node.op in _FIRST:
        return node.inputs[:1]
    if node.op in _ALL:
        return list(node.inputs)
    match node.op:
        case "Where":
            return node.inputs[1:3]
        case "NonMaxSuppression":
            return node.inputs[1:2]
        case "QLinearConcat":
            return node.inputs[2::3]
        case "ScatterND" | "ScatterElements" | "Scatter":
            return [node.inputs[0], *node.inputs[2:3]]
    return None


def _step(scope: Scope, name: str) -> float:
    known = scope.value(name)
    if known is None or known.array is None or known.array.size != 1:
        return 0.0
    return float(known.array.reshape(-1)[0])
