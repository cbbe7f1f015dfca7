"""A buffer is used again when, and only when, nobody refers to it in any way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers._buffers import LOOK_BACK, MOST, Buffers
from drivers._capture import VideoReader
from edge.ports import Image

SHAPE = (4, 6, 3)
VIEWS: list[Callable[[Image], object]] = [
    lambda image: image,
    lambda image: image[1:3],
    lambda image: image[..., ::-1].transpose(2, 0, 1),
    lambda image: image.data,
    lambda image: [image[0][None]],
    lambda image: image.reshape(-1),
]


def ready(most: int = MOST) -> Buffers:
    buffers = Buffers(most)
    buffers.expect(SHAPE)
    return buffers


def address(image: Image | None) -> int:
    assert image is not None
    return int(image.ctypes.data)


def test_nothing_is_given_before_the_shape_is_known() -> None:
    assert Buffers().take() is None


def test_what_nobody_holds_is_used_again() -> None:
    buffers = ready()
    assert len({address(buffers.take()) for _ in range(20)}) == 1


@pytest.mark.parametrize("view", VIEWS)
def test_what_is_held_in_any_way_is_left_alone(view: Callable[[Image], object]) -> None:
    buffers = ready()
    first = buffers.take()
    assert first is not None
    first[:] = 7
    held, place = view(first), address(first)
    del first
    for _ in range(10):
        other = buffers.take()
        assert other is not None
        assert address(other) != place
    del held
    assert place in {address(image) for image in [buffers.take() for _ in range(3)]}


@given(st.lists(st.one_of(st.none(), st.integers(0, 20)), max_size=60), st.integers(1, 4))
def test_no_two_holders_share_memory(steps: list[int | None], most: int) -> None:
    """Taken frames keep their values whatever is taken and let go of in between; None takes, a number lets go."""
    buffers, held = ready(most), dict[int, Image]()
    for n, step in enumerate(steps):
        if step is None:
            image = buffers.take()
            assert image is not None
            image[:] = n
            held[n] = image
            del image
        elif held:
            del held[sorted(held)[step % len(held)]]
        assert all((image == value).all() for value, image in held.items())


def test_what_a_hitch_needed_is_given_back() -> None:
    buffers = ready()
    held = [buffers.take() for _ in range(MOST)]
    places = {address(image) for image in held}
    kept = held[0]
    del held
    for _ in range(2 * LOOK_BACK):
        buffers.take()
    later = [buffers.take() for _ in range(MOST - 1)]
    assert address(later[0]) in places  # the one that was used all the time
    assert kept is not None
    assert buffers.count == MOST
    del later, kept
    for _ in range(2 * LOOK_BACK):
        buffers.take()
    assert buffers.count == 1


def test_frames_of_another_size_begin_anew() -> None:
    buffers = ready()
    kept = buffers.take()
    buffers.expect((2, 2, 3))
    small = buffers.take()
    assert small is not None
    assert small.shape == (2, 2, 3)
    assert not np.shares_memory(small, kept)


def test_a_videos_frames_stay_as_they_are_while_they_are_held(tmp_path: Path) -> None:
    path = tmp_path / "video.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (64, 48))
    for n in range(3 * MOST):
        writer.write(np.full((48, 64, 3), 10 * n, np.uint8))
    writer.release()
    reader = VideoReader(str(path), loop=False, timeout_s=2.0, size_px=(0, 0))
    images = []
    while (shot := reader.next()) is not None:
        images.append(shot[1])
    reader.release()
    means = [image.mean() for image in images]
    assert means == pytest.approx([10 * n for n in range(3 * MOST)], abs=3)
