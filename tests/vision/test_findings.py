"""From arrays to findings, zones, and the JSON object."""

from __future__ import annotations

import cv2
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.domain import MAX_FINDINGS, Reason, Verdict
from edge.errors import ImageError
from edge.vision.document import error_document, to_document
from edge.vision.findings import Zone, to_inference, zone_names
from edge.vision.prediction import Prediction, Timings


def prediction(n: int, task="detect", mm_per_px=None) -> Prediction:
    boxes = np.tile(np.array([[10.123456, 20, 30, 44]], np.float32), (n, 1))
    return Prediction(
        task,
        ("pit", "scratch"),
        640,
        480,
        boxes,
        np.linspace(0.9, 0.4, n, dtype=np.float32),
        np.arange(n) % 2,
        np.full(n, 480.0, np.float32),
        tuple(np.array([[10, 20], [30, 20], [30, 44]], np.float32) for _ in range(n)) if task == "segment" else (),
        dropped=5,
        mm_per_px=mm_per_px,
        timings=Timings(1.0, 20.0, 0.5),
    )


def test_findings_carry_what_the_arrays_say():
    found = to_inference(prediction(2, mm_per_px=0.1), [Zone("left", ((0, 0), (100, 0), (100, 100), (0, 100)))])
    assert [f.label for f in found.findings] == ["pit", "scratch"]
    first = found.findings[0]
    assert first.score == pytest.approx(0.9) and first.xyxy == pytest.approx((10.123456, 20, 30, 44))
    assert first.area_px == 480 and first.area_mm2 == pytest.approx(4.8) and first.zone == "left"
    assert (found.dropped, found.preprocess_ms, found.infer_ms, found.postprocess_ms) == (5, 1.0, 20.0, 0.5)
    assert to_inference(prediction(1)).findings[0].area_mm2 is None


def test_at_most_so_many_enter_a_core_and_the_rest_is_counted():
    found = to_inference(prediction(MAX_FINDINGS + 20))
    assert len(found.findings) == MAX_FINDINGS and found.dropped == 25


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=3, max_size=8, unique=True),
    st.integers(0, 10_000),
)
def test_zones_hold_what_opencv_says_they_hold(corners, seed):
    hull = cv2.convexHull(np.array(corners, np.float32))
    if len(hull) < 3:
        return
    centers = np.random.default_rng(seed).uniform(-5, 45, (30, 2)).astype(np.float32)
    names = zone_names(np.concatenate([centers, centers], axis=1), [Zone("z", tuple(map(tuple, hull[:, 0].tolist())))])
    for (x, y), name in zip(centers.tolist(), names, strict=True):
        distance = cv2.pointPolygonTest(hull, (x, y), True)
        if abs(distance) > 1e-3:
            assert (name == "z") == (distance > 0)


def test_the_first_zone_wins():
    square = ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 9.0))
    box = np.array([[4, 4, 5, 5], [20, 20, 30, 30]], np.float32)
    assert zone_names(box, [Zone("a", square), Zone("b", square)]) == ["a", None]
    with pytest.raises(ValueError, match="three corners"):
        Zone("line", ((0, 0), (1, 1)))


def test_the_document_of_each_task():
    detect = to_document("a.png", prediction(2))
    assert list(detect) == ["source", "verdict", "reasons", "detections", "regions", "classes", "ms"]
    assert detect["detections"][0] == {"label": "pit", "score": 0.9, "xyxy": [10.12, 20.0, 30.0, 44.0]}
    assert (detect["verdict"], detect["reasons"], detect["regions"], detect["classes"]) == (None, [], [], [])
    assert detect["ms"] == {"preprocess": 1.0, "infer": 20.0, "postprocess": 0.5}
    classify = to_document("a.png", prediction(2, "classify"))
    assert classify["classes"][1] == {"label": "scratch", "score": 0.4} and classify["detections"] == []
    segment = to_document("a.png", prediction(1, "segment", mm_per_px=0.1))
    assert segment["regions"] == [
        {
            "label": "pit",
            "score": 0.9,
            "area_px": 480.0,
            "area_mm2": 4.8,
            "xyxy": [10.12, 20.0, 30.0, 44.0],
            "polygon": [[10.0, 20.0], [30.0, 20.0], [30.0, 44.0]],
        }
    ]
    assert to_document("a.png", prediction(1, "segment"))["regions"][0]["area_mm2"] is None
    msgspec.json.encode([detect, classify, segment])


def test_verdicts_and_errors_in_documents():
    verdict = Verdict("fail", (Reason("score", "pit", 0.9, 0.5),))
    document = to_document("a.png", prediction(0), verdict)
    assert document["verdict"] == "fail"
    assert document["reasons"] == [{"rule": "score", "label": "pit", "seen": 0.9, "limit": 0.5}]
    assert error_document("b.png", ImageError("IMAGE_EMPTY", "no bytes", "gone")) == {
        "source": "b.png",
        "error": {"code": "IMAGE_EMPTY", "what": "no bytes; gone"},
    }
