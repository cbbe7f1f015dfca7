"""``jidoka infer`` on tables, as a user runs it."""

from __future__ import annotations

import numpy as np
import pytest

from edge.models.bundle import About
from edge.models.series import manifest
from edge.models.series.manifest import SeriesManifest
from edge.series.conventions import SeriesValueHead, Value
from edge.series.spec import Channel, SeriesInput
from tests.commands import Ran, run
from tests.series import models


@pytest.fixture(scope="module")
def jidoka(tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")

    def ask(*args: object) -> Ran:
        return run(cache, "infer", *args)

    return ask


@pytest.fixture
def mean(tmp_path):
    spec = SeriesInput(channels=(Channel(name="temp", unit="K"),), window_n=4, stride_n=2, layout="tc")
    said = SeriesManifest(
        model=About(name="mean", task="series"), input=spec, output=SeriesValueHead(values=(Value(name="mean"),))
    )
    manifest.write(tmp_path / "mean", said, models.means(tmp_path / "m.onnx", (1, "T", 1)).read_bytes())
    return tmp_path / "mean"


def test_one_object_a_window(jidoka, mean, tmp_path):
    (tmp_path / "run.csv").write_text("time,temp [K]\n" + "\n".join(f"{i},{i}" for i in range(8)))
    done = jidoka(mean, tmp_path / "run.csv", "--json")
    assert (done.status, done.err) == (0, "")
    found = done.document
    assert [one["window"] for one in found] == [{"start": s, "end": s + 4} for s in (0, 2, 4)]
    assert [one["values"] for one in found] == [{"mean": 1.5}, {"mean": 3.5}, {"mean": 5.5}]
    assert found[1]["source"].endswith("run.csv#2")


def test_bad_tables_keep_their_places_in_one_line_each(jidoka, mean, tmp_path):
    np.save(tmp_path / "good.npy", np.arange(4.0))
    bad = {
        "absent.csv": None,
        "column.csv": "tmep,other\n1,2\n",
        "unit.csv": "temp [C]\n1\n2\n3\n4\n",
        "gap.csv": "temp\n1\n\n2,\n",
        "hole.csv": "temp,x\n1,1\n,1\n3,1\n4,1\n5,1\n6,1\n",
        "short.csv": "temp\n1\n",
    }
    for name, text in bad.items():
        if text is not None:
            (tmp_path / name).write_text(text)
    done = jidoka(mean, *(tmp_path / name for name in bad), tmp_path / "good.npy", "--json")
    assert done.status == 3
    codes = ["FILE_ABSENT", "SERIES_CHANNEL_ABSENT", "SERIES_UNIT", "SERIES_UNREADABLE", "SERIES_GAP", "SERIES_SHORT"]
    assert [line.split(":")[0] for line in done.err.strip().splitlines()] == codes
    found = done.document
    assert [one["error"]["code"] for one in found if "error" in one] == codes
    assert [one["values"] for one in found if "error" not in one] == [{"mean": 4.5}, {"mean": 1.5}]
    assert "'tmep' looks like it" in done.err


def test_pictures_and_samples_are_not_mixed_up(jidoka, mean, tmp_path):
    (tmp_path / "shot.png").write_bytes(b"\x89PNG\r\n\x1a\n\xff")
    done = jidoka(mean, tmp_path / "shot.png")
    assert done.status == 3
    assert done.err.startswith("SERIES_UNREADABLE: ")


def test_a_bare_table_model_says_what_it_assumes(jidoka, tmp_path):
    onnx = models.classifier(tmp_path / "m.onnx")
    (tmp_path / "rows.csv").write_text("x,y\n1,2\n-1,-2\n")
    done = jidoka(onnx, tmp_path / "rows.csv")
    assert done.status == 0
    assert "assumed: each row" in done.err
    assert [line.split("\t")[2] for line in done.out.splitlines()[1:]] == ["good 1.00", "bad 1.00"]
