"""YOLO tables and maps against loops over their raw numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import ValidationError

from edge.errors import ModelError
from edge.vision import heads
from edge.vision.conventions import (
    End2EndHead,
    FastestDetHead,
    YoloFastestHead,
    YoloMapsHead,
    YoloV5Head,
    YoloV8Head,
    YoloXHead,
)
from edge.vision.spec import Thresholds
from tests.vision.plain import SIDE, centred, context, detections, random_boxes, same, sigmoid, softmax

SEEDS = st.integers(0, 10_000)
T = Thresholds(score=0.3, iou=0.45, labels={"label0": 0.4})


@settings(max_examples=40)
@given(SEEDS, st.integers(1, 5), st.sampled_from(["none", "sigmoid", "softmax"]))
def test_yolov8_in_its_other_forms(seed, classes, activation):
    rng = np.random.default_rng(seed)
    boxes = random_boxes(rng, 60)
    raw = rng.uniform(0, 0.6, (60, classes)) if activation == "none" else rng.normal(-1, 2, (60, classes))
    rows = np.concatenate([boxes / SIDE, raw], axis=1).astype(np.float32)
    candidates = []
    for row in rows.tolist():
        scores = row[4:]
        if activation == "sigmoid":
            scores = [sigmoid(s) for s in scores]
        if activation == "softmax":
            scores = softmax(scores)
        best = max(range(classes), key=scores.__getitem__)
        candidates.append((centred(*(v * SIDE for v in row[:4])), scores[best], best))
    expected = detections(candidates, T, classes)
    for turned in (False, True):
        head = YoloV8Head(rows=turned, unit="normalised", activation=activation)
        found = heads.decode(head, {"o": (rows if turned else rows.T)[None]}, context(classes, T))
        same(found, expected)


@settings(max_examples=60)
@given(SEEDS, st.integers(1, 5), st.booleans())
def test_yolov5(seed, classes, logits):
    rng = np.random.default_rng(seed)
    raw = rng.normal(0, 2, (80, 1 + classes)) if logits else rng.uniform(0, 1, (80, 1 + classes))
    rows = np.concatenate([random_boxes(rng, 80), raw], axis=1).astype(np.float32)
    candidates = []
    for row in rows.tolist():
        numbers = [sigmoid(v) for v in row[4:]] if logits else row[4:]
        best = max(range(classes), key=numbers[1:].__getitem__)
        candidates.append((centred(*row[:4]), numbers[0] * numbers[1 + best], best))
    head = YoloV5Head(activation="sigmoid" if logits else "none")
    same(heads.decode(head, {"o": rows[None]}, context(classes, T)), detections(candidates, T, classes))


@settings(max_examples=40)
@given(SEEDS, st.integers(1, 3), st.booleans(), st.sampled_from([(8, 16, 32), (8, 16, 32, 64)]))
def test_yolox_grid(seed, classes, decoded, strides):
    rng = np.random.default_rng(seed)
    cells = [(x, y, s) for s in strides for y in range(SIDE // s) for x in range(SIDE // s)]
    n = len(cells)
    rows = np.concatenate(
        [rng.normal(0.5, 0.5, (n, 2)), rng.normal(0.7, 0.5, (n, 2)), rng.uniform(0, 1, (n, 1 + classes))], axis=1
    ).astype(np.float32)
    if decoded:
        rows[:, :4] = random_boxes(rng, n)
    candidates = []
    for (x, y, s), row in zip(cells, rows.tolist(), strict=True):
        best = max(range(classes), key=row[5:].__getitem__)
        box = row[:4]
        if not decoded:
            box = [(row[0] + x) * s, (row[1] + y) * s, math.exp(row[2]) * s, math.exp(row[3]) * s]
        candidates.append((centred(*box), row[4] * row[5 + best], best))
    found = heads.decode(YoloXHead(strides=strides, decoded=decoded), {"o": rows[None]}, context(classes, T))
    same(found, detections(candidates, T, classes))


def test_a_grid_of_other_strides_is_refused():
    with pytest.raises(ModelError, match=r"strides .* make 84"):
        heads.decode(YoloXHead(), {"o": np.ones((1, 85, 6), np.float32)}, context(1))


FORMS = {
    "nhwk": lambda m: m.transpose(2, 0, 1, 3)[None],
    "nkhw": lambda m: m.transpose(2, 3, 0, 1)[None],
    "hwnk": lambda m: m[None],
    "chw": lambda m: m.reshape(*m.shape[:2], -1).transpose(2, 0, 1)[None],
    "hwc": lambda m: m.reshape(*m.shape[:2], -1)[None],
}


@settings(max_examples=60)
@given(
    SEEDS,
    st.sampled_from([1, 2, 4]),  # with three, numbers an anchor would be as many as cells a row
    st.sampled_from(list(FORMS)),
    st.sampled_from(["v5", "v3"]),
    st.booleans(),
    st.sampled_from([1.0, 1.1]),
)
def test_raw_maps(seed, classes, form, boxes, activated, scale_xy):
    rng = np.random.default_rng(seed)
    anchors = YoloMapsHead().anchors
    outputs, candidates = {}, []
    for row, stride in zip(anchors, (8, 16, 32), strict=True):
        size = SIDE // stride
        raw = rng.normal(0, 1.5, (size, size, 3, 5 + classes))
        if activated:
            raw = 1 / (1 + np.exp(-raw))
        maps = raw.astype(np.float32)
        outputs[f"out{stride}"] = np.ascontiguousarray(FORMS[form](maps))
        for (y, x, a), _ in np.ndenumerate(maps[..., 0]):
            t = maps[y, x, a].tolist()
            s = t if activated else [sigmoid(v) for v in t]
            w, h = row[2 * a : 2 * a + 2]
            if boxes == "v5":
                box = [(2 * s[0] - 0.5 + x) * stride, (2 * s[1] - 0.5 + y) * stride]
                box += [(2 * s[2]) ** 2 * w, (2 * s[3]) ** 2 * h]
            else:
                shift = (scale_xy - 1) / 2
                box = [(s[0] * scale_xy - shift + x) * stride, (s[1] * scale_xy - shift + y) * stride]
                box += [math.exp(t[2]) * w, math.exp(t[3]) * h]
            best = max(range(classes), key=s[5:].__getitem__)
            candidates.append((centred(*box), s[4] * s[5 + best], best))
    outputs = dict(reversed(outputs.items()))  # their order does not matter
    head = YoloMapsHead(anchors=anchors, form=boxes, activated=activated, scale_xy=scale_xy)
    same(heads.decode(head, outputs, context(classes, T)), detections(candidates, T, classes))


def test_yolov2_has_classes_that_exclude_each_other():
    rng = np.random.default_rng(0)
    raw = rng.normal(0, 2, (1, 5 * 8, 2, 2)).astype(np.float32)
    anchors = (tuple(float(v) for v in rng.uniform(10, 60, 10)),)
    candidates = []
    for y in range(2):
        for x in range(2):
            for a in range(5):
                t = raw[0, 8 * a : 8 * a + 8, y, x].tolist()
                shares = softmax(t[5:])
                best = max(range(3), key=shares.__getitem__)
                box = centred(
                    (sigmoid(t[0]) + x) * 32,
                    (sigmoid(t[1]) + y) * 32,
                    math.exp(t[2]) * anchors[0][2 * a],
                    math.exp(t[3]) * anchors[0][2 * a + 1],
                )
                candidates.append((box, sigmoid(t[4]) * shares[best], best))
    found = heads.decode(YoloMapsHead(anchors=anchors, form="v3", classes="softmax"), {"grid": raw}, context(3, T))
    same(found, detections(candidates, T, 3))


@settings(max_examples=40)
@given(SEEDS, st.integers(1, 14), st.booleans(), st.booleans(), st.booleans())
def test_yolo_fastest(seed, classes, joined, channels_last, activated):
    rng = np.random.default_rng(seed)
    anchors = ((12.0, 18.0, 37.0, 49.0, 52.0, 132.0), (115.0, 73.0, 119.0, 199.0, 242.0, 238.0))
    outputs, candidates = {}, []
    for row, stride in zip(anchors, (16, 32), strict=True):
        size = SIDE // stride
        box, objectness = rng.normal(0, 1, (size, size, 12)), rng.normal(0, 2, (size, size, 3))
        shares = rng.normal(0, 2, (size, size, classes))
        if activated:
            box, objectness = 1 / (1 + np.exp(-box)), 1 / (1 + np.exp(-objectness))
            shares = np.exp(shares) / np.exp(shares).sum(axis=2, keepdims=True)
        maps = [m.astype(np.float32) for m in (box, objectness, shares)]
        given_ = [np.concatenate(maps, axis=2)] if joined else maps
        for i, m in enumerate(given_):
            outputs[f"o{stride}.{i}"] = np.ascontiguousarray((m if channels_last else m.transpose(2, 0, 1))[None])
        for y in range(size):
            for x in range(size):
                c = maps[2][y, x].tolist()
                c = c if activated else softmax(c)
                best = max(range(classes), key=c.__getitem__)
                for a in range(3):
                    t = [*maps[0][y, x, 4 * a : 4 * a + 4].tolist(), float(maps[1][y, x, a])]
                    s = t if activated else [sigmoid(v) for v in t]
                    four = centred(
                        (2 * s[0] - 0.5 + x) * stride,
                        (2 * s[1] - 0.5 + y) * stride,
                        (2 * s[2]) ** 2 * row[2 * a],
                        (2 * s[3]) ** 2 * row[2 * a + 1],
                    )
                    candidates.append((four, s[4] * c[best], best))
    found = heads.decode(YoloFastestHead(anchors=anchors, activated=activated), outputs, context(classes, T))
    same(found, detections(candidates, T, classes))


@settings(max_examples=40)
@given(SEEDS, st.integers(1, 5))
def test_fastestdet(seed, classes):
    rng = np.random.default_rng(seed)
    maps = rng.normal(0, 1, (5 + classes, 6, 6)).astype(np.float32)
    maps[0], maps[5:] = rng.uniform(0, 1, (6, 6)), rng.uniform(0, 1, (classes, 6, 6))
    candidates = []
    for y in range(6):
        for x in range(6):
            t = maps[:, y, x].tolist()
            best = max(range(classes), key=t[5:].__getitem__)
            box = centred((math.tanh(t[1]) + x) / 6, (math.tanh(t[2]) + y) / 6, sigmoid(t[3]), sigmoid(t[4]))
            candidates.append((tuple(v * SIDE for v in box), t[0] ** 0.6 * t[5 + best] ** 0.4, best))
    found = heads.decode(FastestDetHead(), {"o": maps[None]}, context(classes, T))
    same(found, detections(candidates, T, classes))


COLUMNS = {
    "yolov7": (("image", "x1", "y1", "x2", "y2", "label", "score"), 0, "input"),
    "paddle": (("label", "score", "x1", "y1", "x2", "y2"), 0, "input"),
    "efficientdet": (("image", "y1", "x1", "y2", "x2", "score", "label"), 1, "input"),
    "caffe": (("image", "label", "score", "x1", "y1", "x2", "y2"), 1, "normalised"),
    "rtdetr": (("cx", "cy", "w", "h", "score", "label"), 0, "normalised"),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_finished_rows_of_other_columns(name):
    columns, first, unit = COLUMNS[name]
    rng = np.random.default_rng(1)
    boxes, rows, candidates = random_boxes(rng, 30), [], []
    for four in boxes.tolist():
        score, label, image = float(rng.uniform(0, 1)), int(rng.integers(0, 3)), int(rng.integers(-1, 2))
        gain = 1 / SIDE if unit == "normalised" else 1
        values = dict(zip(("x1", "y1", "x2", "y2"), (v * gain for v in centred(*four)), strict=True))
        values |= dict(zip(("cx", "cy", "w", "h"), (v * gain for v in four), strict=True))
        values |= {"score": score, "label": label + first, "image": image}
        rows.append([values[c] for c in columns])
        if "image" not in columns or image == 0:
            candidates.append((centred(*four), score, label))
    rows.append([0.0] * len(columns))  # an empty row
    head = End2EndHead(columns=columns, first_label=first, unit=unit)
    expected = detections(candidates, T, 3, suppress=False)
    table = np.array(rows, np.float32)
    for shape in (table, table[None], table[None, None]):
        same(heads.decode(head, {"o": shape}, context(3, T)), expected)
    none = heads.decode(head, {"o": np.empty((0, len(columns)), np.float32)}, context(3, T))
    assert len(none) == 0


def test_columns_must_make_a_box():
    for columns in (
        ("x1", "y1", "x2", "score", "label", "skip"),
        ("x1", "y1", "x2", "y2", "score", "score"),
        ("x1", "y1", "x2", "y2", "score", "label", "x1"),
    ):
        with pytest.raises((ValueError, ValidationError)):
            End2EndHead(columns=columns)
