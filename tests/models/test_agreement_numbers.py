"""How far two models agree whose answer to a window is numbers: a share, the same whichever comes first."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.models.variants.agreement import Seen
from edge.models.variants.numbers import Classes, Values
from edge.vision.prediction import Prediction


def seen(values=None, steps=None, label=0, score=1.0):
    found = Prediction(
        "series",
        ("a", "b"),
        0,
        0,
        label_ids=np.array([label]),
        scores=np.array([score], np.float32),
        values=values or {},
        steps=steps,
    )
    return Seen(found, found)


def agreement(a, b):
    tally = Values()
    for x, y in zip(a, b, strict=True):
        tally.add(seen({"v": x}), seen({"v": y}))
    return tally.value


numbers = st.floats(-1e6, 1e6).map(lambda x: round(x, 3))
pairs = st.lists(st.tuples(numbers, numbers), min_size=3, max_size=12)


@given(pairs, st.sampled_from([0.5, 8.0, -2.0]))
def test_agreement_of_values_is_symmetric_a_share_and_knows_no_unit(rows, unit):
    a, b = zip(*rows, strict=True)
    value = agreement(a, b)
    assert value == agreement(b, a)
    assert (value is None) == (len(set(a)) == len(set(b)) == 1)
    if value is not None:
        assert 0 <= value <= 1
        assert agreement([unit * x for x in a], [unit * x for x in b]) == pytest.approx(value, abs=1e-9)
    if len(set(a)) > 1:
        assert agreement(a, a) == 1


def test_an_error_of_a_twentieth_of_the_spread_is_095():
    a = np.array([-1.0, 1.0] * 10)
    assert agreement(a, a + 0.05) == pytest.approx(0.95)
    # A value that hardly moves is not held to its own noise.
    assert agreement(300 + 1e-6 * a, np.full(20, 300.0)) > 0.999


def test_steps_that_are_listed_count_each():
    one, other = np.eye(2, dtype=np.float32)[[0, 0, 1, 1]], np.eye(2, dtype=np.float32)[[0, 1, 1, 1]]
    tally = Classes()
    tally.add(seen(steps=one), seen(steps=other))
    assert tally.value == 0.75
    assert "steps" in tally.figure
    plain = Classes()
    plain.add(seen(label=0, score=0.75), seen(label=0, score=0.5))
    plain.add(seen(label=0), seen(label=1))
    assert (plain.value, plain.score_error) == (0.5, 0.25)
