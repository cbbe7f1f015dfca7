"""Fleets: how many agents, how fast, at what cost. Each row has a limit; status 1 when one is missed.

``swarm_1000`` is live: 1,000 agents with one result a second each, Mosquitto, the SQLite ledger; its value is the ledger
lag at p95 in ms. ``swarm_1000_lost``: records lost, doubled or not acknowledged, and agents that never came online.

The others are in virtual time, each run in a process of its own; seconds are of CPU, so that what else the machine does
matters little. ``agents_1000_60s``: a minute of 1,000 agents with a result a second each, no pictures.
``scaling_10_10000``: the dearest agent-second of fleets of 10 to 10,000, over one of a fleet of 10.
``cell_speed``: line time over CPU time of a cell with rendered 640x480 frames and the demo model.
``memory_per_agent``: what a process with 1,000 agents holds at its highest beyond one with 10, ledger and broker
included, by agent. ``suite``: the plant's bad days, all of them, over two processes, in seconds of the wall's clock;
``suite_broken``: promises broken in it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from figures import Row, main, median

JIDOKA = Path(sys.executable).with_name("jidoka")
LAG_MS = 2000.0
SUITE_S = 300.0
AGENTS_S = 20.0
SCALING = 2.0
SIZES = {10: 3, 100: 3, 1000: 1, 10_000: 1}
"""Agents of a fleet, and how often it is run: small ones are over before a processor has come up to speed."""
CELL_SPEED = 5.0
MEMORY_KB = 50.0


def suite(_args: argparse.Namespace, folder: Path) -> Sequence[Row]:
    command = [str(JIDOKA), "sim", "suite", "--jobs", "2", "--out", str(folder / "suite"), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    document = json.loads(done.stdout)
    broken = [day["name"] for day in document["days"] if not day["ok"]]
    print(f"suite: {len(document['days'])} days; broken: {', '.join(broken) or 'none'}", file=sys.stderr)
    return [
        Row("suite", document["took_s"], SUITE_S, unit="s"),
        Row("suite_broken", float(len(broken)), 0.0, unit="promises"),
    ]


def swarm_1000(args: argparse.Namespace, folder: Path) -> Sequence[Row]:
    command = [str(JIDOKA), "sim", "swarm", "--agents", "1000", "--rate", "1", "--seconds", f"{args.swarm_seconds:g}"]
    command += ["--broker", "mosquitto", "--out", str(folder / "swarm"), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    document = json.loads(done.stdout)
    step = document["steps"][0]
    cores = ", ".join(f"{name} {share:g}" for name, share in step["cores"].items())
    print(
        f"swarm_1000: {step['per_s']:g} results/s; cores: {cores}; {document['missed'] or 'nothing missed'}",
        file=sys.stderr,
    )
    wrong = document["lost"] + document["doubled"] + document["unacknowledged"] + 1000 - document["online"]
    lag_ms = document["lag_ms"]["p95"] or float("inf")
    return [Row("swarm_1000", lag_ms, LAG_MS, unit="ms"), Row("swarm_1000_lost", float(wrong), 0.0, unit="records")]


def _run(*arguments: str) -> dict[str, float]:
    """One run in virtual time, in a process of its own."""
    command = [sys.executable, str(Path(__file__).with_name("fleet_run.py")), *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    seen: dict[str, float] = json.loads(done.stdout)
    print(f"fleet_run {' '.join(arguments)}: {seen}", file=sys.stderr)
    return seen


def agents_1000_60s(_args: argparse.Namespace, _folder: Path) -> Sequence[Row]:
    seen = _run("fleet", "1000", "60")
    return [Row("agents_1000_60s", seen["cpu_s"], AGENTS_S, unit="s")]


def scaling_10_10000(_args: argparse.Namespace, _folder: Path) -> Sequence[Row]:
    costs = {n: median([_run("fleet", str(n), "20")["cpu_s"] for _ in range(tries)]) / n for n, tries in SIZES.items()}
    return [Row("scaling_10_10000", max(costs.values()) / costs[10], SCALING, unit="x linear")]


def cell_speed(_args: argparse.Namespace, _folder: Path) -> Sequence[Row]:
    seen = _run("cell", "demo")
    return [Row("cell_speed", seen["line_s"] / seen["cpu_s"], CELL_SPEED, least=True, unit="x real")]


def memory_per_agent(_args: argparse.Namespace, _folder: Path) -> Sequence[Row]:
    few, many = _run("fleet", "10", "60"), _run("fleet", "1000", "60")
    return [Row("memory_per_agent", (many["peak_kb"] - few["peak_kb"]) / 990.0, MEMORY_KB, unit="KB")]


ROWS: dict[str, Callable[[argparse.Namespace, Path], Sequence[Row]]] = {
    "agents_1000_60s": agents_1000_60s,
    "scaling_10_10000": scaling_10_10000,
    "cell_speed": cell_speed,
    "memory_per_agent": memory_per_agent,
    "suite": suite,
    "swarm_1000": swarm_1000,
}


def measure(args: argparse.Namespace, folder: Path) -> list[Row]:
    names = [args.only] if args.only else list(ROWS)
    return [row for name in names for row in ROWS[name](args, folder)]


if __name__ == "__main__":
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", action="store_true", help="one JSON document on stdout")
    made.add_argument("--only", choices=sorted(ROWS), help="this row alone")
    made.add_argument("--swarm-seconds", type=float, default=60.0, help="how long the swarm gives results")
    main(measure, made.parse_args())
