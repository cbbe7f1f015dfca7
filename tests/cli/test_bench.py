"""``jidoka model bench`` as a user runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from msgspec.structs import replace

from edge.models.bundle import read
from edge.models.inspect.source import read_file
from edge.models.packing import Wishes, pack_any
from edge.models.tuning import profile
from edge.models.tuning.machine import this_machine
from edge.models.tuning.profile import Figures, Profile
from edge.models.tuning.way import Way
from tests.commands import run
from tests.models import graphs


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
