"""Tiles: what lies on a seam comes out once and in one piece."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import ImageError
from edge.vision.geometry import fit
from edge.vision.prediction import Prediction
from edge.vision.region import move_back
from edge.vision.spec import InputSpec, Tiling
from edge.vision.tiles import Canvas, put_together, tiles_of


@given(st.integers(1, 2000), st.integers(1, 2000), st.integers(250, 900), st.integers(250, 900), st.floats(0, 0.6))
def test_tiles_cover_the_frame_and_share_what_was_asked_for(width, height, tile_w, tile_h, overlap):
    tiling = Tiling(width_px=tile_w, height_px=tile_h, overlap=overlap)
    tiles = tiles_of(width, height, tiling)
    assert {(r - x, b - y) for x, y, r, b in tiles} == {(min(tile_w, width), min(tile_h, height))}
    for low, high, length, tile in ((0, 2, width, tile_w), (1, 3, height, tile_h)):
        spans = sorted({(t[low], t[high]) for t in tiles})
        assert spans[0][0] == 0 and spans[-1][1] == length
        for (_, end), (start, _) in itertools.pairwise(spans):
            assert end - start >= math.floor(tile * overlap) - 1


def test_a_frame_of_too_many_tiles_is_refused():
    with pytest.raises(ImageError, match="IMAGE_TOO_LARGE"):
        tiles_of(8000, 8000, Tiling(width_px=200, height_px=200))


def seen_through(objects, tiles, frame):
    """A perfect detector: of every object what a tile shows of it, if that is more than a sliver."""
    parts = []
    for left, top, right, bottom in tiles:
        boxes, ids = [], []
        for label, (x0, y0, x1, y1) in objects:
            box = (max(x0, left), max(y0, top), min(x1, right), min(y1, bottom))
            if box[2] - box[0] > 4 and box[3] - box[1] > 4:
                boxes.append([box[0] - left, box[1] - top, box[2] - left, box[3] - top])
                ids.append(label)
        array = np.array(boxes, np.float32).reshape(-1, 4)
        # Pieces may be surer of themselves than the whole.
        sizes = (array[:, 2] - array[:, 0]) * (array[:, 3] - array[:, 1])
        scores = (0.9 - sizes / 1e6).astype(np.float32)
        part = Prediction(
            "detect", ("a", "b"), right - left, bottom - top, array, scores, np.array(ids, np.int64), sizes
        )
        parts.append(move_back(part, (left, top), (frame[1], frame[0])))
    return parts


@settings(max_examples=150)
@given(st.integers(0, 100_000), st.integers(20, 420))
def test_every_object_comes_out_once_and_whole(seed, largest):
    """Objects apart from each other, of any size: in a strip, over one seam or over many."""
    rng = np.random.default_rng(seed)
    frame = (900, 700)
    objects: list[tuple[int, tuple[int, int, int, int]]] = []
    for _ in range(12):
        w, h = rng.integers(12, largest, 2)
        x, y = rng.integers(0, frame[0] - w), rng.integers(0, frame[1] - h)
        box = (int(x), int(y), int(x + w), int(y + h))
        # Apart: no two meet, not even their shadows along the seams, which nothing could tell from one large object.
        if all(box[0] > o[2] + 9 or box[2] < o[0] - 9 or box[1] > o[3] + 9 or box[3] < o[1] - 9 for _, o in objects):
            objects.append((int(rng.integers(0, 2)), box))
    tiles = tiles_of(*frame, Tiling(width_px=320, height_px=320, overlap=0.25))
    assert len(tiles) == 12
    found = put_together(seen_through(objects, tiles, frame), tiles, 0.5, 0.5, 300)
    rows = sorted(zip(found.label_ids.tolist(), map(tuple, found.boxes.tolist()), strict=True))
    assert rows == sorted((label, tuple(map(float, box))) for label, box in objects)
    assert (np.diff(found.scores) <= 0).all()


def test_two_of_a_kind_side_by_side_stay_two():
    frame = (500, 300)
    tiles = tiles_of(*frame, Tiling(width_px=300, height_px=300, overlap=0.25))
    objects = [(0, (210, 50, 250, 100)), (0, (250, 50, 290, 100)), (1, (212, 52, 248, 98))]
    found = put_together(seen_through(objects, tiles, frame), tiles, 0.5, 0.5, 300)
    assert len(found) == 3


def test_more_than_there_is_room_for_is_counted():
    frame = (500, 300)
    tiles = tiles_of(*frame, Tiling(width_px=300, height_px=300, overlap=0.2))
    objects = [(0, (20 * i, 20 * j, 20 * i + 12, 20 * j + 12)) for i in range(24) for j in range(14)]
    found = put_together(seen_through(objects, tiles, frame), tiles, 0.5, 0.5, 100)
    assert len(found) == 100 and found.dropped == len(objects) - 100


def test_an_outline_over_a_seam_is_one_outline():
    frame, spots = (400, 200), []
    tiles = tiles_of(*frame, Tiling(width_px=220, height_px=200, overlap=0.1))
    for left, top, right, bottom in tiles:
        x0, x1 = max(100, left) - left, min(310, right) - left
        outline = np.array([[x0, 60], [x1, 60], [x1, 120], [x0, 120]], np.float32)
        box = np.array([[x0, 60, x1, 120]], np.float32)
        part = Prediction(
            "segment", ("a",), right - left, bottom - top, box, np.array([0.8], np.float32), np.zeros(1, np.int64),
            np.array([(x1 - x0) * 60], np.float32), (outline,), instances=True,
        )  # fmt: skip
        spots.append(move_back(part, (left, top), (200, 400)))
    found = put_together(spots, tiles, 0.5, 0.5, 300)
    assert len(found) == 1 and found.boxes[0].tolist() == [100, 60, 310, 120]
    assert found.polygons[0][:, 0].min() == pytest.approx(100, abs=1) and found.polygons[0][
        :, 0
    ].max() == pytest.approx(310, abs=1)
    assert found.areas_px[0] == pytest.approx(210 * 60, rel=0.03)


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.sampled_from(["letterbox", "stretch"]), st.integers(1, 4))
def test_a_smooth_map_is_stitched_as_if_it_were_one(seed, how, fine):
    """Each tile's map is a plane over the frame: interpolation is exact, so that the average is the plane itself."""
    rng = np.random.default_rng(seed)
    frame = (int(rng.integers(200, 400)), int(rng.integers(150, 300)))
    slope = rng.uniform(-1, 1, 2) / 100
    tiles = tiles_of(*frame, Tiling(width_px=128, height_px=96, overlap=0.3))
    geometry = fit(InputSpec(width_px=64, height_px=64, fit=how), 128, 96)
    size = 64 // fine
    step = 64 / size
    canvas = None
    for left, top, right, bottom in tiles:
        geometry = fit(InputSpec(width_px=64, height_px=64, fit=how), right - left, bottom - top)
        at = (np.arange(size) + 0.5) * step
        x = left + (at - geometry.offset_x) / geometry.scale_x
        y = top + (at - geometry.offset_y) / geometry.scale_y
        plane = (0.5 + slope[0] * x[None, :] + slope[1] * y[:, None]).astype(np.float32)
        maps = np.stack([plane, 1 - plane])
        canvas = canvas or Canvas(*frame, maps, geometry, 0.3)
        canvas.add(maps, geometry, (left, top, right, bottom))
    stitched, over = canvas.maps()
    x = (np.arange(stitched.shape[2]) + 0.5) / over.scale_x
    y = (np.arange(stitched.shape[1]) + 0.5) / over.scale_y
    wanted = 0.5 + slope[0] * x[None, :] + slope[1] * y[:, None]
    # At the very border of the outermost tiles a map knows no more than its last cell.
    edge = math.ceil(128 / size) + 1
    inner = (slice(edge, -edge), slice(edge, -edge))
    np.testing.assert_allclose(stitched[0][inner], wanted[inner], atol=2e-3)
    np.testing.assert_allclose(stitched.sum(axis=0), 1, atol=1e-4)
