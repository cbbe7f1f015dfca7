"""What every scorer is handed, and must do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from edge.evaluate.inspection import Again
from edge.evaluate.names import Names
from edge.evaluate.results import Record, Scored, Table
from edge.evaluate.truth import Sample
from edge.vision.prediction import Prediction


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One picture: its truth, the answer at the working thresholds, and ``low``, the same at the lowest threshold.

    ``again`` decodes it at another threshold; None where that would change nothing but which rows are kept.
    """

    index: int
    sample: Sample
    height: int
    width: int
    found: Prediction
    low: Prediction
    again: Again | None


class Scorer(Protocol):
    """Keeps counts, never pictures."""

    def take(self, seen: Seen) -> Record:
        """Count one picture. Raises JidokaError where its truth cannot be used."""
        ...

    def scored(self) -> Scored:
        """The figures of all that was taken."""
        ...


SIDES = ((0.0, 8.0), (8.0, 16.0), (16.0, 32.0), (32.0, 64.0), (64.0, float("inf")))


def recall_by_size(sides_px: list[float], found: list[bool], what: str) -> Table | None:
    """Found of all, by the side of a square of the same area."""
    rows = []
    for low, high in SIDES:
        hits = [f for side, f in zip(sides_px, found, strict=True) if low <= side < high]
        if hits:
            name = f"{low:g} to {high:g} px" if high < float("inf") else f"{low:g} px and more"
            rows.append((name, len(hits), sum(hits), sum(hits) / len(hits)))
    about = f"{what}; size is the side of a square of the same area, in pixels of the frame"
    return (
        Table("recall_by_size", "Found, by size", about, ("size", "there", "found", "recall"), tuple(rows))
        if rows
        else None
    )


def short(names: Names, counts: dict[str, int]) -> str:
    """``2 scratch, 1 pit`` or ``nothing``."""
    del names
    return ", ".join(f"{n} {name}" for name, n in list(counts.items())[:4]) or "nothing"
