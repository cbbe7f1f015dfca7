"""``jidoka model bench`` as a user runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from edge.models.inspect.source import read_file
from edge.models.packing import Wishes, pack_any
from edge.models.tuning import profile
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
