"""A predictor in tiles: the same as without where one tile is enough, and nothing doubled or torn where it is not."""

from __future__ import annotations

import cv2
import msgspec
import numpy as np
import pytest
from msgspec import ValidationError

from edge.models import bundle
from edge.models.bundle import About, Manifest
from edge.models.loading import load
from edge.models.tiled import TiledPredictor
from edge.vision import imageio
from edge.vision.conventions import AnomalyHead, ClassifyHead, LabelMapHead, ReconstructionHead, SegmentHead
from edge.vision.spec import InputSpec, Thresholds, Tiling
from tests.models import graphs


def bundled(folder, model, head, task, tile, cache, labels=("dark",), thresholds=None):
    manifest = Manifest(
        model=About(name="m", task=task, labels=labels),
        input=InputSpec(width_px=64, height_px=64, color="gray", fit="stretch"),
        output=head,
        thresholds=thresholds or Thresholds(score=0.5),
        tiling=Tiling(width_px=tile, height_px=tile, overlap=0.25),
    )
    bundle.write(folder, manifest, model)
    return load(folder, cache=cache)


@pytest.fixture
def frame():
    """Bright, with dark things: one small, one over a seam, one over many."""
    image = np.full((256, 256), 250, np.uint8)
    image[10:30, 12:40] = 5
    image[60:72, 20:230] = 5
    image[150:230, 100:200] = 5
    return image


def test_masks_over_seams_are_in_one_piece(tmp_path, cache, frame):
    model = graphs.darkness(tmp_path / "m.onnx", step=1)
    predict = bundled(tmp_path / "b", model, SegmentHead(activation="none"), "segment", 64, cache)
    assert isinstance(predict, TiledPredictor)
    found = predict(frame)
    assert sorted(map(tuple, found.boxes.tolist())) == [(12, 10, 40, 30), (20, 60, 230, 72), (100, 150, 200, 230)]
    assert sorted(found.areas_px.tolist()) == [560, 2520, 8000]
    assert found.timings.infer_ms > 0 and found.timings.preprocess_ms > 0


@pytest.mark.parametrize("tile", [256, 300])
def test_one_tile_is_no_tiling(tmp_path, cache, frame, tile):
    model = graphs.darkness(tmp_path / "m.onnx")
    predict = bundled(tmp_path / "b", model, SegmentHead(activation="none"), "segment", tile, cache)
    tiled, whole = predict(frame), predict._inner(frame)
    np.testing.assert_array_equal(tiled.boxes, whole.boxes)
    np.testing.assert_array_equal(tiled.scores, whole.scores)
    # The thin one is lost when all is made small, which is what tiles are for.
    assert len(tiled) == 2 and len(predict.with_min_score(0.999)(frame)) == 0
    predict.warm_up()


def test_label_maps_vote(tmp_path, cache, frame):
    rounded = [
        graphs.helper.make_node("Sub", ["one", "images"], ["d"]),
        graphs.helper.make_node("Round", ["d"], ["output0"]),
    ]
    shape = (1, 1, 64, 64)
    model = graphs.save(
        tmp_path / "m.onnx",
        rounded,
        [graphs.tensor("images", shape)],
        [graphs.tensor("output0", shape)],
        {"one": np.float32(1)},
    )
    found = bundled(tmp_path / "b", model, LabelMapHead(), "segment", 64, cache)(frame)
    assert sorted(map(tuple, found.boxes.tolist())) == [(12, 10, 40, 30), (20, 60, 230, 72), (100, 150, 200, 230)]


def test_an_anomaly_is_as_bad_as_its_worst_tile(tmp_path, cache, frame):
    model = graphs.darkness(tmp_path / "m.onnx", step=1)
    thresholds = Thresholds(anomaly=0.6)
    predict = bundled(tmp_path / "b", model, AnomalyHead(), "anomaly", 64, cache, (), thresholds)
    found = predict(frame)
    assert found.anomaly.score == pytest.approx(1 - 5 / 255, abs=1e-5)
    assert len(found) == 3 and found.anomaly.heat.shape == (256, 256)
    reconstruct = bundled(tmp_path / "r", model, ReconstructionHead(), "anomaly", 64, cache, (), thresholds)
    dark = (frame / 255.0 - (1 - frame / 255.0)) ** 2
    worst = max(dark[y : y + 64, x : x + 64].mean() for x, y, _, _ in tiles(frame, predict))
    assert reconstruct(frame).anomaly.score == pytest.approx(worst, rel=1e-4)


def tiles(frame, predict):
    return predict.preprocess(frame).tiles


def test_a_class_of_the_whole_frame_is_not_tiled():
    with pytest.raises((ValueError, ValidationError), match="tiling"):
        Manifest(
            model=About(name="m", task="classify", labels=("a", "b")),
            input=InputSpec(width_px=8, height_px=8),
            output=ClassifyHead(),
            tiling=Tiling(width_px=8, height_px=8),
        )
    assert msgspec.toml.decode(b"width_px = 640\nheight_px = 640", type=Tiling).overlap == 0.25


def test_a_bus_larger_than_a_tile_is_one_bus(shared_data, tmp_path, cache):
    """A real detector sees sixteen pieces of it, some ending a few pixels before their tile does."""
    image = imageio.decode((shared_data / "coco-photos" / "000000001584.jpg").read_bytes())
    large = cv2.resize(image, None, fx=3, fy=3)
    plain = load(shared_data / "models" / "yolox_nano.onnx", cache=cache)
    whole = plain(large)
    about = msgspec.structs.replace(plain.manifest, tiling=Tiling(width_px=832, height_px=832, overlap=0.5))
    bundle.write(tmp_path / "b", about, shared_data / "models" / "yolox_nano.onnx")
    found = load(tmp_path / "b", cache=cache)(large)
    buses = [box for box, name in zip(found.boxes, found.names, strict=True) if name == "bus"]
    big = [box for box in buses if (box[2] - box[0]) * (box[3] - box[1]) > 0.3 * large.shape[0] * large.shape[1]]
    assert len(big) == 1 and found.names[0] == "bus"
    left, top, right, bottom = np.minimum(big[0], whole.boxes[0]) - np.maximum(big[0], whole.boxes[0])
    assert max(abs(v) for v in (left, top, right, bottom)) < 0.06 * large.shape[0]
