"""The Python window: typed results, pictures of them, many at a time."""

from __future__ import annotations

import numpy as np
import pytest

import edge
from edge.errors import ImageError
from tests.models import graphs


@pytest.fixture
def predict(tmp_path, cache):
    return edge.load(graphs.brightest_channel(tmp_path / "m.onnx"), cache=cache)


def test_a_result_draws_itself_and_says_itself(predict):
    image = np.full((60, 80, 3), (200, 10, 10), np.uint8)
    found = predict(image)
    assert isinstance(found, edge.Result) and isinstance(found, edge.Prediction)
    picture = found.draw(image)
    assert picture.shape == image.shape and picture.dtype == np.uint8 and (picture != image).any()
    assert (image == (200, 10, 10)).all(), "the frame itself is not drawn on"
    assert found.document("a.png")["source"] == "a.png"
    assert found.document()["classes"] == edge.to_document("", found)["classes"]
    assert isinstance(found.take(np.array([0])), edge.Result)


def test_a_batch_is_in_order(predict):
    images = [np.full((20 + i, 30, 3), np.eye(3)[i % 3] * 255, np.uint8) for i in range(24)]
    found = predict.batch(iter(images), workers=3)
    assert [one.names[0] for one in found] == [predict(image).names[0] for image in images]
    assert [one.frame_height_px for one in found] == [20 + i for i in range(24)]
    assert predict.batch([]) == []


def test_a_bad_frame_of_a_batch_is_an_error(predict):
    with pytest.raises(ImageError):
        predict.batch([np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.float32)])
