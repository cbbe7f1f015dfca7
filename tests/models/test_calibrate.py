"""A threshold is a promise about pictures nobody has seen: here they are drawn, and the promise is counted."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import InputError, ModelError
from edge.models.bundle import About, Manifest
from edge.models.calibrate import beta_quantile, line_of, pictures_needed, readable_above
from edge.models.calibration import Seen, calibrated, check_task
from edge.vision.conventions import AnomalyHead, ClassifyHead
from edge.vision.spec import InputSpec


@pytest.mark.parametrize(("n", "rate"), [(25, 0.05), (60, 0.02), (150, 0.02), (400, 0.01)])
def test_the_expected_rate_is_that_of_new_pictures(n, rate):
    """Scores of good pictures that are log-normal, a hundred calibrations."""
    rng = np.random.default_rng(1)
    rates, held = [], 0
    for _ in range(100):
        line = line_of(np.exp(rng.normal(-5, 0.7, n)).tolist(), rate)
        # The very rate of this threshold, as the scores' distribution is known here.
        true = 0.5 * math.erfc((math.log(line.threshold) + 5) / 0.7 / math.sqrt(2))
        rates.append(true)
        held += line.low <= true <= line.high
        assert line.method == ("order statistic" if n >= pictures_needed(rate)[0] else "log-normal tail")
        assert line.expected <= rate * 1.0001
    spread = np.std(rates) / math.sqrt(len(rates))
    assert np.mean(rates) == pytest.approx(line.expected, abs=4 * spread)
    assert 0.88 <= held / 100 <= 0.995


@given(
    st.lists(st.floats(-1e6, 1e6).filter(lambda v: v == 0 or abs(v) > 1e-9), min_size=5, max_size=200, unique=True),
    st.floats(0.001, 0.5),
)
def test_a_threshold_lies_where_the_rate_wants_it(scores, rate):
    line = line_of(scores, rate)
    above = sum(score >= line.threshold for score in scores)
    assert 0 <= line.low <= line.expected <= line.high <= 1
    if line.method == "order statistic":
        # Fewer where the next scores are so near that five digits do not tell them apart.
        assert above <= round(line.expected * (len(scores) + 1)) - 1
        assert line.expected <= rate + 1e-9
    else:
        assert len(scores) < pictures_needed(rate)[0] and math.isfinite(line.threshold)


def test_how_many_pictures_a_rate_takes():
    assert pictures_needed(0.01) == (99, 299)
    assert pictures_needed(0.05) == (19, 59)


def test_quantiles_of_beta_are_those_of_closed_forms():
    for n in (1, 5, 300, 5000):
        assert beta_quantile(0.3, 1, n) == pytest.approx(1 - 0.7 ** (1 / n), rel=1e-6)
        assert beta_quantile(0.3, n, 1) == pytest.approx(0.3 ** (1 / n), rel=1e-6)


def test_scores_that_say_nothing_are_refused():
    with pytest.raises(InputError, match="CALIBRATION_TOO_FEW"):
        line_of([1.0, 2.0, 3.0], 0.01)
    with pytest.raises(InputError, match="CALIBRATION_CONSTANT"):
        line_of([0.25] * 30, 0.01)


def test_one_bad_picture_among_the_good_is_noticed():
    good = np.exp(np.random.default_rng(2).normal(0, 0.1, 30)).tolist()
    assert not line_of(good, 0.01).outlying
    assert line_of([*good, 4.0], 0.001).outlying


def manifest(head):
    about = About(name="m", task="anomaly" if isinstance(head, AnomalyHead) else "classify", labels=("a", "b"))
    return Manifest(model=about, input=InputSpec(width_px=8, height_px=8), output=head)


def test_a_picture_that_is_there_twice_counts_once_and_a_map_has_its_own_line():
    seen = [Seen(f"{i}.png", f"{i:064x}", 1 + i / 100, 5 + i / 10) for i in range(40)]
    result = calibrated(manifest(AnomalyHead()), [*seen, *seen], 0.1)
    thresholds, calibration = result.manifest.thresholds, result.manifest.calibration
    assert calibration.pictures == 40 and calibration.method == "order statistic"
    assert (thresholds.anomaly, thresholds.anomaly_map) == (1.3601, 8.6001)
    assert [one.source for one in result.highest] == ["39.png", "38.png", "37.png"]
    same = [Seen(f"{i}.png", f"{i:064x}", float(i), float(i)) for i in range(40)]
    assert calibrated(manifest(AnomalyHead()), same, 0.1).manifest.thresholds.anomaly_map is None


def test_other_tasks_have_no_such_threshold():
    check_task(manifest(AnomalyHead()))
    with pytest.raises(ModelError, match="MODEL_TASK_UNFIT"):
        check_task(manifest(ClassifyHead()))


@given(st.floats(-1e12, 1e12).filter(lambda v: v == 0 or abs(v) > 1e-12))
def test_a_threshold_is_readable_and_above(value):
    found = readable_above(value)
    assert found > value and found > float(f"{value:.6g}") and found == float(f"{found:.5g}")
    assert found - value <= max(abs(value) * 2.1e-4, 1e-9)
