"""Instances and points against loops over their raw numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import ModelError
from edge.vision import heads
from edge.vision.conventions import (
    RetinaFaceHead,
    ScrfdHead,
    YoloObbHead,
    YoloPoseHead,
    YoloSegHead,
    YuNetHead,
)
from edge.vision.spec import Thresholds
from tests.vision.plain import SIDE, centred, context, detections, random_boxes, same, softmax, to_frame

SEEDS = st.integers(0, 10_000)
T = Thresholds(score=0.3, iou=0.45, labels={"label0": 0.4})


def table_of(rng, layout, n, classes, more):
    """Random candidates of a layout, with further numbers, and the candidates as a loop sees them."""
    boxes = random_boxes(rng, n)
    raw = rng.uniform(0, 0.7, (n, classes)).astype(np.float32)
    objectness = rng.uniform(0.5, 1, n).astype(np.float32)
    rows, candidates = [], []
    for i in range(n):
        best = int(raw[i].argmax())
        box, score = centred(*boxes[i]), float(raw[i, best])
        if layout == "v8":
            rows.append([*boxes[i], *raw[i], *more[i]])
        elif layout == "v5":
            score *= float(objectness[i])
            rows.append([*boxes[i], objectness[i], *raw[i], *more[i]])
        else:
            rows.append([*box, score, best, *more[i]])
        candidates.append((box, score, best))
    table = np.array(rows, np.float32)
    return (table.T if layout == "v8" else table)[None], candidates


LAYOUTS = st.sampled_from(["v8", "v5", "end2end"])


@settings(max_examples=60)
@given(SEEDS, st.integers(1, 3), LAYOUTS, st.integers(1, 6), st.sampled_from([2, 3]))
def test_poses(seed, classes, layout, points, values):
    rng = np.random.default_rng(seed)
    more = rng.uniform(-10, SIDE + 10, (40, points, values))
    if values == 3:
        more[..., 2] = rng.uniform(0, 1, (40, points))
    output, candidates = table_of(rng, layout, 40, classes, more.reshape(40, -1))
    head = YoloPoseHead(layout=layout, points=points, values=values)
    found = heads.decode(head, {"o": output}, context(classes, T))
    expected = detections(candidates, T, classes, suppress=layout != "end2end")
    same(found, expected)
    assert found.task == "keypoints" and found.keypoints.shape == (len(expected), points, 3)
    for row, seen in zip(expected, found.keypoints.tolist(), strict=True):
        for point, (x, y, score) in zip(more[row[3]].tolist(), seen, strict=True):
            assert (x, y) == pytest.approx(to_frame(point[0], point[1]), abs=0.01)
            assert score == pytest.approx(point[2] if values == 3 else 1.0, abs=1e-6)


def test_points_that_are_not_finite_have_no_score():
    output = np.array([[[32, 32, 20, 20, 0.9, np.nan, 3, 0.5, 30, 30, 0.5]]], np.float32).transpose(0, 2, 1)
    found = heads.decode(YoloPoseHead(points=2), {"o": output}, context(1, T))
    assert found.keypoints[0, 0].tolist() == [0, 0, 0] and found.keypoints[0, 1, 2] == 0.5


def plain_mask(coefficients, prototypes, box, frame, side):
    """A pixel after the other: linear interpolation of the four cells around it, then the threshold."""
    height, width = prototypes.shape[1:]
    ratio = min(side / frame[0], side / frame[1])
    left, top = (side - int(frame[0] * ratio + 0.5)) // 2, (side - int(frame[1] * ratio + 0.5)) // 2
    cells = sum(c * p for c, p in zip(coefficients, prototypes, strict=True))
    mask = np.zeros((frame[1], frame[0]), bool)
    for y in range(round(box[1]), round(box[3])):
        for x in range(round(box[0]), round(box[2])):
            u = ((x + 0.5) * ratio + left) * width / side - 0.5
            v = ((y + 0.5) * ratio + top) * height / side - 0.5
            total = 0.0
            for i, wi in ((math.floor(u), math.floor(u) + 1 - u), (math.floor(u) + 1, u - math.floor(u))):
                for j, wj in ((math.floor(v), math.floor(v) + 1 - v), (math.floor(v) + 1, v - math.floor(v))):
                    total += wi * wj * cells[min(max(j, 0), height - 1), min(max(i, 0), width - 1)]
            mask[y, x] = total > 0
    return mask


@settings(max_examples=25)
@given(SEEDS, LAYOUTS)
def test_instances(seed, layout):
    rng = np.random.default_rng(seed)
    frame, m = (100, 50), 4
    prototypes = rng.normal(0, 1, (m, 16, 16)).astype(np.float32)
    coefficients = rng.normal(0, 1, (15, m)).astype(np.float32)
    output, candidates = table_of(rng, layout, 15, 2, coefficients)
    found = heads.decode(YoloSegHead(layout=layout), {"o": output, "p": prototypes[None]}, context(2, T, frame))
    expected = []
    for row in detections(candidates, T, 2, suppress=layout != "end2end"):
        box = tuple(v / 2 for v in row[2])  # half the frame, the same letterbox
        mask = plain_mask(coefficients[row[3]], prototypes, box, frame, SIDE)
        if mask.any():
            expected.append((*row[:2], box, mask))
    same(found, expected)
    assert found.task == "segment" and found.instances and len(found.polygons) == len(expected)
    for row, seen, polygon in zip(expected, found.areas_px.tolist(), found.polygons, strict=True):
        # The library rounds positions between cells to a 32nd, so that single pixels of an edge may differ.
        assert seen == pytest.approx(row[3].sum(), abs=2 + 0.03 * row[3].sum())
        assert (polygon.min(axis=0) >= np.floor(row[2][:2]) - 0.01).all()
        assert (polygon.max(axis=0) <= np.ceil(row[2][2:]) + 0.01).all()


def test_an_instance_without_pixels_or_too_small_is_none():
    prototypes = np.full((1, 1, 8, 8), 1, np.float32)
    output = np.array([[20, 32, 10, 10, 0.9, -1], [45, 32, 10, 10, 0.8, 1], [58, 32, 4, 4, 0.7, 1]], np.float32).T[None]
    found = heads.decode(YoloSegHead(), {"o": output, "p": prototypes}, context(1, Thresholds(min_area_px=500)))
    assert found.scores.tolist() == [pytest.approx(0.8)]
    left, top, right, bottom = np.round(found.boxes[0])
    assert found.areas_px[0] == (right - left) * (bottom - top)


def faces(found, expected, points):
    same(found, expected)
    assert found.task == "keypoints"
    for row, seen in zip(expected, found.keypoints.tolist(), strict=True):
        for (px, py), (x, y, score) in zip(points[row[3]], seen, strict=True):
            assert (x, y) == pytest.approx(to_frame(px, py), abs=0.01)
            assert score == 1


@settings(max_examples=30)
@given(SEEDS)
def test_yunet(seed):
    rng = np.random.default_rng(seed)
    outputs, candidates, points = {}, [], []
    for stride in (8, 16, 32):
        n = (SIDE // stride) ** 2
        outputs[f"cls_{stride}"], outputs[f"obj_{stride}"] = rng.uniform(0, 1, (2, 1, n, 1)).astype(np.float32)
        outputs[f"bbox_{stride}"] = rng.normal(0.5, 0.4, (1, n, 4)).astype(np.float32)
        outputs[f"kps_{stride}"] = rng.normal(0.5, 1, (1, n, 10)).astype(np.float32)
        for i in range(n):
            x, y = i % (SIDE // stride), i // (SIDE // stride)
            b, k = outputs[f"bbox_{stride}"][0, i].tolist(), outputs[f"kps_{stride}"][0, i].tolist()
            score = math.sqrt(outputs[f"cls_{stride}"][0, i, 0] * outputs[f"obj_{stride}"][0, i, 0])
            box = centred((x + b[0]) * stride, (y + b[1]) * stride, math.exp(b[2]) * stride, math.exp(b[3]) * stride)
            candidates.append((box, score, 0))
            points.append([((x + k[j]) * stride, (y + k[j + 1]) * stride) for j in range(0, 10, 2)])
    found = heads.decode(YuNetHead(), dict(sorted(outputs.items())), context(1, T))
    faces(found, detections(candidates, T, 1), points)


@settings(max_examples=30)
@given(SEEDS, st.booleans())
def test_scrfd(seed, batched):
    rng = np.random.default_rng(seed)
    outputs, candidates, points = {}, [], []
    for stride in (8, 16, 32):
        n = 2 * (SIDE // stride) ** 2
        score = rng.uniform(0, 0.8, (n, 1)).astype(np.float32)
        reach, offsets = rng.uniform(0, 3, (n, 4)).astype(np.float32), rng.normal(0, 2, (n, 10)).astype(np.float32)
        for name, array in (("score", score), ("bbox", reach), ("kps", offsets)):
            outputs[f"{name}_{stride}"] = array[None] if batched else array
        for i in range(n):
            x, y = (i // 2) % (SIDE // stride) * stride, (i // 2) // (SIDE // stride) * stride
            d, k = reach[i].tolist(), offsets[i].tolist()
            box = (x - d[0] * stride, y - d[1] * stride, x + d[2] * stride, y + d[3] * stride)
            candidates.append((box, float(score[i, 0]), 0))
            points.append([(x + k[j] * stride, y + k[j + 1] * stride) for j in range(0, 10, 2)])
    faces(heads.decode(ScrfdHead(), outputs, context(1, T)), detections(candidates, T, 1), points)


@settings(max_examples=30)
@given(SEEDS)
def test_retinaface(seed):
    rng = np.random.default_rng(seed)
    head = RetinaFaceHead(activation="softmax")
    tables = {"bbox": [], "confidence": [], "landmark": []}
    candidates, points = [], []
    for stride, row in zip(head.strides, head.priors, strict=True):
        for y in range(SIDE // stride):
            for x in range(SIDE // stride):
                for w, h in ((row[0], row[1]), (row[2], row[3])):
                    d, s, k = (rng.normal(0, 1.5, m).astype(np.float32).tolist() for m in (4, 2, 10))
                    cx, cy = (x + 0.5) * stride, (y + 0.5) * stride
                    box = [cx + d[0] * 0.1 * w, cy + d[1] * 0.1 * h, w * math.exp(d[2] * 0.2), h * math.exp(d[3] * 0.2)]
                    candidates.append((centred(*box), softmax(s)[1], 0))
                    points.append([(cx + k[j] * 0.1 * w, cy + k[j + 1] * 0.1 * h) for j in range(0, 10, 2)])
                    for name, values in zip(tables, (d, s, k), strict=True):
                        tables[name].append(values)
    outputs = {name: np.array([rows], np.float32) for name, rows in tables.items()}
    faces(heads.decode(head, outputs, context(1, T)), detections(candidates, T, 1), points)


@pytest.mark.parametrize(
    ("head", "shapes"),
    [
        (YoloObbHead(), {"o": (1, 6, 9)}),
        (YoloObbHead(layout="end2end"), {"o": (1, 9, 6)}),
        (YoloPoseHead(), {"o": (1, 56, 9)}),
        (YoloPoseHead(layout="end2end"), {"o": (1, 56, 9)}),
        (YoloSegHead(), {"o": (1, 38, 9)}),
        (YoloSegHead(), {"o": (1, 37, 9), "p": (1, 32, 8, 8)}),
        (YuNetHead(), {"a": (1, 64, 1), "b": (1, 64, 4)}),
        (ScrfdHead(), {"a": (64, 1), "b": (64, 4), "c": (64, 8)}),
        (RetinaFaceHead(), {"a": (1, 64, 4), "b": (1, 64, 3)}),
    ],
)
def test_outputs_that_do_not_fit_are_refused(head, shapes):
    outputs = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    with pytest.raises(ModelError) as caught:
        heads.decode(head, outputs, context(2))
    assert caught.value.code == "MODEL_OUTPUT_UNFIT"
