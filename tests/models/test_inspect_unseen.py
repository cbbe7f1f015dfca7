"""Exports that a list of public files held and ours did not, by their signatures; and what only looks like something."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge.errors import ModelError
from edge.models import contract, guard, strangers
from edge.models.bundle import read_any
from edge.models.guard import Tensor
from edge.models.inspect.bare import examine
from edge.models.inspect.facts import Facts, gather
from edge.models.inspect.looking import look
from edge.models.inspect.named import names_in
from edge.models.inspect.proposal import propose
from edge.models.inspect.rules.faces import SQUARE_STRIDES, SQUARES
from edge.vision.conventions import (
    AnomalyHead,
    ClassifyHead,
    CtcHead,
    HeatmapsHead,
    LandmarksHead,
    ListedMasksHead,
    ListedPointsHead,
    MediaPipeHead,
    RawHead,
    RetinaFaceHead,
    SimccHead,
    SsdHead,
    TextBoxesHead,
)
from tests.models import graphs
from tests.models.test_inspect_exports import (
    FLOAT,
    IMAGENET,
    INT,
    LOGITS,
    PIXELS,
    SCORES,
    SMALL,
    Export,
    graph_of,
    signature_of,
)

LISTS = [("boxes", (20, 4), PIXELS), ("labels", (20,), (1.0, 4.0), INT), ("scores", (20,), SCORES)]
YUNET = RetinaFaceHead(strides=SQUARE_STRIDES, priors=SQUARES, rounded="down")

EXPORTS = [
    Export("yunet-2022", [("loc", (1076, 14), LOGITS), ("conf", (1076, 2), (0.0, 1.0)), ("iou", (1076, 1), (0.0, 2.0))],
           YUNET, "keypoints", 1, shape=(1, 3, 120, 160), fed={"color": "bgr", "scale": 1.0}),
    Export("ultraface-raw", [("scores", (1, 4420, 2), (0.0, 1.0)), ("boxes", (1, 4420, 4), (-25.0, 11.0))],
           SsdHead(priors=SQUARES), "detect", 1, shape=(1, 3, 240, 320), fed={"mean": (127.0,)}),
    Export("ssd-raw-unknown", [("scores", (1, 3000, 21), LOGITS), ("boxes", (1, 3000, 4), (-9.0, 11.0))],
           RawHead(), "raw", 0, shape=(1, 3, 300, 300)),
    Export("blazeface", [("regressors", (1, 896, 16), (-90.0, 120.0)), ("classificators", (1, 896, 1), LOGITS)],
           MediaPipeHead(), "keypoints", 1, shape=(1, 128, 128, 3), producer="tf2onnx", fed={"mean": (0.5,)}),
    Export("blazeface-split", [("0", (1, 512, 1), LOGITS), ("1", (1, 384, 1), LOGITS), ("2", (1, 512, 16), PIXELS),
           ("3", (1, 384, 16), PIXELS)], MediaPipeHead(), "keypoints", 1, shape=(1, 3, 128, 128)),
    Export("blazeface-back", [("r", (1, 896, 16), PIXELS), ("c", (1, 896, 1), LOGITS)], MediaPipeHead(strides=(16, 32)),
           "keypoints", 1, shape=(1, 3, 256, 256)),
    Export("palm", [("Identity", (1, 2016, 18), PIXELS), ("Identity_1", (1, 2016, 1), LOGITS)], MediaPipeHead(points=7),
           "keypoints", 1, shape=(1, 192, 192, 3), producer="tf2onnx", fed={"mean": (0.0,)}),
    Export("mp-person", [("Identity", (1, 2254, 12), PIXELS), ("Identity_1", (1, 2254, 1), LOGITS)],
           MediaPipeHead(strides=(8, 16, 32), per_cell=(2, 2, 6), points=4), "keypoints", 1, shape=(1, 224, 224, 3)),
    Export("rtmpose", [("simcc_x", (1, 17, 384), SMALL), ("simcc_y", (1, 17, 512), SMALL)], SimccHead(), "keypoints", 1,
           shape=(1, 3, 256, 192), fed={"color": "rgb"}),
    Export("vitpose", [("heatmaps", (1, 21, 64, 64), SMALL)], HeatmapsHead(points=21), "keypoints", 1, shape=(1, 3, 256, 256)),
    Export("movenet", [("output_0", (1, 1, 17, 3), (0.0, 1.0))], LandmarksHead(points=17, values=3, order="yx"), "keypoints", 1,
           shape=(1, 192, 192, 3), kind="tensor(int32)", producer="tf2onnx"),
    Export("movenet-float", [("output_0", (1, 1, 17, 3), (0.0, 1.0))], LandmarksHead(points=17, values=3, order="yx"),
           "keypoints", 1, shape=(1, 192, 192, 3), producer="tf2onnx", fed={"scale": 1.0}),
    Export("pfld-sim", [("output", (1, 136), SMALL)], LandmarksHead(third="depth"), "keypoints", 1, shape=(1, 3, 112, 112)),
    Export("2d106det", [("fc1", (1, 212), SMALL)], LandmarksHead(points=106, unit="centred", third="depth"), "keypoints", 1,
           shape=(1, 3, 192, 192)),
    Export("hand_landmark", [("xyz", (1, 63), (-20.0, 240.0)), ("presence", (1, 1), (0.0, 1.0)), ("left", (1, 1), (0.0, 1.0)),
           ("world", (1, 63), (-0.2, 0.2))], LandmarksHead(output="xyz", points=21, values=3, unit="input", third="depth",
           score_output="presence"), "keypoints", 1, shape=(1, 224, 224, 3)),
    Export("cars", [("logits", (1, 196), LOGITS)], "classify", "classify", 196, shape=(1, 3, 224, 224)),
    Export("arcface", [("683", (1, 512), SMALL)], RawHead(), "raw", 0, shape=(1, 3, 112, 112)),
    Export("many-classes", [("logits", (1, 512), SMALL)], "classify", "classify", 512, shape=(1, 3, 224, 224)),
    Export("maskrcnn", [*LISTS, ("masks", (20, 1, 480, 640), (0.0, 0.9))], ListedMasksHead(masks_output="masks", first_label=1,
           whole=True), "segment", 90, shape=(1, 3, 480, 640)),
    Export("maskrcnn-28", [*LISTS, ("masks", (20, 1, 28, 28), (0.0, 0.9))], ListedMasksHead(masks_output="masks", first_label=1),
           "segment", 90, shape=(1, 3, 480, 640)),
    Export("kprcnn", [*LISTS, ("keypoints", (20, 17, 3), PIXELS), ("keypoints_scores", (20, 17), LOGITS)],
           ListedPointsHead(points_output="keypoints", first_label=1), "keypoints", 90, shape=(1, 3, 480, 640)),
    Export("enhancer", [("out", (1, 256, 384, 10), (-0.1, 255.0))], RawHead(), "raw", 0, shape=(1, 3, 256, 384)),
    Export("mtcnn-pnet", [("reg", (1, 155, 155, 4), LOGITS), ("softmax", (1, 155, 155, 2), (0.0, 1.0))], RawHead(), "raw", 0,
           shape=(1, 320, 320, 3)),
    Export("captcha", [("logits", (20, 1, 37), LOGITS)], "ctc", "ocr", 1, shape=(1, 3, 60, 160)),
    Export("pfld-106", [("features", (1, 64, 28, 28), (0.0, 900.0)), ("output", (1, 212), SMALL)], LandmarksHead(output="output",
           points=106, third="depth"), "keypoints", 1, shape=(1, 3, 112, 112)),
    Export("defect-or-not", [("dense_1", (1, 1), (0.0, 1.0))], ClassifyHead(activation="none"), "classify", 2,
           shape=(1, 224, 224, 3), producer="tf2onnx", ends={"dense_1": "Sigmoid"}),
    Export("ssrnet", [("age", (1,), (0.0, 39.0))], RawHead(), "raw", 0, shape=(1, 3, 64, 64)),
    Export("padim-score", [("score", (1,), (0.0, 39.0))], AnomalyHead(), "anomaly", 0, shape=(1, 3, 256, 256)),
    Export("fsanet-var", [("output", (1, 3), LOGITS)], RawHead(), "raw", 0, shape=(1, 3, 64, 64)),
    Export("three-classes", [("output", (1, 3), LOGITS)], ClassifyHead(), "classify", 3, shape=(1, 3, 64, 64)),
    Export("angle_net", [("out", (1, 2), (0.0, 1.0))], ClassifyHead(activation="none"), "classify", 2, shape=(1, 3, 32, 192),
           fed={"mean": (0.5,)}),
    Export("keras-captcha", [("output", (1, 40, 31), (0.0, 1.0))], CtcHead(blank="last", characters=""), "ocr", 1, shape=(1, 60, 160, 3),
           producer="tf2onnx"),
    Export("keras-digits", [("Identity:0", (1, 10), (0.0, 1.0))], ClassifyHead(activation="none"), "classify", 10,
           shape=(1, 28, 28, 1), producer="tf2onnx", fed={"mean": (0.0,), "scale": pytest.approx(1 / 255)}),
    Export("torch-digits", [("logits", (1, 10), LOGITS)], ClassifyHead(), "classify", 10, shape=(1, 1, 28, 28),
           fed={"mean": (0.1307,)}),
    Export("dbnet-of-torch", [("out1", (1, 1, 320, 320), (0.0, 1.0))], TextBoxesHead(dilate=True), "detect", 1,
           shape=(1, 3, 320, 320), fed={"color": "rgb", "mean": IMAGENET}),
    Export("letnet", [("27", (1, 1, 320, 240), (0.0, 1.0)), ("33", (1, 3, 320, 240), (0.0, 1.0))], "segment", "segment", 1,
           shape=(1, 3, 320, 240)),
    Export("unet-nhwc", [("out", (1, 256, 256, 4), (0.0, 1.0))], "segment", "segment", 3, shape=(1, 256, 256, 3),
           producer="tf2onnx", fed={"mean": (0.0,)}),
    Export("orientation", [("p", (1, 4), (0.0, 0.9))], "classify", "classify", 4, shape=(1, 3, 224, 224),
           metadata={"character": "0\n90\n180\n270"}),
]  # fmt: skip


@pytest.mark.parametrize("export", EXPORTS, ids=lambda one: one.name)
def test_exports_of_the_field(export):
    proposal = propose(gather(signature_of(export), graph_of(export), export.name))
    manifest = proposal.manifest
    assert manifest.model.task == export.task
    if isinstance(export.head, str):
        assert manifest.output.__struct_config__.tag == export.head
    else:
        assert manifest.output == export.head
    assert len(manifest.model.labels) == export.n
    spec = manifest.input
    size = export.shape[1:3] if spec.layout == "nhwc" else export.shape[2:]
    assert (spec.height_px, spec.width_px) == size
    assert {name: getattr(spec, name) for name in export.fed} == export.fed
    if export.task == "raw":  # nobody is told that something was recognised
        assert proposal.overall <= 0.4 and proposal.assumed


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
    import edge

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
