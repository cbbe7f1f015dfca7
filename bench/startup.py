"""How soon the agent is there, and how much memory it takes.

``version``  ``jidoka --version`` beside ``python -c pass``
``start``    process start to first verdict, beside a bare loop's first frame, with the guard's cache warm; the first
             ever start of a model (the guard tries it in a child) is told besides
``memory``   resident memory of an agent with MQTT and journal beside the bare loop's; then the broker is killed, and
             how much it grows with a dead broker (``--minutes 60`` for the hour): medians, as a look is a sawtooth

Usage: python bench/startup.py [--json] [--minutes 0.5]
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import figures
import material
import procs
from figures import Row, median

from edge.shell.broker import Broker

SETTLE_S = 8.0
"""Allocators and the journal have their size by then."""


def version(rounds: int) -> list[Row]:
    def took_ms(command: Sequence[str]) -> float:
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return 1e3 * (time.perf_counter() - began)

    commands = {"jidoka": [str(procs.JIDOKA), "--version"], "python": [sys.executable, "-c", "pass"]}
    seen: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(3 * rounds):
        for name, command in commands.items():
            seen[name].append(took_ms(command))
    ours, theirs = median(seen["jidoka"]), median(seen["python"])
    return [
        Row("jidoka --version / python -c pass", ours / theirs, 10),
        Row("jidoka --version", ours, unit="ms"),
        Row("python -c pass", theirs, unit="ms"),
    ]


def start(made: material.Material, folder: Path, rounds: int) -> list[Row]:
    settings, cache = material.settings(made, folder / "agent", policy="probe"), folder / "cache"
    seen: dict[str, list[float]] = {"bare": [], "warm": [], "cold": []}
    with procs.daemon(settings, cache) as process:
        process.first_s()  # for nobody: files come into memory, byte code is written
    for _ in range(rounds):
        shutil.rmtree(cache, ignore_errors=True)
        for name in ("cold", "bare", "warm"):
            process = procs.bare("first", made) if name == "bare" else procs.daemon(settings, cache)
            with process:
                seen[name].append(process.first_s())
    bare, warm, cold = (median(seen[name]) for name in ("bare", "warm", "cold"))
    return [
        Row("start to first verdict, warm guard / bare loop", warm / bare, 1.5),
        Row("first ever start (guard's trial) / bare loop", cold / bare),
        Row("bare loop to first frame", bare, unit="s"),
        Row("daemon to first verdict", warm, unit="s"),
        Row("daemon, first ever start", cold, unit="s"),
    ]


def memory(made: material.Material, folder: Path, minutes: float) -> list[Row]:
    cache = folder / "cache"
    with Broker() as broker:
        settings = material.settings(made, folder / "linked", rate_hz=10, port=broker.port, policy="probe")
        with procs.bare("first", made, 10) as bare:
            bare.first_s()
            time.sleep(SETTLE_S)
            theirs = bare.rss_mb()
        with procs.daemon(settings, cache) as agent:
            agent.first_s()
            time.sleep(SETTLE_S)
            ours = agent.rss_mb()
            broker.kill()
            time.sleep(SETTLE_S)
            looks = watch(agent, minutes)
    part = max(1, len(looks) // 6)
    start_mb, end_mb = median(looks[:part]), median(looks[-part:])
    grown = 100 * (end_mb - start_mb) / start_mb
    return [
        Row("resident memory, agent with MQTT and journal / bare loop", ours / theirs, 1.25),
        Row(f"growth with the broker dead over {minutes:g} min", grown, 5, unit="%"),
        Row("agent", ours, unit="MB"),
        Row("agent with the broker dead, median of the first sixth", start_mb, unit="MB"),
        Row("agent with the broker dead, median of the last sixth", end_mb, unit="MB"),
        Row("agent with the broker dead, largest look", max(looks), unit="MB"),
        Row("bare loop", theirs, unit="MB"),
    ]


def watch(agent: procs.Process, minutes: float) -> list[float]:
    """Resident memory every few seconds. One look hangs on how many frames are held just then, 2.8 MB each."""
    looks = max(6, int(minutes * 12))
    seen = []
    for _ in range(looks):
        time.sleep(60 * minutes / looks)
        seen.append(agent.rss_mb())
    return seen


def measure(args: argparse.Namespace, folder: Path) -> list[Row]:
    made = material.make(folder, args.model, args.video)
    return [
        *version(args.rounds),
        *start(made, folder, args.rounds),
        *memory(made, folder, args.minutes),
    ]


if __name__ == "__main__":
    options = figures.parser(__doc__)
    options.add_argument("--minutes", type=float, default=0.3, help="how long the broker stays dead")
    figures.main(measure, options.parse_args())
