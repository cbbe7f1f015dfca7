from __future__ import annotations

import numpy as np
import pytest

from edge.errors import InputError, ModelError
from edge.models.bundle import About
from edge.models.series import manifest
from edge.models.series.loading import load_series
from edge.models.series.manifest import SeriesManifest
from edge.series.conventions import (
    SeriesClassHead,
    SeriesRawHead,
    SeriesReconstructionHead,
    SeriesScoreHead,
    SeriesValueHead,
    Value,
)
from edge.series.spec import Channel, SeriesInput
from edge.series.table import parse_table
from tests.series import models


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("guard")


@pytest.fixture
def bundle(tmp_path, cache):
    def make(onnx, spec, head, labels=()):
        task = "raw" if isinstance(head, SeriesRawHead) else "series"
        about = About(name="m", task=task, labels=labels)
        manifest.write(tmp_path / "b", SeriesManifest(model=about, input=spec, output=head), onnx.read_bytes())
        return load_series(tmp_path / "b", cache=cache)

    return make


def two(**more) -> SeriesInput:
    return SeriesInput(channels=(Channel(name="a"), Channel(name="b")), **more)


@pytest.mark.parametrize("form", ["maps", "tensor", "columns"])
@pytest.mark.parametrize("texts", [True, False])
def test_classifiers_as_skl2onnx_writes_them_need_no_manifest(tmp_path, cache, form, texts):
    predictor = load_series(models.classifier(tmp_path / "m.onnx", form, texts=texts), cache=cache, min_score=0.0)
    assert predictor.labels == (("bad", "good") if texts else ("0", "1"))
    found = predictor(np.array([[1.0, 0.5]]))
    wanted = 1 / (1 + np.exp(-3.0))
    assert found.names == list(predictor.labels)[::-1]
    np.testing.assert_allclose(found.scores, [wanted, 1 - wanted], atol=1e-5)


def test_labels_alone_score_one(bundle, tmp_path):
    onnx = models.classifier(tmp_path / "m.onnx", "tensor")
    predictor = bundle(onnx, two(), SeriesClassHead(output="label", labels_only=True), ("bad", "good"))
    found = predictor(np.array([[-1.0, 0.0]]))
    assert (found.names, found.scores.tolist()) == (["bad"], [1.0])


def test_a_frame_of_columns_finds_them_by_name_and_passes_texts(tmp_path, cache):
    predictor = load_series(models.frame(tmp_path / "m.onnx"), cache=cache)
    table = parse_table(b"wear,Type,Torque [Nm]\n1,M,10\n2,L,20\n", "f.csv")
    values = [predictor(window.values).values["variable"] for window in predictor.windows(table)]
    assert values == [12.0, 22.0]


def test_a_free_time_axis_takes_what_is_there(bundle, tmp_path):
    head = SeriesValueHead(values=(Value(name="x", unit="mm", scale=2.0), Value(name="y", high=5.0)))
    predictor = bundle(models.means(tmp_path / "m.onnx"), two(layout="tc", window_n=4, min_n=2), head)
    assert predictor(np.array([[1.0, 10], [3, 20]])).values == {"x": 4.0, "y": 5.0}
    assert predictor(np.array([[1.0, 1], [2, 2], [3, 3], [4, 4]])).values == {"x": 5.0, "y": 2.5}
    for wrong in (np.zeros((1, 2)), np.zeros((5, 2))):
        with pytest.raises(InputError, match="SERIES_SHORT"):
            predictor(wrong)


@pytest.mark.parametrize(("layout", "wanted"), [("flat_tc", 4321.0), ("flat_ct", 4231.0)])
def test_flat_windows_are_laid_out_as_said(bundle, tmp_path, layout, wanted):
    head = SeriesValueHead(values=(Value(name="v"),))
    predictor = bundle(models.flat(tmp_path / "m.onnx", 4), two(layout=layout, window_n=2), head)
    assert predictor(np.array([[1.0, 2], [3, 4]])).values == {"v": wanted}


def test_scaling_is_by_channel(bundle, tmp_path):
    spec = SeriesInput(
        channels=(Channel(name="a", mean=10, std=2), Channel(name="b", low=0, high=4)), layout="tc", window_n=1, min_n=1
    )
    head = SeriesValueHead(values=(Value(name="a"), Value(name="b")))
    assert bundle(models.means(tmp_path / "m.onnx"), spec, head)(np.array([[14.0, 1.0]])).values == {
        "a": 2.0,
        "b": 0.25,
    }


def test_reconstruction_says_how_far_off_and_which_channel(bundle, tmp_path):
    head = SeriesReconstructionHead(threshold=0.5)
    predictor = bundle(models.smooth(tmp_path / "m.onnx"), two(layout="ct", window_n=8), head)
    window = np.stack([np.ones(8), np.tile([0.0, 2.0], 4)], axis=1)
    found = predictor(window)
    assert found.anomaly is not None
    assert (found.anomaly.score, found.anomaly.threshold) == (0.5, 0.5)
    assert found.values == {"score": 0.5, "error.a": 0.0, "error.b": 1.0}


@pytest.mark.parametrize(("steps", "wanted"), [("last", 2.0), ("mean", 3.0), ("max", 6.0), ("each", 2.0)])
def test_steps_of_a_window(bundle, tmp_path, steps, wanted):
    spec = SeriesInput(channels=(Channel(name="a"),), layout="tc", window_n=3)
    predictor = bundle(models.running_mean(tmp_path / "m.onnx"), spec, SeriesScoreHead(steps=steps, threshold=5.0))
    found = predictor(np.array([[1.0], [6.0], [2.0]]))
    assert found.values == {"score": wanted}
    assert (found.steps is None) == (steps != "each")
    if steps == "each":
        assert found.steps.tolist() == [[1.0], [6.0], [2.0]]


def test_raw_outputs_have_names_and_places(bundle, tmp_path):
    found = bundle(models.means(tmp_path / "m.onnx"), two(layout="tc", window_n=2), SeriesRawHead())(np.ones((2, 2)))
    assert (found.task, found.values) == ("raw", {"y[0]": 1.0, "y[1]": 1.0})


def test_what_does_not_fit_together_is_said_before_the_first_window(bundle, tmp_path):
    onnx = models.means(tmp_path / "m.onnx")
    with pytest.raises(ModelError, match=r"MODEL_OUTPUT_UNFIT.*y \[1, 2\].*3 values"):
        bundle(onnx, two(layout="tc", window_n=2), SeriesValueHead(values=tuple(Value(name=n) for n in "abc")))
    with pytest.raises(ModelError, match=r"MODEL_INPUT_UNFIT.*\[1, 4\].*\[1, \?, 2\]"):
        bundle(onnx, two(window_n=2), SeriesRawHead())
    with pytest.raises(ModelError, match=r"MODEL_INPUT_UNFIT.*go to input 'z'"):
        bundle(onnx, SeriesInput(channels=(Channel(name="a", input="z"),)), SeriesRawHead())


def test_a_manifest_by_hand_is_short_and_its_errors_name_the_line(tmp_path, cache):
    folder = tmp_path / "hand"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(models.means(tmp_path / "m.onnx").read_bytes())
    text = (
        '[model]\nname = "m"\ntask = "series"\n[input]\nlayout = "tc"\nwindow_n = 4\n'
        'channels = [{ name = "a" }, { name = "b" }]\n[output]\nhead = "value"\nvalues = [{ name = "x" }, { name = "y" }]\n'
    )
    (folder / "model.toml").write_text(text)
    assert manifest.takes_series(folder)
    assert isinstance(manifest.read_model(folder), manifest.SeriesBundle)
    assert load_series(folder, cache=cache).channels == ("a", "b")
    (folder / "model.toml").write_text(text.replace("window_n", "windows_n"))
    with pytest.raises(ModelError, match=r"MODEL_MANIFEST_INVALID.*model.toml line 6.*did you mean 'window_n'\?"):
        load_series(folder, cache=cache)


def test_a_changed_file_is_noticed(bundle, tmp_path, cache):
    bundle(models.means(tmp_path / "m.onnx"), two(layout="tc", window_n=2), SeriesRawHead())
    models.means(tmp_path / "b" / "model.onnx", (1, "U", 2))
    with pytest.raises(ModelError, match="MODEL_CHECKSUM"):
        load_series(tmp_path / "b", cache=cache)
