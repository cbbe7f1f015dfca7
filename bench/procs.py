"""Daemons and bare loops as processes, looked at from outside: first verdict, CPU seconds, resident memory (Linux)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import material

HERE = Path(__file__).parent
JIDOKA = Path(sys.executable).with_name("jidoka")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PATIENCE_S = 60.0

# A policy as a third party registers one: it only tells when it was asked for its first verdict.
PROBE = """\
import time
from edge.core.policy import ThresholdPolicy

class Probe(ThresholdPolicy):
    told = False

    def judge(self, inferences, last):
        verdict = super().judge(inferences, last)
        if not Probe.told:
            Probe.told = True
            print(time.monotonic_ns(), flush=True)
        return verdict
"""
ENTRY = "[jidoka.policies]\nprobe = jidoka_bench_probe:Probe\n"


class Process:
    """One child whose first line on stdout is the monotonic time of its first verdict."""

    def __init__(self, command: Sequence[str | Path], env: dict[str, str] | None = None) -> None:
        self.began_ns = time.monotonic_ns()
        self._child = subprocess.Popen(
            [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.send_signal(signal.SIGTERM)
        try:
            self._child.wait(15)
        finally:
            self._child.kill()
            self._child.communicate()

    def first_s(self) -> float:
        """Seconds from its start to its first verdict; call once, it waits."""
        timer = threading.Timer(PATIENCE_S, self._child.kill)
        timer.start()
        line = self._child.stdout.readline() if self._child.stdout else ""
        timer.cancel()
        if not line.strip().isdigit():
            raise RuntimeError(f"no verdict within {PATIENCE_S:g} s: {self._child.args}")
        return (int(line) - self.began_ns) / 1e9

    def cpu_s(self) -> float:
        """User and system time of all its threads so far."""
        fields = Path(f"/proc/{self._child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S

    def rss_mb(self) -> float:
        """Resident memory, shared libraries included."""
        for line in Path(f"/proc/{self._child.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise RuntimeError("it ended")

    def cpu_share(self, seconds: float) -> float:
        """CPU seconds a second over the next ``seconds``."""
        cpu_s, began = self.cpu_s(), time.perf_counter()
        time.sleep(seconds)
        return (self.cpu_s() - cpu_s) / (time.perf_counter() - began)


def bare(kind: str, made: material.Material, hz: float = 0.0) -> Process:
    return Process([sys.executable, HERE / "bare.py", kind, made.model, made.video, str(hz)])


def daemon(settings: Path, cache: Path) -> Process:
    """``jidoka run`` with the probe installed beside ``settings`` (which say ``policy = "probe"``)."""
    folder = settings.parent / "plugin"
    about = folder / "jidoka_bench_probe-0.dist-info"
    about.mkdir(parents=True, exist_ok=True)
    (folder / "jidoka_bench_probe.py").write_text(PROBE)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: jidoka-bench-probe\nVersion: 0\n")
    (about / "entry_points.txt").write_text(ENTRY)
    return Process([JIDOKA, "run", settings], environment(cache) | {"PYTHONPATH": str(folder)})


def environment(cache: Path) -> dict[str, str]:
    """What a user's process meets, with the guard's results in ``cache``."""
    env = os.environ | {"JIDOKA_CACHE_DIR": str(cache)}
    # An installed package has its byte code beside it; a checkout must be allowed to write it once.
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    return env
