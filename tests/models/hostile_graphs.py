"""Hostile graphs: too deep, too many, unknown, endless, or greedy. The files themselves are in :mod:`tests.models.hostile`."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import onnx
from onnx import TensorProto, helper

from tests.models import graphs
from tests.models.graphs import tensor
from tests.models.hostile import CASES, IN, OUT, SHAPE, case, chained, edited, node

__all__ = ["CASES"]


# --- structure


@case("MODEL_TOO_COMPLEX")
def sixteen_doubling_functions(folder):
    functions = []
    for n in range(16):
        op, domain = (f"f{n - 1}", "d") if n else ("Identity", "")
        body = [helper.make_node(op, ["x"], ["t"], domain=domain), helper.make_node(op, ["t"], ["y"], domain=domain)]
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("d", 1)]
        functions.append(helper.make_function("d", f"f{n}", ["x"], ["y"], body, opsets))
    graph = helper.make_graph([helper.make_node("f15", ["images"], ["output0"], domain="d")], "g", IN, OUT)
    model = helper.make_model(graph, functions=functions, opset_imports=opsets, ir_version=9)
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    return folder / "m.onnx"


@case("MODEL_TOO_COMPLEX")
def functions_that_call_each_other(folder):
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("d", 1)]
    functions = [
        helper.make_function(
            "d", f"f{n}", ["x"], ["y"], [helper.make_node(f"f{1 - n}", ["x"], ["y"], domain="d")], opsets
        )
        for n in range(2)
    ]
    graph = helper.make_graph([helper.make_node("f0", ["images"], ["output0"], domain="d")], "g", IN, OUT)
    model = helper.make_model(graph, functions=functions, opset_imports=opsets, ir_version=9)
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    return folder / "m.onnx"


@case("MODEL_TOO_COMPLEX")
def a_chain_of_a_hundred_thousand(folder):
    names = ["images", *(f"t{n}" for n in range(99_999)), "output0"]
    return chained(folder / "m.onnx", [node("Relu", [a], [b]) for a, b in pairwise(names)])


@case("MODEL_TOO_COMPLEX")
def a_name_of_ten_megabytes(folder):
    return chained(folder / "m.onnx", [node("Relu", ["images"], ["output0"], name="n" * 10_000_000)])


def ifs(depth: int):
    made = node("Relu", ["images"], ["y0"])
    for n in range(depth):
        out = tensor(f"y{n}", SHAPE)
        branches = [helper.make_graph([made], "b", [], [out]) for _ in range(2)]
        made = node("If", ["flag"], [f"y{n + 1}"], then_branch=branches[0], else_branch=branches[1])
    made.output[0] = "output0"
    return made


@case("MODEL_TOO_COMPLEX")
def ifs_ten_deep(folder):
    return chained(folder / "m.onnx", [ifs(10)], {"flag": np.bool_(True)})


@case("MODEL_TOO_COMPLEX")
def ifs_five_deep(folder):
    return chained(folder / "m.onnx", [ifs(5)], {"flag": np.bool_(True)})


@case("MODEL_TOO_COMPLEX")
def two_bytes_a_part(folder):
    one = b"\x0a\x00" * 4_000_000  # nodes without a name: as many of ours for two bytes each
    size = b""
    rest = len(one)
    while rest > 127:
        size, rest = size + bytes([rest & 127 | 128]), rest >> 7
    (folder / "m.onnx").write_bytes(b"\x08\x09\x42\x02\x10\x11\x3a" + size + bytes([rest]) + one)
    return folder / "m.onnx"


@case("MODEL_UNREADABLE")
def two_graphs_in_one(folder):
    data = graphs.brightest_channel(folder / "m.onnx").read_bytes()
    (folder / "m.onnx").write_bytes(data + graphs.endless(folder / "other.onnx").read_bytes())
    return folder / "m.onnx"


@case("MODEL_OPERATOR_REFUSED")
def an_unknown_operator(folder):
    return chained(folder / "m.onnx", [node("Frobnicate", ["images"], ["output0"])])


@case("MODEL_OPERATOR_REFUSED")
def an_unknown_domain(folder):
    return chained(folder / "m.onnx", [node("Relu", ["images"], ["output0"], domain="evil.example")])


@case("MODEL_OPERATOR_REFUSED")
def an_engine_in_a_file(folder):
    context = node("EPContext", ["images"], ["output0"], domain="com.microsoft", ep_cache_context="x.bin", embed_mode=0)
    return chained(folder / "m.onnx", [context])


@case("MODEL_OPERATOR_REFUSED")
def an_unknown_operator_in_a_branch(folder):
    branches = [
        helper.make_graph([node(op, ["images"], ["y"])], "b", [], [tensor("y", SHAPE)]) for op in ("Relu", "Evil")
    ]
    made = node("If", ["flag"], ["output0"], then_branch=branches[0], else_branch=branches[1])
    return chained(folder / "m.onnx", [made], {"flag": np.bool_(True)})


@case("MODEL_TOO_NEW")
def an_operator_set_of_the_future(folder):
    return edited(folder / "m.onnx", lambda model: setattr(model.opset_import[0], "version", 999))


@case("MODEL_TOO_NEW")
def a_format_of_the_future(folder):
    return edited(folder / "m.onnx", lambda model: setattr(model, "ir_version", 999))


@case("MODEL_UNREADABLE")
def a_circle(folder):
    nodes = [node("Add", ["images", "b"], ["a"]), node("Relu", ["a"], ["b"]), node("Relu", ["b"], ["output0"])]
    return chained(folder / "m.onnx", nodes)


@case("MODEL_UNREADABLE")
def an_output_made_twice(folder):
    return chained(folder / "m.onnx", [node("Relu", ["images"], ["output0"]), node("Abs", ["images"], ["output0"])])


@case("MODEL_UNREADABLE")
def an_input_that_nobody_makes(folder):
    return chained(folder / "m.onnx", [node("Add", ["images", "nobody"], ["output0"])])


@case("MODEL_UNREADABLE")
def weights_of_negative_size(folder):
    def change(model: onnx.ModelProto) -> None:
        model.graph.initializer[1].dims[0] = -1

    return edited(folder / "m.onnx", change)


@case("MODEL_UNREADABLE")
def weights_larger_than_the_file(folder):
    def change(model: onnx.ModelProto) -> None:
        del model.graph.initializer[1].dims[:]
        model.graph.initializer[1].dims.extend([2**31, 2**31, 4])

    return edited(folder / "m.onnx", change)


@case("MODEL_TENSOR_TOO_LARGE")
def sparse_weights_that_unfold(folder):
    values = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
    indices = helper.make_tensor("i", TensorProto.INT64, [1], [0])

    def change(model: onnx.ModelProto) -> None:
        del model.graph.initializer[1]
        model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [2**20, 2**20]))

    return edited(folder / "m.onnx", change)
