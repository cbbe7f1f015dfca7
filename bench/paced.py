"""CPU of the daemon at 10 frames a second, decode included, beside bare ``session.run`` at the same pace.

Both are processes of their own and take turns. Usage: python bench/paced.py [--json] [--hz 10] [--seconds 6]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import figures
import material
import procs
from figures import Row, median

SETTLE_S = 1.0


def measure(args: argparse.Namespace, folder: Path) -> list[Row]:
    made = material.make(folder, args.model, args.video)
    settings = material.settings(made, folder / "agent", rate_hz=args.hz, policy="probe")
    seen: dict[str, list[float]] = {"bare": [], "daemon": []}
    for _ in range(args.rounds):
        for name, values in seen.items():
            process = procs.bare("paced", made, args.hz) if name == "bare" else procs.daemon(settings, folder / "cache")
            with process:
                process.first_s()
                process.cpu_share(SETTLE_S)
                values.append(process.cpu_share(args.seconds))
    bare, ours = median(seen["bare"]), median(seen["daemon"])
    return [
        Row(f"CPU of the daemon at {args.hz:g} frames/s / bare run", ours / bare, 1.4),
        Row("bare run, CPU a frame", 1e3 * bare / args.hz, unit="ms"),
        Row("daemon, CPU a frame", 1e3 * ours / args.hz, unit="ms"),
    ]


if __name__ == "__main__":
    options = figures.parser(__doc__)
    options.add_argument("--hz", type=float, default=10.0)
    options.add_argument("--seconds", type=float, default=5.0, help="of each slice")
    figures.main(measure, options.parse_args())
