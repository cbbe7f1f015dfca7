"""Ways of running are measured in processes of their own; the choice keeps to the limit and to what is safe."""

from __future__ import annotations

import math
from dataclasses import replace as replaced

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from edge.models.benching.child import Answer
from edge.models.benching.configs import configs_of, full_name, ways
from edge.models.benching.deciding import MOST_NOISE, Row, decide, noise_of, raw_error, rows_of
from edge.models.benching.measuring import Config, Form, Measured, measure
from edge.models.benching.outputs import as_array
from edge.models.benching.series import series_subject
from edge.models.tuning.openvino import installed
from edge.models.tuning.way import CPU, Way
from tests.models import graphs
from tests.series import models


def form(path, name=""):
    graphs.darkness(path)
    feeds = {"images": np.random.default_rng(0).random((1, 1, 64, 64), np.float32)}
    return Form(name, "0" * 64, path.read_bytes(), {}, feeds, ("output0",))


def row(ratio=1.0, p99_ms=10.0, cpu_ms=10.0, **more):
    return Row(
        **(
            {
                "way": Way(),
                "ratio": ratio,
                "fps": 100 * ratio,
                "p50_ms": 9.0,
                "p99_ms": p99_ms,
                "cpu_ms": cpu_ms,
                "runs": 9,
            }
            | more
        )
    )


def test_each_way_is_measured_and_compared_with_the_usual_one(tmp_path):
    one = form(tmp_path / "m.onnx")
    broken = Form("broken", "1" * 64, b"no model", {}, one.feeds, ("output0",))
    configs = [
        Config(one, Way()),
        Config(one, Way(workers=2)),
        Config(one, Way(provider="CUDAExecutionProvider")),
        Config(broken, Way()),
    ]
    steps = []
    found = measure(configs, rounds=2, seconds=0.02, step=steps.append)
    usual, two, missing, dead = rows_of(found)
    assert len(steps) == 8
    assert usual.ratio == 1
    assert usual.runs >= 6
    assert usual.raw_error == two.raw_error == 0
    assert min(usual.fps, usual.p50_ms, usual.cpu_ms, usual.load_ms, two.fps) > 0
    assert usual.p50_ms <= usual.p99_ms
    assert found[2].code == "PROVIDER_FELL_BACK"
    assert "fell back to CPUExecutionProvider" in missing.why
    assert found[3].code == "MODEL_UNREADABLE"
    assert not dead.safe


@pytest.mark.parametrize("make", [models.frame, models.classifier])
def test_a_model_of_texts_and_one_of_maps_are_measured_and_compared(tmp_path, cache, make):
    found = series_subject(make(tmp_path / "m.onnx"), None, cache)
    (one,) = found.forms
    rows = rows_of(measure([Config(one, Way()), Config(one, Way(optimisation="none"))], rounds=1, seconds=0.02))
    assert found.unit == "window"
    assert [row.raw_error for row in rows] == [0, 0]
    assert min(row.fps for row in rows) > 0


def test_outputs_of_all_kinds_are_compared():
    maps = [{"b": 2.0, "a": 1.0}, {"a": 4.0, "b": 0.0}]
    assert as_array(maps).tolist() == [[1.0, 2.0], [4.0, 0.0]]
    texts = np.array(["good", "bad"], object)
    assert raw_error([maps, texts], [maps, texts]) == 0
    assert raw_error([maps], [[{"a": 1.0, "b": 2.0}, {"a": 4.0, "b": 1.0}]]) == 0.25
    assert raw_error([texts], [np.array(["good", "ok"], object)]) == 0.5
    assert raw_error([maps], [texts]) is None


def test_a_trifle_is_run_the_usual_way_however_fast_it_seems_elsewhere():
    rows = [row(1.0, 0.02, p50_ms=0.01), row(2.0, 0.01, p50_ms=0.005, way=Way(workers=2))]
    assert decide(rows, 0.01, besides_ms=0.03).chosen == 0
    assert decide(rows, 0.01, besides_ms=0.005).chosen == 1
    slow = [row(1.0, 12.0, p50_ms=10), row(2.0, 12.0, p50_ms=10, way=Way(workers=2))]
    assert decide(slow, 0.01, besides_ms=30.0).chosen == 1


@pytest.mark.skipif(not installed(), reason="needs the extra openvino")
def test_openvino_gives_the_same_numbers(tmp_path):
    one = form(tmp_path / "m.onnx")
    found = measure([Config(one, Way()), Config(one, Way(engine="openvino", workers=2))], rounds=1, seconds=0.02)
    assert rows_of(found)[1].raw_error < 1e-5


def test_a_model_that_crashes_or_is_killed_is_a_row_that_says_so(tmp_path):
    one = form(tmp_path / "m.onnx")
    wrong = Form("", one.sha256, one.onnx, {}, {"images": np.zeros((1, 2, 3), np.float32)}, one.output_names)
    (found,) = measure([Config(wrong, Way())], rounds=2, seconds=0.02)
    assert found.code == "MODEL_RUN_FAILED"
    assert not rows_of([found])[0].runs


@pytest.mark.parametrize("cores", [1, 2, 3, 4, 6, 64, 200])
def test_ways_fill_the_cores_and_begin_with_the_usual_one(cores):
    found = list(ways(cores))
    assert found[0] == Way()
    assert len(set(found)) == len(found)
    assert max(way.workers * way.intra for way in found) == min(cores, 64)


def test_variants_and_providers_that_were_asked_for_are_among_them(tmp_path):
    original, variant = form(tmp_path / "m.onnx"), form(tmp_path / "v.onnx", "int8")
    variant = replaced(variant, engines=("onnxruntime",))
    found = configs_of([original, variant], cores=2, providers=["cuda", "cpu"], openvino=True)
    assert [one.way.workers for one in found if one.form is variant] == [1, 2]
    assert [one.way.provider for one in found if one.way.provider != CPU] == ["CUDAExecutionProvider"]
    assert [one.way.workers for one in found if one.way.engine == "openvino"] == [1, 2, 1]
    assert full_name("Strange") == "StrangeExecutionProvider"


def test_a_spinning_way_is_not_recommended_however_fast():
    fast = row(3.0, way=Way(intra=2, spinning=True), safe=False)
    assert decide([row(), fast], 0.01).chosen == 0


def test_what_burns_cpu_while_it_waits_is_not_safe(tmp_path):
    one = form(tmp_path / "m.onnx")
    calm = Answer(fps=100, times_ms=(10.0,), cpu_ms=10, paced_cpu_ms=11)
    hot = replace(calm, fps=150, paced_cpu_ms=40)
    rows = rows_of([Measured(Config(one, Way()), [calm]), Measured(Config(one, Way(spinning=True)), [hot])])
    assert [one.safe for one in rows] == [True, False]
    assert "40.0 ms" in rows[1].why


def test_the_limit_counts_what_is_before_and_after_the_model():
    rows = [row(1.0, 10.0), row(1.9, 20.0, way=Way(workers=2))]
    assert decide(rows, 0.0, limit_ms=21.0, besides_ms=0.5).chosen == 1
    assert decide(rows, 0.0, limit_ms=21.0, besides_ms=2.0).chosen == 0
    missed = decide(rows, 0.0, limit_ms=5.0)
    assert (missed.met, missed.chosen) == (False, 0)


def test_within_the_noise_the_usual_way_stays_and_the_lightest_is_taken():
    assert decide([row(), row(1.05)], 0.08).chosen == 0
    assert decide([row(), row(2.0, cpu_ms=12), row(1.95, cpu_ms=8)], 0.05).chosen == 2


rows_strategy = st.lists(
    st.builds(
        row,
        ratio=st.floats(0.1, 10),
        p99_ms=st.floats(0.1, 100),
        cpu_ms=st.floats(0.1, 100),
        safe=st.booleans(),
        runs=st.integers(0, 3),
    ),
    min_size=1,
    max_size=8,
)


@given(rows_strategy, st.floats(0, 0.5), st.none() | st.floats(1, 100))
def test_the_choice_is_safe_within_the_limit_and_nearly_the_fastest(rows, noise, limit):
    rows = [row(), *rows]
    found = decide(rows, noise, limit_ms=limit)
    chosen = rows[found.chosen]
    assert chosen.safe
    assert chosen.runs
    fit = [one for one in rows if one.safe and one.runs and (limit is None or one.p99_ms <= limit)]
    assert found.met == bool(fit)
    if fit:
        assert chosen in fit
        assert chosen.ratio * (1 + MOST_NOISE) >= max(one.ratio for one in fit) * (1 - MOST_NOISE**2) - 1e-9


def test_raw_errors_are_shares_and_what_cannot_be_compared_is_none():
    a = np.array([0.0, 10.0], np.float32)
    assert raw_error([a], [a]) == 0
    assert math.isclose(raw_error([a], [a + 1]), 0.1)
    assert raw_error([a], []) is None
    assert raw_error([a], [a[:1]]) is None
    assert raw_error([np.array(["x"])], [a[:1]]) is None


def test_noise_is_half_the_range():
    measured = Measured(None, [Answer(fps=one) for one in (90.0, 100.0, 110.0)])
    assert math.isclose(noise_of(measured), 0.1)
    assert noise_of(Measured(None)) == 0
