"""Is it bad? What the truth says of a whole picture, what the model says, and what follows for the line."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from edge.evaluate.metrics.binary import Sweep, auroc, average_precision, promise, sweep
from edge.evaluate.metrics.intervals import share_of
from edge.evaluate.names import Names
from edge.evaluate.results import Inspection, Plot, Record
from edge.evaluate.truth import Sample
from edge.vision.prediction import Prediction

Again = Callable[[float], Prediction]
"""The same frame decoded at another threshold."""

FLOOR = 0.001
"""Lowest threshold that is tried; curves begin here."""
_HALVINGS = 9


def rows_that_count(prediction: Prediction, names: Names) -> list[int]:
    """Rows whose label does not mean that all is well."""
    return [row for row, name in enumerate(prediction.names) if not names.is_good(name)]


def bad_score(low: Prediction, names: Names, again: Again | None) -> float:
    """The highest threshold at which the picture is still rejected, 0 where it is at none.

    ``low`` is decoded at the lowest threshold. Mostly that is the best score; where a region must have a certain size
    it is not, because regions shrink as the threshold rises: then ``again`` is asked, halving the gap.
    """
    rows = rows_that_count(low, names)
    if not rows:
        return 0.0
    best = float(low.scores[rows].max())
    if again is None or rows_that_count(again(best), names):
        return best
    lowest, highest = FLOOR, best
    for _ in range(_HALVINGS):
        middle = (lowest + highest) / 2
        if rows_that_count(again(middle), names):
            lowest = middle
        else:
            highest = middle
    return lowest


def truth_is_bad(sample: Sample, names: Names, marked: bool | None) -> bool | None:
    """By the class of the picture, else by what is in it; ``marked``: the truth shows something.

    None: nobody can judge it, as where there are only crowds.
    """
    if sample.label is not None:
        return not names.is_good(sample.label)
    if sample.things is not None:
        flaws = [thing for thing in sample.things if not names.is_good(thing.label)]
        return True if any(not thing.crowd for thing in flaws) else None if flaws else False
    return marked


def inspect_records(
    records: Sequence[Record], threshold: float | None, rate: float, confidence: float, floor: float
) -> tuple[Inspection, Sweep] | None:
    """Escapes, overkill and the promise; None unless there is at least one bad and one good picture."""
    judged = [(r.bad, r.score, r.rejected) for r in records if r.bad is not None and r.score is not None]
    bad = np.array([b for b, _, _ in judged], bool)
    if not bad.any() or bad.all():
        return None
    scores = np.array([s for _, s, _ in judged], np.float64)
    rejected = [r for _, _, r in judged]
    escapes = overkill = None
    if None not in rejected:
        said = np.array(rejected, bool)
        escapes = share_of(int((bad & ~said).sum()), int(bad.sum()), confidence)
        overkill = share_of(int((~bad & said).sum()), int((~bad).sum()), confidence)
    curve = sweep(scores, bad, floor)
    found = Inspection(
        int((~bad).sum()),
        int(bad.sum()),
        escapes,
        overkill,
        auroc(scores, bad),
        average_precision(scores, bad),
        threshold,
        promise(curve, rate, confidence),
    )
    return found, curve


def plots_of(curve: Sweep, inspection: Inspection) -> list[Plot]:
    """Escapes and overkill over the threshold, and one against the other."""
    marks = [] if inspection.threshold is None else [(inspection.threshold, "working")]
    if inspection.promise.threshold is not None:
        marks.append((inspection.promise.threshold, f"escapes ≤ {100 * inspection.promise.rate:.3g} %: "))
    picked = _thinned(len(curve.thresholds))
    x = curve.thresholds[picked]
    escapes = curve.escapes[picked] / max(curve.n_bad, 1)
    overkill = curve.overkill[picked] / max(curve.n_good, 1)
    edges = [float(x[0]), float(x[-1]), *(m for m, _ in marks if np.isfinite(m))]
    low, high = min(0.0, *edges), max(edges)
    if high > 1.0 + 1e-6 or high < 0.2:  # noqa: PLR2004  (scores in a unit of the model's own)
        low, high = min(edges), max(edges)
    else:
        high = 1.0
    high = high if high > low else low + 1.0
    over_threshold = Plot(
        "Escapes and overkill over the threshold",
        "share of bad pictures that pass, and of good ones that are rejected",
        "threshold",
        "share",
        (
            ("escapes", _floats([low, *x]), _floats([escapes[0], *escapes])),
            ("overkill", _floats([low, *x]), _floats([overkill[0], *overkill])),
        ),
        (low, high),
        tuple((m, w) for m, w in marks if np.isfinite(m)),
    )
    area = "–" if inspection.auroc is None else f"{inspection.auroc:.4f}"
    roc = Plot(
        "ROC",
        f"bad pictures rejected, against good ones rejected; area {area}",
        "overkill",
        "bad rejected",
        (
            ("model", _floats([1.0, *overkill, 0.0]), _floats([1.0, *(1 - escapes), 0.0])),
            ("chance", (0.0, 1.0), (0.0, 1.0)),
        ),
    )
    return [over_threshold, roc]


def _thinned(n: int, most: int = 400) -> list[int]:
    return sorted(set(np.linspace(0, n - 1, min(n, most)).round().astype(int).tolist()))


def _floats(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(float(v) for v in values)
