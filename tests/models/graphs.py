"""Tiny ONNX models, good and bad, made on the spot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = [helper.make_opsetid("", 17)]


def save(path: Path, nodes, inputs, outputs, weights=(), metadata=None) -> Path:
    graph = helper.make_graph(
        nodes, "g", inputs, outputs, [numpy_helper.from_array(np.asarray(v), n) for n, v in dict(weights).items()]
    )
    model = helper.make_model(graph, opset_imports=OPSET, ir_version=9)
    for key, value in (metadata or {}).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    path.write_bytes(model.SerializeToString())
    return path


def tensor(name: str, shape: Sequence[int | str], kind: int = TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def constant(path: Path, output: np.ndarray, shape=(1, 3, 64, 64), metadata=None, kind=TensorProto.FLOAT) -> Path:
    """Answers every picture with ``output``, plus a millionth of the picture's mean: just enough to be alive."""
    nodes = [
        helper.make_node("Cast", ["images"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["f"], ["m"], keepdims=0),
        helper.make_node("Mul", ["m", "little"], ["z"]),
        helper.make_node("Add", ["z", "w"], ["output0"]),
    ]
    weights = {"little": np.float32(1e-6), "w": output.astype(np.float32)}
    return save(path, nodes, [tensor("images", shape, kind)], [tensor("output0", output.shape)], weights, metadata)


def darkness(path: Path, shape=(1, 1, 64, 64), step: int = 4) -> Path:
    """A segmentation of one class: 1 - picture, averaged over ``step`` x ``step`` pixels. Already probabilities."""
    nodes = [
        helper.make_node("AveragePool", ["images"], ["p"], kernel_shape=[step, step], strides=[step, step]),
        helper.make_node("Sub", ["one", "p"], ["output0"]),
    ]
    out = (1, 1, shape[2] // step, shape[3] // step)
    return save(path, nodes, [tensor("images", shape)], [tensor("output0", out)], {"one": np.float32(1)})


def brightest_channel(path: Path, shape=(1, 3, 8, 8)) -> Path:
    """Classifies by colour: the mean of each channel, as logits."""
    nodes = [helper.make_node("ReduceMean", ["images"], ["output0"], axes=[2, 3], keepdims=0)]
    return save(path, nodes, [tensor("images", shape)], [tensor("output0", (1, 3))])


def endless(path: Path) -> Path:
    """A loop of 2**62 turns."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["c"], ["c_out"]),
            helper.make_node("Add", ["x", "x"], ["x_out"]),
        ],
        "body",
        [tensor("i", (), TensorProto.INT64), tensor("c", (), TensorProto.BOOL), tensor("x", (1, 3, 8, 8))],
        [tensor("c_out", (), TensorProto.BOOL), tensor("x_out", (1, 3, 8, 8))],
    )
    nodes = [helper.make_node("Loop", ["n", "go", "images"], ["output0"], body=body)]
    weights = {"n": np.int64(2**62), "go": np.bool_(True)}
    return save(path, nodes, [tensor("images", (1, 3, 8, 8))], [tensor("output0", (1, 3, 8, 8))], weights)


def bomb(path: Path, n: int = 2**33) -> Path:
    """A few bytes that ask for ``4 * n`` bytes of memory."""
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["big"]),
        helper.make_node("ReduceSum", ["big"], ["s"], keepdims=0),
        helper.make_node("Add", ["images", "s"], ["output0"]),
    ]
    shape = (1, 3, 8, 8)
    return save(path, nodes, [tensor("images", shape)], [tensor("output0", shape)], {"shape": np.array([n], np.int64)})


def with_external_data(path: Path) -> Path:
    """Weights in a file beside the model."""
    constant(path, np.zeros((1, 4), np.float32))
    model = onnx.load(path)
    weight = next(i for i in model.graph.initializer if i.name == "w")
    weight.data_location = TensorProto.EXTERNAL
    weight.ClearField("raw_data")
    for key, value in {"location": "secret.bin", "offset": "0", "length": "16"}.items():
        entry = weight.external_data.add()
        entry.key, entry.value = key, value
    path.write_bytes(model.SerializeToString())
    (path.parent / "secret.bin").write_bytes(bytes(16))
    return path
