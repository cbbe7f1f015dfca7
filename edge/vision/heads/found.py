"""Finding a convention's tensors among a model's outputs, by what they are called and by their shapes.

Exporters number their outputs as often as they name them, so shapes decide, names where shapes do not, and the order
of the outputs last.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.vision.heads.base import Floats, Outputs, Shapes

BOX_WORDS = re.compile(r"box|loc|reg|delta|coord|dets?\b", re.IGNORECASE)
SCORE_WORDS = re.compile(r"score|conf|cls|class|logit|prob|label", re.IGNORECASE)
AUX_WORDS = re.compile(r"raw_|multiclass|anchor|landm|kps", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Found:
    """An output seen as ``(n, width)``; ``turned``: the tensor holds ``(width, n)``."""

    name: str
    n: int
    width: int
    turned: bool

    def rows(self, outputs: Outputs) -> Floats:
        """float32 ``(n, width)``, a view where the type allows it."""
        array: NDArray[Any] = np.asarray(outputs[self.name], np.float32)
        return array.reshape(self.width, self.n).T if self.turned else array.reshape(self.n, self.width)


def table(name: str, shape: Sequence[int], widths: Sequence[int]) -> Found | None:
    """An output as a table whose rows have one of these widths, or None. ``(1, n, c)``, ``(n, c)``, ``(1, n, 1, c)``,
    ``(1, c, n)``, ``(1, c, h, w)`` and ``(1, h, w, c)`` are tables of ``c`` columns.
    """
    dims = list(shape)
    if len(dims) > 2 and dims[0] == 1:  # noqa: PLR2004  (a batch of one)
        dims = dims[1:]
    if len(dims) == 3 and dims[1] == 1:  # noqa: PLR2004  (n, 1, c)
        dims = [dims[0], dims[2]]
    match dims:
        case [n, c] if c in widths:
            return Found(name, n, c, turned=False)
        case [c, n] if c in widths:
            return Found(name, n, c, turned=True)
        case [c, h, w] if c in widths:
            return Found(name, h * w, c, turned=True)
        case [h, w, c] if c in widths:
            return Found(name, h * w, c, turned=False)
        case _:
            return None


def levels(shapes: Shapes, widths: Sequence[int]) -> list[tuple[Found, ...]]:
    """Outputs that belong together, one group a map, the finest first: in each, a table for each of ``widths`` in
    their order, or one table that has them all side by side. Empty where the outputs are not like this.
    """
    joined = sum(widths)
    tables = [table(name, shape, [*widths, joined]) for name, shape in shapes.items()]
    seen = [one for one in tables if one is not None]
    if len(seen) < len(tables):
        return []
    # As many rows as columns may have, once in a while: then they lie as the others do.
    clear = [one.turned for one in seen if one.n not in {*widths, joined}]
    if clear and all(clear):
        seen = [one if one.turned else Found(one.name, one.width, one.n, turned=True) for one in seen]
    groups: dict[int, list[Found]] = {}
    for one in seen:
        groups.setdefault(one.n, []).append(one)
    made: list[tuple[Found, ...]] = []
    for n in sorted(groups, reverse=True):
        group = groups[n]
        if len(group) == 1 and group[0].width == joined:
            made.append((group[0],))
            continue
        picked: list[Found] = []
        for width in widths:
            fitting = [one for one in group if one.width == width and one not in picked]
            if not fitting:
                return []
            picked.append(fitting[0])
        if len(picked) != len(group):
            return []
        made.append(tuple(picked))
    return made


def parts(level: tuple[Found, ...], outputs: Outputs, widths: Sequence[int]) -> list[Floats]:
    """The tables of one map, ``(n, width)`` each."""
    if len(level) == len(widths):
        return [one.rows(outputs) for one in level]
    bounds = np.cumsum([0, *widths])
    rows = level[0].rows(outputs)
    return [rows[:, a:b] for a, b in pairwise(bounds.tolist())]


def boxes_and_scores(
    shapes: Shapes, boxes_output: str, scores_output: str, classes: Sequence[int]
) -> tuple[Found, Found] | None:
    """The table of boxes ``(N, 4)`` and the table of scores ``(N, C)`` with C in ``classes``, or None."""
    pairs = []
    for box_name, box_shape in shapes.items():
        boxes = table(box_name, box_shape, (4,))
        if boxes is None or boxes_output not in {"", box_name}:
            continue
        for name, shape in shapes.items():
            scores = table(name, shape, classes)
            if name == box_name or scores is None or scores_output not in {"", name}:
                continue
            scores = _as_long(scores, boxes.n, classes)
            if scores is not None:
                liked = bool(BOX_WORDS.search(box_name)) + bool(SCORE_WORDS.search(name))
                liked -= bool(AUX_WORDS.search(box_name)) + bool(AUX_WORDS.search(name))
                pairs.append((liked, boxes, scores))
    if not pairs:
        return None
    _, boxes, scores = max(pairs, key=lambda pair: pair[0])  # the first of several that are liked alike
    return boxes, scores


def _as_long(scores: Found, n: int, classes: Sequence[int]) -> Found | None:
    """The same table, or turned, so that it has ``n`` rows."""
    if scores.n == n:
        return scores
    if scores.width == n and scores.n in classes:
        return Found(scores.name, n, scores.n, not scores.turned)
    return None
