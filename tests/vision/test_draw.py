"""Overlays: what is drawn where, at every scale, and never outside."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.domain import Reason, Verdict
from edge.vision import draw, text
from edge.vision.prediction import Prediction
from edge.vision.text import Typeface

LABELS = ("scratch", "pit", "stain", "chip")


def detections(boxes, size=(640, 480), labels=LABELS) -> Prediction:
    n = len(boxes)
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    scores = np.linspace(0.9, 0.5, n, dtype=np.float32)
    return Prediction("detect", labels, *size, boxes, scores, np.arange(n) % len(labels), np.ones(n, np.float32))


def region(polygon, size=(640, 480)) -> Prediction:
    points = np.array(polygon, np.float32)
    box = np.concatenate([points.min(axis=0), points.max(axis=0)])[None]
    one = np.ones(1, np.float32)
    return Prediction("segment", LABELS, *size, box, one, np.zeros(1, np.int64), one, (points,), mm_per_px=0.1)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 400),
    st.integers(1, 400),
    st.booleans(),
    st.sampled_from(["detect", "segment", "classify"]),
    st.sampled_from(["pass", "fail", "unsure", "none", None]),
    st.integers(0, 10_000),
)
def test_any_picture_of_any_size_can_be_drawn_on(w, h, gray, task, decision, seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(0, 6))
    corners = np.sort(rng.uniform(0, 1, (n, 2, 2)), axis=1) * [w, h]
    boxes = corners.reshape(n, 4).astype(np.float32)
    labels = ("x" * 60, "a", "größe µm²")
    polygons = tuple(np.array([b[[0, 1]], b[[2, 1]], b[[2, 3]]]) for b in boxes) if task == "segment" else ()
    scores = np.sort(rng.uniform(0, 1, n).astype(np.float32))[::-1]
    prediction = Prediction(
        task, labels, w, h, boxes, scores, rng.integers(0, 3, n), np.ones(n, np.float32), polygons, mm_per_px=0.1
    )
    image = rng.integers(0, 256, (h, w) if gray else (h, w, 3), np.uint8)
    before = image.copy()
    verdict = None if decision is None else Verdict(decision, (Reason("score", "a", 0.5, 0.2),) * 4)
    picture = draw.overlay(image, prediction, verdict)
    assert picture.shape == (h, w, 3) and picture.dtype == np.uint8
    np.testing.assert_array_equal(image, before)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from([1, 5, 17]), st.integers(0, 10_000))
def test_points_and_rotated_boxes_of_any_size_can_be_drawn(w, h, k, seed):
    rng = np.random.default_rng(seed)
    boxes = np.concatenate([rng.uniform(0, 0.5, (3, 2)), rng.uniform(0.5, 1, (3, 2))], axis=1) * [w, h, w, h]
    points = rng.uniform(0, 1, (3, k, 3)) * [w, h, 1]
    quads = rng.uniform(-0.2, 1.2, (3, 4, 2)) * [w, h]
    found = replace(detections(boxes, (w, h)), task="keypoints", keypoints=points.astype(np.float32))
    picture = draw.overlay(np.zeros((h, w, 3), np.uint8), found)
    assert picture.shape == (h, w, 3) and picture.any()
    turned = draw.overlay(
        np.zeros((h, w), np.uint8), replace(detections(boxes, (w, h)), quads=quads.astype(np.float32))
    )
    assert turned.shape == (h, w, 3) and turned.any()


def test_hidden_points_and_their_limbs_are_not_drawn():
    points = np.zeros((1, 17, 3), np.float32)
    points[0, :, :2] = 320, 400
    points[0, 5], points[0, 7], points[0, 9] = (100, 100, 0.9), (300, 100, 0.9), (300, 300, 0.4)
    found = replace(detections([[50, 50, 400, 420]]), task="keypoints", keypoints=points)
    picture = draw.overlay(np.zeros((480, 640, 3), np.uint8), found)
    assert picture[100, 100].any() and picture[100, 200].any() and picture[100, 300].any()
    assert not picture[200, 300].any() and not picture[300, 300].any() and not picture[400, 320].any()


@settings(max_examples=100, deadline=None)
@given(st.integers(60, 2000), st.integers(60, 2000), st.integers(0, 10_000))
def test_labels_stay_inside_and_off_the_banner(w, h, seed):
    rng = np.random.default_rng(seed)
    box = (np.sort(rng.uniform(-0.2, 1.2, (2, 2)), axis=0) * [w, h]).ravel().astype(np.float32)
    canvas = draw._Canvas(np.zeros((h, w, 3), np.uint8), Typeface.for_picture(w, h), {})
    top = 20
    x0, y0, x1, y1 = draw._place(canvas, box, "pit 0.5", top, [])
    assert x0 >= 0 and y0 >= top and y0 < y1
    # A text wider than the picture begins at the left and is cut with an ellipsis when it is written.
    assert x1 <= w or x0 == 0
    assert y1 <= h or y0 == top


def test_text_is_cut_to_its_room():
    face = Typeface.for_picture(640, 480)
    picture = np.zeros((60, 300, 3), np.uint8)
    text.write(picture, "a label that is far too long for so little room", (10, 5), face, (255, 255, 255), width_px=90)
    assert picture[:, 10:100].any()
    assert not picture[:, :10].any() and not picture[:, 100:].any()


def test_a_box_is_outlined_and_its_inside_left_alone():
    image = np.full((480, 640, 3), 90, np.uint8)
    picture = draw.overlay(image, detections([[200, 200, 400, 400]]))
    color = draw.colors_of(LABELS)["scratch"]
    for y, x in ((300, 200), (300, 399), (200, 300), (399, 300)):
        assert tuple(picture[y, x].tolist()) == color
    assert (picture[210:390, 210:390] == 90).all()
    assert (picture[410:] == 90).all() and (picture[:, 410:] == 90).all()


def test_a_region_is_tinted_and_what_is_below_shows_through():
    rng = np.random.default_rng(0)
    image = rng.integers(60, 120, (480, 640, 3), np.uint8)
    picture = draw.overlay(image, region([[100, 200], [300, 200], [300, 400], [100, 400]]))
    inside, below = picture[230:370, 130:270].astype(float), image[230:370, 130:270].astype(float)
    color = np.array(draw.colors_of(LABELS)["scratch"], float)
    np.testing.assert_allclose(inside, 0.38 * color + 0.62 * below, atol=1.0)
    assert (picture[420:] == image[420:]).all()


def test_lines_and_text_follow_the_scale():
    small, large = Typeface.for_picture(640, 480), Typeface.for_picture(4000, 3000)
    assert large.line_px >= 4 * small.line_px and large.text_px >= 3 * small.text_px
    assert Typeface.for_picture(40, 30).text_px >= 9


@pytest.mark.parametrize("decision", ["pass", "fail", "unsure", "none"])
def test_the_banner_has_the_decision_s_colour(decision):
    picture = draw.overlay(np.zeros((480, 640, 3), np.uint8), detections([]), Verdict(decision))
    strip = picture[2:6, 600:]
    assert np.abs(strip.mean(axis=(0, 1)) - 0.88 * np.array(draw._VERDICT_COLORS[decision])).max() < 2
    assert not picture[240:].any()


def test_labels_that_crowd_move_out_of_each_other_s_way():
    canvas = draw._Canvas(np.zeros((480, 640, 3), np.uint8), Typeface.for_picture(640, 480), {})
    taken: list[tuple[int, int, int, int]] = []
    for shift in range(3):
        place = draw._place(canvas, np.array([200 + shift, 200, 400, 400], np.float32), "pit 0.50", 0, taken)
        assert not any(draw._overlap(place, t) for t in taken)
        taken.append(place)


def test_up_to_twelve_labels_have_colours_of_their_own_whoever_asks():
    labels = tuple(f"kind {i}" for i in range(12))
    assert len(set(draw.colors_of(labels).values())) == 12
    assert draw.color_of("pit") == draw.colors_of(("pit",))["pit"]


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (Reason("score", "pit", 0.93456, 0.5), "score pit 0.935 (limit 0.5)"),
        (Reason("area", "crack", 1034.2, 50), "area crack 1034 (limit 50)"),
        (Reason("stopped"), "stopped 0"),
    ],
)
def test_reasons_read_like_words(reason, words):
    assert draw._spoken(reason) == words
