"""What is read or measured: texts, codes, named numbers."""

from __future__ import annotations

import re

import numpy as np

from edge.errors import InputError
from edge.evaluate.metrics.intervals import share_of
from edge.evaluate.metrics.words import edits, errors
from edge.evaluate.results import Figure, Record, Scored, Table
from edge.evaluate.scorers.base import Seen


class TextScorer:
    """Texts and codes. A true text is read if one line, or all lines together, are exactly it; gaps count as one."""

    def __init__(self, confidence: float) -> None:
        self._confidence = confidence
        self._exact: list[bool] = []
        self._within: list[bool] = []
        self._edits = self._characters = 0

    def take(self, seen: Seen) -> Record:
        lines = [_gaps(text) for text in seen.found.texts]
        candidates = [*lines, _gaps(" ".join(lines))]
        worst, notes = 0.0, []
        for text in seen.sample.texts or ():
            true = _gaps(text)
            within = any(true in c for c in candidates)
            self._within.append(within)
            if seen.sample.partial:
                # What is around it is right as well: an edit distance would count it.
                worst = max(worst, float(not within))
                notes.append(f"{true[:40]!r} {'is' if within else 'is not'} in {candidates[-1][:60]!r}")
                continue
            nearest = min(candidates, key=lambda c: edits(c, true))
            off = edits(nearest, true)
            self._exact.append(off == 0)
            self._edits += off
            self._characters += len(true)
            worst = max(worst, off / max(len(true), 1))
            notes.append(f"{true[:40]!r} read as {nearest[:40]!r}")
        return Record(seen.index, seen.sample.name, fault=worst, note="; ".join(notes[:3]))

    def scored(self) -> Scored:
        exact = share_of(sum(self._exact), len(self._exact), self._confidence)
        within = share_of(sum(self._within), len(self._within), self._confidence)
        rate = self._edits / self._characters if self._characters else None
        contained = Figure("contained", "texts contained", within.share, "it is part of what was read", within)
        if not self._exact:
            return Scored([contained])
        return Scored(
            [
                Figure("exact", "texts read exactly", exact.share, "a line, or all lines together, equals it", exact),
                contained,
                Figure("cer", "character error rate", rate, "edits to the nearest line over characters of the truth"),
            ]
        )


class ValueScorer:
    """Named numbers of the whole frame or window."""

    def __init__(self) -> None:
        self._pairs: dict[str, list[tuple[float, float]]] = {}

    def take(self, seen: Seen) -> Record:
        said, true = seen.found.values, seen.sample.values
        names = [name for name in true if name in said]
        if not names and len(said) == len(true) == 1:
            # One number each: names do not matter.
            said = dict(zip(true, said.values(), strict=True))
            names = list(true)
        if not names:
            why = f"the model gives {', '.join(said) or 'none'}"
            raise InputError("DATASET_UNFIT", f"no number of {seen.sample.name} is one of the model's", why)
        for name in names:
            self._pairs.setdefault(name, []).append((said[name], true[name]))
        off = [abs(said[name] - true[name]) for name in names]
        note = ", ".join(f"{name} {true[name]:.4g}, said {said[name]:.4g}" for name in names[:3])
        return Record(seen.index, seen.sample.name, fault=max(off), note=note)

    def scored(self) -> Scored:
        rows = []
        for name, pairs in self._pairs.items():
            found, true = np.array(pairs).T
            mae, rmse, bias = errors(found, true)
            rows.append((name, len(pairs), f"{mae:.5g}", f"{rmse:.5g}", f"{bias:.5g}"))
        out = Scored(
            tables=[Table("values", "Numbers", "said minus true", ("name", "n", "MAE", "RMSE", "bias"), tuple(rows))]
        )
        for name, pairs in self._pairs.items():
            mae, rmse, _ = errors(*np.array(pairs).T)
            out.figures.append(Figure(f"mae_{name}", f"mean error of {name}", mae, percent=False))
            out.figures.append(Figure(f"rmse_{name}", f"root mean square error of {name}", rmse, percent=False))
        return out


def _gaps(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
