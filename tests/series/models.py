"""Tiny series models, made on the spot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.models.graphs import save, tensor

ML = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]


def classifier(path: Path, form: str = "maps", width: int = 2, *, texts: bool = True) -> Path:
    """A logistic ``bad``/``good`` of the sum of a row, as skl2onnx writes it: ``form`` maps, tensor or columns."""
    labels = {"classlabels_strings": ["bad", "good"]} if texts else {"classlabels_ints": [0, 1]}
    nodes = [
        helper.make_node(
            "LinearClassifier", ["X"], ["label", "p"], domain="ai.onnx.ml", coefficients=[-1.0] * width + [1.0] * width,
            intercepts=[0.0, 0.0], post_transform="SOFTMAX", **labels,
        )
    ]  # fmt: skip
    outputs = [tensor("label", (None,), TensorProto.STRING if texts else TensorProto.INT64)]
    if form == "maps":
        keys = {"classlabels_strings": ["bad", "good"]} if texts else {"classlabels_int64s": [0, 1]}
        nodes.append(helper.make_node("ZipMap", ["p"], ["probabilities"], domain="ai.onnx.ml", **keys))
        kind = TensorProto.STRING if texts else TensorProto.INT64
        mapped = helper.make_map_type_proto(kind, helper.make_tensor_type_proto(TensorProto.FLOAT, ()))
        outputs.append(helper.make_value_info("probabilities", helper.make_sequence_type_proto(mapped)))
    elif form == "columns":
        nodes.append(helper.make_node("Split", ["p"], ["sbad", "sgood"], axis=1))
        outputs += [tensor("sbad", (None, 1)), tensor("sgood", (None, 1))]
    else:
        outputs.append(tensor("p", (None, 2)))
    graph = helper.make_graph(nodes, "g", [tensor("X", (None, width))], outputs)
    path.write_bytes(helper.make_model(graph, opset_imports=ML, ir_version=9).SerializeToString())
    return path


def frame(path: Path) -> Path:
    """Three inputs of one column: a text that is encoded as L 1 0, M 0 1, and two numbers; the answer is M plus these.
    Like scikit-learn's, the encoder refuses what it does not know.
    """
    nodes = [
        helper.make_node("OneHotEncoder", ["Type"], ["hot"], domain="ai.onnx.ml", cats_strings=["L", "M"], zeros=0),
        helper.make_node("Split", ["hot"], ["l3", "t3"], axis=-1),
        helper.make_node("Squeeze", ["t3", "axis"], ["t"]),
        helper.make_node("Sum", ["t", "Torque__Nm_", "wear"], ["variable"]),
    ]
    inputs = [
        tensor("Type", (None, 1), TensorProto.STRING),
        tensor("Torque__Nm_", (None, 1)),
        tensor("wear", (None, 1)),
    ]
    graph = helper.make_graph(nodes, "g", inputs, [tensor("variable", (None, 1))])
    graph.initializer.append(numpy_helper.from_array(np.array([1], np.int64), "axis"))
    path.write_bytes(helper.make_model(graph, opset_imports=ML, ir_version=9).SerializeToString())
    return path


def means(path: Path, shape=(1, "T", 2), axis: int = 1) -> Path:
    """The mean of each channel: ``(1, C)``."""
    nodes = [helper.make_node("ReduceMean", ["x"], ["y"], axes=[axis], keepdims=0)]
    channels = shape[3 - axis]
    return save(path, nodes, [tensor("x", shape)], [tensor("y", (1, channels))])


def flat(path: Path, n: int) -> Path:
    """A flat window times 1, 10, 100, …, summed: tells which sample went where."""
    weights = {"w": (10.0 ** np.arange(n)).astype(np.float32).reshape(n, 1)}
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    return save(path, nodes, [tensor("x", (None, n))], [tensor("y", (None, 1))], weights)


def smooth(path: Path, t: int = 8, c: int = 2) -> Path:
    """A poor autoencoder: gives each channel's mean as its reconstruction, ``(1, c, t)``."""
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[2], keepdims=1),
        helper.make_node("Expand", ["m", "shape"], ["y"]),
    ]
    return save(
        path, nodes, [tensor("x", (1, c, t))], [tensor("y", (1, c, t))], {"shape": np.array([1, c, t], np.int64)}
    )


def running_mean(path: Path) -> Path:
    """A number a step: ``(1, T, 1)``, the sample itself."""
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    return save(path, nodes, [tensor("x", (1, "T", 1))], [tensor("y", (1, "T", 1))])


def weights_of(path: Path) -> dict[str, np.ndarray]:
    return {one.name: numpy_helper.to_array(one) for one in onnx.load(path).graph.initializer}
