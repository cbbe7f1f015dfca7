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


def perceptron(path: Path, columns: int = 12, hidden: int = 64, outputs: int = 2) -> Path:
    """Two ``Gemm`` layers with a ``Relu`` between them, as PyTorch exports ``nn.Linear``: numbers of a row ``(1, n)``."""
    rng = np.random.default_rng(3)
    weights = {
        "w1": (rng.normal(size=(hidden, columns)) / np.sqrt(columns)).astype(np.float32),
        "b1": rng.normal(size=hidden).astype(np.float32) / 4,
        "w2": (rng.normal(size=(outputs, hidden)) / np.sqrt(hidden)).astype(np.float32),
        "b2": np.zeros(outputs, np.float32),
    }
    nodes = [
        helper.make_node("Gemm", ["x", "w1", "b1"], ["h"], transB=1),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Gemm", ["r", "w2", "b2"], ["y"], transB=1),
    ]
    return save(path, nodes, [tensor("x", (None, columns))], [tensor("y", (None, outputs))], weights)


def pipeline(path: Path, columns: int = 4, hidden: int = 32) -> Path:
    """A scaler and a network as skl2onnx writes ``make_pipeline(StandardScaler(), MLPRegressor())``: what comes out of the
    ONNX-ML operator has no type in the file.
    """
    rng = np.random.default_rng(4)
    nodes = [
        helper.make_node("Scaler", ["X"], ["s"], domain="ai.onnx.ml", offset=[1.0] * columns, scale=[0.5] * columns),
        helper.make_node("MatMul", ["s", "coefficient"], ["m"]),
        helper.make_node("Relu", ["m"], ["r"]),
        helper.make_node("MatMul", ["r", "coefficient1"], ["variable"]),
    ]
    weights = {"coefficient": rng.normal(size=(columns, hidden)), "coefficient1": rng.normal(size=(hidden, 4))}
    graph = helper.make_graph(
        nodes, "g", [tensor("X", (None, columns))], [tensor("variable", (None, 4))],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )  # fmt: skip
    path.write_bytes(helper.make_model(graph, opset_imports=ML, ir_version=9).SerializeToString())
    return path


def recurrent(path: Path, kind: str = "LSTM", channels: int = 2, hidden: int = 16, classes: int = 2) -> Path:
    """One recurrent layer over ``(1, T, c)``, T free, and logits ``(1, C)`` of its last state."""
    rng, gates = np.random.default_rng(5), {"LSTM": 4, "GRU": 3, "RNN": 1}[kind]
    weights = {
        "w": rng.normal(size=(1, gates * hidden, channels)).astype(np.float32),
        "r": (rng.normal(size=(1, gates * hidden, hidden)) / np.sqrt(hidden)).astype(np.float32),
        "out": rng.normal(size=(hidden, classes)).astype(np.float32),
        "first": np.array([0], np.int64),
    }
    nodes = [
        helper.make_node("Transpose", ["x"], ["xt"], perm=[1, 0, 2]),
        helper.make_node(kind, ["xt", "w", "r"], ["", "state"], hidden_size=hidden),
        helper.make_node("Squeeze", ["state", "first"], ["last"]),
        helper.make_node("MatMul", ["last", "out"], ["logits"]),
    ]
    return save(path, nodes, [tensor("x", (1, "T", channels))], [tensor("logits", (1, classes))], weights)


def stump(path: Path) -> Path:
    """A tree of one question, as skl2onnx writes forests: column 0 above 0.5 is ``good``."""
    nodes = [
        helper.make_node(
            "TreeEnsembleClassifier", ["X"], ["label", "p"], domain="ai.onnx.ml", post_transform="NONE",
            classlabels_strings=["bad", "good"], nodes_treeids=[0, 0, 0], nodes_nodeids=[0, 1, 2],
            nodes_featureids=[0, 0, 0], nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"], nodes_values=[0.5, 0.0, 0.0],
            nodes_truenodeids=[1, 0, 0], nodes_falsenodeids=[2, 0, 0], nodes_missing_value_tracks_true=[0, 0, 0],
            class_treeids=[0, 0], class_nodeids=[1, 2], class_ids=[0, 1], class_weights=[1.0, 1.0],
        )
    ]  # fmt: skip
    outputs = [tensor("label", (None,), TensorProto.STRING), tensor("p", (None, 2))]
    graph = helper.make_graph(nodes, "g", [tensor("X", (None, 2))], outputs)
    path.write_bytes(helper.make_model(graph, opset_imports=ML, ir_version=9).SerializeToString())
    return path
