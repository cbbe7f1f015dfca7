"""``jidoka model quantize`` as a user runs it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge.models import bundle
from tests.commands import run
from tests.models.quantizable import manifest, picture, three_layers


@pytest.fixture
def made(tmp_path):
    (tmp_path / "pictures").mkdir()
    for i in range(6):
        cv2.imwrite(str(tmp_path / "pictures" / f"{i}.png"), picture(i))
    return bundle.write(tmp_path / "b", manifest(), three_layers(tmp_path / "m.onnx")).folder


def test_a_table_a_variant_and_what_to_do_next(tmp_path, made):
    words = ("--calibration", tmp_path / "pictures", "-o", tmp_path / "copy")
    found = run(tmp_path / "cache", "model", "quantize", made, *words)
    assert found.status == 0, found.err
    columns, *rows, _, said = (line.split("\t") for line in found.out.splitlines())
    assert columns[1:4] == ["how", "agreement", "kept back"]
    assert len(rows) == 2
    assert said[0].startswith("agreement ")
    assert found.last.startswith("next: jidoka model bench")
    assert bundle.read(tmp_path / "copy").manifest.variant[0].name == "int8"
    assert not bundle.read(made).manifest.variant


def test_what_nothing_can_be_said_of_is_one_line_and_nothing_is_written(tmp_path, made):
    (tmp_path / "white").mkdir()
    for i in range(4):
        cv2.imwrite(str(tmp_path / "white" / f"{i}.png"), np.full((32, 32, 3), 255, np.uint8))
    words = ("--calibration", tmp_path / "white", "--mode", "full", "--method", "minmax", "--json")
    found = run(tmp_path / "cache", "model", "quantize", made, *words)
    assert found.status == 3
    assert found.last.startswith("CALIBRATION_SAYS_NOTHING: ")
    assert not (made / "variants").exists()


def test_a_bare_file_is_told_to_be_packed(tmp_path):
    three_layers(tmp_path / "m.onnx")
    found = run(tmp_path / "cache", "model", "quantize", tmp_path / "m.onnx", "--calibration", tmp_path)
    assert found.status == 3
    assert found.last.startswith("BUNDLE_NEEDED: ")
    assert "jidoka model pack" in found.last
