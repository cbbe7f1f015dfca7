"""Segmentation in all its forms, and anomalies, against plain loops over pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import ModelError
from edge.vision import heads
from edge.vision.conventions import AnomalyHead, LabelMapHead, MemoryBankHead, ReconstructionHead, SegmentHead
from edge.vision.document import to_document
from edge.vision.geometry import fit
from edge.vision.heads.memory_bank import cells_of, distances_of
from edge.vision.spec import InputSpec, Thresholds
from tests.vision.test_maps import flood


def context(labels=(), thresholds=None, frame=(40, 30), side=(32, 32), how="letterbox", **more):
    thresholds = thresholds or Thresholds()
    geometry = fit(InputSpec(width_px=side[0], height_px=side[1], fit=how), *frame)
    return heads.Context(geometry, labels, thresholds, heads.limits_of(labels, thresholds), **more)


def rows_of(found):
    boxes = found.boxes.tolist()
    return sorted(zip(found.names, found.areas_px.tolist(), map(tuple, boxes), strict=True))


def plain_number_regions(numbers, names, geometry):
    """Every pixel of the frame takes the number of the cell that its centre falls into."""
    height, width = len(numbers), len(numbers[0])
    inside = {}
    for y in range(geometry.frame_height_px):
        for x in range(geometry.frame_width_px):
            u = ((x + 0.5) * geometry.scale_x + geometry.offset_x) * width / geometry.input_width_px
            v = ((y + 0.5) * geometry.scale_y + geometry.offset_y) * height / geometry.input_height_px
            if -1e-9 <= u <= width + 1e-9 and -1e-9 <= v <= height + 1e-9:
                cell = min(math.floor(v + 1e-6), height - 1), min(math.floor(u + 1e-6), width - 1)
                inside.setdefault(numbers[cell[0]][cell[1]], []).append((x, y))
    found = []
    for number, pixels in inside.items():
        for group in flood(pixels) if number in names else ():
            xs, ys = [p[0] for p in group], [p[1] for p in group]
            found.append((names[number], float(len(group)), (min(xs), min(ys), max(xs) + 1.0, max(ys) + 1.0)))
    return sorted(found)


@settings(max_examples=60)
@given(
    st.integers(2, 9),
    st.integers(2, 9),
    st.sampled_from(["letterbox", "stretch", "crop"]),
    st.sampled_from([None, 0, 2]),
    st.booleans(),
    st.sampled_from(["int64", "uint8", "float32", "int32"]),
    st.sampled_from([lambda m: m, lambda m: m[None], lambda m: m[None, None], lambda m: m[None, :, :, None]]),
    st.integers(0, 10_000),
)
def test_maps_of_numbers_give_what_the_loop_gives(h, w, how, background, named, dtype, shaped, seed):
    rng = np.random.default_rng(seed)
    numbers = rng.choice([0, 1, 2, 3, 4, 255], (h, w), p=[0.4, 0.2, 0.2, 0.1, 0.05, 0.05]).astype(dtype)
    labels = ("a", "b", "c", "d")
    if background is None or named:
        names = {i: label for i, label in enumerate(labels) if i != background}
    else:
        names = dict(zip([i for i in range(5) if i != background], labels, strict=True))
    about = context(labels, frame=(13, 10), side=(16, 12), how=how)
    head = LabelMapHead(background=background, background_named=named)
    found = heads.decode(head, {"out": shaped(numbers)}, about)
    assert rows_of(found) == plain_number_regions(numbers.tolist(), names, about.geometry)
    assert (found.scores == 1).all()


@pytest.mark.parametrize("activation", ["none", "softmax", "sigmoid"])
@pytest.mark.parametrize("background", [None, 1])
def test_nhwc_is_nchw_in_another_order(activation, background):
    rng = np.random.default_rng(3)
    maps = rng.normal(0.4, 1, (1, 4, 9, 11)).astype(np.float32)
    labels = ("a", "b", "c", "d") if background is None else ("a", "c", "d")
    about = context(labels)
    one = heads.decode(SegmentHead(activation=activation, background=background), {"o": maps}, about)
    other_head = SegmentHead(activation=activation, background=background, layout="nhwc")
    other = heads.decode(other_head, {"o": maps.transpose(0, 2, 3, 1)}, about)
    assert len(one) and rows_of(one) == rows_of(other)
    np.testing.assert_array_equal(one.scores, other.scores)


def test_softmax_inside_or_outside_is_the_same():
    logits = np.random.default_rng(5).normal(0, 2, (1, 5, 8, 8)).astype(np.float32)
    about = context(("a", "b", "c", "d"), Thresholds(score=0.4))
    outside = heads.decode(SegmentHead(activation="softmax", background=0), {"o": logits}, about)
    inside = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    head = SegmentHead(activation="none", exclusive=True, background=0)
    assert rows_of(heads.decode(head, {"o": inside}, about)) == rows_of(outside)
    assert len(outside)


def test_a_background_in_the_list_of_labels_is_not_a_region():
    logits = np.full((1, 3, 8, 8), -5, np.float32)
    logits[0, 0] = 5
    logits[0, 2, 2:5, 2:5] = 9
    head = SegmentHead(activation="softmax", background=0)
    counted = heads.decode(head, {"o": logits}, context(("background", "cat", "dog")))
    spared = heads.decode(head, {"o": logits}, context(("cat", "dog")))
    assert counted.names == spared.names == ["dog"]


def test_one_class_may_come_without_a_channel():
    logits = np.full((1, 8, 8), -9, np.float32)
    logits[0, 3:6, 3:6] = 9
    found = heads.decode(SegmentHead(), {"o": logits}, context(("pit",)))
    assert found.names == ["pit"] and found.scores[0] > 0.99


# --- anomalies ---------------------------------------------------------------------------------------------------


def test_anomalib_outputs_are_found_by_name():
    heat = np.zeros((1, 1, 8, 8), np.float32)
    heat[0, 0, 2:4, 4:6] = 0.8
    outputs = {
        "pred_score": np.array([0.7], np.float32),
        "pred_label": np.array([True]),
        "pred_mask": heat > 0.5,
        "anomaly_map": heat,
    }
    found = heads.decode(AnomalyHead(normalised=True), outputs, context(how="stretch"))
    assert found.anomaly.score == pytest.approx(0.7) and found.anomaly.threshold == 0.5
    assert found.anomaly.map_max == pytest.approx(0.8) and found.names == ["anomaly"]
    assert found.scores[0] == pytest.approx(0.8, abs=1e-5)
    left, top, right, bottom = found.boxes[0]
    assert left < 4 * 5 + 2 and right > 6 * 5 - 2 and top < 2 * 3.75 + 2 and bottom > 4 * 3.75 - 2
    assert to_document("x", found)["anomaly"] == {"score": 0.7, "threshold": 0.5, "map_max": 0.8}


def test_an_old_export_is_one_raw_map_and_its_maximum_is_the_score():
    heat = np.random.default_rng(0).uniform(0, 40, (1, 1, 16, 16)).astype(np.float32)
    found = heads.decode(AnomalyHead(), {"output": heat}, context(how="stretch"))
    assert found.anomaly.score == pytest.approx(float(heat.max())) and found.anomaly.threshold == math.inf
    assert not len(found) and to_document("x", found)["anomaly"]["threshold"] is None
    found = heads.decode(AnomalyHead(), {"output": heat}, context(thresholds=Thresholds(anomaly=35.0), how="stretch"))
    assert len(found) and (found.scores >= 0.5).all() and found.anomaly.threshold == 35.0


def test_the_padding_has_no_say():
    heat = np.ones((1, 1, 8, 8), np.float32)
    heat[0, 0, 0] = 90  # above the letterboxed frame, which fills rows 2 to 5
    found = heads.decode(AnomalyHead(), {"o": heat}, context(frame=(40, 20)))
    assert found.anomaly.score == 1.0 and found.anomaly.heat.shape == (4, 8)
    assert found.anomaly.map_max == 1.0 and (found.anomaly.heat == found.anomaly.heat[0, 0]).all()


def test_a_score_alone():
    found = heads.decode(AnomalyHead(), {"s": np.array([[3.5]])}, context(thresholds=Thresholds(anomaly=3.0)))
    assert found.anomaly.score == 3.5 and found.anomaly.heat is None and not len(found)


@pytest.mark.parametrize(
    ("head", "shapes"),
    [
        (AnomalyHead(), {"o": (1, 3, 8, 8)}),
        (AnomalyHead(), {"pred_label": (1,)}),
        (AnomalyHead(map_output="m"), {"o": (1, 1, 8, 8), "m": (1,)}),
        (ReconstructionHead(), {"o": (1, 8)}),
        (ReconstructionHead(), {"o": (1, 5, 8, 8)}),
        (MemoryBankHead(), {"o": (1, 8)}),
        (MemoryBankHead(features=("a",)), {"o": (1, 8, 4, 4)}),
        (LabelMapHead(), {"o": (1, 2, 4, 4)}),
        (SegmentHead(layout="nhwc"), {"o": (1, 1, 8, 8)}),
    ],
)
def test_shapes_that_do_not_fit_are_refused(head, shapes):
    with pytest.raises(ModelError, match="MODEL_OUTPUT_UNFIT"):
        heads.check_shapes(head, shapes, 1)


@settings(max_examples=40)
@given(st.sampled_from(["letterbox", "stretch"]), st.booleans(), st.sampled_from([1, 3]), st.integers(0, 10_000))
def test_a_reconstruction_is_compared_inside_the_frame(how, nhwc, channels, seed):
    rng = np.random.default_rng(seed)
    blob = rng.uniform(-1, 1, (1, channels, 12, 16)).astype(np.float32)
    output = rng.uniform(-1, 1, blob.shape).astype(np.float32)
    about = context(frame=(16, 6), side=(16, 12), how=how)
    rows = range(3, 9) if how == "letterbox" else range(12)
    errors = [
        sum((float(output[0, c, y, x]) - float(blob[0, c, y, x])) ** 2 for c in range(channels)) / channels
        for y in rows
        for x in range(16)
    ]
    if nhwc:
        blob, output = blob.transpose(0, 2, 3, 1), output.transpose(0, 2, 3, 1)
    about = context(frame=(16, 6), side=(16, 12), how=how, blob=blob)
    found = heads.decode(ReconstructionHead(), {"o": output}, about)
    assert found.anomaly.score == pytest.approx(sum(errors) / len(errors), rel=1e-4)
    assert found.anomaly.map_max == pytest.approx(max(errors), rel=1e-4)
    found = heads.decode(ReconstructionHead(score="quantile", quantile=0.9), {"o": output}, about)
    assert found.anomaly.score == pytest.approx(float(np.quantile(errors, 0.9)), rel=1e-3)


def test_no_reconstruction_is_an_error_not_a_score():
    about = context(blob=np.zeros((1, 3, 8, 8), np.float32))
    with pytest.raises(ModelError, match="no reconstruction"):
        heads.decode(ReconstructionHead(), {"o": np.zeros((1, 3, 4, 4), np.float32)}, about)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.booleans())
def test_distances_to_the_bank_are_those_of_the_loop(seed, nhwc):
    rng = np.random.default_rng(seed)
    maps = {
        "a": rng.normal(size=(1, 5, 4, 6)).astype(np.float32),
        "b": rng.normal(size=(1, 2, 4, 6)).astype(np.float32),
    }
    if nhwc:
        maps = {name: one.transpose(0, 2, 3, 1) for name, one in maps.items()}
    head = MemoryBankHead(pool=1, layout="nhwc" if nhwc else "nchw")
    bank = rng.normal(size=(9, 7)).astype(np.float32)
    data = {
        "bank": bank,
        "mean": rng.normal(size=7).astype(np.float32),
        "gain": rng.uniform(0.5, 2, 7).astype(np.float32),
    }
    seen = distances_of(head, maps, data)
    for y in range(4):
        for x in range(6):
            numbers = [float(v) for one in maps.values() for v in (one[0, y, x] if nhwc else one[0, :, y, x])]
            numbers = [(v - m) * g for v, m, g in zip(numbers, data["mean"], data["gain"], strict=True)]
            assert seen[y, x] == pytest.approx(min(math.dist(numbers, row) for row in bank.tolist()), abs=2e-3)
    found = heads.decode(head, maps, context(how="stretch", data=data))
    assert found.anomaly.score == pytest.approx(float(seen.max()))


def test_features_are_averaged_and_brought_to_one_resolution():
    fine, coarse = np.zeros((1, 6, 4, 4), np.float32), np.zeros((1, 3, 2, 2), np.float32)
    fine[0, 5, 1, 1] = 9
    coarse[0, 1] = 2
    cells = cells_of(MemoryBankHead(), {"fine": fine, "coarse": coarse})
    assert cells.shape == (4, 4, 9)
    assert cells[0, 0, 5] == cells[2, 2, 5] == 1 and cells[3, 3, 5] == 0 and (cells[:, :, 7] == 2).all()
    with pytest.raises(ModelError, match="does not fit"):
        distances_of(MemoryBankHead(), {"fine": fine}, {"bank": np.zeros((3, 5), np.float32)})


@pytest.mark.parametrize("outputs", [{"s": np.array([np.nan])}, {"m": np.full((1, 1, 4, 4), np.inf)}])
def test_numbers_that_are_not_finite_give_no_verdict(outputs):
    with pytest.raises(ModelError, match="MODEL_NOT_FINITE"):
        heads.decode(AnomalyHead(), outputs, context())
