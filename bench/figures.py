"""What a measurement hands back: rows with a value and a limit, printed as a table or as one JSON document."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2


@dataclass(frozen=True)
class Row:
    """One figure. ``limit`` None: for information. ``least``: the value must reach the limit, else not exceed it."""

    name: str
    value: float
    limit: float | None = None
    least: bool = False
    unit: str = ""

    @property
    def ok(self) -> bool:
        """NaN is never good."""
        if self.limit is None:
            return True
        return self.value >= self.limit if self.least else self.value <= self.limit

    def as_dict(self) -> dict[str, object]:
        return asdict(self) | {"ok": self.ok, "value": round(self.value, 4)}


Measure = Callable[[argparse.Namespace, Path], Sequence[Row]]


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def parser(text: str | None) -> argparse.ArgumentParser:
    """The options all measurements have."""
    made = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", action="store_true", help="one JSON document on stdout")
    made.add_argument("--model", type=Path, help="an ONNX detector instead of the generated one")
    made.add_argument("--video", type=Path, help="a video instead of the generated one")
    made.add_argument("--rounds", type=int, default=3, help="repetitions; medians are told")
    return made


def show(rows: Sequence[Row]) -> None:
    wide = max(len(row.name) for row in rows)
    for row in rows:
        limit = "" if row.limit is None else f"{'>=' if row.least else '<='} {row.limit:g}"
        word = "" if row.limit is None else ("ok" if row.ok else "MISSED")
        print(f"{row.name:<{wide}}  {row.value:10.3f} {row.unit:<9} {limit:<9} {word}".rstrip())


def finish(rows: Sequence[Row], *, as_json: bool) -> None:
    """Print, and leave with status 1 where a limit was missed."""
    if as_json:
        print(json.dumps({"rows": [row.as_dict() for row in rows]}, indent=1))
    else:
        show(rows)
    sys.exit(0 if all(row.ok for row in rows) else 1)


def main(measure: Measure, args: argparse.Namespace) -> None:
    """Measure in a temporary folder, then print."""
    cv2.setNumThreads(1)  # as the daemon does
    with tempfile.TemporaryDirectory(prefix="jidoka-bench-") as folder:
        rows = measure(args, Path(folder))
    finish(rows, as_json=args.json)
