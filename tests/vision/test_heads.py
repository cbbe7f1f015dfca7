"""Every convention against a plain loop over its raw numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import ModelError
from edge.vision import heads
from edge.vision.conventions import ClassifyHead, End2EndHead, SegmentHead, YoloV8Head
from edge.vision.geometry import fit
from edge.vision.heads import base
from edge.vision.spec import InputSpec, Thresholds
from tests.vision.test_nms import plain as plain_nms


def context(labels, thresholds=None, frame=(200, 100), side=64, mm_per_px=None):
    thresholds = thresholds or Thresholds()
    geometry = fit(InputSpec(width_px=side, height_px=side), *frame)
    return heads.Context(geometry, labels, thresholds, heads.limits_of(labels, thresholds), mm_per_px)


def plain_yolov8(output, labels, thresholds, frame, side):
    """Column after column; one ratio and one padding for the letterbox."""
    ratio = min(side / frame[0], side / frame[1])
    left, top = (side - int(frame[0] * ratio + 0.5)) // 2, (side - int(frame[1] * ratio + 0.5)) // 2
    found = []
    for column in output[0].T.tolist():
        scores = column[4:]
        best = max(range(len(scores)), key=scores.__getitem__)
        if scores[best] < np.float32(thresholds.labels.get(labels[best], thresholds.score)):
            continue
        cx, cy, w, h = column[:4]
        found.append(([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], scores[best], best))
    kept = plain_nms([f[0] for f in found], [f[1] for f in found], [f[2] for f in found], thresholds.iou)
    rows = []
    for box, score, label in (found[i] for i in kept):
        xs = [min(max((x - left) / ratio, 0), frame[0]) for x in box[::2]]
        ys = [min(max((y - top) / ratio, 0), frame[1]) for y in box[1::2]]
        if xs[1] > xs[0] and ys[1] > ys[0]:
            rows.append((labels[label], score, [xs[0], ys[0], xs[1], ys[1]]))
    return rows


@settings(max_examples=100)
@given(st.integers(1, 120), st.integers(1, 6), st.integers(0, 10_000))
def test_yolov8_gives_what_the_loop_gives(n, classes, seed):
    rng = np.random.default_rng(seed)
    labels = tuple(f"label{i}" for i in range(classes))
    output = np.concatenate(
        [rng.uniform(0, 64, (2, n)), rng.uniform(0.5, 40, (2, n)), rng.uniform(0, 0.6, (classes, n))]
    )[None].astype(np.float32)
    thresholds = Thresholds(score=0.3, iou=0.45, labels={"label0": 0.5})
    found = heads.decode(YoloV8Head(), {"output0": output}, context(labels, thresholds))
    expected = plain_yolov8(output, labels, thresholds, (200, 100), 64)
    assert found.names == [e[0] for e in expected]
    np.testing.assert_allclose(found.scores, [e[1] for e in expected], rtol=1e-6)
    np.testing.assert_allclose(found.boxes.reshape(-1, 4), np.array([e[2] for e in expected]).reshape(-1, 4), atol=2e-3)
    sides = found.boxes[:, 2:] - found.boxes[:, :2]
    np.testing.assert_allclose(found.areas_px, sides.prod(axis=1), rtol=1e-5)
    assert (np.diff(found.scores) <= 0).all()


def test_numbers_that_are_not_finite_are_not_found():
    output = np.zeros((1, 5, 4), np.float32)
    output[0, :, 0] = 30, 30, 10, 10, 0.9
    output[0, :, 1] = np.nan, 30, 10, 10, 0.9
    output[0, :, 2] = 30, 30, np.inf, 10, 0.9
    output[0, :, 3] = 30, 30, 10, 10, np.nan
    for head, array in ((YoloV8Head(), output), (End2EndHead(), _rows_of(output))):
        with np.errstate(invalid="ignore"):
            found = heads.decode(head, {"o": array}, context(("a",), Thresholds(iou=1.0)))
        assert len(found) == 1 and np.isfinite(found.boxes).all()


def _rows_of(output):
    cx, cy, w, h, score = output[0]
    with np.errstate(invalid="ignore"):
        return np.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2, score, 0 * score], axis=1)[None]


def test_end2end_is_sorted_and_filtered():
    rows = np.array(
        [
            [0, 16, 32, 48, 0.4, 1],
            [0, 16, 64, 48, 0.9, 0],
            [0, 16, 64, 48, 0.3, 0],  # below its label's own threshold
            [0, 16, 64, 48, 0.99, 7],  # no such label
            [0, 0, 64, 10, 0.8, 0],  # in the padding
            [0, 0, 0, 0, 0, 0],
        ],
        np.float32,
    )[None]
    found = heads.decode(End2EndHead(), {"o": rows}, context(("a", "b"), Thresholds(labels={"a": 0.5})))
    assert found.names == ["a", "b"]
    assert found.boxes.tolist() == [[0, 0, 200, 100], [0, 0, 100, 100]]


def test_more_than_wanted_are_counted():
    output = np.zeros((1, 5, 20), np.float32)
    output[0, 0], output[0, 1] = np.arange(20) * 3, 32
    output[0, 2:4] = 2
    output[0, 4] = np.linspace(0.5, 0.9, 20)
    found = heads.decode(YoloV8Head(), {"o": output}, context(("a",), Thresholds(max_detections=6)))
    assert len(found) == 6 and found.dropped == 14
    np.testing.assert_allclose(found.scores, np.linspace(0.9, 0.5, 20)[:6], rtol=1e-5)


@given(st.lists(st.floats(-80, 80, width=32), min_size=2, max_size=12))
def test_classify_softmax(logits):
    labels = tuple(f"c{i}" for i in range(len(logits)))
    output = {"o": np.array([logits], np.float32)}
    found = heads.decode(ClassifyHead(), output, context(labels, Thresholds(score=0.1)))
    peak = max(logits)
    total = math.fsum(math.exp(v - peak) for v in logits)
    expected = {f"c{i}": math.exp(v - peak) / total for i, v in enumerate(logits)}
    best = max(expected.values())
    assert found.scores[0] == pytest.approx(best, abs=1e-6)
    for name, score in zip(found.names, found.scores.tolist(), strict=True):
        assert score == pytest.approx(expected[name], abs=1e-6)
    assert {n for n, s in expected.items() if s > 0.1001} <= set(found.names)
    assert (np.diff(found.scores) <= 0).all()
    assert (found.boxes == [0, 0, 200, 100]).all()


def test_classify_gives_the_likeliest_even_below_its_threshold():
    found = heads.decode(
        ClassifyHead(activation="none"),
        {"o": np.array([[0.2, 0.3]], np.float32)},
        context(("a", "b"), Thresholds(score=0.9)),
    )
    assert found.names == ["b"]


@given(st.floats(-1e6, 1e6, width=32))
def test_sigmoid_does_not_overflow(x):
    value = float(base.activate(np.array([x], np.float32), "sigmoid", 0)[0])
    expected = 1 / (1 + math.exp(-x)) if x > -700 else 0.0
    assert value == pytest.approx(expected, abs=1e-6)


def test_an_output_is_chosen_by_name():
    good = np.array([[0.1, 0.9]], np.float32)
    outputs = {"aux": np.zeros((1, 7), np.float32), "scores": good}
    head = ClassifyHead(output="scores", activation="none")
    assert heads.decode(head, outputs, context(("a", "b"))).names == ["b"]
    with pytest.raises(ModelError, match="has no output 'gone'"):
        heads.decode(ClassifyHead(output="gone"), outputs, context(("a", "b")))


@pytest.mark.parametrize(
    ("head", "shape"),
    [
        (YoloV8Head(), (1, 84, 2100)),
        (YoloV8Head(), (1, 2100, 6)),
        (YoloV8Head(), (2, 6, 2100)),
        (End2EndHead(), (1, 6, 300)),
        (ClassifyHead(), (1, 3)),
        (ClassifyHead(), (1, 2, 4, 4)),
        (SegmentHead(), (1, 3, 8, 8)),
        (SegmentHead(background=0), (1, 4, 8, 8)),
        (SegmentHead(background=3), (1, 3, 8, 8)),
        (SegmentHead(), (1, 2, 0, 8)),
    ],
)
def test_outputs_of_the_wrong_shape_are_refused(head, shape):
    with pytest.raises(ModelError) as caught:
        heads.decode(head, {"o": np.zeros(shape, np.float32)}, context(("a", "b")))
    assert caught.value.code == "MODEL_OUTPUT_UNFIT"


def test_every_head_has_a_row_in_the_table():
    from typing import get_args

    from edge.vision.conventions import HEAD_TASK, HeadSpec

    assert set(get_args(HeadSpec)) == set(heads.HEADS) == set(HEAD_TASK)


@pytest.mark.parametrize("activation", ["none", "sigmoid"])
def test_one_number_and_two_labels(activation):
    raw = np.array([[0.75 if activation == "none" else math.log(3)]], np.float32)
    found = heads.decode(
        ClassifyHead(activation=activation), {"o": raw}, context(("label0", "label1"), Thresholds(score=0.1))
    )
    assert found.names == ["label1", "label0"] and found.scores.tolist() == pytest.approx([0.75, 0.25], abs=1e-6)
    with pytest.raises(ModelError):
        heads.decode(ClassifyHead(activation="softmax"), {"o": raw}, context(("label0", "label1")))
