"""Good or bad: escapes, overkill, the curve over all thresholds, and the threshold that keeps a promise.

An escape is a bad picture that is not rejected, overkill a good one that is. A picture is rejected where its score is
at or above the threshold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edge.evaluate.metrics.intervals import Share, needed_without_event, share_of, upper_bound

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Sweep:
    """Escapes and overkill at every threshold that makes a difference, lowest first.

    All arrays have the shape ``(k,)``; the last threshold is above all scores (everything passes). ``reachable``: the
    lowest score that a threshold may have; what scored lower was not found at all, at any threshold.
    """

    thresholds: Floats
    escapes: NDArray[np.int64]
    overkill: NDArray[np.int64]
    n_bad: int
    n_good: int


class Promise(Struct, frozen=True):
    """The threshold for a stated escape rate.

    ``threshold`` is the highest at which no more than ``rate`` of the bad pictures here escaped (None: not reachable,
    ``why`` says so), with ``escapes`` and ``overkill`` at it. ``shown`` is true if the bad pictures are enough to
    show the rate with ``confidence``, one-sided; ``shown_threshold`` the highest threshold for which they are.
    ``bad_needed``: so many bad pictures without one escape would be needed.
    """

    rate: float
    confidence: float
    threshold: float | None
    escapes: Share | None
    overkill: Share | None
    shown: bool
    shown_threshold: float | None
    shown_overkill: Share | None
    bad_needed: int
    why: str = ""


def auroc(scores: NDArray[Any], bad: Bools) -> float | None:
    """Area under the ROC curve: the chance that a bad picture scores above a good one, ties counting half.

    By ranks (Mann and Whitney), so that ties are exact. None where one of the two kinds is absent.
    """
    n_bad, n_good = int(bad.sum()), int((~bad).sum())
    if not n_bad or not n_good:
        return None
    _, place, counts = np.unique(np.asarray(scores, np.float64), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return float((ranks[bad].sum() - n_bad * (n_bad + 1) / 2) / (n_bad * n_good))


def average_precision(scores: NDArray[Any], bad: Bools) -> float | None:
    """Sum over thresholds of precision times the step in recall (no interpolation). None without a bad picture."""
    if not bad.any():
        return None
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    values, hits = np.asarray(scores, np.float64)[order], np.cumsum(bad[order])
    last = np.flatnonzero(np.append(np.diff(values) != 0, True))
    steps = np.diff(np.concatenate([[0], hits[last]]))
    return float((steps * hits[last] / (last + 1)).sum() / bad.sum())


def sweep(scores: NDArray[Any], bad: Bools, floor: float = -np.inf) -> Sweep:
    """Every threshold above ``floor`` that makes a difference: the scores themselves, and one above them all.

    A score at or below ``floor`` means that nothing was found at the lowest threshold that can be set.
    """
    scores = np.asarray(scores, np.float64)
    cuts = np.unique(scores[scores > floor])
    cuts = np.append(cuts, np.nextafter(cuts[-1], np.inf) if len(cuts) else 1.0)
    bad_sorted, good_sorted = np.sort(scores[bad]), np.sort(scores[~bad])
    escapes = np.searchsorted(bad_sorted, cuts, side="left")
    overkill = len(good_sorted) - np.searchsorted(good_sorted, cuts, side="left")
    return Sweep(cuts, escapes.astype(np.int64), overkill.astype(np.int64), len(bad_sorted), len(good_sorted))


def promise(curve: Sweep, rate: float, confidence: float = 0.95) -> Promise:
    """The highest threshold whose escapes stay at or below ``rate`` (0..1), and whether the data are enough to say so.

    The threshold is chosen on the very pictures it is judged by: on others it will do somewhat worse, which is what
    the bound is for.
    """
    needed = needed_without_event(rate, confidence) if rate > 0 else 0
    observed = np.flatnonzero(curve.escapes <= rate * curve.n_bad + 1e-9)
    if not curve.n_bad or not len(observed):
        least = int(curve.escapes[0]) if curve.n_bad else 0
        why = (
            f"even at the lowest threshold {least} of {curve.n_bad} bad pictures pass"
            if curve.n_bad
            else "there is no bad picture"
        )
        return Promise(rate, confidence, None, None, None, False, None, None, needed, why)
    at = int(observed[-1])
    escapes = share_of(int(curve.escapes[at]), curve.n_bad, confidence)
    # The bound rises with the escapes: only counts below the observed ones have to be tried.
    bounds = {k: upper_bound(k, curve.n_bad, confidence) for k in np.unique(curve.escapes[: at + 1]).tolist()}
    shown = [i for i in range(at + 1) if bounds[int(curve.escapes[i])] <= rate]
    there = shown[-1] if shown else None
    why = "" if shown else _too_few(curve, rate, needed)
    return Promise(
        rate,
        confidence,
        float(curve.thresholds[at]),
        escapes,
        share_of(int(curve.overkill[at]), curve.n_good, confidence),
        there == at,
        None if there is None else float(curve.thresholds[there]),
        None if there is None else share_of(int(curve.overkill[there]), curve.n_good, confidence),
        needed,
        why,
    )


def _too_few(curve: Sweep, rate: float, needed: int) -> str:
    if rate > 0 and curve.n_bad < needed:
        return f"{curve.n_bad} bad pictures are too few to show it: {needed} without an escape would be needed"
    return "no threshold has few enough escapes to show it"
