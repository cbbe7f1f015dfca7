"""The real daemon on a recording of sensors: windows, values, verdicts, and what is left in its journal."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from edge.messages import Event, Result, decode_record
from edge.models.bundle import About
from edge.models.series import manifest
from edge.models.series.manifest import SeriesManifest
from edge.series.conventions import SeriesReconstructionHead, SeriesValueHead, Value
from edge.series.spec import Channel, SeriesInput
from edge.shell.journal import Journal
from tests.series import models

pytestmark = pytest.mark.live

AGENT = """
[agent]
id = "press"
[model]
path = "mean"
[policy.values.mean_temp]
high = 50.0
unsure_band = 10.0
[sensors.oven]
driver = "csv"
rate_hz = 1000.0
channels = {{ temp = "Oven temperature [C]" }}
[sensors.oven.options]
source = "oven.csv"
{more}
"""
SHAKE = """
[sensors.shake]
driver = "csv"
rate_hz = 1000.0
options = { source = "shake.csv" }
model = { path = "shape" }
policy = {}
"""


@pytest.fixture
def folder(tmp_path):
    def bundle(name, spec, head, onnx):
        said = SeriesManifest(model=About(name=name, version="1.0.0", task="series"), input=spec, output=head)
        manifest.write(tmp_path / name, said, onnx.read_bytes())

    spec = SeriesInput(channels=(Channel(name="temp", unit="C"),), window_n=4, stride_n=4, layout="tc")
    head = SeriesValueHead(values=(Value(name="mean_temp", unit="C"),))
    bundle("mean", spec, head, models.means(tmp_path / "m.onnx", (1, "T", 1)))
    two = SeriesInput(channels=(Channel(name="x"), Channel(name="y")), window_n=8, layout="ct")
    bundle("shape", two, SeriesReconstructionHead(threshold=0.5), models.smooth(tmp_path / "s.onnx"))
    temps = [20.0] * 4 + [45.0] * 4 + [70.0] * 4 + [20.0] * 2
    (tmp_path / "oven.csv").write_text("Oven temperature [C],lid\n" + "".join(f"{t},shut\n" for t in temps))
    rng = np.random.default_rng(0)
    rows = np.concatenate([np.zeros((8, 2)), rng.normal(0, 3, (8, 2))])
    (tmp_path / "shake.csv").write_text("x,y\n" + "".join(f"{x:.3f},{y:.3f}\n" for x, y in rows))
    return tmp_path


def run(folder, *args) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edge.cli.main", "run", str(folder / "agent.toml"), *args],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        env=os.environ | {"JIDOKA_CACHE_DIR": str(folder / "cache")},
    )


def records(folder, kind):
    journal = Journal(folder / "data" / "journal")
    try:
        return [decode_record(kind, payload) for _, payload in journal.read(kind, 1, 1000, 10**7)]
    finally:
        journal.close()


def test_windows_are_judged_and_journalled(folder):
    (folder / "agent.toml").write_text(AGENT.format(more=SHAKE))
    done = run(folder)
    assert done.returncode == 0, done.stderr
    results = [one for one in records(folder, "results") if isinstance(one, Result)]
    oven = [one for one in results if one.source == "oven"]
    assert [(one.frame_no, one.decision, one.values) for one in oven] == [
        (1, "pass", {"mean_temp": 20.0}),
        (2, "unsure", {"mean_temp": 45.0}),
        (3, "fail", {"mean_temp": 70.0}),
    ]
    assert [(r.rule, r.label, r.seen, r.limit) for r in oven[2].reasons] == [("above", "mean_temp", 70.0, 50.0)]
    assert oven[0].model is not None and oven[0].model.name == "mean" and oven[0].recipe == "oven"
    shake = [one for one in results if one.source == "shake"]
    assert [one.decision for one in shake] == ["pass", "fail"]
    assert shake[1].reasons[0].rule == "anomalous" and "error.x" in shake[1].values
    assert shake[0].model is not None and shake[0].model.name == "shape"
    evidence = records(folder, "evidence")
    assert {(one.source, one.decision) for one in evidence} == {("oven", "unsure"), ("oven", "fail"), ("shake", "fail")}
    assert all(one.jpeg.startswith(b"\xff\xd8") for one in evidence)
    events = [one.code for one in records(folder, "events") if isinstance(one, Event)]
    assert events.count("SOURCE_ENDED") == 2


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ('source = "oven.csv"', 'source = "owen.csv"', "SOURCE_ABSENT"),
        ('path = "mean"', 'path = "m.onnx"', "MODEL"),
        ("high = 50.0", "", "CONFIG_WRONG_VALUE"),
        ("sensors.oven", "sensors.default", "CONFIG_WRONG_VALUE"),
        ("rate_hz = 1000.0", "rate_hz = 5000.0", "CONFIG_WRONG_VALUE"),
    ],
)
def test_settings_that_make_no_sense_are_one_line(folder, old, new, line):
    text = AGENT.format(more="").replace(old, new)
    (folder / "agent.toml").write_text(text)
    done = run(folder, "--check")
    assert done.returncode == 3
    assert done.stderr.strip().splitlines()[-1].startswith(line), done.stderr


def test_a_rule_for_a_value_that_never_comes_is_told(folder):
    (folder / "agent.toml").write_text(AGENT.format(more="").replace("mean_temp", "mean_tmep"))
    done = run(folder, "--check")
    assert done.returncode == 0
    assert "gives no value 'mean_tmep'" in done.stdout
