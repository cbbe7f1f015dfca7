"""Intervals, good and bad, classes, words, pixels."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.evaluate.metrics.binary import auroc, average_precision, promise, sweep
from edge.evaluate.metrics.confusion import by_class, confusion
from edge.evaluate.metrics.heat import HeatCounts
from edge.evaluate.metrics.intervals import needed_without_event, share_of, upper_bound
from edge.evaluate.metrics.pixels import IGNORE, false_regions, iou_and_dice, pixel_counts, regions_of
from edge.evaluate.metrics.words import edits, errors


def _at_most(k: int, n: int, p: float) -> float:
    return sum(comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1))


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_interval_is_where_the_binomial_tails_are_a_fortieth(pair: tuple[int, int]) -> None:
    k, n = pair
    share = share_of(k, n)
    assert 0.0 <= share.low <= k / n <= share.high <= 1.0
    if k < n:
        assert _at_most(k, n, share.high) == pytest.approx(0.025, abs=1e-6)
    if k > 0:
        assert 1 - _at_most(k - 1, n, share.low) == pytest.approx(0.025, abs=1e-6)


def test_interval_of_published_cases() -> None:
    # 'rule of three' and its exact form: 1 - 0.05^(1/n)
    assert upper_bound(0, 100) == pytest.approx(1 - 0.05 ** (1 / 100), abs=1e-9)
    assert needed_without_event(0.01) == 299
    assert upper_bound(0, 299) <= 0.01 < upper_bound(0, 298)
    assert share_of(0, 0).share is None
    big = share_of(500_000, 1_000_000)
    assert big.low == pytest.approx(0.5 - 1.96 * 0.0005, abs=1e-5)


SCORES = st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=2, max_size=40)


@given(SCORES)
def test_auroc_is_the_chance_that_bad_is_above_good(rows: list[tuple[int, bool]]) -> None:
    scores, bad = np.array([s for s, _ in rows], float), np.array([b for _, b in rows], bool)
    pairs = [(b > g) + 0.5 * (b == g) for b in scores[bad] for g in scores[~bad]]
    found = auroc(scores, bad)
    assert (found is None) == (not pairs)
    if found is not None:
        assert found == pytest.approx(np.mean(pairs))
    precision = average_precision(scores, bad)
    assert (precision is None) == (not bad.any())


@given(SCORES)
def test_sweep_counts_what_each_threshold_does(rows: list[tuple[int, bool]]) -> None:
    scores, bad = np.array([s for s, _ in rows], float), np.array([b for _, b in rows], bool)
    curve = sweep(scores, bad, floor=0.0)
    for cut, escapes, overkill in zip(curve.thresholds, curve.escapes, curve.overkill, strict=True):
        assert escapes == (scores[bad] < cut).sum()
        assert overkill == (scores[~bad] >= cut).sum()
    assert curve.overkill[-1] == 0


@given(SCORES, st.floats(0.0, 0.5))
def test_promise_keeps_its_rate_and_is_the_highest_that_does(rows: list[tuple[int, bool]], rate: float) -> None:
    scores, bad = np.array([s for s, _ in rows], float), np.array([b for _, b in rows], bool)
    curve = sweep(scores, bad, floor=0.0)
    found = promise(curve, rate)
    if not bad.any():
        assert found.threshold is None
        return
    if found.threshold is None:
        assert (scores[bad] <= 0).sum() > rate * bad.sum()
        assert "even at the lowest threshold" in found.why
        return
    assert (scores[bad] < found.threshold).mean() <= rate + 1e-9
    higher = curve.thresholds[curve.thresholds > found.threshold]
    assert all((scores[bad] < cut).mean() > rate for cut in higher)


def test_few_pictures_show_little_and_it_says_so() -> None:
    scores = np.concatenate([np.full(20, 0.9), np.full(20, 0.1)])
    bad = np.arange(40) < 20
    found = promise(sweep(scores, bad, 0.0), 0.01)
    assert found.threshold == pytest.approx(0.9)
    assert found.shown_threshold is None
    assert found.why == "20 bad pictures are too few to show it: 299 without an escape would be needed"
    many = promise(sweep(np.repeat(scores, 20), np.repeat(bad, 20), 0.0), 0.01)
    assert many.shown


def test_classes() -> None:
    matrix = confusion(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 1]), 3)
    assert matrix.tolist() == [[1, 1, 0], [0, 1, 0], [0, 1, 0]]
    rows = by_class(matrix, ("a", "b", "c"))
    assert (rows[1].precision, rows[1].recall) == (pytest.approx(1 / 3), 1.0)
    assert (rows[2].precision, rows[2].recall, rows[2].f1) == (None, 0.0, 0.0)


def _plain_edits(a: str, b: str) -> int:
    if not a or not b:
        return len(a) + len(b)
    return min(_plain_edits(a[1:], b) + 1, _plain_edits(a, b[1:]) + 1, _plain_edits(a[1:], b[1:]) + (a[0] != b[0]))


@given(st.text("ab1", max_size=6), st.text("ab1", max_size=6))
def test_edits_are_levenshteins(a: str, b: str) -> None:
    assert edits(a, b) == _plain_edits(a, b)


def test_errors_of_numbers() -> None:
    mae, rmse, bias = errors(np.array([1.0, 3.0]), np.array([2.0, 1.0]))
    assert (mae, rmse, bias) == (1.5, pytest.approx(2.5**0.5), 0.5)


def test_pixels_and_regions() -> None:
    true, found = np.zeros((10, 12), np.int16), np.zeros((10, 12), np.int16)
    true[1:4, 1:5] = 1
    true[6:8, 6:8] = 2
    true[9, :] = IGNORE
    found[1:4, 3:7] = 1
    found[9, 0:3] = 1
    found[0, 10:12] = 1
    counts = pixel_counts(true, found, 2)
    assert counts.sum() == 9 * 12
    ious, dices = iou_and_dice(counts)
    assert ious[1] == pytest.approx(6 / (12 + 14 - 6))
    assert dices[2] == 0.0
    regions = regions_of(true, found)
    assert [(r.class_no, r.area_px, r.covered) for r in regions] == [(1, 12, 0.5), (2, 4, 0.0)]
    assert false_regions(true, found) == 1


@given(st.integers(0, 2**32 - 1))
def test_heat_is_counted_as_if_every_pixel_were_ranked(seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts, values, marks = HeatCounts(), [], []
    for _ in range(3):
        true = np.zeros((12, 14), np.int16)
        true[2:5, 3 : 3 + int(rng.integers(1, 8))] = 1
        true[8, 2] = 1
        true[11] = IGNORE
        heat = (rng.integers(0, 64, true.shape) / 64 + (true > 0) * 0.1).clip(0, 0.999).astype(np.float32)
        counts.add(heat, true)
        values.append(np.floor(heat * 4096)[true >= 0])
        marks.append((true > 0)[true >= 0])
    assert counts.pixel_auroc() == pytest.approx(auroc(np.concatenate(values), np.concatenate(marks)))
    overlap = counts.region_overlap()
    assert overlap is not None
    assert 0.0 <= overlap <= 1.0


def test_a_perfect_map_overlaps_its_regions_wholly_and_an_empty_one_by_chance() -> None:
    true = np.zeros((20, 20), np.int16)
    true[3:6, 3:6] = true[10:18, 10:12] = 1
    perfect, flat = HeatCounts(), HeatCounts()
    perfect.add((true > 0).astype(np.float32) * 0.8, true)
    flat.add(np.full((20, 20), 0.5, np.float32), true)
    assert perfect.region_overlap() == pytest.approx(1.0)
    assert perfect.pixel_auroc() == 1.0
    assert flat.region_overlap() == pytest.approx(0.15)
    assert flat.pixel_auroc() == 0.5
