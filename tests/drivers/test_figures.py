"""What is measured of a picture when a camera is set up, on pictures whose truth is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers._figures import BINS, advice, figures_of, scale_of_board, scale_of_points


def board(square_px: float = 24.0, tilt: float = 0.0) -> np.ndarray:
    """9 x 6 inner corners, drawn large and scaled down, so that edges fall between pixels too; ``tilt`` narrows the top."""
    squares = np.indices((7, 10)).sum(axis=0) % 2
    big = np.kron(squares, np.ones((60, 60))) * 210 + 25
    big = np.pad(big, 90, constant_values=235).astype(np.uint8)
    big = cv2.GaussianBlur(big, (0, 0), 40 / square_px)  # else scaling down makes steps of the edges
    height, width = big.shape
    corners = np.float32([[0, 0], [width, 0], [width, height], [0, height]])
    to = corners * (square_px / 60)
    to[0, 0] += tilt * to[1, 0]
    to[1, 0] -= tilt * to[1, 0]
    size = (round(width * square_px / 60), round(height * square_px / 60))
    return cv2.warpPerspective(big, cv2.getPerspectiveTransform(corners, to), size)


def test_focus_falls_with_every_blur():
    picture = board()
    focus = [figures_of(cv2.GaussianBlur(picture, (0, 0), sigma)).focus for sigma in (0.3, 0.6, 1.2, 2.4, 4.8)]
    assert focus == sorted(focus, reverse=True)
    assert focus[0] > 10 * focus[-1]


def test_light_is_counted():
    grey = np.full((10, 10), 100, np.uint8)
    grey[0] = 0
    grey[1:3] = 255
    figures = figures_of(grey)
    assert (figures.dark_pct, figures.bright_pct) == (10.0, 20.0)
    assert figures.mean == pytest.approx(0.7 * 100 + 0.2 * 255)
    assert len(figures.histogram) == BINS
    assert sum(figures.histogram) == 100
    assert figures.histogram[-1] == 20


def test_a_region_is_measured_alone_and_colour_is_turned_grey():
    picture = np.zeros((40, 40, 3), np.uint8)
    picture[10:20, 10:30] = 200
    assert figures_of(picture, (10, 10, 30, 20)).mean == pytest.approx(200)
    assert figures_of(picture, (-5, -5, 10, 10)).mean == 0
    assert figures_of(picture, (50, 50, 60, 60)).mean == figures_of(picture).mean  # nothing there: all of it


@given(st.integers(0, 255), st.integers(1, 50), st.integers(1, 50))
def test_any_plain_picture_has_figures(level, height, width):
    figures = figures_of(np.full((height, width), level, np.uint8))
    assert figures.focus == 0
    assert figures.mean == pytest.approx(level)


def test_advice_is_silent_when_the_light_is_fine():
    assert advice(figures_of(np.full((9, 9), 120, np.uint8))) == []
    assert "burnt out" in advice(figures_of(np.full((9, 9), 255, np.uint8)))[0]
    assert "dark" in advice(figures_of(np.full((9, 9), 20, np.uint8)))[0]


def test_scale_of_two_points():
    assert scale_of_points((0, 0), (30, 40), 5.0).mm_per_px == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("b", "length_mm"),
    [((0.5, 0), 5.0), ((9, 9), 0.0), ((9, 9), -1.0), ((9, 9), float("nan")), ((float("inf"), 0), 1.0)],
)
def test_scales_that_make_no_sense(b, length_mm):
    with pytest.raises(ValueError, match=r"points|length"):
        scale_of_points((0, 0), b, length_mm)


@pytest.mark.parametrize("square_px", [18.0, 24.0, 31.7])
def test_scale_of_a_board(square_px):
    scale = scale_of_board(board(square_px), 9, 6, 10.0)
    assert scale.mm_per_px == pytest.approx(10 / square_px, rel=0.002)
    assert len(scale.corners) == 54
    assert scale.tilt_pct < 1


def test_a_tilted_board_is_told():
    assert scale_of_board(board(tilt=0.05), 9, 6, 10.0).tilt_pct > 3


def test_no_board():
    assert scale_of_board(np.full((200, 200), 128, np.uint8), 9, 6, 10.0) is None
    with pytest.raises(ValueError, match="3 to 100"):
        scale_of_board(board(), 2, 6, 10.0)
