"""The line between good and anomalous, from pictures of good parts alone: at a stated false-alarm rate, with what is
not known about it.

Where there are enough pictures, an order statistic: of n + 1 exchangeable scores, the new one is above the k-th of the
n others with probability (n + 1 - k) / (n + 1), whatever the distribution; the rate beyond it is Beta(n + 1 - k, k)
distributed (Wilks, Determination of Sample Sizes for Setting Tolerance Limits, 1941). Where there are fewer than the
rate needs, the tail is extrapolated: logarithms of the scores (the scores, where some are as good as 0 or below) are taken to be
normal with unknown mean and spread; both are drawn from their posterior under the usual flat prior (Gelman et al.,
Bayesian Data Analysis, section 3.2), and the threshold is where the mean rate of the draws is the one wished for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edge.errors import InputError

FEWEST = 5
"""Of fewer scores nothing can be said about a tail."""
CONFIDENCE = 0.95
_DRAWS = 4000
_HALVINGS = 60
_DECADES = 1e-6  # scores that span more are not log-normal: some are as good as zero

Doubles = NDArray[np.float64]


class Line(Struct, frozen=True):
    """A threshold: at or above it is anomalous. ``expected`` false-alarm rate, and the interval ``low`` to ``high`` that
    holds it with 95 % confidence.
    """

    threshold: float
    expected: float
    low: float
    high: float
    method: str
    outlying: bool = False
    """The highest score lies further out than the tail's model lets expect once in a hundred times."""


def pictures_needed(false_alarms: float) -> tuple[int, int]:
    """How many good pictures a rate takes without extrapolation, and how many so that it is kept with 95 % confidence."""
    on_average = math.ceil(1 / false_alarms - 1 - 1e-9)
    surely = math.ceil(math.log(1 - CONFIDENCE) / math.log1p(-false_alarms))
    return on_average, surely


def line_of(scores: Sequence[float], false_alarms: float) -> Line:
    """From scores of good pictures. Raises InputError CALIBRATION_TOO_FEW or CALIBRATION_CONSTANT."""
    ordered = np.sort(np.asarray(scores, np.float64))
    n = len(ordered)
    if n < FEWEST:
        why = f"a tail can be told from {FEWEST} on; {false_alarms:g} false alarms need {pictures_needed(false_alarms)[0]}"
        raise InputError("CALIBRATION_TOO_FEW", f"there are only {n} good pictures", why, "add pictures of good parts")
    if ordered[0] == ordered[-1]:
        raise InputError(
            "CALIBRATION_CONSTANT",
            "all good pictures have the same score",
            f"it is {ordered[0]:g}",
            "check that the model is alive and the pictures differ",
        )
    rank = math.ceil((n + 1) * (1 - false_alarms) - 1e-9)
    return _ranked(ordered, rank) if rank <= n else _extrapolated(ordered, false_alarms)


def _ranked(ordered: Doubles, rank: int) -> Line:
    above, n = len(ordered) + 1 - rank, len(ordered)
    low, high = (beta_quantile(p, above, rank) for p in _ends())
    return Line(readable_above(float(ordered[rank - 1])), above / (n + 1), low, high, "order statistic")


def _extrapolated(ordered: Doubles, false_alarms: float) -> Line:
    positive = bool(ordered[0] > ordered[-1] * _DECADES)
    values = np.log(ordered) if positive else ordered
    n, mean, spread = len(values), float(values.mean()), float(values.std(ddof=1))
    # Seeded: the same pictures give the same threshold.
    rng = np.random.default_rng(0)
    spreads = spread * np.sqrt((n - 1) / rng.chisquare(n - 1, _DRAWS))
    means = mean + spreads / math.sqrt(n) * rng.standard_normal(_DRAWS)

    def rates(at: float) -> Doubles:
        return _beyond((at - means) / spreads)

    # Bracketed generously: fifty spreads above the mean, no draw of five scores or more has a tail there.
    low, high = mean, mean + 1000 * spread
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if rates(middle).mean() > false_alarms else (low, middle)
    worst, best = np.quantile(rates(high), _ends())
    outlying = 1 - (1 - float(rates(float(values[-1])).mean())) ** n < 0.01  # noqa: PLR2004  (once in a hundred times)
    method = "log-normal tail" if positive else "normal tail"
    threshold = readable_above(math.exp(high) if positive else high)
    return Line(threshold, float(rates(high).mean()), float(worst), float(best), method, outlying)


def readable_above(value: float) -> float:
    """The next number of five digits above one that is itself good: for people, and so that no score of six digits, as
    results print it, seems to reach a threshold that it does not.
    """
    if value == 0:
        return 1e-9
    step = 10.0 ** (math.floor(math.log10(abs(value))) - 4)
    shown, steps = float(f"{value:.6g}"), math.ceil(value / step)
    # One more step is enough but where a power of ten is passed, which makes the digits ten times as coarse.
    candidates = (float(f"{(steps + more) * step:.5g}") for more in range(12))
    return next(found for found in candidates if found > max(shown, value))


def beta_quantile(p: float, a: int, b: int) -> float:
    """Of the Beta(a, b) distribution, whole parameters: the x where ``P(Binomial(a + b - 1, x) >= a) = p``."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _at_least(a, a + b - 1, middle) < p else (low, middle)
    return (low + high) / 2


def _at_least(a: int, n: int, x: float) -> float:
    """P(Binomial(n, x) >= a), by logarithms, so that large n do not overflow."""
    if not 0 < x < 1:
        return float(x >= 1)
    j = np.arange(a, n + 1)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    logs = log_factorial[n] - log_factorial[j] - log_factorial[n - j] + j * math.log(x) + (n - j) * math.log1p(-x)
    return float(np.exp(logs).sum())


def _beyond(z: Doubles) -> Doubles:
    """The standard normal distribution's mass above z, to six digits: numpy has no erfc, so its logarithm is interpolated
    in a table of the standard library's.
    """
    places, logs = _table()
    return np.asarray(np.exp(np.interp(z, places, logs)), np.float64)


@lru_cache(maxsize=1)
def _table() -> tuple[Doubles, Doubles]:
    places = np.linspace(-37.0, 37.0, 14_801)  # beyond, a double holds 0 or 1
    return places, np.array([math.log(0.5 * math.erfc(z / math.sqrt(2))) for z in places.tolist()])


def _ends() -> tuple[float, float]:
    return (1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2
