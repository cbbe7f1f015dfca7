"""Every model that others made goes from its bare file to its answer by the command line, with no options: `inspect`,
`pack`, `check`, `infer`. What was seen in them is in models.json.

What a user cannot avoid: the three files of PP-OCR are one reader, packed together; MNIST's model wants one digit a
picture, white on black, so the digits are cut out and inverted here.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import pytest

KNOWN = (
    "yolox-nano-416", "nanodet-m-320", "fastestdet-352", "ultraface-rfb-320", "yunet-n-320", "deeplabv3-mnv2-257-nhwc",
    "casting-autoencoder-304", "mnist-cntk", "ppocrv4-det", "ppocr-cls-v2", "agpl-yolo11n-coco-320-int8",
)  # fmt: skip
"""Names in models.json; ppocrv4-rec is packed with ppocrv4-det."""

HEADS = {
    "yolox": "yolox",
    "gfl": "distances",
    "fastestdet": "fastestdet",
    "ultraface": "ssd",
    "yunet": "yunet",
    "seg_nhwc": "segment",
    "autoencoder_image": "reconstruction",
    "mnist": "classify",
    "ppocr": "text_boxes",
    "textcls": "classify",
    "ultralytics": "yolov8",
}
"""Our names of the conventions that models.json calls ``decoder``."""

KEYS = {"task", "head", "preprocess", "labels", "confidence", "unsure", "licence", "warnings"}


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


def jidoka(cache: Path, *args: object) -> Any:
    """The JSON document of a command that must succeed."""
    program = "import sys; from edge.cli.main import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, args), "--json"],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        env=os.environ | {"JIDOKA_CACHE_DIR": str(cache)},
    )
    assert done.returncode == 0, f"{args}: {done.stderr}"
    return json.loads(done.stdout)


def numbers(value: Any) -> list[float]:
    """Every number of a document."""
    if isinstance(value, dict):
        return [n for inner in value.values() for n in numbers(inner)]
    if isinstance(value, list):
        return [n for inner in value for n in numbers(inner)]
    return [float(value)] if isinstance(value, int | float) else []


def found(document: dict[str, Any]) -> list[str]:
    """What a document says is there."""
    names = [row["label"] for key in ("detections", "regions", "classes") for row in document[key]]
    return names + ["text:" + row["text"].replace(" ", "") for row in document.get("texts", [])]


@pytest.mark.parametrize("name", KNOWN)
def test_from_a_bare_file_to_what_was_seen(shared_data, cache_dir, tmp_path, name):
    folder = shared_data / "models"
    rows = {row["name"]: row for row in json.loads((folder / "models.json").read_text())}
    row = rows[name]
    files = [folder / row["file"]]
    proposal = jidoka(cache_dir, "model", "inspect", files[0])
    assert set(proposal) >= KEYS and HEADS[row["decoder"]] == proposal["head"]
    assert 0.5 <= proposal["confidence"] <= 1 and proposal["unsure"] + proposal["warnings"]
    if "rec" in row:
        files += [folder / row["rec"], folder / rows["ppocr-cls-v2"]["file"]]
    bundle = tmp_path / "bundle"
    jidoka(cache_dir, "model", "pack", *files, "-o", bundle)
    assert jidoka(cache_dir, "model", "check", bundle)["steps"]
    inputs = row["input"] if isinstance(row["input"], list) else [row["input"]]
    pictures = [shared_data / one for one in inputs]
    if name == "mnist-cntk":
        pictures = digits(pictures[0], row["crops"], tmp_path)
    documents = jidoka(cache_dir, "infer", bundle, *pictures)
    assert len(documents) == len(pictures) and all(math.isfinite(n) for n in numbers(documents))
    if "max_mse" in row:
        assert all(one["anomaly"]["score"] < row["max_mse"] for one in documents)
    if name == "mnist-cntk":
        assert "".join(one["classes"][0]["label"] for one in documents) == row["expect"][0]
        return
    for expected in row["expect"]:
        if expected == "ok":
            assert all(one.get("anomaly") or one["classes"] for one in documents)
        else:
            assert all(expected in found(one) for one in documents), (expected, found(documents[0]))


def digits(picture: Path, crops: list[list[int]], folder: Path) -> list[Path]:
    """Cut out one by one, made white on black, and square with some air, as MNIST has them."""
    image = cv2.imread(str(picture), cv2.IMREAD_GRAYSCALE)
    paths = []
    for number, (x0, y0, x1, y1) in enumerate(crops):
        digit = 255 - image[y0:y1, x0:x1]
        _, digit = cv2.threshold(digit, 0, 255, cv2.THRESH_TOZERO + cv2.THRESH_OTSU)
        digit = cv2.normalize(digit, None, 0, 255, cv2.NORM_MINMAX)
        side = round(1.4 * max(digit.shape))
        top, left = (side - digit.shape[0]) // 2, (side - digit.shape[1]) // 2
        square = cv2.copyMakeBorder(
            digit, top, side - digit.shape[0] - top, left, side - digit.shape[1] - left, cv2.BORDER_CONSTANT, value=0
        )
        paths.append(folder / f"digit-{number}.png")
        cv2.imwrite(str(paths[-1]), square)
    return paths


def test_all_models_of_the_list_are_tried(shared_data):
    listed = {row["name"] for row in json.loads((shared_data / "models" / "models.json").read_text())}
    assert listed == {*KNOWN, "ppocrv4-rec"}
