"""Inputs of every kind get probes: several, windows, rows, texts, pictures with channels last, sizes left free."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from edge.config.agent import GuardConfig, ModelConfig
from edge.errors import ModelError
from edge.models import guard
from edge.models.admit import limits_of
from edge.models.bundle import sha256_of
from tests.models.graphs import save, tensor


def node(op, inputs, outputs, **attributes):
    return helper.make_node(op, inputs, outputs, **attributes)


def examine(path, cache, **options):
    data = path.read_bytes()
    return guard.examine(data, sha256_of(data), cache=cache, **options)


def mean(path, shape, kind=TensorProto.FLOAT):
    """The mean of whatever comes in."""
    nodes = [node("Cast", ["x"], ["f"], to=1), node("ReduceMean", ["f"], ["y"], keepdims=0)]
    return save(path, nodes, [tensor("x", shape, kind)], [tensor("y", ())])


@pytest.mark.parametrize(
    ("shape", "probe"),
    [
        ((1, 32, 48, 3), (1, 32, 48, 3)),
        ((1, "h", "w", 3), (1, 320, 320, 3)),
        (("n", 3, "h", "w"), (1, 3, 320, 320)),
        (("n", 7), (1, 7)),
        (("n", "t", 7), (1, 64, 7)),
        ((1, 5, "t"), (1, 5, 64)),
        (("n",), (1,)),
        ((1, 3, 4, 16, 16), (1, 3, 4, 16, 16)),
    ],
)
def test_shapes(tmp_path, cache, shape, probe):
    seen = examine(mean(tmp_path / "m.onnx", shape), cache)
    assert seen.probe_shape == probe and seen.probes == 6 and seen.finite


@pytest.mark.parametrize("kind", ["FLOAT16", "DOUBLE", "UINT8", "INT8", "INT32", "INT64", "BOOL"])
def test_types(tmp_path, cache, kind):
    seen = examine(mean(tmp_path / "m.onnx", (1, 3, 16, 16), getattr(TensorProto, kind)), cache)
    assert seen.probes == 6 and seen.outputs[0].moves


def test_several_inputs_of_several_kinds(tmp_path, cache):
    nodes = [
        node("ReduceMean", ["image"], ["m"], keepdims=0),
        node("Cast", ["orig_target_sizes"], ["s"], to=1),
        node("Mul", ["m", "s"], ["y"]),
        node("Identity", ["names"], ["z"]),
    ]
    inputs = [
        tensor("names", ("n",), TensorProto.STRING),
        tensor("image", (1, 3, 32, 32)),
        tensor("orig_target_sizes", (1, 2), TensorProto.INT64),
    ]
    outputs = [tensor("y", (1, 2)), tensor("z", ("n",), TensorProto.STRING)]
    seen = examine(save(tmp_path / "m.onnx", nodes, inputs, outputs), cache)
    assert seen.probe_shape == (1, 3, 32, 32) and seen.outputs[0].high > 32


def test_a_free_size_that_only_some_values_fit(tmp_path, cache):
    """As recognisers of text lines, which want 48 rows and say they take any."""
    nodes = [node("Reshape", ["x", "shape"], ["r"]), node("ReduceMean", ["r"], ["y"], keepdims=0)]
    weights = {"shape": np.array([1, 3, 48, 192])}
    path = save(tmp_path / "m.onnx", nodes, [tensor("x", (1, 3, "h", "w"))], [tensor("y", ())], weights)
    assert examine(path, cache).probe_shape == (1, 3, 48, 192)


def test_a_size_that_none_fits(tmp_path, cache):
    nodes = [node("Reshape", ["x", "shape"], ["y"])]
    weights = {"shape": np.array([1, 7])}
    path = save(tmp_path / "m.onnx", nodes, [tensor("x", (1, 3, "h", "w"))], [tensor("y", (1, 7))], weights)
    with pytest.raises(ModelError) as caught:
        examine(path, cache)
    assert caught.value.code == "MODEL_RUN_FAILED"


def test_a_picture_of_one_value_may_divide_by_its_spread(tmp_path, cache):
    nodes = [
        node("ReduceMax", ["x"], ["h"], keepdims=0),
        node("Div", ["x", "h"], ["y"]),  # 0 / 0 on a black picture
    ]
    path = save(tmp_path / "m.onnx", nodes, [tensor("x", (1, 3, 8, 8))], [tensor("y", (1, 3, 8, 8))])
    assert examine(path, cache).finite


def test_what_was_declared_otherwise_is_said(tmp_path, cache):
    nodes = [node("Relu", ["x"], ["y"])]
    path = save(tmp_path / "m.onnx", nodes, [tensor("x", ("n", 3, 8, 8))], [tensor("y", (4, 3, 8, 8))])
    try:
        seen = examine(path, cache)
    except ModelError:
        pytest.skip("this runtime refuses it at once")
    assert seen.outputs[0].shape == (1, 3, 8, 8)
    assert "declared [4, 3, 8, 8] and gives [1, 3, 8, 8]" in seen.warnings[0]


def test_settings_become_limits():
    settings = GuardConfig(operators=("a:*",), max_nodes=5, max_if_depth=1, max_trips=7, cpu_s=9, liveness=False)
    limits = limits_of(ModelConfig("m", max_memory_mb=64), settings)
    assert (limits.memory_bytes, limits.cpu_s, limits.liveness) == (64 * 1024**2, 9, False)
    assert limits.policy.operators == ("a:*",) and limits.policy.max_nodes == 5
    assert (limits.policy.max_if_depth, limits.policy.max_trips) == (1, 7)


def test_a_laxer_policy_does_not_answer_for_a_stricter_one(tmp_path):
    path = mean(tmp_path / "m.onnx", (1, 3, 8, 8))
    lax = guard.GuardLimits(policy=guard.GraphPolicy(max_nodes=10))
    examine(path, tmp_path / "cache", limits=lax)
    strict = guard.GuardLimits(policy=guard.GraphPolicy(max_nodes=1))
    with pytest.raises(ModelError) as caught:
        examine(path, tmp_path / "cache", limits=strict)
    assert caught.value.code == "MODEL_TOO_COMPLEX"


def test_small_models_get_little_time():
    limits = guard.GuardLimits()
    assert [limits.cpu_s_for(n * 1024**2) for n in (0, 8, 80, 500)] == [4, 5, 14, 20]
    assert guard.GuardLimits(cpu_s=3).cpu_s_for(2**30) == 3
