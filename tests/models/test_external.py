"""Weights beside the model: read once by us, taken along by bundles, covered by the model's sha256."""

from __future__ import annotations

import hashlib
import subprocess

import numpy as np
import onnx
import pytest

from edge.errors import ModelError
from edge.models import bundle, external
from edge.models.bundle import About, BareFile, Manifest, read_any, sha256_of
from edge.models.inspect.source import read_file
from edge.models.loading import load
from edge.models.packing import Wishes, pack_any
from edge.models.runner import OnnxRunner
from edge.models.series.loading import load_series
from edge.models.series.manifest import read as read_series
from edge.vision.conventions import ClassifyHead
from edge.vision.spec import InputSpec
from tests.models import graphs
from tests.series import trained

SHAPE = (1, 3, 64, 64)
ABOUT = About(name="beside", task="classify", labels=("a", "b", "c", "d"))
MANIFEST = Manifest(model=ABOUT, input=InputSpec(width_px=64, height_px=64), output=ClassifyHead(activation="none"))


def model(folder, location="secret.bin", values=(0.1, 0.7, 0.1, 0.1)):
    """A classifier that always says ``values``, which lie beside it."""
    path = graphs.with_external_data(folder / "m.onnx")
    made = onnx.load(path, load_external_data=False)
    for weight in made.graph.initializer:
        for entry in weight.external_data:
            entry.value = location if entry.key == "location" else entry.value
    path.write_bytes(made.SerializeToString())
    (folder / location).parent.mkdir(exist_ok=True)
    (folder / location).write_bytes(np.array(values, np.float32).tobytes())
    return path


@pytest.mark.parametrize("location", ["weights.bin", "data/weights.bin", "./weights.bin"])
def test_a_bare_file_is_read_with_what_lies_beside_it(tmp_path, cache, location):
    path = model(tmp_path, location)
    found = read_any(path)
    assert isinstance(found, BareFile) and list(found.external) == [location]
    assert load(path, cache=cache)(np.zeros((8, 8, 3), np.uint8)).names[0] == "1"


def test_the_runtime_gets_the_bytes_that_were_read(tmp_path):
    found = read_any(model(tmp_path))
    assert isinstance(found, BareFile)
    (tmp_path / "secret.bin").write_bytes(np.array([9, 9, 9, 9], np.float32).tobytes())
    runner = OnnxRunner(found.onnx, found.external)
    (answer,) = runner.run({"images": np.zeros(SHAPE, np.float32)})
    assert answer[0] == pytest.approx([0.1, 0.7, 0.1, 0.1])


def test_the_sha256_stands_for_all_files(tmp_path):
    path = model(tmp_path)
    first = read_any(path).sha256
    path.rename(tmp_path / "model.onnx")
    listed = subprocess.run(["sha256sum", "model.onnx", "secret.bin"], cwd=tmp_path, check=True, capture_output=True)
    assert read_any(tmp_path / "model.onnx").sha256 == first == hashlib.sha256(listed.stdout).hexdigest()
    (tmp_path / "secret.bin").write_bytes(bytes(16))
    assert read_any(tmp_path / "model.onnx").sha256 != first
    plain = graphs.constant(tmp_path / "plain.onnx", np.ones((1, 4)))
    assert read_any(plain).sha256 == sha256_of(plain.read_bytes())


@pytest.mark.parametrize("location", ["weights.bin", "data/weights.bin"])
def test_a_bundle_takes_them_along_and_checks_them(tmp_path, cache, location):
    (tmp_path / "from").mkdir()
    written = bundle.write(tmp_path / "b", MANIFEST, model(tmp_path / "from", location))
    assert set(written.manifest.files) == {"model.onnx", location} and list(written.external) == [location]
    (tmp_path / "from" / location).unlink()
    predict = load(tmp_path / "b", cache=cache)
    assert predict(np.zeros((8, 8, 3), np.uint8)).names[0] == "b"
    assert predict.ref.sha256 == written.sha256 != written.manifest.files["model.onnx"]
    (tmp_path / "b" / location).write_bytes(bytes(16))
    with pytest.raises(ModelError) as caught:
        bundle.read(tmp_path / "b")
    assert caught.value.code == "MODEL_CHECKSUM"


def test_a_nan_beside_the_model_is_found(tmp_path, cache):
    with pytest.raises(ModelError) as caught:
        load(model(tmp_path, values=(0.1, float("nan"), 0.1, 0.1)), cache=cache)
    assert caught.value.code == "MODEL_NOT_FINITE" and "'w'" in caught.value.why


def test_large_data_is_refused_unread(tmp_path):
    path = model(tmp_path)
    with (tmp_path / "secret.bin").open("wb") as file:
        file.truncate(external.MAX_BYTES + 1)
    with pytest.raises(ModelError) as caught:
        read_any(path)
    assert caught.value.code == "MODEL_TOO_LARGE"


def test_a_bundle_of_a_series_model_takes_them_along_too(tmp_path, cache):
    path = trained.linear_classifier(tmp_path / "m.onnx", np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    whole = load_series(path, cache=cache)
    made = onnx.load(path)
    onnx.save_model(made, path, save_as_external_data=True, location="w.bin", size_threshold=0)
    pack_any(read_file(path), tmp_path / "b", Wishes())
    assert {"model.onnx", "w.bin"} <= set(read_series(tmp_path / "b").manifest.files)
    samples = np.array([[1.0, 2.0]])
    assert load_series(tmp_path / "b", cache=cache)(samples).values == whole(samples).values != {}
