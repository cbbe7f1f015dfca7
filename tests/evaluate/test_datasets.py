"""Data sets of every kind, told apart by looking; broken and hostile ones in one line with file and place."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.errors import InputError, JidokaError
from edge.evaluate.datasets import coco as coco_reader
from edge.evaluate.datasets import read_dataset, recognise
from edge.evaluate.shapes import mask_of, truth_of
from edge.evaluate.truth import is_good


def picture(path: Path, width: int = 20, height: int = 10, value: int = 90) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((height, width), value, np.uint8))
    return path


def mask(path: Path, values: dict[tuple[int, int], int], width: int = 20, height: int = 10) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.zeros((height, width), np.uint8)
    for (x, y), value in values.items():
        image[y, x] = value
    cv2.imwrite(str(path), image)
    return path


def coco_file(path: Path, **changes: Any) -> Path:
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 20, "height": 10}],
        "categories": [{"id": 7, "name": "scratch"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 7, "bbox": [2, 3, 4, 5], "area": 20, "iscrowd": 0}],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content | changes))
    return path


def test_folders_a_class(tmp_path: Path) -> None:
    picture(tmp_path / "good" / "a.png")
    picture(tmp_path / "scratch" / "deep" / "b.jpg")
    found = read_dataset(tmp_path)
    assert (found.kind, found.classes) == ("folders", ("good", "scratch"))
    assert [(s.name, s.label) for s in found.samples] == [("good/a.png", "good"), ("scratch/deep/b.jpg", "scratch")]
    assert "2 pictures" in found.said[0]


def test_mvtec_layout_has_masks_and_none_for_good(tmp_path: Path) -> None:
    picture(tmp_path / "train" / "good" / "x.png")
    picture(tmp_path / "test" / "good" / "000.png")
    picture(tmp_path / "test" / "hole" / "000.png")
    mask(tmp_path / "ground_truth" / "hole" / "000_mask.png", {(3, 4): 255})
    found = read_dataset(tmp_path)
    good, bad = found.samples
    assert (good.label, good.has_mask, bad.mask is not None) == ("good", True, True)
    truth = truth_of(bad, 10, 20, "hole")
    assert truth.boxes.tolist() == [[3, 4, 4, 5]]
    assert len(truth_of(good, 10, 20, "hole").labels) == 0


def test_masks_beside_jpegs(tmp_path: Path) -> None:
    picture(tmp_path / "MT_Free" / "a.jpg")
    mask(tmp_path / "MT_Free" / "a.png", {})
    picture(tmp_path / "MT_Crack" / "b.jpg")
    mask(tmp_path / "MT_Crack" / "b.png", {(1, 1): 255})
    found = read_dataset(tmp_path)
    assert [(s.name, s.mask is not None) for s in found.samples] == [("MT_Crack/b.jpg", True), ("MT_Free/a.jpg", True)]
    assert is_good("MT_Free") and not is_good("MT_Crack")


def test_mask_folders_with_numbers_and_with_white(tmp_path: Path) -> None:
    for n, values in enumerate(({(1, 1): 1}, {(2, 2): 2, (3, 3): 255})):
        picture(tmp_path / "images" / f"{n}.png")
        mask(tmp_path / "masks" / f"{n}.png", values)
    (tmp_path / "classes.txt").write_text("pit\nchip\n")
    found = read_dataset(tmp_path)
    assert (found.kind, found.classes, found.samples[1].indexed) == ("masks", ("pit", "chip"), True)
    truth = mask_of(found.samples[1], 10, 20, {"pit": 1, "chip": 2}, found.classes)
    assert (truth[2, 2], truth[3, 3], truth[0, 0]) == (2, -1, 0)
    mask(tmp_path / "masks" / "0.png", {(1, 1): 255})
    mask(tmp_path / "masks" / "1.png", {(1, 1): 255})
    assert not read_dataset(tmp_path).samples[0].indexed


def test_coco_boxes_polygons_runs_and_points(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.png")
    base = {"image_id": 1, "category_id": 7}
    rows = [
        base | {"bbox": [2, 3, 4, 5], "segmentation": [[2, 3, 6, 3, 6, 8, 2, 8]]},
        base | {"bbox": [0, 0, 1, 10], "iscrowd": 1, "segmentation": {"size": [10, 20], "counts": [0, 10, 190]}},
    ]
    found = read_dataset(coco_file(tmp_path / "annotations" / "test.json", annotations=rows).parent.parent)
    truth = truth_of(found.samples[0], 10, 20, "")
    assert truth.labels == ("scratch", "scratch")
    assert truth.patches is not None
    assert [patch.area for patch in truth.patches] == [20, 10]
    assert truth.crowd.tolist() == [False, True]
    points = [base | {"bbox": [2, 3, 4, 5], "keypoints": [2, 3, 2, 4, 5, 0]}]
    again = read_dataset(coco_file(tmp_path / "annotations" / "test.json", annotations=points))
    with_points = truth_of(again.samples[0], 10, 20, "")
    assert with_points.points is not None
    assert with_points.points.shape == (1, 2, 3)


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        (
            {"annotations": [{"image_id": 2, "category_id": 7, "bbox": [0, 0, 1, 1]}]},
            "annotations[0]; image_id 2 is no",
        ),
        ({"annotations": [{"image_id": 1, "category_id": 8, "bbox": [0, 0, 1, 1]}]}, "category_id 8 is no"),
        ({"annotations": [{"image_id": 1, "category_id": 7, "bbox": [0, 0, 1]}]}, "bbox has 3 numbers"),
        ({"annotations": [{"image_id": 1, "category_id": "x", "bbox": []}]}, "annotations[0].category_id"),
        ({"images": [{"id": 1, "file_name": "../../etc/passwd"}]}, "not inside the data set's folder"),
        ({"images": [{"id": 1, "file_name": "/etc/passwd"}]}, "not inside the data set's folder"),
        ({"images": [{"id": 1, "file_name": "gone.png"}]}, "are not there"),
        ({"images": []}, "names no images"),
    ],
)
def test_broken_coco_is_one_line_with_its_place(tmp_path: Path, changes: dict[str, Any], place: str) -> None:
    picture(tmp_path / "a.png")
    with pytest.raises(InputError) as caught:
        read_dataset(coco_file(tmp_path / "a.json", **changes))
    assert place in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("segmentation", "why"),
    [
        ({"size": [10, 20], "counts": [5]}, "do not add up"),
        ({"size": [10, 20], "counts": [-5, 205]}, "neither a text nor a list"),
        ({"size": [10, 20], "counts": "PPPPPPPPPPPPPPPPPPPP"}, "do not add up"),
        ({"size": [10, 20], "counts": "\u00ff"}, "do not add up"),
        ({"size": [10**6, 10**6], "counts": [10**12]}, "more than"),
        ({"size": [20, 10], "counts": [200]}, "the image 10 x 20"),
        ({"size": "big"}, "not [height, width]"),
        ([[1, 2, 3, 4]], "three pairs"),
        ([[0.5] * 100_000], "more than 20000 points"),
        (7, "neither a list of polygons"),
    ],
)
def test_hostile_shapes_are_refused(tmp_path: Path, segmentation: Any, why: str) -> None:
    picture(tmp_path / "a.png")
    rows = [{"image_id": 1, "category_id": 7, "bbox": [0, 0, 2, 2], "segmentation": segmentation}]
    with pytest.raises(InputError, match=r"annotations\[0\]") as caught:
        read_dataset(coco_file(tmp_path / "a.json", annotations=rows))
    assert why in str(caught.value)


def test_json_that_breaks_off_names_its_line(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text('{"images": [\n{"id": 1,\n')
    with pytest.raises(InputError, match="it is not JSON"):
        read_dataset(file)
    file.write_text('{"images": [\n{"id": 1,\n "file_name": oops}]}')
    with pytest.raises(InputError, match="line 3; it is not JSON"):
        read_dataset(file)
    file.write_text("[" * 100_000)
    with pytest.raises(InputError):
        read_dataset(file)


def test_run_lengths_that_never_end_are_damaged() -> None:
    assert coco_reader.decode_counts("o" * 50) is None
    assert coco_reader.decode_counts("") == []


def _csv(root: Path, text: str) -> Path:
    root.mkdir(exist_ok=True)
    picture(root / "a.png")
    picture(root / "b.png")
    (root / "truth.csv").write_text(text)
    return root


def test_csv_of_labels_boxes_texts_numbers(tmp_path: Path) -> None:
    assert read_dataset(_csv(tmp_path / "1", "file,label\na.png,good\nb.png,pit\n")).classes == ("good", "pit")
    boxes = read_dataset(
        _csv(tmp_path / "2", "file,label,x0,y0,x1,y1\na.png,pit,1,2,5,6\na.png,chip,0,0,2,2\nb.png,,,,,\n")
    )
    assert [len(s.things or ()) for s in boxes.samples] == [2, 0]
    sized = read_dataset(_csv(tmp_path / "3", "image,class,x,y,w,h\na.png,pit,1,2,5,6\n"))
    assert sized.samples[0].things is not None
    assert sized.samples[0].things[0].box == (1, 2, 6, 8)
    texts = read_dataset(_csv(tmp_path / "4", "file,text\na.png,LOT 7\na.png,12.2027\n"))
    assert texts.samples[0].texts == ("LOT 7", "12.2027")
    numbers = read_dataset(_csv(tmp_path / "5", "file,width_mm\na.png,12.5\n"))
    assert numbers.samples[0].values == {"width_mm": 12.5}
    masks = read_dataset(_csv(tmp_path / "6", "file,mask\na.png,b.png\nb.png,\n"))
    assert [(s.mask is not None, s.has_mask) for s in masks.samples] == [(True, True), (False, True)]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("name,label\na.png,x\n", "line 1; no column is called file"),
        ("file\na.png\n", "line 1; it has no column with the truth"),
        ("file,label\na.png,x,y\n", "line 2; it has more cells"),
        ("file,label,x0,y0,x1,y1\na.png,x,1,2,abc,4\n", "line 2; x1 is 'abc'"),
        ("file,label,x0,y0,x1,y1\na.png,x,5,2,1,4\n", "line 2; the box"),
        ("file,label,x0,y0,x1,y1\na.png,x,nan,2,1,4\n", "line 2; x0 is 'nan'"),
        ("file,label\n../../secret.png,x\n", "line 2; it names '../../secret.png'"),
        ('file,label\n"a.png,x\n', "unexpected end"),
        ("file,label\n", "no rows"),
        ("", "line 1; no column"),
    ],
)
def test_broken_csv_is_one_line_with_its_place(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(InputError) as caught:
        read_dataset(_csv(tmp_path / "d", text))
    assert why in str(caught.value)


def test_what_is_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="DATASET_ABSENT"):
        read_dataset(tmp_path / "gone")
    with pytest.raises(InputError, match="DATASET_UNKNOWN"):
        read_dataset(tmp_path)
    (tmp_path / "note.txt").write_text("x")
    with pytest.raises(InputError, match="DATASET_UNKNOWN"):
        read_dataset(tmp_path / "note.txt")
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(JidokaError):
        read_dataset(tmp_path / "pipe.json")
    with pytest.raises(InputError, match="DATASET_UNKNOWN"):
        recognise(tmp_path)
    (tmp_path / "latin.csv").write_bytes(b"file,label\na.png,\xff\n")
    with pytest.raises(InputError, match="UTF-8"):
        read_dataset(tmp_path / "latin.csv")


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.png")
    mask(tmp_path / "masks" / "a.png", {(0, 0): 255}, width=5)
    sample = read_dataset(tmp_path).samples[0]
    with pytest.raises(InputError, match="does not fit its picture"):
        mask_of(sample, 10, 20, {}, ())
