"""From pictures of good parts to a model that says which is not one of them, by the commands alone."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from onnx import helper

from edge.cli.main import main
from tests.models import graphs


def trunk(path):
    """A network of one convolution with eight filters, as a stranger's classifier might begin."""
    rng = np.random.default_rng(4)
    filters = rng.normal(size=(8, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["images", "f"], ["c"], strides=[4, 4], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["features"]),
        helper.make_node("GlobalAveragePool", ["features"], ["p"]),
        helper.make_node("Flatten", ["p"], ["logits"]),
    ]
    return graphs.save(
        path, nodes, [graphs.tensor("images", (1, 3, 64, 64))], [graphs.tensor("logits", (1, 8))], {"f": filters}
    )


def pictures(folder, seeds, spot=False):
    folder.mkdir()
    for seed in seeds:
        rng = np.random.default_rng(seed)
        image = rng.normal(120, 6, (96, 96, 3))
        if spot:
            image[40:60, 30:52] += 90
        cv2.imwrite(str(folder / f"{seed:03d}.png"), image.clip(0, 255).astype(np.uint8))
    return folder


def run(capsys, *words):
    status = main([str(word) for word in words])
    out = capsys.readouterr()
    return status, out.out, out.err


@pytest.fixture
def made(tmp_path, capsys):
    pictures(tmp_path / "good", range(10))
    bundle = tmp_path / "bundle"
    model = trunk(tmp_path / "trunk.onnx")
    status, out, err = run(
        capsys,
        "model",
        "bank",
        model,
        tmp_path / "good",
        "-o",
        bundle,
        "--tensor",
        "features",
        "--places",
        200,
        "--json",
    )
    assert status == 0, err
    document = json.loads(out)
    assert document["pictures"] == 10 and document["places"] == 200 and document["features"] == 8
    return bundle


def test_good_pictures_make_a_model_that_finds_the_spot(tmp_path, capsys, made):
    other = pictures(tmp_path / "other", range(100, 130))
    spots = pictures(tmp_path / "spots", range(200, 204), spot=True)
    status, out, err = run(capsys, "model", "calibrate", made, other, "--false-alarms", 0.1, "--json")
    assert status == 0, err
    document = json.loads(out)
    assert document["method"] == "order statistic" and document["pictures"] == 30 and len(document["highest"]) == 3
    assert document["false_alarms"]["expected"] <= 0.1 < document["false_alarms"]["high"]
    status, out, _ = run(capsys, "infer", made, spots, "--json", "--save", tmp_path / "seen")
    assert status == 0
    for row in json.loads(out):
        assert row["anomaly"]["score"] > row["anomaly"]["threshold"] == document["threshold"]
        left, top, right, bottom = row["regions"][0]["xyxy"]
        assert left < 41 < right and top < 50 < bottom and row["regions"][0]["label"] == "anomaly"
    _, out, _ = run(capsys, "infer", made, other, "--json")
    assert sum(row["anomaly"]["score"] >= row["anomaly"]["threshold"] for row in json.loads(out)) == 2
    _, out, _ = run(capsys, "infer", made, spots)
    assert "anomalous, score" in out


def test_pictures_of_the_bank_do_not_calibrate_it(tmp_path, capsys, made):
    status, _, err = run(capsys, "model", "calibrate", made, tmp_path / "good")
    assert status == 3 and err.splitlines()[-1].startswith("CALIBRATION_TOO_FEW")
    status, out, err = run(capsys, "model", "calibrate", made, pictures(tmp_path / "few", range(300, 306)))
    assert status == 0 and "from 6 good pictures" in out and "1.00% needs 99 pictures" in err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["bank", "trunk.onnx", "good", "-o", "new"], "MODEL_FEATURES_UNFIT"),
        (["bank", "trunk.onnx", "good", "-o", "new", "--tensor", "featres"], "MODEL_TENSOR_UNKNOWN"),
        (["bank", "trunk.onnx", "nowhere", "-o", "new", "--tensor", "features"], "FOLDER_ABSENT"),
        (["bank", "trunk.onnx", "good", "-o", "bundle", "--tensor", "features"], "PACK_EXISTS"),
        (["calibrate", "trunk.onnx", "good"], "MODEL_MANIFEST_ABSENT"),
        (["calibrate", "bundle", "empty"], "FOLDER_EMPTY"),
    ],
)
@pytest.mark.usefixtures("made")
def test_what_cannot_be_is_one_line(tmp_path, capsys, words, code):
    (tmp_path / "empty").mkdir()
    paths = {"trunk.onnx", "good", "new", "nowhere", "bundle", "empty"}
    status, _, err = run(capsys, "model", *(tmp_path / word if word in paths else word for word in words))
    assert status == 3 and err.splitlines()[-1].startswith(code)


def test_a_bank_in_tiles_sees_small_things_in_large_pictures(tmp_path, capsys):
    model, bundle = trunk(tmp_path / "trunk.onnx"), tmp_path / "tiled"
    good = tmp_path / "good"
    good.mkdir()
    for seed in range(12):
        noise = np.random.default_rng(seed).normal(120, 6, (300, 300, 3))
        if seed >= 10:
            noise[201:209, 97:105] += 60  # eight pixels of three hundred: in a picture made small, less than two
        cv2.imwrite(str((good if seed < 10 else tmp_path) / f"{seed}.png"), noise.clip(0, 255).astype(np.uint8))
    words = ["model", "bank", model, good, "-o", bundle, "--tensor", "features", "--tile", 64, "--places", 300]
    assert run(capsys, *words)[0] == 0
    other = tmp_path / "other"
    other.mkdir()
    for seed in range(20, 40):
        noise = np.random.default_rng(seed).normal(120, 6, (300, 300, 3))
        cv2.imwrite(str(other / f"{seed}.png"), noise.clip(0, 255).astype(np.uint8))
    assert run(capsys, "model", "calibrate", bundle, other, "--false-alarms", 0.05)[0] == 0
    _, out, _ = run(capsys, "infer", bundle, tmp_path / "10.png", tmp_path / "11.png", "--json")
    for row in json.loads(out):
        assert row["anomaly"]["score"] > row["anomaly"]["threshold"]
        left, top, right, bottom = row["regions"][0]["xyxy"]
        assert left < 101 < right and top < 205 < bottom and right - left < 40
