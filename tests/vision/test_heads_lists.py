"""Distances, SSD, DETR and finished lists against loops over their raw numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import ModelError
from edge.vision import heads
from edge.vision.conventions import DetrHead, DistanceHead, IndexedHead, ListedHead, SsdHead
from edge.vision.spec import Thresholds
from tests.vision.plain import SIDE, centred, context, detections, random_boxes, same, sigmoid, softmax

SEEDS = st.integers(0, 10_000)
T = Thresholds(score=0.3, iou=0.45, labels={"label0": 0.4})
BACK = {"cxcywh": lambda b: b, "xyxy": centred, "yxyx": lambda b: [centred(*b)[i] for i in (1, 0, 3, 2)]}


def to(form, boxes):
    """Boxes ``cx, cy, w, h`` in another form."""
    if form == "cxcywh":
        return boxes
    return np.array([centred(*b) if form == "xyxy" else [centred(*b)[i] for i in (1, 0, 3, 2)] for b in boxes.tolist()])


@settings(max_examples=60)
@given(
    SEEDS,
    st.sampled_from([1, 2, 3, 5]),
    st.sampled_from([1, 4, 8]),
    st.sampled_from(["rows", "columns", "maps", "joined", "one"]),
    st.booleans(),
    st.sampled_from([0.0, 0.5]),
    st.sampled_from([1, 2]),
)
def test_distances(seed, classes, bins, form, logits, offset, per_cell):
    if classes == 4 * bins:
        classes += 1
    rng = np.random.default_rng(seed)
    strides = (8, 16, 32)
    parts, candidates = [], []
    for stride in strides:
        size = SIDE // stride
        n = size * size * per_cell
        scores = rng.normal(-1, 2, (n, classes)) if logits else rng.uniform(0, 0.7, (n, classes))
        reach = rng.uniform(0, 3, (n, 4)) if bins == 1 else rng.normal(0, 2, (n, 4 * bins))
        scores, reach = scores.astype(np.float32), reach.astype(np.float32)
        parts.append((stride, scores, reach))
        for i in range(n):
            cell = i // per_cell
            x, y = (cell % size + offset) * stride, (cell // size + offset) * stride
            sides = []
            for side in range(4):
                raw = reach[i, side * bins : (side + 1) * bins].tolist()
                steps = raw[0] if bins == 1 else sum(k * p for k, p in enumerate(softmax(raw)))
                sides.append(steps * stride)
            box = (x - sides[0], y - sides[1], x + sides[2], y + sides[3])
            all_scores = [sigmoid(v) if logits else v for v in scores[i].tolist()]
            best = max(range(classes), key=all_scores.__getitem__)
            candidates.append((box, all_scores[best], best))
    outputs = _distance_outputs(form, parts, per_cell)
    head = DistanceHead(
        strides=strides, bins=bins, offset=offset, per_cell=per_cell, activation="sigmoid" if logits else "none"
    )
    same(heads.decode(head, outputs, context(classes, T)), detections(candidates, T, classes))


def _distance_outputs(form, parts, per_cell):
    if form == "one":
        return {"o": np.concatenate([np.concatenate(p[1:], axis=1) for p in parts])[None]}
    outputs = {}
    for stride, scores, reach in parts:
        size = SIDE // stride
        if form == "joined":
            outputs[f"o{stride}"] = np.concatenate([scores, reach], axis=1)[None]
        elif form == "rows" or (form == "maps" and per_cell > 1):
            outputs[f"dis{stride}"], outputs[f"cls{stride}"] = reach[None], scores[None]
        elif form == "columns":
            outputs[f"cls{stride}"], outputs[f"dis{stride}"] = scores.T[None], reach.T[None]
        else:
            for name, table in (("cls", scores), ("dis", reach)):
                outputs[f"{name}{stride}"] = np.ascontiguousarray(table.T.reshape(1, -1, size, size))
    return outputs


def test_distances_of_a_side_that_strides_do_not_divide():
    """NanoDet-Plus-m at 100 px: 13, 7 and 4 cells a side, rounded up."""
    n = 13 * 13 + 7 * 7 + 4 * 4
    output = np.full((1, n, 1 + 32), -9, np.float32)
    output[0, :, 1 + 2 :: 8] = 9  # two strides to each side
    output[0, 13 * 13 + 7 + 1, 0] = 9  # stride 16, second row, second column: point 16, 16
    ctx = context(1, frame=(100, 100), side=100)
    found = heads.decode(DistanceHead(offset=0.0, activation="sigmoid"), {"o": output}, ctx)
    np.testing.assert_allclose(found.boxes, [[0, 0, 48, 48]], atol=0.1)
    with pytest.raises(ModelError, match="make 234 of this input"):
        heads.decode(DistanceHead(), {"o": output[:, :-1]}, ctx)


@settings(max_examples=60)
@given(
    SEEDS,
    st.sampled_from([1, 2, 4]),
    st.sampled_from(["xyxy", "cxcywh", "yxyx"]),
    st.sampled_from([None, 0, "last"]),
    st.sampled_from(["none", "softmax", "sigmoid"]),
    st.booleans(),
)
def test_ssd_with_finished_boxes(seed, classes, form, background, activation, turned):
    rng = np.random.default_rng(seed)
    width = classes + (background is not None)
    background = classes if background == "last" else background
    boxes = random_boxes(rng, 50)
    raw = rng.uniform(0, 0.7, (50, width)) if activation == "none" else rng.normal(-1, 2, (50, width))
    raw = raw.astype(np.float32)
    candidates = []
    for four, row in zip(boxes.tolist(), raw.tolist(), strict=True):
        scores = {"none": lambda r: r, "softmax": softmax, "sigmoid": lambda r: [sigmoid(v) for v in r]}[activation](
            row
        )
        scores = [s for i, s in enumerate(scores) if i != background]
        best = max(range(classes), key=scores.__getitem__)
        candidates.append((centred(*four), scores[best], best))
    outputs = {
        "confidences": (raw.T if turned else raw)[None],
        "locations": (to(form, boxes) / SIDE).astype(np.float32)[None, :, None] if turned else None,
    }
    if not turned:
        outputs["locations"] = (to(form, boxes) / SIDE).astype(np.float32)[None]
    head = SsdHead(boxes=form, background=background, activation=activation)
    same(heads.decode(head, outputs, context(classes, T)), detections(candidates, T, classes))


@settings(max_examples=30)
@given(SEEDS)
def test_ssd_with_priors(seed):
    rng = np.random.default_rng(seed)
    strides, sizes = (16, 32), ((10.0, 14.0, 20.0, 20.0), (40.0, 30.0))
    offsets, raw, candidates = [], [], []
    for stride, row in zip(strides, sizes, strict=True):
        for y in range(math.ceil(SIDE / stride)):
            for x in range(math.ceil(SIDE / stride)):
                for k in range(0, len(row), 2):
                    d, s = (
                        rng.normal(0, 1, 4).astype(np.float32).tolist(),
                        rng.normal(0, 2, 3).astype(np.float32).tolist(),
                    )
                    w, h = row[k : k + 2]
                    box = centred(
                        (x + 0.5) * stride + d[0] * 0.1 * w,
                        (y + 0.5) * stride + d[1] * 0.1 * h,
                        w * math.exp(d[2] * 0.2),
                        h * math.exp(d[3] * 0.2),
                    )
                    shares = softmax(s)[1:]
                    best = max(range(2), key=shares.__getitem__)
                    candidates.append((box, shares[best], best))
                    offsets.append(d)
                    raw.append(s)
    head = SsdHead(priors=sizes, strides=strides, activation="softmax")
    outputs = {"scores": np.array([raw], np.float32), "boxes": np.array([offsets], np.float32)}
    same(heads.decode(head, outputs, context(2, T)), detections(candidates, T, 2))
    with pytest.raises(ModelError, match="make 36 of this input"):
        heads.decode(head, {name: array[:, 1:] for name, array in outputs.items()}, context(2, T))


def test_boxes_and_scores_of_four_columns_are_told_apart_by_name():
    boxes = np.array([[[0.2, 0.2, 0.6, 0.6]]], np.float32)
    scores = np.array([[[0.1, 0.1, 0.7, 0.1]]], np.float32)
    for names in (("scores", "boxes"), ("confs", "bbox"), ("cls_prob", "loc")):
        for order in ((scores, boxes), (boxes, scores)):
            outputs = dict(zip(names if order[0] is scores else names[::-1], order, strict=True))
            found = heads.decode(SsdHead(), outputs, context(3, T))
            assert found.names == ["label1"] and found.scores.tolist() == [pytest.approx(0.7)]
    named = SsdHead(boxes_output="a", scores_output="b")
    assert heads.decode(named, {"b": scores, "a": boxes}, context(3, T)).names == ["label1"]


@settings(max_examples=60)
@given(SEEDS, st.integers(1, 4), st.sampled_from(["softmax", "sigmoid", "none", "joined"]))
def test_detr(seed, classes, kind):
    rng = np.random.default_rng(seed)
    boxes = random_boxes(rng, 30)
    width = classes + (kind == "softmax")
    raw = rng.normal(0, 2, (30, width)) if kind in {"softmax", "sigmoid"} else rng.uniform(0, 0.7, (30, width))
    raw = raw.astype(np.float32)
    candidates = []
    for four, row in zip(boxes.tolist(), raw.tolist(), strict=True):
        box = centred(*four)
        if kind in {"softmax", "joined"}:
            scores = softmax(row)[:-1] if kind == "softmax" else row
            best = max(range(classes), key=scores.__getitem__)
            candidates.append((box, scores[best], best))
        else:
            candidates += [(box, sigmoid(v) if kind == "sigmoid" else v, c) for c, v in enumerate(row)]
    outputs = {"logits": raw[None], "pred_boxes": (boxes / SIDE).astype(np.float32)[None]}
    if kind == "joined":
        outputs = {"output0": np.concatenate([boxes / SIDE, raw], axis=1).astype(np.float32)[None]}
    head = DetrHead(activation="none" if kind == "joined" else kind)
    same(heads.decode(head, outputs, context(classes, T)), detections(candidates, T, classes, suppress=False))


LISTS = {
    "torchvision": (ListedHead(first_label=1), ("boxes", "labels", "scores", ""), False),
    "numbers": (ListedHead(first_label=1), ("6379", "6381", "6383", ""), False),
    "swapped": (ListedHead(first_label=1), ("6379", "6383", "6381", ""), False),
    "tensorflow": (
        ListedHead(boxes="yxyx", unit="normalised", first_label=1),
        ("detection_boxes:0", "detection_classes:0", "detection_scores:0", "num_detections:0"),
        True,
    ),
    "mmdeploy": (ListedHead(), ("dets", "labels", "", ""), True),
    "rtdetr": (ListedHead(), ("boxes", "labels", "scores", ""), True),
    "cut": (ListedHead(unit="frame"), ("boxes", "labels", "scores", ""), True),
}


@pytest.mark.parametrize("name", LISTS)
def test_finished_lists(name):
    head, (box_name, label_name, score_name, count_name), batched = LISTS[name]
    rng = np.random.default_rng(5)
    n, counted = 40, 25 if count_name else 40
    boxes, scores = random_boxes(rng, n), rng.uniform(0, 1, n).astype(np.float32)
    labels = rng.integers(0, 4, n)
    known = [(centred(*b), float(s), int(k)) for b, s, k in zip(boxes, scores, labels, strict=True)][:counted]
    expected = detections([k for k in known if k[2] < 3], T, 3, suppress=False)
    table = to(head.boxes, boxes) / (SIDE if head.unit == "normalised" else 1)
    ctx = context(3, T)
    if head.unit == "frame":
        table = np.array(
            [[(v - (0 if i % 2 == 0 else 16)) / 0.32 for i, v in enumerate(row)] for row in to("xyxy", boxes)]
        )
    outputs = {
        label_name: (labels + head.first_label).astype(np.int64 if not count_name else np.float32),
        box_name: (np.concatenate([table, scores[:, None]], axis=1) if not score_name else table).astype(np.float32),
    }
    if score_name:
        outputs[score_name] = scores
    if name in {"numbers", "swapped"}:
        outputs = {key: outputs[key] for key in sorted(outputs)}
    if count_name:
        outputs["raw_detection_boxes:0"] = np.zeros((50, 4), np.float32)
        outputs["detection_multiclass_scores:0"] = np.zeros((n, 4), np.float32)
    if batched:
        outputs = {key: array[None] for key, array in outputs.items()}
    if count_name:
        outputs[count_name] = np.array([counted], np.float32)
    same(heads.decode(head, outputs, ctx), expected)


def test_an_empty_list_is_no_detection():
    outputs = {
        "boxes": np.empty((0, 4), np.float32),
        "labels": np.empty(0, np.int64),
        "scores": np.empty(0, np.float32),
    }
    assert len(heads.decode(ListedHead(), outputs, context(2))) == 0


def test_what_the_graph_chose_by_index():
    rng = np.random.default_rng(2)
    boxes, scores = random_boxes(rng, 20), rng.uniform(0, 1, (3, 20)).astype(np.float32)
    chosen = [(0, 1, 5), (0, 0, 7), (0, 2, 7), (1, 0, 3), (0, -1, 4), (-1, -1, -1)]
    candidates = [(centred(*boxes[b]), float(scores[c, b]), c) for image, c, b in chosen if image == 0 and c >= 0]
    expected = detections(candidates, T, 3, suppress=False)
    outputs = {
        "yolonms_layer_1/ExpandDims_1:0": to("yxyx", boxes).astype(np.float32)[None],
        "yolonms_layer_1/ExpandDims_3:0": scores[None],
        "yolonms_layer_1/concat_2:0": np.array(chosen, np.int32),
    }
    same(heads.decode(IndexedHead(), outputs, context(3, T)), expected)


@pytest.mark.parametrize(
    ("head", "shapes"),
    [
        (SsdHead(), {"boxes": (1, 9, 4), "scores": (1, 8, 3)}),
        (SsdHead(), {"boxes": (1, 9, 5), "scores": (1, 9, 3)}),
        (SsdHead(background=3), {"boxes": (1, 9, 4), "scores": (1, 9, 3)}),
        (DetrHead(), {"boxes": (1, 9, 4), "scores": (1, 9, 2)}),
        (ListedHead(), {"boxes": (9, 4), "scores": (9,)}),
        (ListedHead(), {"boxes": (9, 6), "scores": (9,), "labels": (9,)}),
        (IndexedHead(), {"boxes": (1, 9, 4), "scores": (1, 2, 9)}),
        (DistanceHead(), {"a": (1, 64, 2), "b": (1, 64, 32), "c": (1, 16, 2)}),
        (DistanceHead(), {"a": (1, 64, 2), "b": (1, 64, 30)}),
    ],
)
def test_outputs_that_do_not_fit_are_refused(head, shapes):
    outputs = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    with pytest.raises(ModelError) as caught:
        heads.decode(head, outputs, context(2))
    assert caught.value.code == "MODEL_OUTPUT_UNFIT"
