"""What an evaluation gives, before it is a table, a JSON document or a page."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edge.evaluate.metrics.binary import Promise
from edge.evaluate.metrics.intervals import Share


@dataclass(frozen=True, slots=True)
class Record:
    """What became of one picture, small enough to keep for all.

    ``bad``: the truth, None where it does not say. ``score``: how bad the model says it is; ``rejected`` at the working
    threshold, None where there is none. ``fault`` says how wrong the task's own answer was: 0 right, more is worse.
    ``note`` is the truth and the answer in words.
    """

    index: int
    name: str
    bad: bool | None = None
    score: float | None = None
    rejected: bool | None = None
    fault: float = 0.0
    note: str = ""


class Figure(Struct, frozen=True):
    """A headline: ``key`` in JSON, ``name`` for people. ``share`` where it is a count of a count."""

    key: str
    name: str
    value: float | None
    about: str = ""
    share: Share | None = None
    percent: bool = True


class Table(Struct, frozen=True):
    """``rows`` hold text, numbers 0..1 (shown as %), counts (int) and None."""

    key: str
    title: str
    about: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | int | float | None, ...], ...]


class Plot(Struct, frozen=True):
    """Lines over 0..1 or over ``x_range``; ``series``: name, x, y. ``mark``: an upright line, and its word."""

    title: str
    about: str
    x_label: str
    y_label: str
    series: tuple[tuple[str, tuple[float, ...], tuple[float, ...]], ...]
    x_range: tuple[float, float] = (0.0, 1.0)
    marks: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Matrix:
    """Counts ``(n, n)``, rows the truth, columns the answer."""

    labels: tuple[str, ...]
    counts: NDArray[np.int64]


@dataclass(slots=True, eq=False)
class Scored:
    """What a task's own figures are; ``extra`` goes into the JSON as it is."""

    figures: list[Figure] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)
    matrix: Matrix | None = None
    notes: list[str] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)


class Inspection(Struct, frozen=True):
    """Good and bad pictures. ``threshold`` is the working one, None where labels have their own or there is none."""

    n_good: int
    n_bad: int
    escapes: Share | None
    overkill: Share | None
    auroc: float | None
    average_precision: float | None
    threshold: float | None
    promise: Promise


class Failed(Struct, frozen=True):
    """A picture that could not be judged."""

    source: str
    code: str
    what: str


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """All of it. ``ms_per_picture``: mean of preprocess, inference and postprocess."""

    task: str
    records: tuple[Record, ...]
    scored: Scored
    inspection: Inspection | None
    failed: tuple[Failed, ...]
    notes: tuple[str, ...]
    ms_per_picture: float
