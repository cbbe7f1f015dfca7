"""Cutting a graph: the same numbers, fewer bytes, and no other package."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

from edge.errors import ModelError
from edge.models.graph.cut import cut, inner_tensors
from edge.models.runner import OnnxRunner
from tests.models import graphs


def chain(path):
    """images -> Relu a -> Add b -> Mul c, with weights for each; d hangs beside."""
    nodes = [
        helper.make_node("Relu", ["images"], ["a"]),
        helper.make_node("Add", ["a", "w"], ["b"]),
        helper.make_node("Mul", ["b", "v"], ["c"]),
        helper.make_node("Sub", ["a", "v"], ["d"]),
    ]
    shape = (1, 3, 4, 4)
    weights = {"w": np.float32(2), "v": np.zeros((3, 4, 4), np.float32)}
    return graphs.save(path, nodes, [graphs.tensor("images", shape)], [graphs.tensor("c", shape)], weights, {"k": "v"})


def test_an_inner_tensor_becomes_the_output_and_the_rest_goes(tmp_path):
    whole = chain(tmp_path / "m.onnx").read_bytes()
    part = cut(whole, ["b"])
    graph = onnx.load_from_string(part).graph
    assert [n.output[0] for n in graph.node] == ["a", "b"] and [w.name for w in graph.initializer] == ["w"]
    assert [p.key for p in onnx.load_from_string(part).metadata_props] == ["k"]
    runner = OnnxRunner(part)
    picture = np.random.default_rng(0).normal(size=(1, 3, 4, 4)).astype(np.float32)
    assert runner.output_names == ("b",)
    np.testing.assert_array_equal(runner.run({"images": picture})[0], np.maximum(picture, 0) + 2)


def test_several_keep_their_order(tmp_path):
    whole = chain(tmp_path / "m.onnx").read_bytes()
    assert OnnxRunner(cut(whole, ["d", "a"])).output_names == ("d", "a")
    assert inner_tensors(whole, ("Add", "Sub")) == ["b", "d"]


def test_what_a_branch_reads_from_around_it_stays(tmp_path):
    branch = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "g", [], [graphs.tensor("y", (1, 3, 4, 4))])
    other = helper.make_graph([helper.make_node("Identity", ["x"], ["z"])], "g", [], [graphs.tensor("z", (1, 3, 4, 4))])
    nodes = [
        helper.make_node("Relu", ["images"], ["x"]),
        helper.make_node("If", ["yes"], ["r"], then_branch=branch, else_branch=other),
        helper.make_node("Abs", ["r"], ["s"]),
    ]
    shape = (1, 3, 4, 4)
    path = graphs.save(
        tmp_path / "m.onnx",
        nodes,
        [graphs.tensor("images", shape)],
        [graphs.tensor("s", shape)],
        {"yes": np.bool_(True)},
    )
    part = cut(path.read_bytes(), ["r"])
    assert [n.op_type for n in onnx.load_from_string(part).graph.node] == ["Relu", "If"]
    picture = np.ones(shape, np.float32)
    np.testing.assert_array_equal(OnnxRunner(part).run({"images": picture})[0], -picture)


def test_what_is_not_there_is_named(tmp_path):
    whole = chain(tmp_path / "m.onnx").read_bytes()
    with pytest.raises(ModelError, match="MODEL_TENSOR_UNKNOWN"):
        cut(whole, ["images"])
    for damaged in (whole[:100], b"\xff" * 40, whole[:-30] + b"\x0b" * 30):
        with pytest.raises(ModelError, match=r"MODEL_UNREADABLE|MODEL_TENSOR_UNKNOWN"):
            cut(damaged, ["b"])
