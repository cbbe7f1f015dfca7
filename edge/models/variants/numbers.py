"""How far two models agree whose answer to a window is numbers, not things."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from edge.models.variants.agreement import Seen

RESOLUTION = 1e-3
"""A value that hardly moves is held to this share of its largest magnitude instead of to its own spread."""
_FEW = 3


@dataclass(slots=True)
class Values:
    """Named numbers, each step of a window on its own where the head lists steps: 1 less the root of the mean square
    difference as a share of the value's spread (standard deviation, of both models together); of several values the
    worst. So 0.95 leaves an error of a twentieth of what the value moves by.
    """

    figure: str = "1 less the RMS difference of values as a share of their spread, the worst value"
    score_error: float = 0.0
    rows: tuple[list[list[float]], list[list[float]]] = field(default_factory=lambda: ([], []))

    def add(self, one: Seen, other: Seen) -> None:
        a, b = one.found, other.found
        assert list(a.values) == list(b.values), "models of one head name the same values"
        for i, found in enumerate((a, b)):
            self.rows[i].extend([list(found.values.values())] if found.steps is None else found.steps.tolist())

    @property
    def value(self) -> float | None:
        """None for fewer than three rows, or where no value moves."""
        a, b = (np.array(rows, np.float64) for rows in self.rows)
        if len(a) < _FEW or not a.size or not (np.ptp(a, axis=0).any() or np.ptp(b, axis=0).any()):
            return None
        apart = np.sqrt(np.mean((a - b) ** 2, axis=0))
        spread = np.sqrt((a.var(axis=0) + b.var(axis=0)) / 2)
        held_to = np.maximum(spread, RESOLUTION * np.maximum(np.abs(a), np.abs(b)).max(axis=0))
        shares = np.divide(apart, held_to, out=np.zeros_like(apart), where=held_to > 0)
        return float(np.clip(1.0 - shares.max(), 0.0, 1.0))


@dataclass(slots=True)
class Classes:
    """Windows of which both say the same class first; where the head lists steps, all steps of all windows count."""

    figure: str = "share of windows with the same class"
    score_error: float = 0.0
    agreed: int = 0
    total: int = 0

    def add(self, one: Seen, other: Seen) -> None:
        a, b = one.found, other.found
        if a.steps is not None and b.steps is not None:
            self.figure = "share of steps with the same class"
            self.total += len(a.steps)
            self.agreed += int(np.count_nonzero(a.steps.argmax(axis=1) == b.steps.argmax(axis=1)))
            return
        self.total += 1
        if int(a.label_ids[0]) == int(b.label_ids[0]):  # a window always has its first class
            self.agreed += 1
            self.score_error = max(self.score_error, abs(float(a.scores[0]) - float(b.scores[0])))

    @property
    def value(self) -> float | None:
        """None where there was nothing to compare."""
        return self.agreed / self.total if self.total else None
