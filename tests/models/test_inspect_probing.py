"""What a picture decides and what it honestly does not, and shapes that fit two conventions."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from onnx import helper

from edge.models.bundle import BareFile, sha256_of
from edge.models.inspect.bare import examine
from edge.models.inspect.looking import look, with_probe
from edge.models.inspect.probing import probe
from edge.models.inspect.proposal import build
from edge.models.inspect.sense import sense
from edge.models.inspect.source import read_file
from edge.vision.conventions import End2EndHead, YoloObbHead, YoloPoseHead, YoloV8Head, YoloXHead
from edge.vision.prediction import Prediction
from tests.models import graphs

CELLS = 12 * 12 + 6 * 6 + 3 * 3
"""Of strides 8, 16, 32 on 96 px."""


def table(path, rows: np.ndarray, *, metadata=None):
    """A model that answers every picture with these numbers, and a bit of its mean besides, so that it lives."""
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["m"], keepdims=0),
        helper.make_node("Mul", ["m", "mask"], ["z"]),
        helper.make_node("Add", ["z", "w"], ["output0"]),
    ]
    mask = np.zeros(rows.shape, np.float32)
    mask.reshape(-1)[0] = 0.01 * np.abs(rows).max()
    inputs, outputs = [graphs.tensor("images", (1, 3, 96, 96))], [graphs.tensor("output0", rows.shape)]
    graphs.save(path, nodes, inputs, outputs, {"mask": mask, "w": rows.astype(np.float32)}, metadata)
    return path


def finished(n: int) -> np.ndarray:
    """Rows with corners in order, scores and whole class numbers."""
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 40, (n, 2))
    rest = [
        low,
        low + rng.uniform(1, 40, (n, 2)),
        np.sort(rng.random((n, 1)), axis=0)[::-1],
        rng.integers(0, 3, (n, 1)),
    ]
    return np.hstack(rest)[None]


CORNERS = ("x1", "y1", "x2", "y2")
FRACTIONS = np.array([96, 96, 96, 96, 1, 1])


def centres(n: int) -> np.ndarray:
    """The same as Ultralytics' RT-DETR gives them: centre and size, fractions of the input."""
    rows = finished(n) / FRACTIONS
    rows[0, :, :4] = np.random.default_rng(3).uniform(0.3, 0.6, (n, 4)) * (1, 1, 0.2, 0.2)
    return rows


def columns(more: np.ndarray) -> np.ndarray:
    """Boxes in pixels and what is below them."""
    boxes = np.random.default_rng(1).uniform(5, 90, (4, CELLS))
    return np.vstack([boxes, more])[None]


RNG = np.random.default_rng(2)


@pytest.mark.parametrize(
    ("rows", "head", "n"),
    [
        (finished(CELLS), End2EndHead(), 80),
        (finished(30)[:, :, [0, 1, 2, 3, 5, 4]], End2EndHead(columns=(*CORNERS, "label", "score")), 80),
        (finished(30) / FRACTIONS, End2EndHead(unit="normalised"), 80),
        (centres(30), End2EndHead(columns=("cx", "cy", "w", "h", "score", "label"), unit="normalised"), 80),
        (RNG.normal(0, 2, (1, CELLS, 6)), YoloXHead(), 1),
        (columns(RNG.random((2, CELLS))), YoloV8Head(), 2),
        (columns(np.vstack([RNG.random((2, CELLS)), RNG.uniform(-0.7, 2.3, (1, CELLS))])), YoloObbHead(), 2),
        (columns(np.vstack([RNG.random((1, CELLS)), RNG.uniform(0, 90, (6, CELLS))])), YoloPoseHead(points=2), 1),
        (columns(RNG.random((7, CELLS))), YoloV8Head(), 7),
    ],
)
def test_shapes_that_fit_two_conventions_are_decided_by_their_numbers(tmp_path, cache, rows, head, n):
    found = examine(read_file(table(tmp_path / "m.onnx", rows)), cache=cache)
    assert found.proposal.manifest.output == head and len(found.proposal.manifest.model.labels) == n
    assert "tried on noise" in found.proposal.evidence["head"][-1]


def shared(folder, name: str, picture: str):
    file = read_file(folder / "models" / f"{name}.onnx")
    return file, examine(file), cv2.imread(str(folder / picture))


BUS, FACES = "coco-photos/000000001584.jpg", "coco-photos/000000004134.jpg"


@pytest.mark.parametrize(
    ("name", "picture", "wrong", "right"),
    [
        ("yolox_nano", BUS, {"scale": 1 / 255}, {"scale": 1.0}),
        ("fastestdet", BUS, {"scale": 1.0}, {"scale": pytest.approx(1 / 255)}),
        ("yunet", FACES, {"scale": 1 / 255, "color": "rgb"}, {"scale": 1.0, "color": "bgr"}),
    ],
)
def test_a_picture_corrects_what_a_habit_got_wrong(shared_data, name, picture, wrong, right):
    file, found, image = shared(shared_data, name, picture)
    guess = found.proposal.guess
    off = replace(found, proposal=build(found.facts, replace(guess, prior="yolo"), changes=wrong))
    off = replace(off, proposal=replace(off.proposal, confidence=off.proposal.confidence | {"preprocess": 0.6}))
    probed = probe(file, off, image, budget_s=30.0)
    told = {axis.name: axis for axis in probed.axes}
    assert told["scale"].told and told["scale"].margin > 0.5
    spec = with_probe(off, probed).proposal.manifest.input
    assert {key: getattr(spec, key) for key in right} == right
    assert any("probe: scale" in one for one in probed.evidence)


def test_what_a_picture_does_not_tell_is_said(shared_data):
    file, found, image = shared(shared_data, "yolox_nano", BUS)
    probed = probe(file, found, image, budget_s=30.0)
    told = {axis.name: axis.told for axis in probed.axes}
    assert told["scale"] and not told["color"] and not told["fit"]
    assert any("does not tell color" in one and "strong colours" in one for one in probed.sentences)
    # What is not told stays as it was.
    assert with_probe(found, probed).proposal.manifest.input == found.proposal.manifest.input
    assert with_probe(found, probed).proposal.overall >= found.proposal.overall


def test_a_picture_of_nothing_tells_nothing(shared_data):
    file, found, _ = shared(shared_data, "yunet", FACES)
    probed = probe(file, found, np.full((200, 300, 3), 128, np.uint8), budget_s=30.0)
    assert probed.changes == {} and "finds anything" in probed.sentences[0]


def test_the_document_has_what_was_tried(shared_data):
    path = shared_data / "models" / "yunet.onnx"
    document = look(read_file(path), str(path), shared_data / FACES).document
    assert document["probe"]["axes"]["scale"]["told"] and set(document["probe"]["axes"]["color"]["senses"]) == {
        "bgr",
        "rgb",
    }
    assert document["preprocess"]["color"] == "bgr" and 0 <= document["confidence"] <= 1


def test_a_table_of_a_series_model_is_looked_into_as_well(tmp_path):
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    weights = {"w": np.ones((4, 1), np.float32)}
    path = graphs.save(tmp_path / "t.onnx", nodes, [graphs.tensor("x", (1, 4))], [graphs.tensor("y", (1, 1))], weights)
    document = look(BareFile("t", path.read_bytes(), sha256_of(path.read_bytes())), "t.onnx").document
    assert document["task"] == "series" and document["preprocess"]["channels"] and document["probe"] is None


def objects(boxes, scores, ids=None) -> Prediction:
    n = len(boxes)
    return Prediction(
        "detect", ("a", "b"), 100, 100, np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32),
        np.array(ids or [0] * n, np.int64), np.ones(n, np.float32),
    )  # fmt: skip


def test_sense_is_confidence_and_agreement():
    one, two = [[10, 10, 40, 40]], [[60, 60, 90, 90]]
    sure, unsure = objects(one, [0.9]), objects(one, [0.3])
    assert sense(sure, sure, 1.0) > sense(unsure, unsure, 1.0) > sense(objects([], []), sure, 1.0) == 0
    assert sense(sure, objects(two, [0.9]), 1.0) == 0
    assert sense(sure, objects(one, [0.9], [1]), 1.0) == 0
    crowd = objects(one * 200, [0.99] * 200)
    assert sense(crowd, crowd, 1.0) < sense(objects(one * 10, [0.99] * 10), crowd, 1.0)
