"""Models with a second input: what it is told, through the whole path from a bundle to detections."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from edge.errors import ModelError
from edge.models import bundle
from edge.models.bundle import About, Manifest
from edge.models.loading import load
from edge.vision.conventions import ListedHead
from edge.vision.spec import InputSpec
from tests.models.graphs import save, tensor


def told(path, kind=TensorProto.INT64, first="images"):
    """As RT-DETR exports itself: one box that covers half of whatever size it is told, width first."""
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["m"], keepdims=0),
        helper.make_node("Mul", ["m", "little"], ["z"]),
        helper.make_node("Cast", ["orig_target_sizes"], ["size"], to=TensorProto.FLOAT),
        helper.make_node("Concat", ["size", "size"], ["twice"], axis=1),
        helper.make_node("Mul", ["twice", "box"], ["scaled"]),
        helper.make_node("Add", ["scaled", "z"], ["flat"]),
        helper.make_node("Unsqueeze", ["flat", "one"], ["boxes"]),
        helper.make_node("Add", ["z", "score"], ["scores"]),
        helper.make_node("Cast", ["label"], ["labels"], to=TensorProto.INT64),
    ]
    inputs = [tensor("images", (1, 3, 64, 64)), tensor("orig_target_sizes", (1, 2), kind)]
    weights = {
        "little": np.float32(1e-5),  # a model that answers the same whatever it sees would be called dead
        "one": np.array([1], np.int64),
        "box": np.array([[0.25, 0.25, 0.75, 0.75]], np.float32),
        "score": np.array([[0.9]], np.float32),
        "label": np.array([[1.0]], np.float32),
    }
    outputs = [
        tensor("labels", (1, 1), TensorProto.INT64),
        tensor("boxes", (1, 1, 4)),
        tensor("scores", (1, 1)),
    ]
    return save(path, nodes, inputs if first == "images" else inputs[::-1], outputs, weights)


def bundled(tmp_path, extra, *, unit="input", fit="stretch", first="images"):
    manifest = Manifest(
        model=About(name="told", task="detect", labels=("a", "b")),
        input=InputSpec(width_px=64, height_px=64, fit=fit, extra=extra),
        output=ListedHead(unit=unit),
    )
    bundle.write(tmp_path / "bundle", manifest, told(tmp_path / "m.onnx", first=first))
    return tmp_path / "bundle"


@pytest.mark.parametrize(
    ("told_size", "unit", "fit"),
    [
        ("input_size_wh", "input", "stretch"),
        ("input_size_wh", "input", "letterbox"),
        ("frame_size_wh", "frame", "stretch"),
    ],
)
@pytest.mark.parametrize("first", ["images", "orig_target_sizes"])
def test_a_model_is_told_a_size(tmp_path, cache, told_size, unit, fit, first):
    folder = bundled(tmp_path, {"orig_target_sizes": told_size}, unit=unit, fit=fit, first=first)
    found = load(folder, cache=cache)(np.zeros((100, 200, 3), np.uint8))
    assert found.names == ["b"]
    height = [25, 75] if fit == "stretch" else [0, 100]  # in the letterbox the middle half is all of the frame's height
    np.testing.assert_allclose(found.boxes, [[50, height[0], 150, height[1]]], atol=1e-3)


def test_the_threshold_may_change(tmp_path, cache):
    predictor = load(bundled(tmp_path, {"orig_target_sizes": "input_size_wh"}), cache=cache, min_score=0.95)
    assert len(predictor(np.zeros((10, 10, 3), np.uint8))) == 0


@pytest.mark.parametrize(
    ("extra", "word"),
    [
        ({}, "second input 'orig_target_sizes'"),
        ({"orig_target_sizes": "input_size_wh", "scale": "ones"}, "names scale"),
        ({"images": "ones", "orig_target_sizes": "input_size_wh"}, "names images"),
    ],
)
def test_what_does_not_fit_the_inputs_is_refused(tmp_path, cache, extra, word):
    with pytest.raises(ModelError, match=word) as caught:
        load(bundled(tmp_path, extra), cache=cache)
    assert caught.value.code == "MODEL_INPUT_UNFIT"
