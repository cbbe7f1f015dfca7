"""Cascades of models made here: rows go on, results come back nested and in frame pixels, each stage costs its time."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from edge.errors import ModelError
from edge.models import bundle
from edge.models.bundle import About, Manifest
from edge.models.loading import load
from edge.models.stages import Stage
from edge.vision.conventions import ClassifyHead, End2EndHead, SegmentHead
from edge.vision.document import to_document
from edge.vision.draw import overlay
from edge.vision.findings import to_inference
from edge.vision.region import move_back
from edge.vision.spec import InputSpec, Thresholds
from tests.models import graphs

BOXES = np.array(
    [[[4, 4, 20, 12, 0.9, 0], [30, 40, 50, 60, 0.8, 1], [40, 4, 60, 20, 0.7, 0], *[[0] * 6] * 5]], np.float32
)
"""In 64 x 64 pixels: two caps and a label."""
SQUARE = InputSpec(width_px=64, height_px=64)


def manifest(name, task, labels, output, spec=SQUARE, **more):
    return Manifest(model=About(name=name, task=task, labels=labels), input=spec, output=output, **more)


def colour(folder, path, labels=("blue", "green", "red"), **more):
    """Which channel is the brightest; BGR."""
    spec = InputSpec(width_px=8, height_px=8, color="bgr", fit="stretch")
    return bundle.write(folder, manifest("colour", "classify", labels, ClassifyHead(), spec, **more), path)


@pytest.fixture
def folder(tmp_path):
    """A detector whose boxes never change, with a classifier of colour and one of dark regions inside."""
    whole = tmp_path / "parts"
    colour(whole / "colour", graphs.brightest_channel(tmp_path / "c.onnx"))
    gray = InputSpec(width_px=64, height_px=64, color="gray")
    half = Thresholds(score=0.5)
    dark = manifest("dark", "segment", ("hole",), SegmentHead(activation="none"), gray, thresholds=half)
    bundle.write(whole / "dark", dark, graphs.darkness(tmp_path / "d.onnx"))
    stages = (
        Stage(name="colour", model="colour", labels=("cap",)),
        Stage(name="hole", model="dark", labels=("cap",), limit=1),
    )
    detect = manifest("parts", "detect", ("cap", "label"), End2EndHead(), stage=stages)
    bundle.write(whole, detect, graphs.constant(tmp_path / "m.onnx", BOXES))
    return whole


def frame():
    """128 x 128: the first cap is red with a hole, the second green."""
    picture = np.full((128, 128, 3), 60, np.uint8)
    picture[8:24, 8:40] = (150, 150, 255)
    picture[12:20, 20:28] = 0
    picture[8:40, 80:120] = (150, 255, 150)
    return picture


def test_rows_go_on_and_come_back_nested(folder, cache):
    predict = load(folder, cache=cache)
    assert predict.labels == ("cap", "label", "blue", "green", "red", "hole")
    found = predict(frame())
    assert found.names == ["cap", "label", "cap"]
    assert [inner.task for inner in found.nested] == ["classify", "raw", "classify"]
    assert [inner.names[:1] for inner in found.nested] == [["red"], [], ["green"]]
    (hole,) = found.nested[0].beside
    assert hole.names == ["hole"] and found.nested[2].beside == ()
    assert hole.boxes[0] == pytest.approx([20, 12, 28, 20], abs=2)
    assert hole.polygons[0].mean(axis=0) == pytest.approx([24, 16], abs=1.5)


def test_everything_that_uses_a_predictor_takes_it(folder, cache):
    predict = load(folder, min_score=0.75, cache=cache)
    found = predict(frame())
    assert found.names == ["cap", "label"]
    document = to_document("x", found)
    first, second = document["detections"]
    assert first["found"]["classes"][0]["label"] == "red"
    assert first["found"]["regions"][0]["label"] == "hole"
    assert "found" not in second
    assert list(document["ms"]["stages"]) == ["first", "colour", "hole"]
    assert sum(document["ms"]["stages"].values()) == pytest.approx(
        sum(v for k, v in document["ms"].items() if k != "stages"), abs=0.05
    )
    assert overlay(frame(), found).shape == (128, 128, 3)
    assert predict.warm_up().task == "detect"
    moved = move_back(found, (100, 50), (500, 500, 3))
    assert moved.nested[0].beside[0].boxes - found.nested[0].beside[0].boxes == pytest.approx(
        np.array([[100, 50, 100, 50]])
    )
    names = [f.label for f in to_inference(found).findings]
    assert names[:2] == ["cap", "red"] and names[-2:] == ["hole", "label"]


def test_a_model_beside_the_rows_and_one_that_turns(tmp_path, folder, cache):
    """A 'turn' stage whose class for red is 180: the green quarter of the crop is then seen at the other end."""
    whole = tmp_path / "turning"
    turn = Thresholds(score=0.4)
    colour(whole / "turn", graphs.brightest_channel(tmp_path / "t.onnx"), ("0", "90", "180"), thresholds=turn)
    shutil.copytree(folder / "dark", whole / "dark")
    shutil.copytree(folder / "colour", whole / "colour")
    stages = (
        Stage(name="turn", model="turn", use="turn"),
        Stage(name="hole", model="dark", labels=("cap",)),
        Stage(name="all", model="colour", use="frame"),
    )
    detect = manifest("parts", "detect", ("cap", "label"), End2EndHead(), stage=stages)
    bundle.write(whole, detect, graphs.constant(tmp_path / "m2.onnx", BOXES))
    found = load(whole, cache=cache)(frame())
    assert found.nested[0].boxes[0] == pytest.approx([20, 12, 28, 20], abs=2)
    (beside,) = found.beside
    assert beside.task == "classify"
    document = to_document("x", found)
    assert document["classes"] and document["detections"]


def problem(folder, stage):
    task = "ocr" if stage.use == "read" else "detect"
    detect = manifest("parts", task, ("cap", "label"), End2EndHead(), stage=(stage,))
    bundle.write(folder, detect, folder / "model.onnx")


@pytest.mark.parametrize(
    ("stage", "says"),
    [
        (Stage(name="a", model=".."), "outside"),
        (Stage(name="a", model="."), "outside"),
        (Stage(name="a", model="nobody"), "no nobody/model.toml"),
        (Stage(name="a", model="link"), "outside"),
        (Stage(name="a", model="colour", use="turn"), "0, 90, 180 or 270"),
        (Stage(name="a", model="colour", use="read"), "needs a model that reads"),
    ],
)
def test_stages_that_cannot_be_are_refused(folder, cache, stage, says):
    (folder / "link").symlink_to("..")
    problem(folder, stage)
    with pytest.raises(ModelError, match=says) as caught:
        load(folder, cache=cache)
    assert caught.value.code == "MODEL_STAGE_INVALID" and "'a'" in str(caught.value)


def test_the_guard_looks_at_every_stage(folder, tmp_path, cache):
    bad = graphs.constant(tmp_path / "bad.onnx", np.full((1, 3), np.nan), (1, 3, 8, 8))
    colour(folder / "colour", bad)
    with pytest.raises(ModelError, match="stage 'colour'") as caught:
        load(folder, cache=cache)
    assert caught.value.code == "MODEL_NOT_FINITE"


def test_bundles_are_not_nested_without_end(folder, cache):
    inner = folder
    for _ in range(6):
        shutil.copytree(folder / "colour", inner / "next" / "colour")
        (inner / "next" / "model.onnx").write_bytes((folder / "model.onnx").read_bytes())
        problem(inner, Stage(name="a", model="next"))
        inner = inner / "next"
    problem(inner, Stage(name="a", model="colour"))
    with pytest.raises(ModelError, match="nested too deep"):
        load(folder, cache=cache)


def test_a_manifest_says_no_to_stages_without_sense():
    for stages, says in (
        ((Stage(name="a", model="x", labels=("nothing",)),), "unknown labels"),
        ((Stage(name="a", model="x"), Stage(name="a", model="y")), "different names"),
    ):
        with pytest.raises(ValueError, match=says):
            manifest("m", "detect", ("cap",), End2EndHead(), stage=stages)
