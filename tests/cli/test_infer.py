"""``jidoka infer`` as a user runs it: a process, its output, its status."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.models import bundle
from edge.models.bundle import About, Manifest
from edge.vision.conventions import SegmentHead
from edge.vision.spec import InputSpec, Thresholds
from tests.commands import Ran, run
from tests.models import graphs

LAST_LINE = re.compile(r"[A-Z0-9]+(_[A-Z0-9]+)+: .+")


@pytest.fixture(scope="session")
def jidoka(tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")

    def ask(*args: object, cwd: Path | None = None) -> Ran:
        return run(cache, "infer", *args, cwd=cwd)

    return ask


@pytest.fixture(scope="session")
def dark(tmp_path_factory) -> Path:
    """A bundle that finds dark regions."""
    folder = tmp_path_factory.mktemp("models")
    manifest = Manifest(
        model=About(name="dark", version="1.0.0", task="segment", labels=("hole",)),
        input=InputSpec(width_px=64, height_px=64, color="gray", fit="stretch"),
        output=SegmentHead(activation="none"),
        thresholds=Thresholds(score=0.5),
    )
    bundle.write(folder / "dark", manifest, graphs.darkness(folder / "m.onnx", step=1))
    return folder / "dark"


def holed(path: Path, x: int = 40) -> Path:
    frame = np.full((120, 200, 3), 255, np.uint8)
    frame[30:60, x : x + 50] = 0
    cv2.imwrite(str(path), frame)
    return path


def test_a_picture_gives_one_document(jidoka, dark, tmp_path):
    picture = holed(tmp_path / "part.png")
    ran = jidoka(dark, picture, "--json", "--mm-per-px", "0.2")
    assert ran.status == 0 and ran.err == ""
    (one,) = ran.document
    assert list(one) == ["source", "verdict", "reasons", "detections", "regions", "classes", "ms"]
    assert (one["source"], one["verdict"], one["reasons"], one["detections"], one["classes"]) == (
        str(picture),
        None,
        [],
        [],
        [],
    )
    (region,) = one["regions"]
    assert set(region) == {"label", "score", "area_px", "area_mm2", "xyxy", "polygon"}
    assert region["label"] == "hole" and region["score"] > 0.99
    assert region["area_px"] == pytest.approx(1500, rel=0.1)
    assert region["area_mm2"] == pytest.approx(region["area_px"] * 0.04)
    assert region["xyxy"] == pytest.approx([40, 30, 90, 60], abs=4)
    assert len(region["polygon"]) >= 4
    assert set(one["ms"]) == {"preprocess", "infer", "postprocess"}


def test_bad_inputs_keep_their_place(jidoka, dark, tmp_path):
    good, last = holed(tmp_path / "a.png"), holed(tmp_path / "z.png")
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "cut.jpg").write_bytes(cv2.imencode(".jpg", cv2.imread(str(good)))[1].tobytes()[:-300])
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo.png")
    bomb = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + (20_000).to_bytes(4) * 2 + b"\x08\x02\x00\x00\x00IEND"
    (tmp_path / "bomb.png").write_bytes(bomb)
    names = ["a.png", "text.png", "gone.png", "cut.jpg", "folder", "fifo.png", "bomb.png", "z.png"]
    ran = jidoka(dark, *(tmp_path / n for n in names), "--json")
    assert ran.status == 3
    assert [d["source"] for d in ran.document] == [str(tmp_path / n) for n in names]
    codes = [d["error"]["code"] if "error" in d else None for d in ran.document]
    assert codes == [
        None,
        "IMAGE_UNREADABLE",
        "IMAGE_ABSENT",
        "IMAGE_TRUNCATED",
        "FOLDER_EMPTY",
        "IMAGE_NOT_A_FILE",
        "IMAGE_TOO_LARGE",
        None,
    ]
    assert all(set(d) == {"source", "error"} and set(d["error"]) == {"code", "what"} for d in ran.document[1:-1])
    assert last.exists() and LAST_LINE.fullmatch(ran.last)
    assert len(ran.err.strip().splitlines()) == 6  # one clear line each


def test_a_folder_and_overlays(jidoka, dark, tmp_path):
    for name in ("b.png", "a.png"):
        holed(tmp_path / name)
    (tmp_path / "notes.txt").write_text("skipped")
    ran = jidoka(dark, tmp_path, "--save", tmp_path / "out")
    assert ran.status == 0
    lines = ran.out.splitlines()
    assert lines[0].split("\t") == ["source", "found", "ms"]
    assert [line.split("\t")[0] for line in lines[1:]] == [str(tmp_path / "a.png"), str(tmp_path / "b.png")]
    assert lines[1].split("\t")[1].startswith("1 hole ")
    overlay = cv2.imread(str(tmp_path / "out" / "a.jpg"))
    assert overlay.shape == (120, 200, 3)
    assert overlay[45, 65].max() > 60 and sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.jpg", "b.jpg"]


def test_overlays_overwrite_neither_inputs_nor_each_other(jidoka, dark, tmp_path):
    (tmp_path / "sub").mkdir()
    first, second = holed(tmp_path / "x.jpg"), holed(tmp_path / "sub" / "x.png")
    before = first.read_bytes()
    assert jidoka(dark, second, first, "--save", tmp_path).status == 0
    assert first.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["sub", "x.jpg", "x_1.jpg", "x_2.jpg"]
    assert jidoka(dark, tmp_path / "sub", tmp_path, "--save", tmp_path).status == 0
    assert first.read_bytes() == before


def test_a_video_frame_by_frame(jidoka, dark, tmp_path):
    path = tmp_path / "line.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (200, 120))
    for i in range(7):
        writer.write(cv2.imread(str(holed(tmp_path / "f.png", x=10 + 20 * i))))
    writer.release()
    ran = jidoka(dark, path, "--json", "--every", "3", "--save", tmp_path / "out")
    assert ran.status == 0
    assert [d["source"] for d in ran.document] == [f"{path}#{n}" for n in (0, 3, 6)]
    for shot, n in zip(ran.document, (0, 3, 6), strict=True):
        assert shot["regions"][0]["xyxy"][0] == pytest.approx(10 + 20 * n, abs=5)
    assert (tmp_path / "out" / "line_000003.jpg").exists()


def test_a_damaged_video_says_so(jidoka, dark, tmp_path):
    path = tmp_path / "line.mp4"
    path.write_bytes(b"\x00\x00\x00\x20ftypisom" + bytes(500))
    ran = jidoka(dark, path, "--json")
    assert ran.status == 3 and ran.document[0]["error"]["code"] == "VIDEO_UNREADABLE"
    assert ran.err.strip().count("\n") == 0 and LAST_LINE.fullmatch(ran.last)


@pytest.mark.parametrize("kind", ["gone", "folder", "text", "fifo", "unknown"])
def test_models_that_are_none(jidoka, tmp_path, kind):
    path = tmp_path / "model"
    match kind:
        case "folder":
            path.mkdir()
        case "text":
            path.write_text("hello")
        case "fifo":
            os.mkfifo(path)
        case "unknown":
            graphs.constant(path, np.zeros((1, 7, 9)))
    ran = jidoka(path, holed(tmp_path / "a.png"), "--json")
    codes = {
        "gone": "MODEL_ABSENT",
        "folder": "MODEL_MANIFEST_ABSENT",
        "text": "MODEL_UNREADABLE",
        "fifo": "MODEL_NOT_A_FILE",
        "unknown": "MODEL_HEAD_UNKNOWN",
    }
    assert ran.status == 3 and ran.out == "" and ran.last.startswith(codes[kind] + ": ")
    assert str(path) in ran.last, "which of the files it was"


def test_wrong_use_is_said_as_such(jidoka, dark, tmp_path):
    picture = holed(tmp_path / "a.png")
    for args in (
        (dark,),
        (dark, picture, "--every", "0"),
        (dark, picture, "--mm-per-px", "-1"),
        (dark, picture, "--x"),
    ):
        ran = jidoka(*args)
        assert ran.status == 2 and ran.out == ""


def test_a_folder_that_cannot_be_made(jidoka, dark, tmp_path):
    picture = holed(tmp_path / "a.png")
    ran = jidoka(dark, picture, "--save", picture)
    assert ran.status == 3 and ran.last.startswith("SAVE_FAILED: ")


def test_a_bare_file_says_what_it_assumed(jidoka, tmp_path):
    model = graphs.brightest_channel(tmp_path / "m.onnx")
    ran = jidoka(model, holed(tmp_path / "a.png"), "--json")
    assert ran.status == 0 and ran.err.startswith("assumed: ")
    assert [set(c) for c in ran.document[0]["classes"]] == [{"label", "score"}] * len(ran.document[0]["classes"])


def test_a_photo_of_a_bear(jidoka, shared_data, tmp_path):
    model, photo = shared_data / "models" / "yolo11n_int8.onnx", shared_data / "coco-photos" / "000000000285.jpg"
    ran = jidoka(model, photo, "--json", "--min-score", "0.5", "--save", tmp_path)
    assert ran.status == 0
    (found,) = ran.document[0]["detections"]
    assert found["label"] == "bear" and found["score"] > 0.8
    left, top, right, bottom = found["xyxy"]
    height, width = cv2.imread(str(photo)).shape[:2]
    assert (right - left) * (bottom - top) > 0.7 * width * height
    assert (tmp_path / "000000000285.jpg").exists()


def test_the_window_is_light():
    heavy = [
        "numpy",
        "cv2",
        "onnxruntime",
        "msgspec",
        "typer",
        "rich",
        "importlib.metadata",
        "edge.domain",
        "edge.models",
        "edge.vision",
    ]
    program = f"import sys; sys.path[:] = {sys.path!r}; import edge; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-S", "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
