"""From frame to blob, against the plain way."""

from __future__ import annotations

from typing import get_args

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import ImageError
from edge.vision.preprocess import Preprocessor
from edge.vision.spec import Anchor, Color, Fit, InputSpec


def plain(spec: InputSpec, image: np.ndarray) -> np.ndarray:
    """The same in words a beginner would use: resize, put on a canvas, convert, compute, transpose."""
    h, w = image.shape[:2]
    if image.ndim == 2:
        image = np.stack([image] * 3, axis=-1)
    if spec.fit == "stretch":
        canvas = cv2.resize(image, (spec.width_px, spec.height_px))
        padding = np.zeros((spec.height_px, spec.width_px), bool)
    elif spec.fit == "letterbox":
        ratio = min(spec.width_px / w, spec.height_px / h)
        nw, nh = max(1, int(w * ratio + 0.5)), max(1, int(h * ratio + 0.5))
        left = (spec.width_px - nw) // 2 if spec.anchor == "center" else 0
        top = (spec.height_px - nh) // 2 if spec.anchor == "center" else 0
        canvas = np.full((spec.height_px, spec.width_px, 3), spec.pad_value, np.uint8)
        canvas[top : top + nh, left : left + nw] = cv2.resize(image, (nw, nh))
        padding = np.ones((spec.height_px, spec.width_px), bool)
        padding[top : top + nh, left : left + nw] = False
    else:
        ratio = max(spec.width_px / w, spec.height_px / h)
        cw, ch = min(w, max(1, int(spec.width_px / ratio + 0.5))), min(h, max(1, int(spec.height_px / ratio + 0.5)))
        left = (w - cw) // 2 if spec.anchor == "center" else 0
        top = (h - ch) // 2 if spec.anchor == "center" else 0
        canvas = cv2.resize(image[top : top + ch, left : left + cw], (spec.width_px, spec.height_px))
        padding = np.zeros((spec.height_px, spec.width_px), bool)
    if spec.color == "gray":
        values = cv2.cvtColor(canvas, cv2.COLOR_BGR2GRAY)[..., None]
        values[padding] = spec.pad_value
    else:
        values = canvas[..., ::-1] if spec.color == "rgb" else canvas
    out = np.empty((1, spec.channels, spec.height_px, spec.width_px))
    for channel in range(spec.channels):
        mean = spec.mean[channel % len(spec.mean)]
        std = spec.std[channel % len(spec.std)]
        out[0, channel] = (values[..., channel] * spec.scale - mean) / std
    return out


@settings(max_examples=150)
@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.integers(4, 60),
    st.integers(4, 60),
    st.sampled_from(get_args(Fit)),
    st.sampled_from(get_args(Anchor)),
    st.sampled_from(get_args(Color)),
    st.booleans(),
    st.booleans(),
)
def test_blob_is_what_the_plain_way_gives(w, h, iw, ih, how, anchor, color, gray_frame, normalise):
    image = np.random.default_rng(w * 91 + h).integers(0, 256, (h, w) if gray_frame else (h, w, 3), np.uint8)
    channels = 1 if color == "gray" else 3
    numbers = {"mean": (0.485, 0.456, 0.406)[:channels], "std": (0.229, 0.224, 0.225)[:channels]} if normalise else {}
    spec = InputSpec(width_px=iw, height_px=ih, color=color, fit=how, anchor=anchor, **numbers)
    preprocessor = Preprocessor(spec)
    workspace = preprocessor.workspace()
    preprocessor(image, workspace)
    assert workspace.blob.dtype == np.float32
    np.testing.assert_allclose(workspace.blob, plain(spec, image), atol=2e-5)


def test_a_workspace_serves_frames_of_changing_size():
    spec = InputSpec(width_px=64, height_px=48, pad_value=7)
    preprocessor = Preprocessor(spec)
    workspace = preprocessor.workspace()
    rng = np.random.default_rng(1)
    for shape in ((48, 64, 3), (30, 90, 3), (90, 30), (90, 30, 3), (1, 1, 3), (48, 64)):
        image = rng.integers(0, 256, shape, np.uint8)
        preprocessor(image, workspace)
        np.testing.assert_allclose(workspace.blob, plain(spec, image), atol=1e-5)


def test_the_frame_is_not_touched_and_its_memory_not_kept():
    preprocessor = Preprocessor(InputSpec(width_px=8, height_px=8))
    workspace = preprocessor.workspace()
    image = np.full((8, 8, 3), 200, np.uint8)
    preprocessor(image, workspace)
    before = workspace.blob.copy()
    assert (image == 200).all()
    image[:] = 0
    np.testing.assert_array_equal(workspace.blob, before)


@pytest.mark.parametrize(("dtype", "expected"), [("uint8", 200), ("float16", 200 / 255)])
def test_other_input_types(dtype, expected):
    preprocessor = Preprocessor(InputSpec(width_px=4, height_px=4), dtype)
    workspace = preprocessor.workspace()
    preprocessor(np.full((4, 4, 3), 200, np.uint8), workspace)
    assert workspace.blob.dtype == dtype
    np.testing.assert_allclose(workspace.blob.astype(np.float64), expected, rtol=1e-3)


@pytest.mark.parametrize("shape", [(4, 4, 4), (4, 4, 1), (4,), (0, 4, 3), (4, 0)])
def test_wrong_arrays_are_refused(shape):
    preprocessor = Preprocessor(InputSpec(width_px=4, height_px=4))
    with pytest.raises(ImageError) as caught:
        preprocessor(np.zeros(shape, np.uint8), preprocessor.workspace())
    assert caught.value.code == "IMAGE_UNFIT"


def test_wrong_dtype_is_refused():
    preprocessor = Preprocessor(InputSpec(width_px=4, height_px=4))
    with pytest.raises(ImageError, match="float32"):
        preprocessor(np.zeros((4, 4, 3), np.float32), preprocessor.workspace())


@pytest.mark.parametrize(
    "numbers", [{"mean": (1.0, 2.0)}, {"std": (0.0,)}, {"scale": 0.0}, {"color": "gray", "mean": (0.1, 0.2, 0.3)}]
)
def test_a_spec_that_makes_no_sense_cannot_be_made(numbers):
    with pytest.raises(ValueError, match=r"needs|must not be 0"):
        InputSpec(width_px=4, height_px=4, **numbers)
