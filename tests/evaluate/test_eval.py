"""``jidoka model eval`` as a user runs it: figures, JSON, report, status."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.models import bundle
from edge.models.bundle import About, Manifest
from edge.models.series.manifest import SeriesManifest
from edge.models.series.manifest import write as write_series
from edge.series.conventions import SeriesClassHead
from edge.series.spec import Channel, SeriesInput
from edge.vision.conventions import ClassifyHead, End2EndHead, SegmentHead
from edge.vision.spec import InputSpec, Thresholds
from tests.commands import Ran, run
from tests.evaluate.rendered import write_parts
from tests.models import graphs
from tests.series import models as series

ROOT = Path(__file__).resolve().parents[2]
SURFACE = ROOT / "sims" / "bundles" / "surface"
BLUE, GREEN, RED = (200, 40, 40), (40, 200, 40), (40, 40, 200)


@pytest.fixture(scope="session")
def evaluate(tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")

    def ask(*args: object) -> Ran:
        return run(cache, "model", "eval", *args)

    return ask


def paint(path: Path, color: tuple[int, int, int], box: tuple[int, int, int, int] | None = None) -> None:
    """A picture of one colour, with a dark box in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.full((64, 64, 3), color, np.uint8)
    if box is not None:
        image[box[1] : box[3], box[0] : box[2]] = 10
    cv2.imwrite(str(path), image)


def made(
    folder: Path, task: Any, labels: tuple[str, ...], graph: Path, spec: InputSpec, head: Any, **thresholds: Any
) -> Path:
    about = About(name=folder.name, version="1.2.0", task=task, labels=labels, licence="Apache-2.0")
    bundle.write(folder, Manifest(model=about, input=spec, output=head, thresholds=Thresholds(**thresholds)), graph)
    return folder


@pytest.fixture(scope="session")
def colors(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("colors")
    graph = graphs.brightest_channel(folder / "m.onnx")
    spec = InputSpec(width_px=8, height_px=8, color="rgb")
    return made(folder / "colors", "classify", ("red", "good", "blue"), graph, spec, ClassifyHead())


@pytest.fixture(scope="session")
def dark(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dark")
    graph = graphs.darkness(folder / "m.onnx")
    spec = InputSpec(width_px=64, height_px=64, color="gray", fit="stretch")
    head = SegmentHead(activation="none")
    return made(folder / "dark", "segment", ("hole",), graph, spec, head, score=0.8, min_area_px=20.0)


def test_classes_from_folders(evaluate, colors: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    for name, color, n in (("good", GREEN, 6), ("red", RED, 3), ("Blue", BLUE, 2)):
        for i in range(n):
            paint(data / name / f"{i}.png", color)
    paint(data / "red" / "looks_good.png", GREEN)
    paint(data / "good" / "looks_blue.png", BLUE)
    ran = evaluate(colors, data, "--json", "--html", tmp_path / "r.html")
    assert ran.status == 0, ran.err
    found = ran.document
    assert found["metrics"]["accuracy"] == pytest.approx(11 / 13, abs=1e-5)
    assert (found["inspection"]["escapes"]["count"], found["inspection"]["escapes"]["of"]) == (1, 6)
    assert (found["inspection"]["overkill"]["count"], found["inspection"]["overkill"]["of"]) == (1, 7)
    assert found["confusion"]["labels"] == ["red", "good", "blue"]
    assert found["confusion"]["counts"] == [[3, 1, 0], [0, 6, 1], [0, 0, 2]]
    assert [one["source"] for one in found["worst"]] == ["red/looks_good.png", "good/looks_blue.png"]
    assert found["inspection"]["promise"]["threshold"] is not None
    html = (tmp_path / "r.html").read_text()
    assert "Escapes (1)" in html
    assert not re.search(r"(src|href)=\"(?!data:)", html), "the report needs nothing from outside"
    table = evaluate(colors, data)
    assert "escapes\t1 of 6, 16.7 %\t0.4" in table.out
    assert "299 without an escape would be needed" in table.out


def test_areas_from_masks_with_regions_by_size(evaluate, dark: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    for number, box in enumerate(((8, 8, 24, 24), (32, 16, 48, 20), None, None)):
        paint(data / "images" / f"{number}.png", (220, 220, 220), box)
        mask = np.zeros((64, 64), np.uint8)
        if box is not None:
            mask[box[1] : box[3], box[0] : box[2]] = 255
        (data / "masks").mkdir(exist_ok=True)
        cv2.imwrite(str(data / "masks" / f"{number}.png"), mask)
    ran = evaluate(dark, data, "--json")
    assert ran.status == 0, ran.err
    found = ran.document
    assert found["metrics"]["region_recall"] == 1.0
    assert 0.5 < found["metrics"]["mean_iou"] <= 1.0
    assert found["inspection"]["escapes"]["count"] == found["inspection"]["overkill"]["count"] == 0
    assert found["inspection"]["auroc"] == 1.0
    sizes = found["tables"]["recall_by_size"]
    assert [(row["size"], row["there"], row["found"]) for row in sizes] == [("8 to 16 px", 1, 1), ("16 to 32 px", 1, 1)]


def test_the_promised_threshold_minds_the_smallest_area(evaluate, dark: Path, tmp_path: Path) -> None:
    # A dark spot of one cell is as dark as any, but too small to be reported at a high threshold.
    data = tmp_path / "data"
    paint(data / "bad" / "large.png", (220, 220, 220), (8, 8, 24, 24))
    paint(data / "good" / "spot.png", (220, 220, 220), (8, 8, 12, 12))
    paint(data / "good" / "clean.png", (220, 220, 220))
    found = evaluate(dark, data, "--json").document
    assert found["inspection"]["auroc"] == 1.0
    threshold = found["inspection"]["promise"]["threshold"]
    again = evaluate(dark, data, "--json", "--min-score", threshold).document
    assert again["inspection"]["escapes"]["count"] == 0
    assert again["inspection"]["overkill"]["count"] == found["inspection"]["promise"]["overkill"]["count"] == 0


def test_objects_from_yolo_and_coco_alike(evaluate, tmp_path: Path) -> None:
    rows = np.zeros((1, 6, 6), np.float32)
    rows[0, 0] = [8, 8, 24, 24, 0.9, 0]
    rows[0, 1] = [40, 40, 56, 56, 0.6, 1]
    rows[0, 2] = [0, 0, 8, 8, 0.1, 0]
    graph = graphs.constant(tmp_path / "m.onnx", rows)
    spec = InputSpec(width_px=64, height_px=64)
    model = made(tmp_path / "two", "detect", ("pit", "chip"), graph, spec, End2EndHead(), score=0.5)
    data = tmp_path / "data"
    paint(data / "images" / "a.png", RED)
    paint(data / "images" / "b.png", RED)
    (data / "labels").mkdir()
    (data / "labels" / "a.txt").write_text("0 0.25 0.25 0.25 0.25\n1 0.75 0.75 0.25 0.25\n")
    (data / "labels" / "b.txt").write_text("1 0.25 0.25 0.25 0.25\n")
    (data / "classes.txt").write_text("pit\nchip\n")
    yolo = evaluate(model, data, "--json", "--html", tmp_path / "y.html").document
    assert yolo["metrics"]["precision"] == 0.5
    assert yolo["metrics"]["recall"] == pytest.approx(2 / 3, abs=1e-5)
    assert yolo["confusion"] == {"labels": ["pit", "chip", "nothing"], "counts": [[1, 0, 0], [1, 1, 0], [0, 1, 0]]}
    boxes = [(1, 1, [8, 8, 16, 16]), (1, 2, [40, 40, 16, 16]), (2, 2, [8, 8, 16, 16])]
    coco = {
        "images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}],
        "categories": [{"id": 1, "name": "pit"}, {"id": 2, "name": "chip"}],
        "annotations": [{"image_id": i, "category_id": c, "bbox": b} for i, c, b in boxes],
    }
    (data / "test.json").write_text(json.dumps(coco))
    again = evaluate(model, data / "test.json", "--json").document
    assert again["metrics"] == yolo["metrics"]


def test_rendered_parts_and_the_demo_model(evaluate, tmp_path: Path) -> None:
    write_parts(tmp_path / "parts", 24)
    ran = evaluate(SURFACE, tmp_path / "parts", "--json", "--mm-per-px", "0.25", "--html", tmp_path / "r.html")
    assert ran.status == 0, ran.err
    found = ran.document
    assert found["inspection"]["escapes"]["count"] == 0
    assert found["inspection"]["overkill"]["count"] == 0
    assert found["metrics"]["region_recall"] == 1.0
    assert found["dataset"]["classes"] == ["scratch", "pit", "stain", "chip"]


def test_pictures_that_cannot_be_read_keep_their_place(evaluate, colors: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    paint(data / "good" / "a.png", GREEN)
    paint(data / "red" / "b.png", RED)
    (data / "red" / "broken.png").write_bytes(b"not a picture")
    ran = evaluate(colors, data, "--json")
    assert ran.status == 3
    assert ran.document["errors"] == [
        {
            "source": "red/broken.png",
            "code": "IMAGE_UNREADABLE",
            "what": "this is not a picture; it begins with 6e 6f 74 20 61 20 70 69",
        }
    ]
    assert ran.document["dataset"]["judged"] == 2


@pytest.mark.parametrize(
    ("args", "status", "code"),
    [
        (("--format", "folders"), 3, "DATASET_EMPTY"),
        (("--format", "magic"), 2, ""),
        (("--map", "x"), 2, ""),
        (("--limit", "0"), 2, ""),
        ((), 3, "DATASET_UNKNOWN"),
    ],
)
def test_what_is_wrong_is_one_line(
    evaluate, colors: Path, tmp_path: Path, args: tuple[str, ...], status: int, code: str
) -> None:
    ran = evaluate(colors, tmp_path, *args)
    assert ran.status == status, ran.err
    assert ran.last.startswith(code)


def test_names_that_do_not_exist_and_truths_that_do_not_fit(evaluate, colors: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    paint(data / "images" / "a.png", RED)
    (data / "labels").mkdir()
    (data / "labels" / "a.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    ran = evaluate(colors, data)
    assert (ran.status, ran.last.split(":")[0]) == (3, "DATASET_UNFIT")
    paint(tmp_path / "folders" / "rot" / "a.png", RED)
    ran = evaluate(colors, tmp_path / "folders", "--map", "rot=rouge")
    assert (ran.status, ran.last.split(":")[0]) == (3, "NAME_UNKNOWN")
    mapped = evaluate(colors, tmp_path / "folders", "--map", "rot=red", "--json")
    assert mapped.document["metrics"]["accuracy"] == 1.0
    assert "no escapes and overkill: there is no good picture" in mapped.document["notes"]


def test_windows_of_samples_from_a_list_of_tables(evaluate, tmp_path: Path) -> None:
    about = About(name="line", task="series", labels=("bad", "good"), licence="MIT")
    channels = (Channel(name="a"), Channel(name="b"))
    spec = SeriesInput(window_n=1, stride_n=1, layout="flat_tc", channels=channels)
    head = SeriesClassHead(output="p", activation="none")
    graph = series.classifier(tmp_path / "m.onnx", "tensor")
    manifest = SeriesManifest(model=about, input=spec, output=head)
    write_series(tmp_path / "line", manifest, graph.read_bytes())
    data = tmp_path / "data"
    data.mkdir()
    (data / "up.csv").write_text("a,b\n1,2\n2,1\n-1,-1\n")
    (data / "down.csv").write_text("a,b\n-3,1\n")
    (data / "list.csv").write_text("file,label\nup.csv,good\ndown.csv,bad\n")
    ran = evaluate(tmp_path / "line", data / "list.csv", "--json", "--html", tmp_path / "r.html")
    assert ran.status == 0, ran.err
    found = ran.document
    assert (found["intervals"]["accuracy"]["count"], found["intervals"]["accuracy"]["of"]) == (3, 4)
    assert found["inspection"]["overkill"]["count"] == 1
    assert found["worst"][0]["source"] == "up.csv#2"


def test_a_bare_model_of_samples_on_a_folder_of_tables_a_class(evaluate, tmp_path: Path) -> None:
    graph = series.classifier(tmp_path / "m.onnx", "tensor")
    for label, rows in (("good", "1,2"), ("good", "2,1"), ("bad", "-3,1"), ("bad", "-1,-2")):
        (tmp_path / "data" / label).mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / label / f"{rows}.csv").write_text(f"a,b\n{rows}\n")
    bare = evaluate(graph, tmp_path / "data", "--json")
    assert "folders, one a class: bad, good; 4 tables" in bare.err
    assert bare.status == 0, bare.err
    assert bare.document["intervals"]["accuracy"]["of"] == 4
