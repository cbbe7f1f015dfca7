"""What the structure tells: loops that end, functions that are counted, operators that a site allows."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from edge.errors import ModelError
from edge.models import graph
from edge.models.graph import policy, weights
from edge.models.graph.limits import GraphPolicy
from edge.models.graph.operators import ALLOWED
from tests.models import hostile_graphs, hostile_limits
from tests.models.graphs import save, tensor
from tests.models.hostile import chained

SHAPE = (1, 3, 8, 8)


def node(op, inputs, outputs, **attributes):
    return helper.make_node(op, inputs, outputs, **attributes)


def cost(path, **limits):
    return policy.check(graph.read(path.read_bytes()), GraphPolicy(**limits))


def refused(path, **limits) -> str:
    with pytest.raises(ModelError) as caught:
        cost(path, **limits)
    return caught.value.code


def while_loop(path, limit, *, start=0, step=1, before=(), weights=None, op="Less"):
    """As tf2onnx writes ``while i < limit``: no trip count, the condition counts."""
    body = helper.make_graph(
        [
            node("Add", ["i", "step"], ["i_out"]),
            node(op, ["i_out", "limit"], ["less"]),
            node("Less", ["i_out", "limit_in"], ["less2"]),
            node("And", ["less2", "less"], ["c_out"]),
            node("Identity", ["limit_in"], ["limit_out"]),
            node("Add", ["x", "x"], ["x_out"]),
        ],
        "body",
        [tensor("n", (), 7), tensor("c", (), 9), tensor("i", (), 7), tensor("limit_in", (), 7), tensor("x", SHAPE)],
        [tensor("c_out", (), 9), tensor("i_out", (), 7), tensor("limit_out", (), 7), tensor("x_out", SHAPE)],
    )
    nodes = [*before, node("Loop", ["", "go", "start", "limit", "images"], ["i9", "l9", "output0"], body=body)]
    made = {"go": np.bool_(True), "start": np.int64(start), "step": np.int64(step)}
    made |= {"limit": np.int64(limit)} if limit is not None else {}
    return save(path, nodes, [tensor("images", SHAPE)], [tensor("output0", SHAPE)], made | (weights or {}))


@given(limit=st.integers(-50, 500), start=st.integers(-50, 500), step=st.integers(1, 40))
def test_conditions_that_count_are_understood(tmp_path_factory, limit, start, step):
    path = while_loop(tmp_path_factory.getbasetemp() / "while.onnx", limit, start=start, step=step)
    turns = len(range(start + step, limit, step)) + 1  # the body runs once before its condition is asked
    assert turns <= cost(path).trips <= turns + 1


def test_a_count_from_a_tensors_shape(tmp_path):
    before = [node("Shape", ["images"], ["s"]), node("Gather", ["s", "two"], ["limit"])]
    path = while_loop(tmp_path / "m.onnx", None, before=before, weights={"two": np.int64(2)})
    assert 8 <= cost(path).trips <= 9


@pytest.mark.parametrize("case", [{"limit": 10**9}, {"limit": 10, "step": 0}, {"limit": 10, "step": -1}])
def test_conditions_that_do_not_end_soon(tmp_path, case):
    assert refused(while_loop(tmp_path / "m.onnx", case.pop("limit"), **case)) == "MODEL_LOOP_UNBOUND"


def test_a_condition_that_the_picture_decides(tmp_path):
    before = [node("ReduceMax", ["images"], ["m"], keepdims=0), node("Cast", ["m"], ["limit"], to=7)]
    path = while_loop(tmp_path / "m.onnx", None, before=before)
    assert refused(path) == "MODEL_LOOP_UNBOUND"
    assert cost(path, max_trips=0).nodes > 0


def test_a_million_turns_by_permission(tmp_path):
    path = hostile_limits.a_loop_of_a_million(tmp_path)
    assert cost(path, max_trips=10**6).trips == 10**6


def test_ifs_by_permission(tmp_path):
    assert cost(hostile_graphs.ifs_five_deep(tmp_path), max_if_depth=5).if_depth == 5
    path = chained(tmp_path / "four.onnx", [hostile_graphs.ifs(4)], {"flag": np.bool_(True)})
    assert cost(path) == policy.Cost(nodes=31, if_depth=4)


@pytest.mark.parametrize("allow", ["evil.example:Relu", "evil.example:*"])
def test_operators_by_permission(tmp_path, allow):
    path = hostile_graphs.an_unknown_domain(tmp_path)
    assert refused(path) == "MODEL_OPERATOR_REFUSED"
    assert cost(path, operators=(allow,)).nodes == 1


def test_functions_are_counted_as_called(tmp_path):
    path = hostile_graphs.sixteen_doubling_functions(tmp_path)
    assert len(path.read_bytes()) < 2000
    assert cost(path, max_nodes=200_000).nodes == sum(2**n for n in range(17))


def test_scans_over_rows(tmp_path):
    def scan(rows):
        body = helper.make_graph([node("Relu", ["r"], ["y"])], "b", [tensor("r", (3,))], [tensor("y", (3,))])
        made = node("Scan", ["images"], ["output0"], body=body, num_scan_inputs=1)
        return save(tmp_path / "m.onnx", [made], [tensor("images", (rows, 3))], [tensor("output0", (rows, 3))])

    assert cost(scan(50)).trips == 50
    assert refused(scan(200_000)) == "MODEL_LOOP_UNBOUND"


def test_every_operator_of_the_list_exists():
    known = {(one.domain, one.name) for one in onnx.defs.get_all_schemas_with_history()}
    old = {"Affine", "Crop", "ImageScaler", "ParametricSoftplus", "Scale", "ScaledTanh", "SimplifiedLayerNormalization"}
    for domain in ("", "ai.onnx.ml"):
        assert ALLOWED[domain] - old <= {name for where, name in known if where == domain}


def test_infinite_masks_are_no_broken_weights(tmp_path):
    mask = np.zeros((4, 4), np.float32)
    mask[np.triu_indices(4, 1)] = -np.inf
    nodes = [node("Add", ["x", "mask"], ["output0"])]
    path = save(tmp_path / "m.onnx", nodes, [tensor("x", (4, 4))], [tensor("output0", (4, 4))], {"mask": mask})
    weights.check(graph.read(path.read_bytes()), {})
    nodes = [node("MatMul", ["x", "mask"], ["output0"])]
    path = save(tmp_path / "m.onnx", nodes, [tensor("x", (4, 4))], [tensor("output0", (4, 4))], {"mask": mask})
    model = graph.read(path.read_bytes())
    with pytest.raises(ModelError):
        weights.check(model, {})


@pytest.mark.parametrize("kind", [TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE])
def test_weights_of_other_types(kind):
    for values, sound in ([1.0, 2.0, -3.0, 4.0], True), ([1.0, float("nan"), 3.0, 4.0], False):
        held = helper.make_graph([node("MatMul", ["x", "w"], ["y"])], "g", [tensor("x", (2, 2), kind)], [])
        held.initializer.append(helper.make_tensor("w", kind, (2, 2), values))
        model = graph.read(helper.make_model(held, ir_version=9).SerializeToString())
        if sound:
            weights.check(model, {})
        else:
            with pytest.raises(ModelError):
                weights.check(model, {})
