"""``jidoka model bench`` as a user runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
from msgspec.structs import replace

from edge.models.bundle import About, read
from edge.models.inspect.source import read_file
from edge.models.packing import Wishes, pack_any
from edge.models.series import manifest
from edge.models.series.manifest import SeriesManifest
from edge.models.tuning import profile
from edge.models.tuning.machine import this_machine
from edge.models.tuning.profile import Figures, Profile
from edge.models.tuning.way import Way
from edge.series.conventions import SeriesScoreHead
from edge.series.spec import Channel, SeriesInput
from tests.commands import run
from tests.models import graphs
from tests.series import models


def bundle(folder):
    model = graphs.brightest_channel(folder / "m.onnx", (1, 3, 32, 32))
    pack_any(read_file(model), folder / "bundle", Wishes())
    return folder / "bundle"


def test_a_table_to_decide_from_and_a_profile_for_the_agent(tmp_path):
    made = bundle(tmp_path)
    found = run(tmp_path / "cache", "model", "bench", made, "--rounds", 1, "--seconds", 0.01, "--provider", "cuda")
    assert found.status == 0
    columns, first, *rows = (line.split("\t") for line in found.out.splitlines())
    assert columns[1:5] == ["runtime", "threads", "frames/s", "x"]
    assert first[1:3] == ["onnxruntime", "1 worker"]
    assert any("fell back to CPUExecutionProvider" in row[-1] for row in rows)
    assert found.out.splitlines()[-1].startswith("recommended: ")
    assert "fed with noise" in found.err
    (kept,) = (tmp_path / "cache" / "profiles").iterdir()
    assert profile.recall(kept.stem, tmp_path / "cache" / "guard").machine.cores >= 1


def test_a_limit_that_nothing_keeps_is_status_1_and_nothing_is_kept(tmp_path):
    made = bundle(tmp_path)
    found = run(
        tmp_path / "cache", "model", "bench", made, "--rounds", 1, "--seconds", 0.01, "--latency-ms", 0.01, "--json"
    )
    assert found.status == 1
    assert found.document["met"] is False
    assert found.document["profile"] is None
    assert not (tmp_path / "cache" / "profiles").exists()


def test_ctrl_c_ends_it_and_the_process_it_measures_in(tmp_path):
    made = bundle(tmp_path)
    program = "import sys; from edge.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "model", "bench", str(made), "--seconds", "300"]
    environment = os.environ | {"JIDOKA_CACHE_DIR": str(tmp_path / "cache")}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        assert "noise" in child.stderr.readline()  # it is about to measure
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=30)
    assert child.returncode == 130
    assert "Traceback" not in err


SENSOR = """
[agent]
id = "press"
[model]
path = "b"
[sensors.oven]
driver = "csv"
rate_hz = 10.0
options = { source = "rows.csv" }
"""


def test_a_series_model_is_made_small_measured_and_run_so(tmp_path):
    cache = tmp_path / "cache"
    channels = tuple(Channel(name=f"c{i}") for i in range(12))
    said = SeriesManifest(
        model=About(name="m", version="1.0.0", task="series"),
        input=SeriesInput(channels=channels),
        output=SeriesScoreHead(threshold=0.2),
    )
    model = models.perceptron(tmp_path / "m.onnx", outputs=1).read_bytes()
    made = manifest.write(tmp_path / "b", said, model)
    rows = np.random.default_rng(0).normal(size=(40, 12))
    np.savetxt(tmp_path / "rows.csv", rows, "%.4f", ",", header=",".join(c.name for c in channels), comments="")
    found = run(cache, "model", "quantize", made.folder, "--calibration", tmp_path / "rows.csv")
    assert found.status == 0, found.err
    assert "on 40 windows, 10 kept back" in found.out
    words = ("model", "bench", made.folder, tmp_path / "rows.csv", "--rounds", 1, "--seconds", 0.01)
    found = run(cache, *words)
    assert found.status == 0, found.err
    table = [line.split("\t") for line in found.out.splitlines()]
    assert table[0][3] == "windows/s"
    assert ["onnxruntime int8", "1 worker"] in [row[1:3] for row in table]
    (kept,) = (cache / "profiles").iterdir()
    assert kept.stem == made.sha256
    one = profile.recall(made.sha256, cache / "guard")
    (row,) = manifest.read(made.folder).manifest.variant
    profile.keep(replace(one, variant="int8", variant_sha256=row.sha256, way=Way(workers=2)), cache / "guard")
    (tmp_path / "agent.toml").write_text(SENSOR)
    checked = run(cache, "run", tmp_path / "agent.toml", "--check")
    assert "(int8, onnxruntime, 2 workers)" in checked.out, checked.err
    plain, small = (
        run(cache, "infer", made.folder, tmp_path / "rows.csv", "--json", "--variant", name).document
        for name in ("original", "auto")
    )
    assert len(plain) == len(small) == 40
    assert plain[0]["values"] != small[0]["values"]


def test_the_agent_runs_as_the_profile_says_until_the_machine_is_another(tmp_path):
    cache = tmp_path / "cache"
    assert run(cache, "init", tmp_path / "p").status == 0
    model, settings = tmp_path / "p" / "models" / "dark-spots", tmp_path / "p" / "agent.toml"
    found = read(model)
    here = this_machine()
    figures = Figures(fps=1, p50_ms=1, p99_ms=1, cpu_ms=1, memory_mb=1, ratio=2)
    one = Profile(sha256=found.sha256, way=Way(workers=3, optimisation="basic"), machine=here, figures=figures)
    profile.keep(one, cache / "guard")
    said = run(cache, "run", settings, "--check").out
    assert "(onnxruntime, 3 workers, optimisation basic)" in said
    assert "warning" not in said
    profile.keep(replace(one, machine=replace(here, cpu="another")), cache / "guard")
    said = run(cache, "run", settings, "--check").out
    assert "workers" not in said
    assert "it was measured on another" in said
