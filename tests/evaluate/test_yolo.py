"""YOLO's text files, in all the forms they come in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.errors import InputError
from edge.evaluate.datasets import read_dataset
from edge.evaluate.shapes import truth_of
from tests.evaluate.test_datasets import picture


def _yolo(root: Path, label: str, yaml: str | None = "names: [pit, 'long scratch']\nval: images/val\n") -> Path:
    picture(root / "images" / "val" / "a.png")
    (root / "labels" / "val").mkdir(parents=True, exist_ok=True)
    (root / "labels" / "val" / "a.txt").write_text(label)
    if yaml is not None:
        (root / "data.yaml").write_text(yaml)
    return root


def test_yolo_boxes_polygons_and_pictures_without_labels(tmp_path: Path) -> None:
    _yolo(tmp_path, "1 0.5 0.5 0.2 0.4\n0 0.1 0.1 0.3 0.1 0.3 0.5 0.1 0.5\n")
    picture(tmp_path / "images" / "val" / "empty.png")
    found = read_dataset(tmp_path)
    assert (found.kind, found.classes) == ("yolo", ("pit", "long scratch"))
    truth = truth_of(found.samples[0], 10, 20, "")
    assert truth.labels == ("long scratch", "pit")
    assert np.allclose(truth.boxes, [[8, 3, 12, 7], [2, 1, 6, 5]], atol=1e-5)
    assert found.samples[1].things == ()


@pytest.mark.parametrize(
    "names",
    [
        "names: {0: pit, 1: long scratch}",
        "names:\n  0: pit\n  1: long scratch",
        "names:\n- pit\n- 'long scratch'",
        "names: ['pit', \"long scratch\"]",
    ],
)
def test_yolo_names_in_every_form(tmp_path: Path, names: str) -> None:
    root = _yolo(tmp_path, "1 0.5 0.5 0.2 0.4\n", f"# made by hand\npath: .\nval: images/val  # here\n{names}\nnc: 2\n")
    assert read_dataset(root).classes == ("pit", "long scratch")


def test_yolo_without_yaml_and_with_exports_that_climb(tmp_path: Path) -> None:
    plain = _yolo(tmp_path / "plain", "3 0.5 0.5 0.2 0.4\n", None)
    assert read_dataset(plain).classes == ("3",)
    climbing = tmp_path / "climbing"
    picture(climbing / "valid" / "images" / "a.png")
    (climbing / "data.yaml").write_text("val: ../valid/images\nnames: [a]\n")
    assert len(read_dataset(climbing / "data.yaml").samples) == 1


def test_yolo_points(tmp_path: Path) -> None:
    row = "0 0.5 0.5 0.2 0.4 0.4 0.4 2 0.6 0.6 0\n"
    found = read_dataset(_yolo(tmp_path, row, "kpt_shape: [2, 3]\nnames: [a]\nval: images/val\n"))
    truth = truth_of(found.samples[0], 10, 20, "")
    assert truth.points is not None
    assert np.allclose(truth.points[0], [[8, 4, 2], [12, 6, 0]], atol=1e-5)


@pytest.mark.parametrize(
    ("label", "why"),
    [
        ("0 0.5 0.5 0.2 0.4\n0 0.5 0.5 0.2\n", "line 2; it has 4 numbers"),
        ("zero 0.5 0.5 0.2 0.4\n", "line 1; 'zero 0.5"),
        ("0 0.5 0.5 nan 0.4\n", "line 1; coordinates must be"),
        ("0 120 80 20 40\n", "line 1; coordinates must be shares"),
        ("9 0.5 0.5 0.2 0.4\n", "line 1; class 9 has no name"),
        ("0 0.5 0.5 0.2 0.4\n" * 20_001, "too many rows"),
    ],
)
def test_broken_yolo_is_one_line_with_its_place(tmp_path: Path, label: str, why: str) -> None:
    with pytest.raises(InputError) as caught:
        read_dataset(_yolo(tmp_path, label))
    assert why in str(caught.value)
