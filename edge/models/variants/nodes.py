"""Which nodes of a graph stay as they are when the rest becomes int8.

The head of a detector is the trap: where boxes (0 to 640) and scores (0 to 1) are put into one tensor, one scale serves
both, every score becomes 0, and the model loads, runs and never finds anything again. So whatever comes after the last
learnt layers stays in float32: all that decodes, puts together and suppresses. Small constant convolutions (the sum
over a distribution in YOLOv8's head, 16 numbers) are no learnt layers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

LEARNT = frozenset({"Conv", "ConvTranspose", "MatMul", "Gemm", "LSTM", "GRU", "RNN"})
FEW_WEIGHTS = 64
"""A layer of no more numbers is arithmetic that an exporter wrote as a layer; there is nothing to gain on it either."""


def names_in_order(graph: Any) -> list[str]:
    """Give every node of an ``onnx.GraphProto`` a name of its own, and tell them."""
    taken: set[str] = set()
    for i, node in enumerate(graph.node):
        if not node.name or node.name in taken:
            node.name = f"{node.op_type}_{i}"
            while node.name in taken:
                node.name += "_"
        taken.add(node.name)
    return [node.name for node in graph.node]


def learnt(graph: Any) -> list[str]:
    """Names of layers with weights worth the name."""
    sizes = {one.name: int(np.prod(one.dims, dtype=np.int64)) for one in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            value = next((a.t for a in node.attribute if a.name == "value"), None)
            if value is not None:
                sizes[node.output[0]] = int(np.prod(value.dims, dtype=np.int64))
    return [
        node.name
        for node in graph.node
        if node.op_type in LEARNT and max((sizes.get(i, 0) for i in node.input), default=0) > FEW_WEIGHTS
    ]


def left_alone(graph: Any, keep: str = "") -> list[str]:
    """Names of nodes that stay in float32: after which no learnt layer comes, and layers that are none. ``keep``:
    ``ends``, the learnt layers as well before which, or after which, there is no other; ``depthwise``, these and
    convolutions in groups.
    """
    layers = set(learnt(graph))
    makers = {output: i for i, node in enumerate(graph.node) for output in node.output}
    inputs = [[makers[name] for name in _read_by(node) if name in makers] for node in graph.node]
    is_layer = [node.name in layers for node in graph.node]
    has_before, has_after = [False] * len(graph.node), [False] * len(graph.node)
    for i, before in enumerate(inputs):  # topological order is part of the format
        has_before[i] = any(is_layer[j] or has_before[j] for j in before)
    for i in reversed(range(len(graph.node))):
        for j in inputs[i]:
            has_after[j] = has_after[j] or is_layer[i] or has_after[i]
    found = []
    for i, node in enumerate(graph.node):
        if is_layer[i]:
            alone = bool(keep) and not (has_before[i] and has_after[i])
            alone = alone or (keep == "depthwise" and any(a.name == "group" and a.i > 1 for a in node.attribute))
        else:
            alone = not has_after[i] or node.op_type in LEARNT
        if alone:
            found.append(node.name)
    return found


def _read_by(node: Any) -> list[str]:
    """Names a node reads, in the graphs inside it, too."""
    names = list(node.input)
    for attribute in node.attribute:
        for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
            for inner in graph.node:
                names += _read_by(inner)
    return names
