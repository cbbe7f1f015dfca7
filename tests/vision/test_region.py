from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import ImageError
from edge.vision.prediction import Prediction
from edge.vision.region import cut, move_back

IMAGE = np.arange(20 * 30 * 3, dtype=np.uint8).reshape(20, 30, 3)


def test_a_region_is_a_view_of_the_frame():
    view, corner = cut(IMAGE, (4, 2, 14, 12))
    assert view.shape == (10, 10, 3) and corner == (4, 2)
    assert np.shares_memory(view, IMAGE)
    assert (view[0, 0] == IMAGE[2, 4]).all()


@given(st.tuples(*[st.integers(-50, 80)] * 4))
def test_what_is_cut_lies_inside_or_is_refused(region):
    left, top, right, bottom = region
    wanted = {(x, y) for x in range(left, right) for y in range(top, bottom) if 0 <= x < 30 and 0 <= y < 20}
    if not wanted:
        with pytest.raises(ImageError, match="REGION_OUTSIDE"):
            cut(IMAGE, region)
        return
    view, (x0, y0) = cut(IMAGE, region)
    assert {(x0 + x, y0 + y) for y in range(view.shape[0]) for x in range(view.shape[1])} == wanted


def test_findings_are_moved_back_into_the_frame():
    found = Prediction(
        "segment",
        ("pit",),
        10,
        10,
        np.array([[1, 2, 5, 6]], np.float32),
        np.array([0.5], np.float32),
        np.zeros(1, np.int64),
        np.array([16], np.float32),
        (np.array([[1, 2], [5, 2], [5, 6]], np.float32),),
    )
    moved = move_back(found, (4, 2), IMAGE.shape)
    assert moved.boxes.tolist() == [[5, 4, 9, 8]] and moved.boxes.dtype == np.float32
    assert moved.polygons[0].tolist() == [[5, 4], [9, 4], [9, 8]]
    assert (moved.frame_width_px, moved.frame_height_px) == (30, 20)
    assert found.boxes.tolist() == [[1, 2, 5, 6]]


def test_nothing_found_stays_nothing():
    moved = move_back(Prediction("detect", ("pit",), 10, 10), (4, 2), (20, 30))
    assert len(moved) == 0 and moved.boxes.shape == (0, 4)
