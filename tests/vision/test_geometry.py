"""Where a frame lies in a model's input, and the way back."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.vision.geometry import fit
from edge.vision.spec import Anchor, Fit, InputSpec

SIDES = st.integers(1, 3000)


@given(
    SIDES,
    SIDES,
    st.integers(8, 640),
    st.integers(8, 640),
    st.sampled_from(get_args(Fit)),
    st.sampled_from(get_args(Anchor)),
    st.data(),
)
def test_boxes_come_back_from_the_input(w, h, iw, ih, how, anchor, data):
    geometry = fit(InputSpec(width_px=iw, height_px=ih, fit=how, anchor=anchor), w, h)
    x0, x1 = sorted(data.draw(st.tuples(st.floats(0, w, width=32), st.floats(0, w, width=32))))
    y0, y1 = sorted(data.draw(st.tuples(st.floats(0, h, width=32), st.floats(0, h, width=32))))
    box = np.array([[x0, y0, x1, y1]], np.float32)
    back = geometry.to_frame(geometry.to_input(box))
    # One part in 2**20 of the longest way, in frame pixels.
    tolerance = (max(w, h) + max(iw / geometry.scale_x, ih / geometry.scale_y)) * 2e-6 + 1e-3
    np.testing.assert_allclose(back, box, atol=tolerance)


@given(SIDES, SIDES, st.integers(8, 640), st.integers(8, 640), st.sampled_from(get_args(Anchor)))
def test_letterbox_keeps_proportions_and_stays_inside(w, h, iw, ih, anchor):
    geometry = fit(InputSpec(width_px=iw, height_px=ih, fit="letterbox", anchor=anchor), w, h)
    shown_w, shown_h = round(w * geometry.scale_x), round(h * geometry.scale_y)
    assert 1 <= shown_w <= iw and 1 <= shown_h <= ih
    assert shown_w == iw or shown_h == ih
    assert 0 <= geometry.offset_x <= iw - shown_w and 0 <= geometry.offset_y <= ih - shown_h
    # Rounded to whole pixels and no further.
    ratio = min(iw / w, ih / h)
    assert abs(shown_w - max(1, w * ratio)) <= 0.5 + 1e-9 and abs(shown_h - max(1, h * ratio)) <= 0.5 + 1e-9


@pytest.mark.parametrize(("anchor", "left", "top"), [("center", 0, 80), ("top_left", 0, 0)])
def test_letterbox_of_a_wide_frame(anchor, left, top):
    geometry = fit(InputSpec(width_px=640, height_px=640, anchor=anchor), 1280, 960)
    assert (geometry.scale_x, geometry.scale_y) == (0.5, 0.5)
    assert (geometry.offset_x, geometry.offset_y) == (left, top)


def test_an_odd_rest_goes_to_the_right_and_below():
    geometry = fit(InputSpec(width_px=105, height_px=50), 100, 50)
    assert (geometry.offset_x, geometry.scale_x) == (2, 1.0)


def test_crop_shows_the_middle():
    geometry = fit(InputSpec(width_px=100, height_px=100, fit="crop"), 400, 200)
    np.testing.assert_allclose(geometry.to_frame(np.array([[0, 0, 100, 100]])), [[100, 0, 300, 200]])


def test_what_lies_in_the_padding_is_clipped_to_the_frame():
    geometry = fit(InputSpec(width_px=640, height_px=640), 1280, 720)
    assert geometry.to_frame(np.array([[-5.0, 0, 700, 640]])).tolist() == [[0, 0, 1280, 720]]
