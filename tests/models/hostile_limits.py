"""Hostile graphs that never end or take all memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import helper

from tests.models import graphs
from tests.models.graphs import save, tensor
from tests.models.hostile import IN, SHAPE, case, chained, node
from tests.models.hostile_graphs import CASES

__all__ = ["CASES"]


# --- what never ends, and what takes all memory


def loop(folder: Path, weights, inputs=("n", "go", "images"), nodes=()) -> Path:
    body = helper.make_graph(
        [node("Identity", ["c"], ["c_out"]), node("Add", ["x", "x"], ["x_out"])],
        "body",
        [tensor("i", (), 7), tensor("c", (), 9), tensor("x", SHAPE)],
        [tensor("c_out", (), 9), tensor("x_out", SHAPE)],
    )
    return chained(folder / "m.onnx", [*nodes, node("Loop", list(inputs), ["output0"], body=body)], weights)


@case("MODEL_LOOP_UNBOUND")
def a_loop_without_end(folder):
    return graphs.endless(folder / "m.onnx")


@case("MODEL_LOOP_UNBOUND")
def a_loop_of_a_million(folder):
    return loop(folder, {"n": np.int64(1_000_000), "go": np.bool_(True)})


@case("MODEL_LOOP_UNBOUND")
def a_loop_as_long_as_it_likes(folder):
    return loop(folder, {"go": np.bool_(True)}, ("", "go", "images"))


@case("MODEL_LOOP_UNBOUND")
def a_loop_that_the_picture_counts(folder):
    nodes = [node("ReduceMax", ["images"], ["m"], keepdims=0), node("Cast", ["m"], ["n"], to=7)]
    return loop(folder, {"go": np.bool_(True)}, nodes=nodes)


@case("MODEL_LOOP_UNBOUND")
def a_loop_whose_count_is_computed(folder):
    nodes = [node("Mul", ["k", "k"], ["kk"]), node("Mul", ["kk", "kk"], ["n"])]
    return loop(folder, {"k": np.int64(1000), "go": np.bool_(True)}, nodes=nodes)


@case("MODEL_LOOP_UNBOUND")
def loops_in_loops(folder):
    inner = helper.make_graph(
        [node("Identity", ["c2"], ["c2_out"]), node("Add", ["x2", "x2"], ["x2_out"])],
        "inner",
        [tensor("i2", (), 7), tensor("c2", (), 9), tensor("x2", SHAPE)],
        [tensor("c2_out", (), 9), tensor("x2_out", SHAPE)],
    )
    body = helper.make_graph(
        [node("Identity", ["c"], ["c_out"]), node("Loop", ["n", "go", "x"], ["x_out"], body=inner)],
        "body",
        [tensor("i", (), 7), tensor("c", (), 9), tensor("x", SHAPE)],
        [tensor("c_out", (), 9), tensor("x_out", SHAPE)],
    )
    weights = {"n": np.int64(1000), "go": np.bool_(True)}
    return chained(folder / "m.onnx", [node("Loop", ["n", "go", "images"], ["output0"], body=body)], weights)


@case("MODEL_TENSOR_TOO_LARGE")
def a_tensor_of_gigabytes(folder):
    return graphs.bomb(folder / "m.onnx")


@case("MODEL_TENSOR_TOO_LARGE")
def a_border_of_gigabytes(folder):
    nodes = [node("Pad", ["images", "pads"], ["p"]), node("ReduceSum", ["p"], ["s"], keepdims=0)]
    pads = np.array([0, 0, 0, 0, 0, 0, 200_000, 200_000], np.int64)
    return chained(folder / "m.onnx", [*nodes, node("Add", ["images", "s"], ["output0"])], {"pads": pads})


@case("MODEL_TENSOR_TOO_LARGE")
def a_picture_of_gigabytes(folder):
    nodes = [node("Resize", ["images", "", "scales"], ["p"]), node("ReduceSum", ["p"], ["s"], keepdims=0)]
    scales = np.array([1, 1, 20_000, 20_000], np.float32)
    return chained(folder / "m.onnx", [*nodes, node("Add", ["images", "s"], ["output0"])], {"scales": scales})


@case("MODEL_TENSOR_TOO_LARGE")
def tiles_without_end(folder):
    nodes = [node("Tile", ["images", "times"], ["p"]), node("ReduceSum", ["p"], ["s"], keepdims=0)]
    times = np.array([1, 1, 2**20, 2**20], np.int64)
    return chained(folder / "m.onnx", [*nodes, node("Add", ["images", "s"], ["output0"])], {"times": times})


@case("MODEL_TENSOR_TOO_LARGE")
def a_range_without_end(folder):
    nodes = [node("Range", ["zero", "many", "one"], ["p"]), node("ReduceSum", ["p"], ["s"], keepdims=0)]
    nodes += [node("Cast", ["s"], ["f"], to=1), node("Add", ["images", "f"], ["output0"])]
    return chained(folder / "m.onnx", nodes, {"zero": np.int64(0), "many": np.int64(2**40), "one": np.int64(1)})


@case("MODEL_LIMITS", "MODEL_RUN_FAILED", "MODEL_UNREADABLE")
def memory_that_only_running_shows(folder):
    nodes = [
        node("ReduceSum", ["images"], ["s"], keepdims=0),
        node("Mul", ["s", "zero"], ["z"]),
        node("Add", ["z", "many"], ["n"]),
        node("Cast", ["n"], ["k"], to=7),
        node("Unsqueeze", ["k", "first"], ["shape"]),
        node("ConstantOfShape", ["shape"], ["big"]),
        node("ReduceSum", ["big"], ["t"], keepdims=0),
        node("Add", ["images", "t"], ["output0"]),
    ]
    weights = {"zero": np.float32(0), "many": np.float32(2**33), "first": np.array([0], np.int64)}
    return chained(folder / "m.onnx", nodes, weights)


# --- what is no model of anything


@case("MODEL_NOT_FINITE")
def weights_that_are_no_numbers(folder):
    kernel = np.ones((3, 3, 1, 1), np.float32)
    kernel[1, 1] = np.nan
    return chained(folder / "m.onnx", [node("Conv", ["images", "k"], ["output0"])], {"k": kernel})


@case("MODEL_NOT_FINITE")
def weights_without_bounds(folder):
    kernel = np.ones((3, 3, 1, 1), np.float16).astype(np.float32)
    kernel[2, 0] = np.inf
    return chained(folder / "m.onnx", [node("Conv", ["images", "k"], ["output0"])], {"k": kernel})


@case("MODEL_DEAD")
def no_nodes_at_all(folder):
    return save(folder / "m.onnx", [], IN, [tensor("output0", (1, 4))], {"output0": np.ones((1, 4), np.float32)})


@case("MODEL_DEAD")
def weights_of_nothing(folder):
    nodes = [
        node("Conv", ["images", "k"], ["c"]),
        node("GlobalAveragePool", ["c"], ["g"]),
        node("Flatten", ["g"], ["f"]),
    ]
    nodes += [node("Softmax", ["f"], ["output0"])]
    weights = {"k": np.zeros((5, 3, 3, 3), np.float32)}
    return save(folder / "m.onnx", nodes, IN, [tensor("output0", (1, 5))], weights)
