"""What inputs beside the picture are told."""

from __future__ import annotations

import numpy as np
import pytest

from edge.vision.extras import ExtraInput
from edge.vision.geometry import fit
from edge.vision.spec import InputSpec

GEOMETRY = fit(InputSpec(width_px=64, height_px=32), 256, 64)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("input_size_hw", [32, 64]),
        ("input_size_wh", [64, 32]),
        ("frame_size_hw", [64, 256]),
        ("frame_size_wh", [256, 64]),
        ("scale_hw", [0.25, 0.25]),
        ("ones", [1, 1]),
    ],
)
def test_two_numbers_in_the_shape_and_type_that_is_taken(kind, expected):
    for shape, wanted in (((1, 2), [expected]), ((None, 2), [expected]), ((2,), expected), ((None, None), [expected])):
        for dtype in ("float32", "int64"):
            one = ExtraInput("size", kind, shape, dtype)
            value = one.value(GEOMETRY)
            assert not one.unfit and value.dtype == dtype
            assert value.tolist() == np.array(wanted).astype(dtype).tolist()


def test_ones_take_any_shape():
    assert ExtraInput("mask", "ones", (1, None, None), "int64").value(GEOMETRY).shape == (1, 32, 64)
    assert ExtraInput("mask", "ones", (1, 1, 16, 16), "bool").value(GEOMETRY).all()
    assert ExtraInput("gain", "ones", (), "float32").value(GEOMETRY) == 1


@pytest.mark.parametrize("shape", [(), (3,), (1, 3), (4, 2), (2, 2), (1, 2, 2)])
def test_two_numbers_do_not_fit_everywhere(shape):
    assert "two numbers" in ExtraInput("size", "input_size_hw", shape, "int64").unfit
