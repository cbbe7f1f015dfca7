"""All figures of the agent, one after the other, as one table.

Usage: python bench/run.py [--json] [--only pipeline paced cost startup loading roundtrip heads]

Status 1 when a limit is missed. A machine that does other work at the same time misses more of them: run it alone.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
NAMES = ("pipeline", "paced", "cost", "startup", "loading", "roundtrip", "heads")


def rows_of(name: str) -> list[dict[str, object]]:
    """Run one bench and take its rows; a bench that dies is a missed row of its own."""
    done = subprocess.run(
        [sys.executable, str(HERE / f"{name}.py"), "--json"], capture_output=True, text=True, check=False
    )
    try:
        rows: list[dict[str, object]] = json.loads(done.stdout)["rows"]
    except (ValueError, KeyError):
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        return [{"name": f"{name}: {last[:80]}", "value": None, "unit": "", "limit": None, "ok": False}]
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES)
    args = parser.parse_args()
    rows: list[dict[str, object]] = []
    for name in args.only:
        print(f"{name} …", file=sys.stderr, flush=True)
        rows += [{"bench": name, **row} for row in rows_of(name)]
    if args.json:
        print(json.dumps({"rows": rows}, indent=2))
    else:
        for row in rows:
            limit = "" if row.get("limit") is None else ("ok" if row["ok"] else "MISSED")
            print(f"{row['bench']:<10} {row['name']!s:<58} {row['value']!s:>10} {row.get('unit') or '':<9} {limit}")
    return 0 if all(row["ok"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
