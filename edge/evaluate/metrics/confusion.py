"""One class a picture: what was taken for what."""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Ints = NDArray[np.int64]


class ClassFigures(Struct, frozen=True):
    """One class. ``precision``, ``recall`` and ``f1`` are 0..1, None where there is nothing to divide by."""

    label: str
    support: int
    found: int
    right: int
    precision: float | None
    recall: float | None
    f1: float | None


def confusion(true_ids: Ints, found_ids: Ints, n: int) -> Ints:
    """Counts ``(n, n)``: rows are the truth, columns what was said. Ids ``(k,)``, 0 to n - 1."""
    return np.bincount(true_ids * n + found_ids, minlength=n * n).reshape(n, n).astype(np.int64)


def by_class(matrix: Ints, labels: tuple[str, ...]) -> list[ClassFigures]:
    """Figures of each class of a confusion matrix (further rows and columns, such as 'nothing', only count)."""
    support, found = matrix.sum(axis=1).tolist(), matrix.sum(axis=0).tolist()
    right = np.diagonal(matrix).tolist()
    return [figures(name, support[i], found[i], right[i]) for i, name in enumerate(labels)]


def figures(label: str, support: int, found: int, right: int) -> ClassFigures:
    """Of ``support`` true ones and ``found`` claims, ``right`` agree."""
    precision = right / found if found else None
    recall = right / support if support else None
    f1 = 2 * right / (support + found) if support + found else None
    return ClassFigures(label, support, found, right, precision, recall, f1)


def mean(values: list[float | None]) -> float | None:
    """The mean of those that are there; None where none is."""
    there = [v for v in values if v is not None]
    return sum(there) / len(there) if there else None
