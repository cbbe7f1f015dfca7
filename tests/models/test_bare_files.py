"""What bare files say in their metadata and by one run, and what is refused as neither picture nor series."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import edge
from edge.errors import ModelError
from edge.models import contract, guard, strangers
from edge.models.bundle import read_any
from edge.models.guard import Tensor
from edge.models.inspect.bare import examine
from edge.models.inspect.facts import Facts, gather
from edge.models.inspect.looking import look
from edge.models.inspect.named import names_in
from edge.models.inspect.proposal import propose
from edge.models.series.loading import load_series
from edge.vision.conventions import ClassifyHead
from tests.models import graphs
from tests.models.test_inspect_exports import FLOAT, INT, LOGITS, Export, graph_of, signature_of
from tests.models.test_inspect_unseen import LISTS


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("text\ntitle\nfigure", ("text", "title", "figure")),
        ('{"0": "good", "1": "scratch", "2": "dent"}', ("good", "scratch", "dent")),
        ("{2: 'dent', 0: 'good', 1: 'good'}", ("good", "good-1", "dent")),
        ('{"good": 0, "dent": 1}', ("good", "dent")),
        ("['a', 'b']", ("a", "b")),
        ("a, b,c", ("a", "b", "c")),
        ("one", ()),
        ("", ()),
        ("[1, [2]]", ()),
        ("{1: 2", ()),
        ("a,,b", ()),
    ],
)
@pytest.mark.parametrize("key", ["names", "Labels", "id2label", "character"])
def test_names_in_metadata(key, text, names):
    assert names_in({key: text, "other": "x\ny"}) == names


def test_names_count_only_where_their_number_fits(tmp_path):
    path = graphs.constant(tmp_path / "m.onnx", np.array([[0.1, 3.0, -2.0]]), metadata={"classes": "ok\nscratch\ndent"})
    assert examine(read_any(path)).proposal.manifest.model.labels == ("ok", "scratch", "dent")
    path = graphs.constant(
        tmp_path / "n.onnx", np.array([[0.1, 3.0, -2.0, 1.0]]), metadata={"classes": "ok\nscratch\ndent"}
    )
    assert examine(read_any(path)).proposal.manifest.model.labels == ("0", "1", "2", "3")


def test_the_blank_is_found_by_one_run(tmp_path):
    table = np.zeros((20, 1, 37), np.float32)
    table[:, 0, 36] = 9.0
    table[:3, 0, 5] = 12.0
    found = examine(read_any(graphs.constant(tmp_path / "last.onnx", table, (1, 3, 60, 160)))).proposal
    assert found.manifest.output.blank == "last" and not any("blank" in one for one in found.assumed)
    first = table[..., ::-1]
    found = examine(read_any(graphs.constant(tmp_path / "first.onnx", first, (1, 3, 60, 160)))).proposal
    assert found.manifest.output.blank == "first"


def test_a_two_stage_detector_tells_how_many_classes_it_has():
    export = Export("frcnn", LISTS, None, "detect", shape=(1, 3, 480, 640))
    facts = gather(signature_of(export), graph_of(export), "frcnn")
    five = Facts(signature=facts.signature, producer="pytorch", height=480, width=640, pair_of=5)
    manifest = propose(five).manifest
    assert manifest.model.labels == ("0", "1", "2", "3") and manifest.output.first_label == 1


@pytest.mark.parametrize(
    ("inputs", "word"),
    [
        ([("bytes", (None, 2048), "tensor(int32)")], "texts"),
        ([("input_ids", (None, None), INT), ("attention_mask", (None, None), INT)], "texts"),
        ([("input", (None, None), FLOAT), ("state", (2, None, 128), FLOAT), ("sr", (), INT)], "sound"),
        ([("audio_signal", (None, 80, None), FLOAT)], "sound"),
        ([("x", (None, 576), FLOAT), ("h", (1, 1, 128), FLOAT), ("c", (1, 1, 128), FLOAT)], "state"),
        ([("clip", (1, 3, 16, 112, 112), FLOAT)], "volumes"),
    ],
)
def test_strangers_are_told_by_their_inputs(inputs, word):
    tensors = [Tensor(*one) for one in inputs]
    assert word in strangers.kind_of(tensors)
    with pytest.raises(ModelError) as caught:
        strangers.refuse(tensors)
    assert caught.value.code == "MODEL_INPUT_UNFIT" and "plug-in" in str(caught.value)


@pytest.mark.parametrize(
    "inputs",
    [
        [("images", (1, 3, 64, 64), FLOAT), ("orig_target_sizes", (1, 2), INT)],
        [("input", (None, 4), FLOAT)],
        [("input", (None, 64, 5), FLOAT)],
        [("vibration", (1, 1, 2048), FLOAT)],
        [("count", (None, 1), INT), ("shift", (None, 1), INT)],
        [("machine_state", (None, 1), "tensor(string)"), ("audio_level", (None, 1), FLOAT), ("tokens", (None, 1), INT)],
    ],
)
def test_pictures_and_series_are_no_strangers(inputs):
    assert strangers.kind_of([Tensor(*one) for one in inputs]) == ""


def test_a_number_alone_as_input_is_tried_and_named(tmp_path):
    """A model of sound that fails in its trial is called what it is; its third input has no axes."""
    nodes = [
        helper.make_node("Cast", ["sr"], ["rate"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["audio", "rate"], ["y"]),
        helper.make_node("Reshape", ["y", "shape"], ["out"]),
    ]
    inputs = [graphs.tensor("audio", (1, "n")), graphs.tensor("sr", (), TensorProto.INT64)]
    path = graphs.save(tmp_path / "m.onnx", nodes, inputs, [graphs.tensor("out", (1, 7))], {"shape": np.array([1, 7])})
    with pytest.raises(ModelError) as caught:
        examine(read_any(path))
    assert caught.value.code == "MODEL_INPUT_UNFIT" and "sound" in str(caught.value)


def test_whole_numbers_of_32_bits_are_pixels(tmp_path):
    nodes = [
        helper.make_node("Cast", ["image"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["f"], ["m"], keepdims=0),
        helper.make_node("Mul", ["m", "gain"], ["z"]),
        helper.make_node("Add", ["z", "w"], ["output_0"]),
    ]
    weights = {"gain": np.float32(1 / 255), "w": np.zeros((1, 1, 17, 3), np.float32)}
    graph = helper.make_graph(
        nodes, "movenet", [graphs.tensor("image", (1, 64, 64, 3), TensorProto.INT32)],
        [graphs.tensor("output_0", (1, 1, 17, 3))], [numpy_helper.from_array(np.asarray(v), n) for n, v in weights.items()],
    )  # fmt: skip
    path = tmp_path / "m.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=graphs.OPSET, ir_version=9).SerializeToString())
    found = edge.load(path)(np.full((48, 64, 3), 102, np.uint8))
    assert contract.dtype_of(guard.examine(path.read_bytes(), "x" * 64, cache=tmp_path)) == "int32"
    # Three quarters of the input are the frame, the rest is black: 102 / 255 of them.
    assert found.keypoints[0, :, 2] == pytest.approx(0.3, abs=1e-3)


def test_one_probability_is_that_of_the_second_of_two_classes(tmp_path):
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["m"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Reshape", ["m", "shape"], ["row"]),
        helper.make_node("Sub", ["row", "half"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["dense"]),
    ]
    weights = {"shape": np.array([1, 1]), "half": np.float32(0.5)}
    path = graphs.save(
        tmp_path / "m.onnx", nodes, [graphs.tensor("image", (1, 3, 96, 96))], [graphs.tensor("dense", (1, 1))], weights,
        {"labels": '["good", "scratched"]'},
    )  # fmt: skip
    found = examine(read_any(path)).proposal.manifest
    assert found.model.labels == ("good", "scratched") and found.output == ClassifyHead(activation="none")
    assert any("anomaly" in one for one in examine(read_any(path)).proposal.assumed)


def test_a_table_classifier_without_names_in_its_operators(tmp_path):
    """As skl2onnx makes of a network or of nearest neighbours: a constant of classes is looked into by number."""
    nodes = [
        helper.make_node("MatMul", ["X", "w"], ["raw"]),
        helper.make_node("Softmax", ["raw"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["probabilities"], ["at"], axis=1, keepdims=0),
        helper.make_node("Gather", ["classes", "at"], ["label"]),
    ]
    weights = {"w": np.eye(4, 3, dtype=np.float32), "classes": np.array([10, 20, 30])}
    outputs = [graphs.tensor("label", (None,), TensorProto.INT64), graphs.tensor("probabilities", (None, 3))]
    path = graphs.save(tmp_path / "m.onnx", nodes, [graphs.tensor("X", (None, 4))], outputs, weights)
    document = look(read_any(path), "m").document
    assert document["task"] == "series" and document["labels"] == ["10", "20", "30"]


def test_a_row_of_features_is_no_picture():
    export = Export("second-stage", [("output", (1, 10), LOGITS)], None, None, shape=(1, 640, 1, 1))
    with pytest.raises(ModelError) as caught:
        propose(gather(signature_of(export), graph_of(export), export.name))
    assert caught.value.code == "MODEL_INPUT_UNFIT" and "features" in str(caught.value)


def test_a_window_and_its_length(tmp_path):
    """Sums divided by what the second input says: the mean of each window, however long it is."""
    nodes = [
        helper.make_node("ReduceSum", ["x", "axes"], ["sum"], keepdims=0),
        helper.make_node("Cast", ["lengths"], ["n"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["sum", "n"], ["remaining"]),
    ]
    inputs = [graphs.tensor("x", (None, None, 3)), graphs.tensor("lengths", (None,), TensorProto.INT64)]
    path = graphs.save(
        tmp_path / "m.onnx", nodes, inputs, [graphs.tensor("remaining", (None,))], {"axes": np.array([1, 2])}
    )
    document = look(read_any(path), "m").document
    assert document["preprocess"]["length_input"] == "lengths" and document["head"] == "value"
    predictor = load_series(path, cache=tmp_path / "cache")
    samples = np.arange(30.0).reshape(10, 3)
    for n in (10, 4):
        found = predictor(samples[:n])
        assert found.values["remaining"] == pytest.approx(samples[:n].sum() / n)
