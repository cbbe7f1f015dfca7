"""Average precision against the reference: pycocotools on random pictures, crowds, ties and sizes included."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.evaluate.datasets.coco import decode_counts
from edge.evaluate.metrics import coco
from edge.evaluate.metrics.overlap import box_overlap, oks
from edge.evaluate.shapes import patch_of
from edge.evaluate.truth import Outline, Rle

CLASSES = 3
SIDE = 640


def _scene(seed: int, pictures: int = 12) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """True objects and detections in COCO's form: some near, some twice, some of the wrong class, scores with ties."""
    rng = np.random.default_rng(seed)
    truth: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for image in range(1, pictures + 1):
        for _ in range(int(rng.integers(0, 9))):
            side = float(rng.choice([18, 50, 160]))
            x, y = rng.uniform(0, SIDE - side, 2)
            w, h = rng.uniform(0.6, 1.0, 2) * side
            label = int(rng.integers(1, CLASSES + 1))
            crowd = bool(rng.random() < 0.12)
            truth.append(
                {
                    "image_id": image,
                    "category_id": label,
                    "bbox": [x, y, w, h],
                    "area": w * h * 0.8,
                    "iscrowd": int(crowd),
                }
            )
            for _ in range(int(rng.integers(0, 3))):
                shift = rng.normal(0, 0.08 * side, 4)
                box = [x + shift[0], y + shift[1], max(4.0, w + shift[2]), max(4.0, h + shift[3])]
                other = label if rng.random() < 0.85 else int(rng.integers(1, CLASSES + 1))
                found.append(
                    {"image_id": image, "category_id": other, "bbox": box, "score": float(rng.integers(1, 40) / 40)}
                )
    for number, row in enumerate(truth, 1):
        row["id"] = number
    return truth, found


def _reference(truth: list[dict[str, Any]], found: list[dict[str, Any]], kind: str = "bbox") -> Any:
    reference = pytest.importorskip("pycocotools.coco", reason="needs pycocotools, of the extra dev")
    from pycocotools.cocoeval import COCOeval

    images = sorted({row["image_id"] for row in (*truth, *found)})
    with contextlib.redirect_stdout(io.StringIO()):
        data = reference.COCO()
        data.dataset = {
            "images": [{"id": i, "width": SIDE, "height": SIDE} for i in images],
            "categories": [{"id": c, "name": str(c)} for c in range(1, CLASSES + 1)],
            "annotations": truth,
        }
        data.createIndex()
        judge = COCOeval(data, data.loadRes(found), kind)
        judge.evaluate()
        judge.accumulate()
    return judge


def _corners(rows: list[dict[str, Any]]) -> np.ndarray:
    boxes = np.array([row["bbox"] for row in rows], np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes


def _pairings(truth: list[dict[str, Any]], found: list[dict[str, Any]]) -> list[coco.Pairing]:
    out = []
    for image in sorted({row["image_id"] for row in (*truth, *found)}):
        there = [row for row in truth if row["image_id"] == image]
        said = [row for row in found if row["image_id"] == image]
        crowd = np.array([row["iscrowd"] for row in there], bool)
        boxes = _corners(said)
        out.append(
            coco.Pairing(
                np.array([row["score"] for row in said], np.float64),
                np.array([row["category_id"] for row in said], np.int64),
                (boxes[:, 2:] - boxes[:, :2]).prod(axis=1),
                np.array([row["category_id"] for row in there], np.int64),
                crowd,
                np.array([row["area"] for row in there], np.float64),
                box_overlap(boxes, _corners(there), crowd),
            )
        )
    return out


@pytest.mark.parametrize("seed", range(8))
def test_ap_is_pycocotools(seed: int) -> None:
    truth, found = _scene(seed)
    judge = _reference(truth, found)
    precision = judge.eval["precision"]  # overlaps, recalls, classes, sizes, limits
    for at, size in enumerate(coco.SIZES):
        ours = coco.curves(_pairings(truth, found), size)
        for label in range(1, CLASSES + 1):
            theirs = precision[:, :, label - 1, at, -1]
            if (theirs < 0).all():
                assert label not in ours
            else:
                assert np.allclose(ours[label].precision, theirs, atol=1e-12), (size, label)
                assert np.allclose(ours[label].recall, judge.eval["recall"][:, label - 1, at, -1])


def test_points_are_compared_as_pycocotools_does() -> None:
    truth, found = _scene(3)
    rng = np.random.default_rng(0)
    for row in (*truth, *found):
        x, y, w, h = row["bbox"]
        spots = np.stack([x + rng.uniform(0, w, 17), y + rng.uniform(0, h, 17), rng.integers(0, 3, 17)], axis=1)
        row["keypoints"] = spots.ravel().tolist()
    truth[0]["keypoints"] = [0.0] * 51
    for row in truth:
        row["num_keypoints"] = int((np.array(row["keypoints"])[2::3] > 0).sum())
    judge = _reference(truth, found, "keypoints")
    for (image, label), theirs in judge.ious.items():
        there = [r for r in truth if (r["image_id"], r["category_id"]) == (image, label)]
        said = [r for r in found if (r["image_id"], r["category_id"]) == (image, label)]
        if there and said:
            said.sort(key=lambda r: -r["score"])
            points = [np.array([r["keypoints"] for r in rows]).reshape(-1, 17, 3) for rows in (said, there)]
            areas = np.array([r["area"] for r in there])
            ours = oks(points[0], points[1], areas, _corners(there))
            # pycocotools gives back areas of detections, so only its first twenty rows are there
            assert np.allclose(ours[:20], np.asarray(theirs), atol=1e-9)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools' own
@pytest.mark.parametrize("seed", range(4))
def test_outlines_cover_the_pixels_that_pycocotools_gives_them(seed: int) -> None:
    mask = pytest.importorskip("pycocotools.mask", reason="needs pycocotools, of the extra dev")
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 9))
    radius = rng.uniform(30, 90, 9)
    polygon = np.stack([150 + radius * np.cos(angles), 120 + radius * np.sin(angles)], axis=1).astype(np.float32)
    theirs = mask.decode(mask.merge(mask.frPyObjects([polygon.ravel().tolist()], 240, 320)))
    patch = patch_of(Outline((polygon,)), 240, 320)
    ours = np.zeros((240, 320), np.uint8)
    ours[patch.top : patch.top + patch.mask.shape[0], patch.left : patch.left + patch.mask.shape[1]] = patch.mask
    both, either = (ours & theirs).sum(), (ours | theirs).sum()
    assert both / either > 0.97


@settings(max_examples=40)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_run_lengths_are_read_back(height: int, width: int, seed: int) -> None:
    mask = pytest.importorskip("pycocotools.mask", reason="needs pycocotools, of the extra dev")
    truth = (np.random.default_rng(seed).random((height, width)) < 0.4).astype(np.uint8)
    text = mask.encode(np.asfortranarray(truth))["counts"].decode()
    counts = decode_counts(text)
    assert counts is not None
    patch = patch_of(Rle(np.array(counts), height, width), height, width)
    assert np.array_equal(patch.mask, truth)


def test_a_whole_box_is_exactly_its_pixels() -> None:
    corners = np.array([[3, 2], [13, 2], [13, 9], [3, 9]], np.float32)
    patch = patch_of(Outline((corners,)), 20, 20)
    assert (patch.left, patch.top, patch.mask.shape, patch.area) == (3, 2, (7, 10), 70)


def test_nothing_found_is_no_precision_and_nothing_there_is_no_class() -> None:
    empty = np.empty(0)
    none = coco.Pairing(
        empty, empty.astype(np.int64), empty, np.array([1]), np.array([False]), np.array([100.0]), np.empty((0, 1))
    )
    assert coco.mean_ap(coco.curves([none])) == (0.0, 0.0)
    assert coco.mean_ap(coco.curves([])) == (None, None)
