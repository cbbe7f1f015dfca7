"""How many records a second the journal makes durable, and how long one waits for its commit.

``throughput``: append as fast as the journal takes it (never more than half its queue ahead), until all is committed.
``latency``: one record every few milliseconds, from append to its commit callback; the 50 ms of group commit are in it.
``plain``: the same bytes by one file, one write and one fsync per 256 KiB: what the disk itself allows.

Usage: python bench/journal.py [--json] [--folder DIR] [--seconds S]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import threading
import time
from pathlib import Path

from edge.domain import Kind
from edge.shell.journal import DELAY_S, Journal

KIB = 1024
SIZES = (KIB, 20 * KIB)
BATCH = 256 * KIB
AHEAD = 8 * KIB * KIB


def throughput(folder: Path, size: int, seconds: float) -> dict[str, float]:
    room = threading.Condition()
    done = 0

    def told(_kind: Kind, upto: int) -> None:
        nonlocal done
        with room:
            done = upto
            room.notify()

    journal = Journal(folder, on_committed=told)
    payload = os.urandom(size)
    ahead = AHEAD // size
    began, cpu = time.perf_counter(), time.process_time()
    n = 0
    try:
        while time.perf_counter() - began < seconds:
            with room:
                while n - done >= ahead:
                    room.wait()
            for _ in range(ahead // 4):
                n = journal.append("results", payload)
        journal.flush(60)
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
        commits = journal.counters()["commits"]
    finally:
        journal.close()
    return {
        "records_per_s": n / took,
        "mb_per_s": n * size / took / 1e6,
        "records_per_commit": n / commits,
        "cpu_us_per_record": cpu / n * 1e6,
    }


def latency(folder: Path, size: int, seconds: float) -> dict[str, float]:
    sent: list[float] = [0.0]
    waits: list[float] = []

    def told(_kind: Kind, upto: int) -> None:
        now = time.perf_counter()
        while len(waits) < upto:
            waits.append(now - sent[len(waits) + 1])

    journal = Journal(folder, on_committed=told)
    payload = os.urandom(size)
    pace = threading.Event()
    appends: list[float] = []
    try:
        for _ in range(int(seconds / 0.007)):
            before = time.perf_counter()
            sent.append(before)
            journal.append("results", payload)
            appends.append(time.perf_counter() - before)
            pace.wait(0.007)
        journal.flush(60)
    finally:
        journal.close()
    cuts = statistics.quantiles(waits, n=100)
    return {
        "p50_ms": cuts[49] * 1e3,
        "p99_ms": cuts[98] * 1e3,
        "max_ms": max(waits) * 1e3,
        "append_p99_us": statistics.quantiles(appends, n=100)[98] * 1e6,
    }


def plain(folder: Path, size: int, seconds: float) -> dict[str, float]:
    data = os.urandom(BATCH // size * size)
    fd = os.open(folder / "plain", os.O_WRONLY | os.O_CREAT)
    began, n = time.perf_counter(), 0
    try:
        while time.perf_counter() - began < seconds:
            os.write(fd, data)
            os.fsync(fd)
            n += BATCH // size
        took = time.perf_counter() - began
    finally:
        os.close(fd)
    return {"records_per_s": n / took}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--folder", type=Path, help="where to write (a folder on the disk to measure)")
    parser.add_argument("--seconds", type=float, default=3.0)
    args = parser.parse_args()
    out: dict[str, object] = {"delay_ms": DELAY_S * 1e3}
    for size in SIZES:
        row: dict[str, dict[str, float]] = {}
        for measure in (plain, throughput, latency):
            folder = Path(tempfile.mkdtemp(dir=args.folder))
            try:
                row[measure.__name__] = {k: round(v, 2) for k, v in measure(folder, size, args.seconds).items()}
            finally:
                shutil.rmtree(folder)
        out[f"{size // KIB} KiB"] = row
        if not args.json:
            for name, figures in row.items():
                print(f"{size // KIB:3d} KiB {name:10s}", "  ".join(f"{k} {v:,.1f}" for k, v in figures.items()))
    if args.json:
        print(json.dumps(out))


if __name__ == "__main__":
    main()
