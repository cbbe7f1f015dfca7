"""Text and numbers: exact matches, character errors, mean errors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MAX_CHARACTERS = 4000
"""Longer texts are cut before they are compared: the work grows with the product of the lengths."""


def edits(found: str, true: str) -> int:
    """Fewest insertions, deletions and substitutions from one text to the other (Levenshtein 1966).

    One row of the table at a time. Within a row an insertion depends on its left neighbour; with the column number
    taken away it is a running minimum, so that numpy does the row at once.
    """
    a = np.array([ord(c) for c in found[:MAX_CHARACTERS]], np.int64)
    b = np.array([ord(c) for c in true[:MAX_CHARACTERS]], np.int64)
    columns = np.arange(len(b) + 1)
    row = columns.copy()
    for number, letter in enumerate(a.tolist(), 1):
        best = np.minimum(row[1:] + 1, row[:-1] + (b != letter))
        row = np.minimum.accumulate(np.concatenate([[number], best]) - columns) + columns
    return int(row[-1])


def errors(found: NDArray[np.float64], true: NDArray[np.float64]) -> tuple[float, float, float]:
    """Mean absolute error, root of the mean square error, mean error (bias); arrays ``(k,)``, k at least 1."""
    off = found - true
    return float(np.abs(off).mean()), float(np.sqrt((off**2).mean())), float(off.mean())
