"""What is found in a crop comes back to where it is in the frame."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.vision.crops import corners_of, cut_box, cut_quad, into_frame
from edge.vision.prediction import Prediction

FRAME = np.zeros((300, 400, 3), np.uint8)


def point(x, y, crop):
    height, width = crop.image.shape[:2]
    box = np.array([[x, y, x, y]], np.float32)
    one = np.ones(1, np.float32)
    quads = box[:, [[0, 1]] * 4]
    found = Prediction("detect", ("a",), width, height, box, one, np.zeros(1, np.int64), one, quads=quads)
    back = into_frame(found, crop, 400, 300)
    assert back.boxes[0, :2] == pytest.approx(back.quads[0, 0], abs=1e-3)
    return back.quads[0, 0]


@given(st.floats(-180, 180), st.floats(30, 90), st.floats(16, 60), st.integers(0, 4), st.booleans())
def test_a_quad_and_back(angle, width, height, quarters, lay_down):
    quad = np.asarray(cv2.boxPoints(((200, 150), (width, height), angle)), np.float32)
    crop = cut_quad(FRAME, quad, 0.0, lay_down=lay_down).turned(quarters)
    # Every corner of the crop is one of the quad's, in the same sense of rotation.
    corners = corners_of(crop)
    shift = int(np.abs(quad - corners[0]).sum(axis=1).argmin())
    assert corners == pytest.approx(np.roll(quad, -shift, axis=0), abs=1e-2)
    middle = point(crop.image.shape[1] / 2, crop.image.shape[0] / 2, crop)
    assert middle == pytest.approx([200, 150], abs=1e-2)


def test_pixels_are_where_the_matrix_says():
    frame = FRAME.copy()
    frame[100:104, 150:154] = 255
    for crop in (
        cut_box(frame, np.array([140, 95, 180, 115], np.float32), 0.0),
        cut_quad(frame, np.array([[140, 95], [180, 95], [180, 115], [140, 115]], np.float32), 0.0),
    ):
        for quarters in range(4):
            turned = crop.turned(quarters)
            rows, columns = np.nonzero(turned.image[..., 0] > 128)
            x, y = columns.mean() + 0.5, rows.mean() + 0.5
            assert point(x, y, turned) == pytest.approx([152, 102], abs=0.05)


def test_margins_stay_inside_and_slivers_are_none():
    crop = cut_box(FRAME, np.array([390, 10, 400, 20], np.float32), 1.0)
    assert crop.image.shape == (30, 20, 3)
    assert cut_box(FRAME, np.array([10, 10, 10.5, 90], np.float32), 0.0) is None
    assert cut_quad(FRAME, np.zeros((4, 2), np.float32), 0.0) is None
    assert cut_quad(FRAME, np.full((4, 2), np.nan, np.float32), 0.0) is None
