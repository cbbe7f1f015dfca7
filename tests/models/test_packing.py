"""From a bare file to a bundle: what the user says is typed, and every mistake has its own line."""

from __future__ import annotations

import sys
import tomllib

import cv2
import numpy as np
import pytest

from edge import registry
from edge.errors import JidokaError
from edge.models import bundle, plugins
from edge.models.inspect.source import read_file
from edge.models.loading import load
from edge.models.packing import Wishes, pack_any, read_labels
from edge.vision import heads
from edge.vision.conventions import HEAD_TASK
from tests.models import graphs


def packed(file, folder, **wishes):
    return pack_any(read_file(file), folder, Wishes(**wishes))


def wrong(file, folder, **wishes) -> str:
    with pytest.raises(JidokaError) as caught:
        packed(file, folder, **wishes)
    assert not folder.exists(), "nothing is written before all is right"
    assert "\n" not in str(caught.value) and int(caught.value.exit_status) == 3
    return str(caught.value)


@pytest.fixture
def live(tmp_path):
    return graphs.brightest_channel(tmp_path / "c.onnx", (1, 3, 96, 96))


def test_a_bundle_is_short_and_says_the_licence(live, tmp_path, cache):
    made = packed(live, tmp_path / "b")
    text = (tmp_path / "b" / "model.toml").read_text()
    assert len(text.splitlines()) < 20 and "resample" not in text
    assert tomllib.loads(text)["model"]["task"] == "classify"
    assert any("licence" in sentence for sentence in made.warnings) and made.unsure
    assert load(tmp_path / "b", cache=cache)(np.zeros((20, 20, 3), np.uint8)).task == "classify"


def test_labels_and_settings_are_taken(live, tmp_path):
    packed(
        live,
        tmp_path / "b",
        labels=("red", "green", "blue"),
        assignments=(
            "input.color=bgr",
            "input.mean=[0.1, 0.2, 0.3]",
            "thresholds.labels.red=0.4",
            "model.version=1.2.0",
            "model.name=colours",
            "thresholds.score=0",
            "input.fit=letterbox",
        ),
    )
    found = bundle.read(tmp_path / "b").manifest
    assert found.model.labels == ("red", "green", "blue") and found.model.version == "1.2.0"
    assert found.input.color == "bgr" and found.input.mean == (0.1, 0.2, 0.3) and found.input.fit == "letterbox"
    assert found.thresholds.labels == {"red": 0.4} and found.thresholds.score == 0


def test_what_the_user_says_is_no_doubt_any_more(live, tmp_path):
    def names(made) -> list[str]:
        return [sentence for sentence in made.unsure if "--labels" in sentence]

    assert names(packed(live, tmp_path / "a"))
    said = packed(live, tmp_path / "b", labels=("red", "green", "blue"))
    assert not names(said) and said.unsure, "what else is not known is still said"
    assert not names(packed(live, tmp_path / "c", assignments=('model.labels=["r", "g", "b"]',)))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("input.colr=bgr", "did you mean 'input.color'?"),
        ("input.color=pink", "it is one of bgr, rgb, gray"),
        ("input.width_px=wide", "expected `int`"),
        ("input.width_px=0", "`int` >= 1"),
        ("colour", "it is not like input.color=bgr"),
        ("model.version=new", "is not like 1.2.3"),
        ("output.head=yolov88", "did you mean 'yolov8'?"),
        ("output.activatoin=none", "did you mean 'output.activation'?"),
        ("thresholds.labels.purple=0.5", "unknown labels: purple"),
        ("input.color.red=1", "input.color has no keys of its own"),
        ("input.width_px=32", "the model takes 96"),
        ('model.labels=["one", "two"]', "the head needs [1, 2]"),
        ("input.mean=[1.0, 2.0]", "mean has 2 numbers"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_named(live, tmp_path, said, expected):
    assert expected in wrong(live, tmp_path / "b", assignments=(said,))


def test_labels_must_be_as_many_as_classes(live, tmp_path):
    assert "knows 3 classes" in wrong(live, tmp_path / "b", labels=("a", "b"))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a\n\nb\n", "line 2 has 0 characters"),
        (b"a\nb\na\n", "line 3 has 'a'"),
        (b"", "names nothing"),
        (b"\xff\xfe", "not UTF-8"),
        (b"x" * 65, "65 characters"),
    ],
)
def test_a_wrong_list_of_labels_is_named(tmp_path, data, expected):
    (tmp_path / "names.txt").write_bytes(data)
    with pytest.raises(JidokaError, match=r"LABELS_UNFIT") as caught:
        read_labels(tmp_path / "names.txt")
    assert expected in str(caught.value)


def test_labels_of_windows_editors(tmp_path):
    (tmp_path / "names.txt").write_bytes("\ufeffrote Schraube\r\nMutter\r\n\r\n".encode())
    assert read_labels(tmp_path / "names.txt") == ("rote Schraube", "Mutter")


def test_golden_pictures_are_kept_with_what_they_gave(live, tmp_path, cache):
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / "a b.png"), np.full((50, 60, 3), (10, 20, 200), np.uint8))
    packed(live, tmp_path / "b", golden=(tmp_path / "x" / "a b.png", tmp_path / "y" / "a b.png"))
    found = bundle.read(tmp_path / "b")
    assert [g.image for g in found.manifest.golden] == ["golden/a_b.png", "golden/a_b-1.png"]
    load(tmp_path / "b", cache=cache)  # which runs them
    (tmp_path / "x" / "a b.png").write_text("no picture")
    assert wrong(live, tmp_path / "c", golden=(tmp_path / "x" / "a b.png",)).startswith("IMAGE_")


PLUGIN = """
from msgspec import Struct
from edge.vision.prediction import Prediction

class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="mean-light"):
    gain: float = 1.0

task = "raw"

def decode(head, outputs, context):
    g = context.geometry
    value = head.gain * float(next(iter(outputs.values())).mean())
    return Prediction("raw", (), g.frame_width_px, g.frame_height_px, values={"light": value})

def wants(head, shapes, n_labels):
    return ""
"""


@pytest.fixture
def plugin(tmp_path):
    """A third party's package, as pip would put it there."""
    site = tmp_path / "site"
    (site / "mean_light-1.0.dist-info").mkdir(parents=True)
    (site / "mean_light.py").write_text(PLUGIN)
    (site / "mean_light-1.0.dist-info" / "METADATA").write_text("Name: mean-light\nVersion: 1.0\n")
    (site / "mean_light-1.0.dist-info" / "entry_points.txt").write_text("[jidoka.heads]\nmean-light = mean_light\n")
    sys.path.insert(0, str(site))
    registry._points.cache_clear()
    yield
    for table in (HEAD_TASK, heads.HEADS):  # a plug-in stays known for the life of a process, which other tests share
        for kind in [one for one in table if one.__module__ == "mean_light"]:
            del table[kind]
    sys.path.remove(str(site))
    sys.modules.pop("mean_light", None)
    registry._points.cache_clear()


@pytest.mark.usefixtures("plugin")
def test_a_third_partys_head_is_found_by_its_name(live, tmp_path, cache):
    assert plugins.names() == ["mean-light"]
    packed(live, tmp_path / "b", assignments=("output.head=mean-light", "output.gain=2"))
    text = (tmp_path / "b" / "model.toml").read_text()
    assert 'head = "mean-light"\ngain = 2' in text
    found = load(tmp_path / "b", cache=cache)(np.full((8, 8, 3), 255, np.uint8))
    assert found.task == "raw" and found.values["light"] > 0
    with pytest.raises(JidokaError, match=r"line \d+: unknown key 'gian' in \[output\]; did you mean 'gain'"):
        bundle.parse(text.replace("gain", "gian").encode())


def test_without_it_the_head_is_unknown():
    text = '[model]\nname = "m"\n[input]\nwidth_px = 8\nheight_px = 8\n[output]\nhead = "mean-light"\n'
    with pytest.raises(JidokaError, match=r"line 7: there is no head called 'mean-light'"):
        bundle.parse(text.encode())
