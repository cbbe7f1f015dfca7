"""The runtime gathers nothing: neither the process that loads a model nor the trial's child leaves a trace of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.models import graphs

ROOT = Path(__file__).resolve().parents[2]


def test_nothing_is_gathered_about_its_use(tmp_path: Path) -> None:
    model = graphs.brightest_channel(tmp_path / "m.onnx")
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    home.mkdir()
    temporary.mkdir()
    environ = {name: value for name, value in os.environ.items() if name not in {"XDG_CACHE_HOME", "JIDOKA_CACHE_DIR"}}
    environ |= {"HOME": str(home), "TMPDIR": str(temporary)}
    environ.pop("ORT_DISABLE_TELEMETRY", None)
    code = f"import edge, numpy; edge.load({str(model)!r})(numpy.zeros((64, 64, 3), numpy.uint8))"
    subprocess.run([sys.executable, "-c", code], env=environ, check=True, timeout=60, cwd=ROOT)
    left = [path.relative_to(tmp_path) for folder in (home, temporary) for path in folder.rglob("*") if path.is_file()]
    assert {path.parent for path in left} == {Path("home/.cache/jidoka/guard")}, left


def test_it_is_imported_in_one_place() -> None:
    found = {
        str(path.relative_to(ROOT))
        for folder in ("edge", "drivers", "sims")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"^\s*(import|from) onnxruntime", path.read_text(), re.MULTILINE)
    }
    # The trial inherits what the first says; the last wants the tools beside the runtime, and imports the first before.
    assert found == {"edge/models/runtime.py", "edge/models/trial.py", "edge/models/variants/recipes.py"}
