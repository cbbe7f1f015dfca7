"""Variants of series models: made from windows, held against the original in what its head says, and run as such."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from onnx import helper

from edge.errors import InputError, ModelError
from edge.models.bundle import About
from edge.models.checking import check
from edge.models.series import manifest
from edge.models.series.loading import load_series
from edge.models.series.manifest import SeriesManifest
from edge.models.series.recordings import spread, windows_in
from edge.models.tuning import profile
from edge.models.tuning.machine import this_machine
from edge.models.tuning.plan import Wish
from edge.models.tuning.profile import Figures, Profile
from edge.models.tuning.way import Way
from edge.models.variants.making import Material, Search, put, row_for
from edge.models.variants.recipes import recipes_for
from edge.series.conventions import (
    SeriesClassHead,
    SeriesRawHead,
    SeriesReconstructionHead,
    SeriesScoreHead,
    SeriesValueHead,
    Value,
)
from edge.series.spec import Channel, SeriesInput
from edge.series.windows import check_whole, noise
from tests.models.graphs import save, tensor
from tests.series import models

TWO = (Value(name="a"), Value(name="b", unit="mm"))


def spec_of(n: int, **more) -> SeriesInput:
    return SeriesInput(channels=tuple(Channel(name=f"c{i}") for i in range(n)), **more)


def write(folder, model, spec, head, labels=()):
    task = "raw" if isinstance(head, SeriesRawHead) else "series"
    made = SeriesManifest(model=About(name="m", task=task, labels=labels), input=spec, output=head)
    return manifest.write(folder / "b", made, model.read_bytes())


def search(found, count=20):
    windows = [noise(found.manifest.input, seed) for seed in range(count)]
    return Search(found, Material(windows.__getitem__, count, "windows"), this_machine(), 0.95)


def quantized(found):
    work = search(found)
    ((recipe,), *_) = work.recipes("auto", "auto")
    one = work.run(recipe)
    assert work.best() is one, one.error or one.compared
    assert recipe.mode == "dynamic"
    row = row_for(found, one, 0.95, this_machine(), recipe.name)
    return manifest.read(put(found, row, one.data)), one


@pytest.mark.parametrize(
    ("outputs", "head", "figure"),
    [
        (2, SeriesValueHead(values=TWO), "RMS difference of values"),
        (2, SeriesRawHead(), "RMS difference of values"),
        (1, SeriesScoreHead(threshold=0.2), "same verdicts"),
        (12, SeriesReconstructionHead(threshold=1.0), "same verdicts"),
        (2, SeriesClassHead(activation="softmax"), "windows with the same class"),
    ],
)
def test_each_head_is_compared_in_what_it_says(tmp_path, cache, outputs, head, figure):
    labels = ("ok", "worn") if isinstance(head, SeriesClassHead) else ()
    found = write(tmp_path, models.perceptron(tmp_path / "m.onnx", outputs=outputs), spec_of(12), head, labels)
    made, one = quantized(found)
    (row,) = made.manifest.variant
    assert figure in row.agreement.figure
    assert 0.95 <= row.agreement.value <= 1
    assert (row.agreement.pictures, row.agreement.held_out, row.of) == (20, 5, found.sha256)
    assert "MatMulInteger" in {node.op_type for node in onnx.load_from_string(one.data).graph.node}
    assert "variant int8" in [step.step for step in check(made.folder, cache=cache).steps]
    small = load_series(made.folder, cache=cache, wish=Wish("int8"))
    assert small.ref.sha256 == row.sha256 != load_series(made.folder, cache=cache).ref.sha256
    assert small(noise(made.manifest.input)).task == made.manifest.model.task
    assert small.with_min_score(0.3).plan.variant == "int8"


def test_recurrent_layers_become_dynamic_and_take_windows_of_any_length(tmp_path, cache):
    spec = spec_of(2, window_n=12, min_n=4, layout="tc")
    head = SeriesClassHead(activation="softmax")
    made, one = quantized(write(tmp_path, models.recurrent(tmp_path / "m.onnx"), spec, head, ("ok", "worn")))
    assert "DynamicQuantizeLSTM" in {node.op_type for node in onnx.load_from_string(one.data).graph.node}
    original, small = (load_series(made.folder, cache=cache, wish=Wish(name)) for name in ("original", "int8"))
    for n in (4, 7, 12):
        window = noise(spec, n)[:n]
        assert original(window).names[0] == small(window).names[0]


def test_a_scaler_of_scikit_learn_before_the_network_does_no_harm(tmp_path):
    head = SeriesValueHead(values=tuple(Value(name=f"v{i}") for i in range(4)))
    _, one = quantized(write(tmp_path, models.pipeline(tmp_path / "m.onnx"), spec_of(4), head))
    assert [node.op_type for node in onnx.load_from_string(one.data).graph.node].count("MatMulInteger") == 2


@pytest.mark.parametrize(
    ("make", "wanted"),
    [
        (lambda path: models.recurrent(path, "GRU"), "no int8 form of GRU"),
        (models.stump, "TreeEnsembleClassifier compares numbers with thresholds"),
        (lambda path: models.classifier(path, "tensor"), "LinearClassifier of ONNX-ML compute in float32 only"),
        (models.means, "no convolution and no product"),
    ],
)
def test_what_has_nothing_to_gain_is_one_line_that_says_why(tmp_path, make, wanted):
    model = make(tmp_path / "m.onnx")
    shape = [dim.dim_value for dim in onnx.load(model).graph.input[0].type.tensor_type.shape.dim]
    spec = spec_of(2, window_n=8, layout="tc") if len(shape) == 3 else spec_of(2)
    found = write(tmp_path, model, spec, SeriesRawHead())
    with pytest.raises(ModelError) as error:
        search(found).recipes("auto", "auto")
    assert error.value.code == "MODEL_NOT_QUANTIZABLE"
    assert wanted in str(error.value)
    assert "\n" not in str(error.value)


def test_a_small_signal_beside_a_loud_one_is_refused(tmp_path):
    """One scale serves all columns of a row: what is a thousandth of the largest drowns."""
    weights = {
        "w": np.repeat(np.eye(2, dtype=np.float32), 40, axis=1),
        "v": np.repeat(np.eye(2, dtype=np.float32), 40, 0),
    }
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("MatMul", ["h", "v"], ["y"])]
    model = save(tmp_path / "m.onnx", nodes, [tensor("x", (None, 2))], [tensor("y", (None, 2))], weights)
    spec = SeriesInput(channels=(Channel(name="quiet", std=1.0), Channel(name="loud", std=1.0)))
    found = write(tmp_path, model, spec, SeriesValueHead(values=TWO))
    windows = [noise(spec, seed) * (1, 5000) for seed in range(20)]
    work = Search(found, Material(windows.__getitem__, 20, "windows"), this_machine(), 0.95)
    for group in work.recipes("auto", "auto"):
        for recipe in group:
            work.run(recipe)
    assert work.best() is None
    error = work.refusal()
    assert error.code == "MODEL_VARIANT_DISAGREES"
    assert "20 windows" in str(error)


def test_too_few_windows(tmp_path):
    found = write(tmp_path, models.perceptron(tmp_path / "m.onnx"), spec_of(12), SeriesValueHead(values=TWO))
    with pytest.raises(InputError, match="15 windows are too few"):
        search(found, 15).recipes("auto", "auto")


def test_of_series_all_layers_are_tried_where_dynamic_does_not_agree():
    modes = [[one.mode for one in group] for group in recipes_for("auto", "auto", False, is_series=True)]
    assert modes == [["dynamic"], ["full"], ["full"]]
    first = recipes_for("auto", "auto", True, is_series=True, is_recurrent=True)[0]
    assert [one.mode for one in first] == ["conv", "full", "dynamic"]


def test_the_profile_is_used_and_one_that_fails_costs_a_sentence(tmp_path, cache):
    made, _ = quantized(
        write(tmp_path, models.perceptron(tmp_path / "m.onnx"), spec_of(12), SeriesValueHead(values=TWO))
    )
    (row,) = made.manifest.variant
    figures = Figures(fps=1, p50_ms=1, p99_ms=1, cpu_ms=1, memory_mb=1, ratio=2)
    one = Profile(
        sha256=made.sha256,
        variant="int8",
        variant_sha256=row.sha256,
        way=Way(workers=2),
        machine=this_machine(),
        figures=figures,
    )
    profile.keep(one, cache)
    plan = load_series(made.folder, cache=cache, wish=Wish("auto")).plan
    assert (plan.variant, plan.way.workers, plan.notes) == ("int8", 2, ())
    assert load_series(made.folder, cache=cache).plan.variant == ""
    profile.keep(replace(one, machine=replace(this_machine(), cpu="another")), cache)
    assert "measured on another" in load_series(made.folder, cache=cache, wish=Wish("auto")).plan.notes[0]
    profile.keep(one, cache)
    (made.folder / row.file).write_bytes(b"damaged")
    predictor = load_series(made.folder, cache=cache, wish=Wish("auto"))
    assert predictor.ref.sha256 == made.sha256
    assert "MODEL_CHECKSUM" in predictor.plan.notes[0]


def test_a_bare_file_has_no_variants(tmp_path, cache):
    with pytest.raises(ModelError, match="MODEL_VARIANT_UNKNOWN: a bare file has no variant 'int8'"):
        load_series(models.classifier(tmp_path / "m.onnx"), cache=cache, wish=Wish("int8"))


@given(st.integers(0, 500), st.integers(1, 40))
def test_a_spread_is_in_order_even_and_no_more_than_asked(n, most):
    found = spread(iter(range(n)), most)
    assert found == sorted(set(found))
    assert len(found) <= most
    assert len(found) >= min(n, most // 2 + 1) or len(found) == n
    gaps = np.diff([*found, n])
    assert not n or (found[0] == 0 and gaps.max() <= 4 * -(-n // most))


def test_windows_of_a_folder_are_spread_over_its_files_and_gaps_left_out(tmp_path, cache):
    found = write(tmp_path, models.perceptron(tmp_path / "m.onnx", 2), spec_of(2), SeriesValueHead(values=TWO))
    predictor = load_series(found.folder, cache=cache)
    folder = tmp_path / "signals" / "below"
    folder.mkdir(parents=True)
    for i in range(3):
        rows = [f"{i},{j}" for j in range(50)]
        (folder / f"{i}.csv").write_text("\n".join(["c0,c1", *rows, "1,"]))
    (folder / "broken.csv").write_text("a,b\n1,2\n")
    said = []
    windows = windows_in(predictor, folder.parent, 12, said.append)
    assert [int(one[0, 0]) for one in windows] == [0] * 3 + [1] * 3 + [2] * 3
    assert len({int(one[0, 1]) for one in windows}) == 3
    assert any("SERIES_CHANNEL_ABSENT" in one for one in said)
    with pytest.raises(InputError, match="FOLDER_EMPTY"):
        windows_in(predictor, tmp_path / "b", 12)
    with pytest.raises(InputError, match="SERIES_CHANNEL_ABSENT"):
        windows_in(predictor, folder / "broken.csv", 12)


def test_noise_is_a_whole_window_of_what_the_channels_hold():
    spec = SeriesInput(
        channels=(
            Channel(name="kind", categories=("L", "M")),
            Channel(name="back", low=4.0, high=2.0),
            Channel(name="hot", mean=300.0, std=-2.0),
        ),
        window_n=400,
    )
    window = noise(spec, 1)
    check_whole(window, spec)
    assert set(window[:, 0]) == {0.0, 1.0}
    assert window[:, 1].min() >= 2 and window[:, 1].max() <= 4
    assert abs(window[:, 2].mean() - 300) < 1
    np.testing.assert_array_equal(window, noise(spec, 1))
