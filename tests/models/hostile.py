"""Models that mean harm or are broken, each with the codes it may be refused with.

Forty kinds were tried on the runtime alone (see the decision on the structure reader): it swallows some, hangs on some
and takes all memory with some. Each is made here, with the ``onnx`` package or byte by byte.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.models import graphs
from tests.models.graphs import save, tensor

SHAPE = (1, 3, 8, 8)
IN, OUT = [tensor("images", SHAPE)], [tensor("output0", SHAPE)]
Case = tuple[Callable[[Path], Path], set[str]]
CASES: dict[str, Case] = {}


def case(*codes: str) -> Callable[[Callable[[Path], Path]], Callable[[Path], Path]]:
    def keep(make: Callable[[Path], Path]) -> Callable[[Path], Path]:
        CASES[make.__name__] = (make, set(codes))
        return make

    return keep


def node(op: str, inputs, outputs, **attributes):
    return helper.make_node(op, inputs, outputs, **attributes)


def edited(path: Path, change: Callable[[onnx.ModelProto], None]) -> Path:
    """A good model with one thing wrong."""
    graphs.constant(path, np.ones((1, 4)), shape=SHAPE)
    model = onnx.load(path, load_external_data=False)
    change(model)
    path.write_bytes(model.SerializeToString())
    return path


def chained(path: Path, nodes, weights=None) -> Path:
    return save(path, nodes, IN, OUT, weights or {})


# --- external data


def external(folder: Path, location: str, offset: str = "0", length: str = "16") -> Path:
    path = graphs.with_external_data(folder / "m.onnx")
    model = onnx.load(path, load_external_data=False)
    weight = next(one for one in model.graph.initializer if one.name == "w")
    for entry in weight.external_data:
        entry.value = {"location": location, "offset": offset, "length": length}[entry.key]
    path.write_bytes(model.SerializeToString())
    return path


@case("MODEL_EXTERNAL_REFUSED")
def external_that_climbs_out(folder):
    (folder.parent / "secret.bin").write_bytes(bytes(16))
    return external(folder, "../secret.bin")


@case("MODEL_EXTERNAL_REFUSED")
def external_with_an_absolute_path(folder):
    return external(folder, "/etc/passwd")


@case("MODEL_EXTERNAL_REFUSED")
def external_through_a_symbolic_link(folder):
    path = external(folder, "link.bin")
    (folder / "link.bin").symlink_to("/etc/passwd")
    return path


@case("MODEL_EXTERNAL_REFUSED")
def external_through_a_linked_folder(folder):
    path = external(folder, "sub/hostname")
    (folder / "sub").symlink_to("/etc")
    return path


@case("MODEL_EXTERNAL_REFUSED")
def external_that_is_hard_linked(folder):
    path = external(folder, "hard.bin")
    os.link(folder / "secret.bin", folder / "hard.bin")
    return path


@case("MODEL_EXTERNAL_REFUSED")
def external_that_is_a_pipe(folder):
    path = external(folder, "fifo")
    os.mkfifo(folder / "fifo")
    return path


@case("MODEL_EXTERNAL_REFUSED")
def external_that_is_a_folder(folder):
    (folder / "sub").mkdir()
    return external(folder, "sub")


@case("MODEL_EXTERNAL_REFUSED")
def external_that_is_the_model(folder):
    return external(folder, "m.onnx")


@case("MODEL_EXTERNAL_REFUSED")
def external_beyond_the_end(folder):
    return external(folder, "secret.bin", offset="8")


@case("MODEL_EXTERNAL_REFUSED")
def external_before_the_beginning(folder):
    return external(folder, "secret.bin", offset="-8")


@case("MODEL_EXTERNAL_REFUSED")
def external_of_another_length(folder):
    return external(folder, "secret.bin", length="8")


@case("MODEL_EXTERNAL_ABSENT")
def external_that_is_not_there(folder):
    return external(folder, "gone.bin")


@case("MODEL_EXTERNAL_REFUSED")
def external_in_an_attribute(folder):
    value = numpy_helper.from_array(np.ones(4, np.float32), "w")
    value.data_location = TensorProto.EXTERNAL
    value.ClearField("raw_data")
    entry = value.external_data.add()
    entry.key, entry.value = "location", "secret.bin"
    (folder / "secret.bin").write_bytes(bytes(16))
    nodes = [node("Constant", [], ["c"], value=value), node("ReduceSum", ["c"], ["s"], keepdims=0)]
    return chained(folder / "m.onnx", [*nodes, node("Add", ["images", "s"], ["output0"])])


# --- files


@case("MODEL_NOT_A_FILE")
def a_pipe(folder):
    os.mkfifo(folder / "m.onnx")
    return folder / "m.onnx"


@case("MODEL_NOT_A_FILE")
def a_device(folder):
    (folder / "m.onnx").symlink_to("/dev/zero")
    return folder / "m.onnx"


@case("MODEL_UNREADABLE")
def an_empty_file(folder):
    (folder / "m.onnx").touch()
    return folder / "m.onnx"


@case("MODEL_TOO_LARGE")
def a_file_of_gigabytes(folder):
    with (folder / "m.onnx").open("wb") as file:
        file.truncate(8 * 1024**3)
    return folder / "m.onnx"


@case("MODEL_UNREADABLE")
def text(folder):
    (folder / "m.onnx").write_text("this is no model\n" * 100)
    return folder / "m.onnx"


@case("MODEL_UNREADABLE")
def a_truncated_model(folder):
    path = graphs.constant(folder / "m.onnx", np.ones((1, 4000)))
    path.write_bytes(path.read_bytes()[:9000])
    return path


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
