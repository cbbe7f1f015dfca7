"""How far two models agree: the same number whichever comes first, 1 for the same, 0 for nothing in common."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.models.variants.agreement import Regions, Scores, Seen, Texts, Things, Tops, iou, matched
from edge.vision.prediction import Anomaly, Prediction

SIDE = 100


def boxes_of(task="detect", boxes=(), scores=(), labels=(), **more):
    box = np.array(boxes, np.float32).reshape(-1, 4)
    return Prediction(
        task, ("a", "b"), SIDE, SIDE, box, np.array(scores, np.float32), np.array(labels, np.int64), **more
    )


def seen(found, low=None):
    return Seen(found, found if low is None else low)


corner = st.floats(0, 60, width=32)
side = st.floats(5, 40, width=32)
box = st.tuples(corner, corner, side, side).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))
thing = st.tuples(box, st.floats(0.25, 1, width=32), st.integers(0, 1))


@st.composite
def predictions(draw):
    rows = sorted(draw(st.lists(thing, max_size=6)), key=lambda row: -row[1])
    return boxes_of(boxes=[r[0] for r in rows], scores=[r[1] for r in rows], labels=[r[2] for r in rows])


def outlines(found):
    """Each box as a region with its own outline."""
    shapes = [np.array([[l, t], [r, t], [r, b], [l, b]], np.float32) for l, t, r, b in found.boxes.tolist()]  # noqa: E741
    return replace(found, task="segment", polygons=tuple(shapes))


def tally(kind, a, b):
    made = kind()
    made.add(seen(a), seen(b))
    return made


@given(predictions(), predictions())
def test_agreement_of_things_is_a_symmetric_share(a, b):
    ab, ba = tally(Things, a, b), tally(Things, b, a)
    assert ab.value == ba.value
    assert ab.value is None or 0 <= ab.value <= 1
    assert (ab.value is None) == (len(a) + len(b) == 0)
    assert 0 <= ab.score_error <= 1
    pairs = matched(a, b)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    assert all(a.label_ids[i] == b.label_ids[j] for i, j in pairs)


@given(predictions())
def test_a_model_agrees_with_itself(a):
    for kind, one in ((Things, a), (Regions, outlines(a)), (Tops, a)):
        found = tally(kind, one, one)
        assert found.value in {None, 1.0}
        assert found.score_error == 0


@given(predictions(), predictions())
def test_regions_overlap_symmetrically(a, b):
    a, b = outlines(a), outlines(b)
    assert tally(Regions, a, b).value == tally(Regions, b, a).value


@given(predictions(), predictions())
def test_overlaps_are_shares(a, b):
    found = iou(a.boxes, b.boxes)
    assert found.shape == (len(a), len(b))
    assert ((found >= 0) & (found <= 1 + 1e-9)).all()
    np.testing.assert_allclose(found, iou(b.boxes, a.boxes).T)


def test_nothing_in_common_is_nought_and_a_dead_model_is_seen():
    a = boxes_of(boxes=[(0, 0, 10, 10)], scores=[0.9], labels=[0])
    other_label = boxes_of(boxes=[(0, 0, 10, 10)], scores=[0.9], labels=[1])
    assert tally(Things, a, other_label).value == 0
    assert tally(Things, a, boxes_of()).value == 0
    assert tally(Things, boxes_of(), boxes_of()).value is None


def test_a_score_that_just_misses_the_threshold_is_no_disagreement():
    a = boxes_of(boxes=[(0, 0, 10, 10)], scores=[0.26], labels=[0])
    low = boxes_of(boxes=[(0, 0, 10, 10)], scores=[0.2], labels=[0])
    found = Things()
    found.add(seen(a), Seen(boxes_of(), low))
    assert found.value == 1
    assert found.score_error == pytest.approx(0.06, abs=1e-6)


def test_points_elsewhere_are_another_thing():
    points = np.zeros((1, 2, 3), np.float32)
    a = boxes_of("keypoints", [(0, 0, 10, 10)], [0.9], [0], keypoints=points)
    b = replace(a, keypoints=points + 5)
    assert tally(Things, a, a).value == 1
    assert tally(Things, a, b).value == 0


def test_the_first_class_counts_however_unsure():
    sure = boxes_of("classify", [(0, 0, 1, 1)] * 2, [0.6, 0.4], [0, 1])
    other = boxes_of("classify", [(0, 0, 1, 1)] * 2, [0.6, 0.4], [1, 0])
    found = Tops()
    found.add(seen(sure), seen(sure))
    found.add(seen(sure), seen(other))
    assert found.value == 0.5


def test_texts_are_the_same_or_not():
    a = boxes_of("ocr", [(0, 0, 9, 9)], [0.9], [0], texts=("LOT 1",))
    found = Texts()
    found.add(seen(a), seen(a))
    found.add(seen(a), seen(replace(a, texts=("L0T 1",))))
    assert found.value == 0.5


def anomalous(score, threshold=float("inf")):
    return boxes_of("anomaly", anomaly=Anomaly(score, threshold))


@given(st.lists(st.floats(0, 100), min_size=3, max_size=9), st.floats(0.5, 2), st.floats(-5, 5))
def test_scores_that_go_together_agree_whatever_their_unit(scores, factor, shift):
    found = Scores()
    for score in scores:
        found.add(seen(anomalous(score)), seen(anomalous(score * factor + shift)))
    spread = max(scores) - min(scores)
    if spread > 1e-3:
        assert found.value == pytest.approx(1, abs=1e-6)
    elif spread == 0:
        assert found.value is None


def test_verdicts_count_where_there_is_a_threshold():
    found = Scores()
    for a, b in ((1, 1.1), (2, 2.1), (3, 3.1), (4, 4.1)):
        found.add(seen(anomalous(a, 3.05)), seen(anomalous(b, 3.05)))
    assert found.value == 0.75
    assert found.score_error == pytest.approx(0.1 / 1.1)


def test_two_scores_are_too_few():
    found = Scores()
    for score in (1, 2):
        found.add(seen(anomalous(score)), seen(anomalous(score)))
    assert found.value is None
