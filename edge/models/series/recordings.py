"""Windows out of recordings that a person names, for measuring a model and for making variants of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edge.errors import InputError, JidokaError
from edge.models.files import read_bounded
from edge.models.series.predictor import SeriesPredictor
from edge.series.spec import TABLE_SUFFIXES
from edge.series.table import MAX_TABLE_BYTES, parse_table

MAX_FOLDER_FILES = 100_000

One = TypeVar("One")


def windows_in(
    predictor: SeriesPredictor, place: Path, most: int, say: Callable[[str], None] = lambda _: None
) -> list[NDArray[np.float64]]:
    """At most ``most`` windows ``(T, C)`` in sensor units of a table, or of the tables in a folder and those below it,
    spread evenly over files and time. What cannot be read, and windows that are not whole, are left out, and said.
    Raises InputError FOLDER_EMPTY, SERIES_ABSENT, and where ``place`` is one file those of reading it.
    """
    files = spread(_tables(place), most)
    each = -(-most // len(files))
    found: list[NDArray[np.float64]] = []
    for file in files:
        try:
            table = parse_table(read_bounded(file, MAX_TABLE_BYTES, "FILE"), str(file))
            whole = spread((np.array(one.values) for one in predictor.windows(table, str(file))), each)
        except JidokaError as error:
            if not place.is_dir():
                raise
            say(f"left out: {error}")
            continue
        fit = [one for one in whole if _fits(predictor, one)]
        if len(fit) < len(whole):
            say(f"{file}: windows that are not whole are left out: {len(whole) - len(fit)}")
        found += fit
    if not found:
        raise InputError("SERIES_ABSENT", f"{place} has no whole window", "", "name a recording of what it is for")
    return found[:most]


def spread(items: Iterable[One], most: int) -> list[One]:
    """At most ``most`` of any number, evenly; no more than twice as many are held at any time."""
    kept: list[One] = []
    step = 1
    for i, one in enumerate(items):
        if i % step == 0:
            kept.append(one)
            if len(kept) == 2 * most:
                kept, step = kept[::2], 2 * step
    if len(kept) <= most:
        return kept
    return [kept[i * len(kept) // most] for i in range(most)]


def _tables(place: Path) -> list[Path]:
    if not place.is_dir():
        return [place]
    files = islice(
        (p for p in place.rglob("*") if p.suffix.lower() in TABLE_SUFFIXES and not p.name.startswith(".")),
        MAX_FOLDER_FILES,
    )
    found = sorted(files)
    if not found:
        hint = f"it may hold {', '.join(sorted(TABLE_SUFFIXES))}"
        raise InputError("FOLDER_EMPTY", f"{place} has no tables of samples", "", hint)
    return found


def _fits(predictor: SeriesPredictor, samples: NDArray[np.float64]) -> bool:
    try:
        predictor.preprocess(samples)
    except InputError:
        return False
    return True
