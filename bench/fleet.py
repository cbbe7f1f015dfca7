"""Fleets: how many agents, how fast, at what cost. Each row has a limit; status 1 when one is missed.

``swarm_1000`` is live: 1,000 agents with one result a second each, Mosquitto, the SQLite ledger; its value is the ledger
lag at p95 in ms. ``swarm_1000_lost``: records lost, doubled or not acknowledged, and agents that never came online.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from figures import Row, main

JIDOKA = Path(sys.executable).with_name("jidoka")
LAG_MS = 2000.0


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


ROWS: dict[str, Callable[[argparse.Namespace, Path], Sequence[Row]]] = {"swarm_1000": swarm_1000}


def measure(args: argparse.Namespace, folder: Path) -> list[Row]:
    names = [args.only] if args.only else list(ROWS)
    return [row for name in names for row in ROWS[name](args, folder)]


if __name__ == "__main__":
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", action="store_true", help="one JSON document on stdout")
    made.add_argument("--only", choices=sorted(ROWS), help="this row alone")
    made.add_argument("--swarm-seconds", type=float, default=60.0, help="how long the swarm gives results")
    main(measure, made.parse_args())
