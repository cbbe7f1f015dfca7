"""Whole pictures: a class each, or only good and bad."""

from __future__ import annotations

import numpy as np

from edge.errors import InputError
from edge.evaluate.inspection import bad_score, rows_that_count, truth_is_bad
from edge.evaluate.metrics.confusion import by_class, confusion, mean
from edge.evaluate.metrics.intervals import share_of
from edge.evaluate.names import Names
from edge.evaluate.results import Figure, Matrix, Record, Scored, Table
from edge.evaluate.scorers.base import Seen

_TOP = 5


class ClassScorer:
    """One class a picture: the likeliest counts."""

    def __init__(self, names: Names, confidence: float) -> None:
        self._names = names
        self._confidence = confidence
        self._true: list[int] = []
        self._said: list[int] = []
        self._among: list[bool] = []

    def take(self, seen: Seen) -> Record:
        label = seen.sample.label
        if label is None:
            raise InputError("DATASET_INVALID", f"{seen.sample.name} has no class", "", "leave it out or give it one")
        order = seen.low.names
        if not order:
            raise InputError("MODEL_SILENT", f"the model names no class for {seen.sample.name}")
        true, said = self._names.number(label), self._names.number(order[0])
        scores = dict(zip(order, seen.low.scores.tolist(), strict=True))
        self._true.append(true)
        self._said.append(said)
        self._among.append(true in {self._names.number(name) for name in order[:_TOP]})
        good = [score for name, score in scores.items() if self._names.is_good(name)]
        top = float(seen.low.scores[0])
        has_good = any(self._names.is_good(name) for name in self._names.labels)
        return Record(
            seen.index,
            seen.sample.name,
            bad=not self._names.is_good(label) if has_good else None,
            score=float(np.clip(1.0 - sum(good), 0.0, 1.0)) if has_good else None,
            rejected=not self._names.is_good(order[0]) if has_good else None,
            fault=top if said != true else 0.0,
            note=f"is {label}, taken for {order[0]} {top:.2f}",
        )

    def scored(self) -> Scored:
        labels, n = self._names.labels, len(self._true)
        matrix = confusion(np.array(self._true, np.int64), np.array(self._said, np.int64), len(labels))
        rows = [row for row in by_class(matrix, labels) if row.support or row.found]
        right = share_of(int(np.trace(matrix)), n, self._confidence)
        figures = [Figure("accuracy", "accuracy", right.share, "pictures whose likeliest class is right", right)]
        if len(labels) > _TOP:
            among = share_of(sum(self._among), n, self._confidence)
            figures.append(Figure("top5", "top 5", among.share, "the right class is among the five likeliest", among))
        there = [row for row in rows if row.support]
        figures.append(Figure("macro_recall", "mean recall of classes", mean([row.recall for row in there])))
        figures.append(Figure("macro_f1", "mean F1 of classes", mean([row.f1 for row in there])))
        table = Table(
            "classes",
            "Classes",
            "precision: of what was taken for it, the share that is; recall: of what is, the share that was found",
            ("class", "pictures", "taken for it", "precision", "recall", "F1"),
            tuple((row.label, row.support, row.found, row.precision, row.recall, row.f1) for row in rows),
        )
        used = np.flatnonzero(matrix.sum(axis=0) + matrix.sum(axis=1))
        shown = Matrix(tuple(labels[i] for i in used), matrix[np.ix_(used, used)])
        return Scored(figures, [table], matrix=shown)


class GoodBadScorer:
    """Only good or bad is known of the pictures: any finding rejects."""

    def __init__(self, names: Names) -> None:
        self._names = names

    def take(self, seen: Seen) -> Record:
        rejects = len(rows_that_count(seen.found, self._names)) > 0
        score = bad_score(seen.low, self._names, seen.again)
        bad = truth_is_bad(seen.sample, self._names, None)
        words = f"{len(seen.found)} found" if rejects else "nothing found"
        return Record(seen.index, seen.sample.name, bad, score, rejects, note=f"is {seen.sample.label}, {words}")

    def scored(self) -> Scored:
        return Scored(
            notes=["the data set says of whole pictures what they are, not where: only good and bad are compared"]
        )
