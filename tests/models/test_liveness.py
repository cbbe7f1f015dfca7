"""Dead is what never changes; a detector that finds nothing is alive, and so is one with constant outputs beside."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edge.errors import ModelError
from edge.models import graph, guard, liveness
from edge.models.bundle import sha256_of
from edge.models.guard import GuardLimits
from edge.models.liveness import Seen
from tests.models.graphs import save, tensor

SHAPE = (1, 3, 32, 32)
N = 64  # cells of a stride of 4
RNG = np.random.default_rng(5)


def node(op, inputs, outputs, **attributes):
    return helper.make_node(op, inputs, outputs, **attributes)


def detector(path, *, score_weight=1.0, bias=-9.0, tail=(), outputs=None, weights=None, split=False):
    """``[1, 4 + 3, 64]``, boxes in pixels and scores through a sigmoid, as YOLOv8 gives; what follows is ``tail``."""
    nodes = [
        node("Conv", ["images", "kb"], ["b"], strides=[4, 4], kernel_shape=[4, 4]),
        node("Relu", ["b"], ["b2"]),
        node("Reshape", ["b2", "rb"], ["boxes"]),
        node("Conv", ["images", "ks", "bs"], ["s"], strides=[4, 4], kernel_shape=[4, 4]),
        node("Reshape", ["s", "rs"], ["logits"]),
        node("Sigmoid", ["logits"], ["scores"]),
    ]
    if not split:
        nodes.append(node("Concat", ["boxes", "scores"], ["both"], axis=1))
    nodes += tail or [node("Identity", ["both"], ["output0"])]
    made = {
        "kb": np.abs(RNG.normal(size=(4, 3, 4, 4))).astype(np.float32),
        "ks": (RNG.normal(size=(3, 3, 4, 4)) * 0.02 * score_weight).astype(np.float32),
        "bs": np.full(3, bias, np.float32),
        "rb": np.array([1, 4, N]),
        "rs": np.array([1, 3, N]),
    }
    outputs = outputs or [tensor("output0", (1, 7, N))]
    return save(path, nodes, [tensor("images", SHAPE)], outputs, made | (weights or {}))


def examine(path, cache, **options):
    data = path.read_bytes()
    return guard.examine(data, sha256_of(data), cache=cache, **options)


def dead(path, cache) -> str:
    with pytest.raises(ModelError) as caught:
        examine(path, cache)
    assert caught.value.code == "MODEL_DEAD", caught.value
    return caught.value.why


def quantised(scale: float, zero: int = 0):
    """Output through one uint8 scale for all: what static quantisation of a final Concat does."""
    tail = [
        node("QuantizeLinear", ["both", "scale", "zero"], ["q"]),
        node("DequantizeLinear", ["q", "scale", "zero"], ["output0"]),
    ]
    return {"tail": tail, "weights": {"scale": np.float32(scale), "zero": np.uint8(zero)}}


def test_a_detector_that_finds_nothing_is_alive(tmp_path, cache):
    seen = examine(detector(tmp_path / "m.onnx"), cache)
    assert [one.moves for one in seen.outputs] == [True] and seen.probes == 6


def test_one_scale_for_boxes_and_scores_kills_the_scores(tmp_path, cache):
    why = dead(detector(tmp_path / "m.onnx", **quantised(2.5)), cache)
    assert "channels 4 to 6" in why and "always 0" in why and "2.5" in why


def test_what_follows_the_quantisation_does_not_hide_it(tmp_path, cache):
    made = quantised(2.5)
    made["tail"][-1].output[0] = "d"
    made["tail"] += [node("Transpose", ["d"], ["t"], perm=[0, 2, 1]), node("Mul", ["t", "two"], ["output0"])]
    made["weights"]["two"] = np.float32(2)
    path = detector(tmp_path / "m.onnx", outputs=[tensor("output0", (1, N, 7))], **made)
    assert "5" in dead(path, cache)


def test_scores_with_a_scale_of_their_own_may_all_be_zero(tmp_path, cache):
    """Step 1/255: noise scores less than that, which only says that there is nothing in noise."""
    tail = [
        node("QuantizeLinear", ["scores", "scale", "zero"], ["q"]),
        node("DequantizeLinear", ["q", "scale", "zero"], ["fine"]),
        node("Concat", ["boxes", "fine"], ["output0"], axis=1),
    ]
    weights = {"scale": np.float32(1 / 255), "zero": np.uint8(0)}
    path = detector(tmp_path / "m.onnx", bias=-30.0, score_weight=0.001, tail=tail, weights=weights)
    assert examine(path, cache).code == ""


def test_scores_that_hang_on_nothing(tmp_path, cache):
    why = dead(detector(tmp_path / "m.onnx", score_weight=0.0), cache)
    assert "channels 4 to 6" in why


def test_scores_in_an_output_of_their_own(tmp_path, cache):
    tail = [
        node("Transpose", ["boxes"], ["xyxy"], perm=[0, 2, 1]),
        node("Transpose", ["scores"], ["conf"], perm=[0, 2, 1]),
    ]
    outputs = [tensor("xyxy", (1, N, 4)), tensor("conf", (1, N, 3))]
    options = {"tail": tail, "outputs": outputs, "split": True}
    assert examine(detector(tmp_path / "a.onnx", **options), cache).code == ""
    assert "'xyxy' change" in dead(detector(tmp_path / "b.onnx", score_weight=0.0, **options), cache)


def test_suppression_in_the_graph_that_keeps_nothing_is_alive(tmp_path, cache):
    tail = [
        node("Transpose", ["boxes"], ["xyxy"], perm=[0, 2, 1]),
        node("NonMaxSuppression", ["xyxy", "scores", "most", "iou", "least"], ["kept"]),
        node("Shape", ["kept"], ["shape"]),
        node("Gather", ["shape", "first"], ["count"]),
    ]
    weights = {"most": np.int64([9]), "iou": np.float32([0.5]), "least": np.float32([0.25]), "first": np.int64(0)}
    outputs = [tensor("kept", ("n", 3), TensorProto.INT64), tensor("count", (), TensorProto.INT64)]
    options = {"tail": tail, "weights": weights, "outputs": outputs, "split": True, "bias": -1000.0}
    seen = examine(detector(tmp_path / "a.onnx", **options), cache)
    assert [one.moves for one in seen.outputs] == [False, False]  # nothing was ever found, and that is no reason
    assert "'s'" in dead(detector(tmp_path / "b.onnx", score_weight=0.0, **options), cache)


def test_constant_outputs_beside_living_ones_are_usual(tmp_path, cache):
    nodes = [
        node("GlobalAveragePool", ["images"], ["g"]),
        node("Flatten", ["g"], ["output0"]),
        node("Identity", ["priors"], ["anchors"]),
    ]
    outputs = [tensor("output0", (1, 3)), tensor("anchors", (1, 9, 4))]
    weights = {"priors": RNG.random((1, 9, 4)).astype(np.float32)}
    seen = examine(save(tmp_path / "m.onnx", nodes, [tensor("images", SHAPE)], outputs, weights), cache)
    assert [one.moves for one in seen.outputs] == [True, False]


@pytest.mark.parametrize("last", ["Clip", "ArgMax", "HardSigmoid", "Greater"])
def test_what_clips_or_picks_is_looked_behind(tmp_path, cache, last):
    """An anomaly score that is clipped to 1 on everything strange, a picture that is all background."""
    inputs = {"Clip": ["g", "low", "high"], "Greater": ["g", "high"]}.get(last, ["g"])
    nodes = [node("ReduceMean", ["images"], ["m"], axes=[2, 3], keepdims=0)]
    nodes += [node("Add", ["m", "far"], ["g"]), node(last, inputs, ["output0"])]
    kind = {"ArgMax": TensorProto.INT64, "Greater": TensorProto.BOOL}.get(last, TensorProto.FLOAT)
    weights = {"far": np.float32([1000, 10_000, 50]), "low": np.float32(0), "high": np.float32(1)}
    used = {name for one in nodes for name in one.input}
    weights = {name: value for name, value in weights.items() if name in used}
    shape = (1, 1) if last == "ArgMax" else (1, 3)
    path = save(tmp_path / "m.onnx", nodes, [tensor("images", SHAPE)], [tensor("output0", shape, kind)], weights)
    seen = examine(path, cache)
    assert [one.moves for one in seen.outputs] == [False]


def test_a_classifier_of_nothing(tmp_path, cache):
    nodes = [
        node("Flatten", ["images"], ["f"]),
        node("Gemm", ["f", "w", "b"], ["logits"]),
        node("Softmax", ["logits"], ["output0"]),
    ]
    weights = {"w": np.zeros((3072, 4), np.float32), "b": np.arange(4, dtype=np.float32)}
    path = save(tmp_path / "m.onnx", nodes, [tensor("images", SHAPE)], [tensor("output0", (1, 4))], weights)
    assert "'logits' never changes" in dead(path, cache)
    assert examine(path, cache, limits=GuardLimits(liveness=False)).code == "MODEL_DEAD"


def test_a_forest_is_not_judged(tmp_path, cache):
    """Its answer is the same over wide ranges, and nobody said yet which ranges matter."""
    forest = node(
        "TreeEnsembleRegressor", ["x"], ["y"], domain="ai.onnx.ml", n_targets=1, nodes_treeids=[0, 0, 0],
        nodes_nodeids=[0, 1, 2], nodes_featureids=[0, 0, 0], nodes_values=[300.0, 0.0, 0.0],
        nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"], nodes_truenodeids=[1, 0, 0], nodes_falsenodeids=[2, 0, 0],
        target_treeids=[0, 0], target_nodeids=[1, 2], target_ids=[0, 0], target_weights=[1.0, 2.0],
    )  # fmt: skip
    made = helper.make_graph([forest], "g", [tensor("x", (1, 3))], [tensor("y", (1, 1))])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    onnx.save(helper.make_model(made, opset_imports=opsets, ir_version=9), tmp_path / "m.onnx")
    seen = examine(tmp_path / "m.onnx", cache)
    assert seen.probes and [one.moves for one in seen.outputs] == [False]


def test_evidence_says_which_tensor(tmp_path):
    found = liveness.judged(graph.read(detector(tmp_path / "m.onnx").read_bytes()))
    still = [Seen("output0", (1, 7, N), moves=False, least=0.0, most=0.0)]
    raws = {name: Seen(name, moves=False, least=0.0, most=0.0) for name in ("b", "s")}
    assert liveness.to_expose(found) == ["b", "s"]
    why = liveness.why_dead(found, still, raws, 6)
    assert "is 0 everywhere over 6 probe inputs" in why
    assert liveness.why_dead(found, still, {}, 6) == ""  # where it could not be looked at, nothing is claimed
    assert liveness.why_dead(found, still, raws, 1) == ""


@pytest.mark.parametrize(
    "name", ["deeplab", "fastestdet", "mnist", "nanodet_m_320", "ultraface", "yolo11n_int8", "yunet"]
)
def test_healthy_models_of_others_are_alive(shared_data, cache, name):
    seen = examine(shared_data / "models" / f"{name}.onnx", cache)
    assert seen.probes >= 3 and all(one.moves for one in seen.outputs)
