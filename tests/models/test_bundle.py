"""Bundles: written, read back, and refused when anything is not as listed."""

from __future__ import annotations

import os
import re
import tomllib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import ModelError
from edge.models import bundle
from edge.models.bundle import About, Golden, Manifest
from edge.models.toml import dump_toml
from edge.vision.conventions import ClassifyHead, SegmentHead
from edge.vision.spec import InputSpec, Thresholds


def manifest(**changes) -> Manifest:
    parts = {
        "model": About(name="metal", version="1.2.3", task="segment", labels=("scratch", "pit"), licence="Apache-2.0"),
        "input": InputSpec(width_px=320, height_px=192, color="gray", mean=(0.5,), std=(0.25,), fit="crop"),
        "output": SegmentHead(activation="softmax", background=0),
        "thresholds": Thresholds(score=0.5, min_area_mm2=0.2, labels={"pit": 0.3}),
        "metrics": {"recall": 0.99},
    }
    return Manifest(**(parts | changes))


@pytest.fixture
def onnx(tmp_path):
    path = tmp_path / "any.onnx"
    path.write_bytes(b"the bytes of a model")
    return path


def code_of(action, *arguments) -> str:
    with pytest.raises(ModelError) as caught:
        action(*arguments)
    return caught.value.code


def test_what_is_written_is_read_back(tmp_path, onnx):
    golden = (Golden(image="golden/ok.png", outputs="golden/ok.npz"),)
    extra = {"golden/ok.png": b"png", "golden/ok.npz": b"npz", "MODEL_CARD.md": "größe".encode()}
    made = bundle.write(tmp_path / "b", manifest(golden=golden), onnx, extra)
    found = bundle.read(tmp_path / "b")
    assert found.manifest == made.manifest
    assert msgspec.structs.replace(found.manifest, files={}) == manifest(golden=golden)
    assert found.onnx == b"the bytes of a model" and set(found.manifest.files) == {"model.onnx", *extra}
    assert (found.ref.name, found.ref.version, found.ref.sha256) == ("metal", "1.2.3", bundle.sha256_of(found.onnx))


def test_writing_in_place_and_again(tmp_path, onnx):
    folder = tmp_path / "b"
    bundle.write(folder, manifest(), onnx)
    again = bundle.write(folder, manifest(metrics={}), folder / "model.onnx")
    assert again.manifest.metrics == {} and again.onnx == b"the bytes of a model"


def test_a_folder_without_a_manifest_is_no_bundle(tmp_path):
    assert code_of(bundle.read, tmp_path) == "MODEL_MANIFEST_ABSENT"


@pytest.mark.parametrize("name", ["model.onnx", "notes.md"])
def test_a_changed_file_is_noticed(tmp_path, onnx, name):
    bundle.write(tmp_path / "b", manifest(), onnx, {"notes.md": b"x"})
    (tmp_path / "b" / name).write_bytes(b"y")
    assert code_of(bundle.read, tmp_path / "b") == "MODEL_CHECKSUM"


def test_absent_files_and_pipes(tmp_path, onnx):
    bundle.write(tmp_path / "b", manifest(), onnx, {"notes.md": b"x"})
    (tmp_path / "b" / "notes.md").unlink()
    assert code_of(bundle.read, tmp_path / "b") == "MODEL_ABSENT"
    os.mkfifo(tmp_path / "b" / "notes.md")
    assert code_of(bundle.read, tmp_path / "b") == "MODEL_NOT_A_FILE"


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "link"])
def test_nothing_outside_the_folder_is_read(tmp_path, onnx, name):
    folder = tmp_path / "b"
    bundle.write(folder, manifest(), onnx)
    (tmp_path / "outside").write_bytes(b"secret")
    (folder / "link").symlink_to(tmp_path / "outside")
    text = (folder / "model.toml").read_text() + f'"{name}" = "{bundle.sha256_of(b"secret")}"\n'
    (folder / "model.toml").write_text(text)
    assert code_of(bundle.read, folder) == "MODEL_MANIFEST_INVALID"


def test_the_model_itself_must_be_listed_where_files_are(tmp_path, onnx):
    folder = tmp_path / "b"
    bundle.write(folder, manifest(), onnx, {"notes.md": b"x"})
    text = (folder / "model.toml").read_text()
    (folder / "model.toml").write_text(re.sub('"model.onnx" = .*', "", text))
    assert code_of(bundle.read, folder) == "MODEL_MANIFEST_INVALID"
    # Written by hand, a manifest may list none at all.
    (folder / "model.toml").write_text(text.split("[files]")[0])
    found = bundle.read(folder)
    assert found.manifest.files == {} and found.sha256 == bundle.sha256_of(b"the bytes of a model")


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('color = "gray"', 'colour = "gray"', "line 17: unknown key 'colour' in [input]; did you mean 'color'?"),
        ('color = "gray"', 'color = "hsv"', "hsv"),
        ("width_px = 320", "width_px = 0", "width_px"),
        ("width_px = 320", "", "width_px"),
        ('head = "segment"', 'head = "yolov99"', "there is no head called 'yolov99'; did you mean 'yolov8'?"),
        ('task = "segment"', 'task = "detect"', "segment"),
        ("score = 0.5", "score = 1.5", "score"),
        ("pit = 0.3", "pitt = 0.3", "pitt"),
        ('labels = ["scratch", "pit"]', 'labels = ["pit", "pit"]', "differ"),
        ('name = "metal"', 'name = "a/b"', "a/b"),
        ('version = "1.2.3"', 'version = "new"', "new"),
        ("mean = [0.5]", "mean = [0.5, 0.5]", "mean"),
        ("schema = 1", "schema = 2", "schema"),
        ("schema = 1", "schema = ", "line"),
    ],
)
def test_a_wrong_manifest_names_what_is_wrong(old, new, named):
    text = dump_toml(msgspec.to_builtins(manifest()))
    assert old in text
    with pytest.raises(ModelError) as caught:
        bundle.parse(text.replace(old, new).encode())
    assert caught.value.code == "MODEL_MANIFEST_INVALID" and named in str(caught.value)


@given(st.binary(max_size=200))
def test_no_bytes_bring_the_reader_down(data):
    with pytest.raises(ModelError, match="MODEL_MANIFEST_INVALID"):
        bundle.parse(data)


def test_heads_without_parameters_are_one_line():
    text = dump_toml(msgspec.to_builtins(manifest()))
    lean = (
        '[model]\nname = "m"\ntask = "classify"\nlabels = ["a"]\n'
        '[input]\nwidth_px = 8\nheight_px = 8\n[output]\nhead = "classify"\n'
    )
    found = bundle.parse(lean.encode())
    assert found.output == ClassifyHead() and found.schema == 1
    assert bundle.parse(text.encode()) == manifest()


TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
SCALARS = st.one_of(TEXT, st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False, width=32))
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=3))
TABLES = st.recursive(
    st.dictionaries(TEXT, VALUES, max_size=4),
    lambda inner: st.dictionaries(TEXT, st.one_of(VALUES, inner, st.lists(inner, min_size=1, max_size=2)), max_size=3),
    max_leaves=6,
)


@given(TABLES)
def test_what_dump_toml_writes_tomllib_reads(document):
    def without_empty(value):
        """Empty tables leave no trace; that is the only thing lost."""
        if isinstance(value, dict):
            return {k: w for k, v in value.items() if (w := without_empty(v)) != {}}
        if isinstance(value, list):
            return [without_empty(v) for v in value]
        return value

    assert without_empty(tomllib.loads(dump_toml(document))) == without_empty(document)


def test_a_calibration_keeps_what_a_person_wrote():
    """Comments, order and other tables of a manifest that was written by hand."""
    from edge.models.toml import with_table

    text = "# mine\n[model]\nname = 'a'  # short\n\n[thresholds]  # of mine\nanomaly = 1\nscore = 0.5 # low\n\n[input]\nwidth_px = 3\n"
    changed = with_table(text, "thresholds", {"anomaly": 2.5, "anomaly_map": None})
    assert changed == text.replace("anomaly = 1\nscore = 0.5 # low\n", "score = 0.5 # low\nanomaly = 2.5\n")
    assert with_table(text, "calibration", {"n": 3}) == text + "\n[calibration]\nn = 3\n"
    assert with_table(text, "calibration", {}) == text
