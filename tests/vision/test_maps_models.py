"""Public models of maps on public pictures, through the predictor; the manifest is written by hand here."""

from __future__ import annotations

import json

import numpy as np
import pytest

from edge.domain import ModelRef
from edge.models.bundle import About, Manifest
from edge.models.predictor import Predictor
from edge.models.runner import OnnxRunner
from edge.vision import imageio
from edge.vision.conventions import ReconstructionHead, SegmentHead
from edge.vision.spec import InputSpec

VOC = [
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
]


@pytest.fixture
def rows(shared_data):
    return {row["name"]: row for row in json.loads((shared_data / "models" / "models.json").read_bytes())}


def predictor(folder, row, manifest):
    runner = OnnxRunner((folder / "models" / row["file"]).read_bytes())
    ref = ModelRef("m", "1.0.0", row["sha256"])
    return Predictor(manifest, ref, runner, input_name=runner.input_name, output_names=runner.output_names)


def picture(folder, name):
    return imageio.decode((folder / name).read_bytes())


def test_deeplab_finds_the_bus(shared_data, rows):
    row = rows["deeplabv3-mnv2-257-nhwc"]
    spec = InputSpec(width_px=257, height_px=257, scale=1 / 127.5, mean=(1.0,), fit="stretch", layout="nhwc")
    head = SegmentHead(activation="softmax", background=0, layout="nhwc")
    about = About(name="deeplab", task="segment", labels=tuple(VOC))
    model = predictor(shared_data, row, Manifest(model=about, input=spec, output=head))
    image = picture(shared_data, row["input"])
    found = model(image)
    assert set(row["expect"]) <= set(found.names) and found.names[0] == "bus"
    # Against a plain argmax of the raw map, at the map's own resolution.
    raw = model.run(model.preprocess(image)).tensors["ResizeBilinear_3"][0]
    share = float((raw.argmax(axis=2) == 1 + VOC.index("bus")).mean())
    area = float(found.areas_px[[n == "bus" for n in found.names]].sum())
    assert area / (image.shape[0] * image.shape[1]) == pytest.approx(share, rel=0.02)


def test_the_casting_autoencoder_gives_the_error_that_was_seen(shared_data, rows):
    row = rows["casting-autoencoder-304"]
    spec = InputSpec(width_px=304, height_px=304, fit="stretch")
    about = About(name="casting", task="anomaly")
    model = predictor(shared_data, row, Manifest(model=about, input=spec, output=ReconstructionHead()))
    for name in row["input"]:
        image = picture(shared_data, name)
        found = model(image)
        assert 0 < found.anomaly.score < row["max_mse"]
        prepared = model.preprocess(image)
        assert prepared.workspace is not None
        blob = prepared.workspace.blob.astype(np.float64)
        output = model.run(prepared).tensors["output"]
        assert found.anomaly.score == pytest.approx(float(((output - blob) ** 2).mean()), rel=1e-4)
        assert found.anomaly.map_max > found.anomaly.score and found.anomaly.heat.shape == (304, 304)
