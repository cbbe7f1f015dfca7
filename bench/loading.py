"""From a file to the first answer: time and memory of `edge.load`, and of `jidoka model inspect` and `check`.

``first``   process start to first answer, with the guard's cache warm, and memory then, beside a bare loop's with the
            same file; the first ever load of a file (the guard tries it in a child) besides
``extra``   memory of each further model in that process
``import``  ``import edge`` over what ``python -c pass`` takes, and everything that loading needs
``peer``    the same file (of 320 px) in Ultralytics' own predictor and in Roboflow's, each in a python of its own that has it
``verbs``   ``inspect`` (its trial known, and first ever) and ``check`` (with its trial) of the same file, and of all
            shared models where there are any ($JIDOKA_TEST_DATA or ../shared/data): the slowest is told by name

Usage: python bench/loading.py [--json] [--model yolov8n-320.onnx] [--ultralytics PYTHON] [--roboflow PYTHON]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import figures
import material
import procs
from figures import Row, median

FIRST = procs.HERE / "first_answer.py"
PEERS = ("ultralytics", "roboflow")
EXTRA = 4
TRIAL_S = 6.0
LIMITS_S = {"inspect": 3.0, "inspect, first ever": TRIAL_S, "check": TRIAL_S}
"""What a person waits for without wondering; twice as long with a trial in a child process."""
SHARED = Path(os.environ.get("JIDOKA_TEST_DATA") or procs.HERE.parents[1] / "shared" / "data") / "models"


def first_answer(kind: str, python: Path, made: material.Material, cache: Path) -> dict[str, Any]:
    """What ``first_answer.py`` tells, and ``first_s``: from the start of its process to the first answer."""
    picture = made.folder / "picture.png"
    command = [str(python), str(FIRST), kind, str(made.model), str(picture), str(EXTRA)]
    began_ns = time.monotonic_ns()
    _, _, output = run(command, cache)
    told: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    return told | {"first_s": (told["first_ns"] - began_ns) / 1e9}


def run(command: Sequence[str], cache: Path) -> tuple[float, float, str]:
    """Wall and CPU seconds of a process that must end well, and what it says. CPU: its own children's as well."""
    env = procs.environment(cache) | {"YOLO_OFFLINE": "true"}
    began, cpu_s = time.perf_counter(), _children_s()
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False, timeout=180)
    took = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[1:])}: {(done.stderr.strip().splitlines() or ['no output'])[-1]}")
    return took, _children_s() - cpu_s, done.stdout


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def firsts(args: argparse.Namespace, made: material.Material, folder: Path) -> list[Row]:
    cache, own = folder / "cache", Path(sys.executable)
    pythons = {"bare": own, "edge": own} | {name: python for name in PEERS if (python := getattr(args, name))}
    for name, python in pythons.items():
        first_answer(name, python, made, cache)  # for nobody: files come into memory, byte code is written
    seen: dict[str, list[dict[str, Any]]] = {name: [] for name in (*pythons, "cold")}
    for _ in range(args.rounds):
        for name, python in pythons.items():
            seen[name].append(first_answer(name, python, made, cache))
        shutil.rmtree(cache)
        seen["cold"].append(first_answer("edge", own, made, cache))

    def of(name: str, what: str) -> float:
        return median([one[what] for one in seen[name]])

    rows = [
        Row("load to first answer, guard's cache warm / bare loop", of("edge", "first_s") / of("bare", "first_s"), 1.5),
        Row("resident memory then / bare loop", of("edge", "rss_mb") / of("bare", "rss_mb"), 1.25),
        Row("memory of each further model / bare session", of("edge", "extra_mb") / of("bare", "extra_mb"), 1.25),
        Row("first ever load (guard's trial)", of("cold", "first_s"), TRIAL_S, unit="s"),
    ]
    for name in pythons:
        rows += [
            Row(f"{name}: process start to first answer", of(name, "first_s"), unit="s"),
            Row(f"{name}: of it imports", of(name, "import_s"), unit="s"),
            Row(f"{name}: resident memory then", of(name, "rss_mb"), unit="MB"),
            Row(f"{name}: each further model", of(name, "extra_mb"), unit="MB"),
        ]
    return rows


def imports(rounds: int, folder: Path) -> list[Row]:
    programs = {"pass": "pass", "edge": "import edge", "all": "from edge import load"}
    seen: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(3 * rounds):
        for name, program in programs.items():
            seen[name].append(1e3 * run([sys.executable, "-c", program], folder)[0])
    python, edge, everything = (median(seen[name]) for name in programs)
    return [
        Row("import edge, over python -c pass", edge - python, 10, unit="ms"),
        Row("from edge import load, over python -c pass", everything - python, unit="ms"),
    ]


def verbs(model: Path, folder: Path, probe: Path | None = None) -> dict[str, tuple[float, float]]:
    """Wall and CPU seconds of each verb on a file that nobody has tried here."""
    cache, jidoka = folder / "verbs", str(procs.JIDOKA)
    shutil.rmtree(cache, ignore_errors=True)
    commands = {
        "inspect, first ever": [jidoka, "model", "inspect", str(model), "--json"],
        "inspect": [jidoka, "model", "inspect", str(model), "--json"],
        "inspect with a probe": [jidoka, "model", "inspect", str(model), "--json", "--probe", str(probe)],
        "check": [jidoka, "model", "check", str(model), "--json"],
    }
    if probe is None:
        del commands["inspect with a probe"]
    return {verb: run(command, cache)[:2] for verb, command in commands.items()}


def verb_rows(made: material.Material, folder: Path, rounds: int) -> list[Row]:
    took = [verbs(made.model, folder, folder / "picture.png") for _ in range(rounds)]
    return [row for verb in took[0] for row in _rows_of(verb, verb, [one[verb] for one in took])]


def shared_rows(folder: Path, rounds: int) -> list[Row]:
    """Each once, and what was slowest of each verb again: one odd second is not held against a model."""
    models = sorted(SHARED.glob("*.onnx"))
    if not models:
        print(f"no shared models in {SHARED}: their rows are left out (JIDOKA_TEST_DATA)", file=sys.stderr)
        return []
    once = {model: verbs(model, folder) for model in models}
    rows: list[Row] = []
    for verb in LIMITS_S:
        slowest = max(models, key=lambda model: once[model][verb])
        took = [once[slowest][verb], *(verbs(slowest, folder)[verb] for _ in range(rounds - 1))]
        rows += _rows_of(verb, f"{verb}, slowest of {len(models)} shared: {slowest.name}", took)
    return rows


def _rows_of(verb: str, name: str, took: Sequence[tuple[float, float]]) -> list[Row]:
    wall, cpu = (median(values) for values in zip(*took, strict=True))
    return [Row(name, wall, LIMITS_S.get(verb), unit="s"), Row("  its CPU", cpu, unit="s")]


def measure(args: argparse.Namespace, folder: Path) -> list[Row]:
    made = material.make(folder, args.model, args.video)
    cv2.imwrite(str(folder / "picture.png"), material.frames(made.video)[0])
    return [
        *firsts(args, made, folder),
        *imports(args.rounds, folder),
        *verb_rows(made, folder, args.rounds),
        *shared_rows(folder, args.rounds),
    ]


if __name__ == "__main__":
    options = figures.parser(__doc__)
    for peer in PEERS:
        options.add_argument(f"--{peer}", type=Path, metavar="PYTHON", help=f"a python that has {peer}")
    figures.main(measure, options.parse_args())
