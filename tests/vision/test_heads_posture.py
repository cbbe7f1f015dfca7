"""Points of one object, MediaPipe's and old YuNet's priors, masks and points beside lists: against loops."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import ModelError
from edge.vision import heads
from edge.vision.conventions import (
    HeatmapsHead,
    LandmarksHead,
    ListedMasksHead,
    ListedPointsHead,
    MediaPipeHead,
    RetinaFaceHead,
    SimccHead,
)
from edge.vision.spec import Thresholds
from tests.vision.plain import SIDE, centred, context, detections, same, sigmoid, softmax, to_frame

SEEDS = st.integers(0, 10_000)
T = Thresholds(score=0.3, iou=0.45)
SQUARE = (128, 128)
LOW = context(1, Thresholds(score=0.0), frame=SQUARE)


def placed_like(found, points, scores=None):
    """One object whose points are these, ``(K, 2)`` in input pixels."""
    assert found.task == "keypoints" and len(found) == 1
    expected = [to_frame(x, y, frame=SQUARE) for x, y in points]
    np.testing.assert_allclose(found.keypoints[0, :, :2], expected, atol=0.01)
    if scores is not None:
        np.testing.assert_allclose(found.keypoints[0, :, 2], scores, atol=1e-5)
    xs, ys = zip(*expected, strict=True)
    np.testing.assert_allclose(found.boxes[0], [min(xs), min(ys), max(xs), max(ys)], atol=1.01)  # at least a pixel wide


@given(SEEDS, st.integers(2, 9), st.sampled_from(["normalised", "input", "centred"]), st.sampled_from(["xy", "yx"]),
       st.booleans())  # fmt: skip
def test_landmarks(seed, k, unit, order, scored):
    rng = np.random.default_rng(seed)
    points, scores = rng.uniform(0, SIDE, (k, 2)), rng.uniform(0, 1, k)
    raw = {"normalised": points / SIDE, "input": points, "centred": points / SIDE * 2 - 1}[unit]
    raw = raw[:, ::-1] if order == "yx" else raw
    table = np.concatenate([raw, scores[:, None]], axis=1) if scored else raw
    head = LandmarksHead(points=k, values=3 if scored else 2, unit=unit, order=order, third="score")
    found = heads.decode(head, {"o": table.astype(np.float32).reshape(1, 1, -1)}, LOW)
    placed_like(found, points, scores if scored else np.ones(k))
    assert found.scores[0] == pytest.approx(scores.mean() if scored else 1.0, abs=1e-5)


def test_a_score_of_its_own_says_whether_the_object_is_there():
    head = LandmarksHead(
        output="o", points=2, values=3, unit="input", third="depth", score_output="s", activation="sigmoid"
    )
    points = np.array([[5, 20, 9.0, 30, 40, -9.0]], np.float32)
    there = heads.decode(head, {"o": points, "s": np.array([[2.0]], np.float32)}, context(1, T))
    assert there.scores[0] == pytest.approx(sigmoid(2.0), abs=1e-5) and there.keypoints[0, :, 2].tolist() == [1, 1]
    assert not len(heads.decode(head, {"o": points, "s": np.array([[-2.0]], np.float32)}, context(1, T)))


def test_points_that_are_not_finite_do_not_stretch_the_box():
    table = np.array([[0.25, 0.25, np.nan, 0.5, 0.75, 0.5]], np.float32)
    found = heads.decode(LandmarksHead(points=3), {"o": table}, LOW)
    assert found.keypoints[0, 1].tolist() == [0, 0, 0]
    np.testing.assert_allclose(found.boxes[0, [0, 2]], [32, 96], atol=0.01)
    assert not len(heads.decode(LandmarksHead(points=3), {"o": np.full((1, 6), np.nan, np.float32)}, LOW))


@given(SEEDS, st.integers(2, 6), st.sampled_from([(16, 16), (32, 16)]))
def test_heatmaps(seed, k, size):
    maps = np.random.default_rng(seed).uniform(0, 1, (1, k, *size)).astype(np.float32)
    points, scores = [], []
    for one in maps[0].tolist():
        best = max((v, -y, -x) for y, row in enumerate(one) for x, v in enumerate(row))
        y, x = -best[1], -best[2]
        across = 0 if x in {0, size[1] - 1} else 0.25 * np.sign(one[y][x + 1] - one[y][x - 1])
        down = 0 if y in {0, size[0] - 1} else 0.25 * np.sign(one[y + 1][x] - one[y - 1][x])
        points.append(((x + across) * SIDE / size[1] + 0.5, (y + down) * SIDE / size[0] + 0.5))
        scores.append(best[0])
    placed_like(heads.decode(HeatmapsHead(points=k), {"o": maps}, LOW), points, scores)


@given(SEEDS, st.integers(2, 6), st.booleans())
def test_simcc(seed, k, turned):
    rng = np.random.default_rng(seed)
    x, y = (rng.uniform(0, 1, (1, k, 2 * SIDE)).astype(np.float32) for _ in range(2))
    points = [(x[0, i].argmax() / 2, y[0, i].argmax() / 2) for i in range(k)]
    scores = [min(x[0, i].max(), y[0, i].max()) for i in range(k)]
    outputs = {"simcc_y": y, "simcc_x": x} if turned else {"simcc_x": x, "simcc_y": y}
    placed_like(heads.decode(SimccHead(points=k), outputs, LOW), points, scores)


def faces(found, expected, points):
    same(found, expected)
    assert found.task == "keypoints"
    for row, seen in zip(expected, found.keypoints[..., :2].tolist(), strict=True):
        np.testing.assert_allclose(seen, [to_frame(x, y) for x, y in points[row[3]]], atol=0.02)


@settings(max_examples=30)
@given(SEEDS, st.booleans())
def test_mediapipe(seed, split):
    rng = np.random.default_rng(seed)
    head = MediaPipeHead(points=3)
    tables, candidates, points = [], [], []
    for stride, per_cell in zip(head.strides, head.per_cell, strict=True):
        rows = []
        for y in range(SIDE // stride):
            for x in range(SIDE // stride):
                for _ in range(per_cell):
                    at = np.array([(x + 0.5) * stride, (y + 0.5) * stride])
                    row = np.concatenate([rng.normal(0, 3, 2), rng.uniform(3, 30, 2), rng.normal(0, 9, 6)])
                    row = row.astype(np.float32)
                    score = np.float32(rng.normal(-1, 2))
                    candidates.append((centred(*(row[:2] + at), *row[2:4]), sigmoid(float(score)), 0))
                    points.append([tuple(row[4 + 2 * j : 6 + 2 * j] + at) for j in range(3)])
                    rows.append([*row, score])
        tables.append(np.array(rows, np.float32))
    whole = [np.concatenate(tables)] if not split else tables
    outputs = {f"regressor_{i}": one[None, :, :-1] for i, one in enumerate(whole)}
    outputs |= {f"classificator_{i}": one[None, :, -1:] for i, one in enumerate(whole)}
    faces(heads.decode(head, outputs, context(1, T)), detections(candidates, T, 1), points)


@settings(max_examples=20)
@given(SEEDS)
def test_yunet_of_priors(seed):
    """A side of 64 px and strides of 24 px: two cells a side, rounded down."""
    rng = np.random.default_rng(seed)
    head = RetinaFaceHead(strides=(16, 24), priors=((10.0, 10.0, 16.0, 16.0), (32.0, 32.0)), rounded="down")
    rows, candidates, points = [], [], []
    for stride, sides in zip(head.strides, ((10, 16), (32,)), strict=True):
        for y in range(SIDE // stride):
            for x in range(SIDE // stride):
                for side in sides:
                    d, k = rng.normal(0, 1.5, 4).astype(np.float32), rng.normal(0, 3, 10).astype(np.float32)
                    logits, iou = rng.normal(0, 2, 2), np.float32(rng.uniform(-0.2, 1.4))
                    at = np.array([(x + 0.5) * stride, (y + 0.5) * stride])
                    score = math.sqrt(np.float32(softmax(logits)[1]) * min(max(iou, 0), 1))
                    box = [*(at + d[:2] * 0.1 * side), *(side * np.exp(d[2:] * 0.2))]
                    candidates.append((centred(*box), score, 0))
                    points.append([tuple(at + k[j : j + 2] * 0.1 * side) for j in range(0, 10, 2)])
                    rows.append([*d, *k, *softmax(logits), iou])
    table = np.array(rows, np.float32)
    outputs = {"loc": table[:, :14], "conf": table[:, 14:16], "iou": table[:, 16:]}
    faces(heads.decode(head, outputs, context(1, T)), detections(candidates, T, 1), points)


def lists(rng, n, classes):
    centres, sizes = rng.uniform(16, 48, (n, 2)), rng.uniform(6, 24, (n, 2))
    boxes = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1).astype(np.float32)
    labels = rng.integers(1, classes + 1, n)
    return boxes, labels, rng.uniform(0.1, 0.9, n).astype(np.float32)


@settings(max_examples=30)
@given(SEEDS, st.sampled_from(["whole", "box", "classes"]))
def test_masks_beside_a_list(seed, kind):
    """The area of each outline's mask is that of the mask resized by OpenCV, but for pixels on its edge."""
    rng = np.random.default_rng(seed)
    boxes, labels, scores = lists(rng, 6, 2)
    side = SIDE if kind == "whole" else 28
    masks = cv2.GaussianBlur(rng.uniform(0, 1, (side, side, 6)).astype(np.float32), (0, 0), side / 8).transpose(2, 0, 1)
    masks = (masks - masks.min()) / np.ptp(masks)
    masks = np.stack([np.zeros_like(masks), masks, masks], axis=1) if kind == "classes" else masks[:, None]
    head = ListedMasksHead(masks_output="masks", first_label=1, whole=kind == "whole")
    outputs = {"boxes": boxes, "labels": labels, "scores": scores, "masks": masks}
    frame = context(2, T, frame=(SIDE * 2, SIDE * 2))
    found = heads.decode(head, outputs, frame)
    assert found.task == "segment" and found.instances
    order = [i for i in np.argsort(-scores, kind="stable") if scores[i] >= 0.3]
    expected = {}
    for i in order:
        x0, y0, x1, y1 = (int(v) for v in np.round(boxes[i] * 2))
        mask = masks[i, -1]
        if kind == "whole":
            full = cv2.resize(mask, (SIDE * 2, SIDE * 2), interpolation=cv2.INTER_LINEAR)[y0:y1, x0:x1]
        else:
            full = cv2.resize(mask, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
        if (full > 0.5).any():
            expected[i] = int((full > 0.5).sum())
    near = dict(zip(found.scores.tolist(), found.areas_px.tolist(), strict=True))
    for i, area in expected.items():
        if area > 40:
            assert near[float(scores[i])] == pytest.approx(area, rel=0.2)
    assert len(found.polygons) == len(found)


def test_points_beside_a_list():
    boxes = np.array([[4, 4, 30, 30], [20, 20, 60, 60]], np.float32)
    points = np.array([[[5, 6, 1], [20, 21, 1]], [[25, 33, 1], [50, 51, 1]]], np.float32)
    outputs = {
        "boxes": boxes, "labels": np.array([1, 1]), "scores": np.array([0.4, 0.8], np.float32), "keypoints": points,
        "keypoints_scores": np.array([[9.0, -9.0], [1.0, 2.0]], np.float32),
    }  # fmt: skip
    found = heads.decode(ListedPointsHead(points_output="keypoints", first_label=1), outputs, context(1, T))
    assert found.scores.tolist() == pytest.approx([0.8, 0.4]) and found.task == "keypoints"
    for row, seen in zip(points[::-1], found.keypoints, strict=True):
        np.testing.assert_allclose(seen[:, :2], [to_frame(x, y) for x, y, _ in row], atol=0.01)


def test_a_list_of_nothing_has_no_masks_and_no_points():
    empty = {"boxes": np.zeros((0, 4), np.float32), "labels": np.zeros(0, np.int64), "scores": np.zeros(0, np.float32)}
    masks = heads.decode(
        ListedMasksHead(masks_output="m"), empty | {"m": np.zeros((0, 1, 28, 28), np.float32)}, context(1)
    )
    points = heads.decode(
        ListedPointsHead(points_output="p"), empty | {"p": np.zeros((0, 17, 3), np.float32)}, context(1)
    )
    assert len(masks) == len(points) == 0


@pytest.mark.parametrize(
    ("head", "shapes"),
    [
        (LandmarksHead(points=5), {"o": (1, 11)}),
        (LandmarksHead(output="o", points=5, score_output="s"), {"o": (1, 10), "s": (1, 2)}),
        (HeatmapsHead(points=5), {"o": (1, 6, 8, 8)}),
        (SimccHead(points=5), {"x": (1, 5, 8)}),
        (MediaPipeHead(), {"a": (1, 80, 14), "b": (1, 80, 1)}),
        (MediaPipeHead(), {"a": (1, 80, 16), "b": (1, 80, 1)}),
        (RetinaFaceHead(), {"a": (80, 14), "b": (81, 2), "c": (80, 1)}),
        (ListedMasksHead(), {"a": (9, 4), "b": (9,), "c": (9,)}),
        (ListedPointsHead(), {"a": (9, 4), "b": (9,), "c": (9,)}),
    ],
)
def test_outputs_that_do_not_fit_are_refused(head, shapes):
    outputs = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    with pytest.raises(ModelError) as caught:
        heads.decode(head, outputs, context(1))
    assert caught.value.code == "MODEL_OUTPUT_UNFIT"
