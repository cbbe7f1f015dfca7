"""How far a share that was counted may be from the true one: exact binomial intervals, without scipy."""

from __future__ import annotations

import math

from msgspec import Struct

_STEPS = 60  # of bisection: 2^-60 is below what a float between 0 and 1 can show
_TERMS = 500
_TINY = 1e-300


class Share(Struct, frozen=True):
    """``count`` of ``of``, with the interval that holds the true share with the stated ``confidence``.

    ``share`` is None where nothing was there to count (``of`` is 0); the interval is then 0 to 1.
    """

    count: int
    of: int
    share: float | None
    low: float
    high: float
    confidence: float


def share_of(count: int, of: int, confidence: float = 0.95) -> Share:
    """The two-sided interval of Clopper and Pearson (Biometrika 26, 1934).

    Exact, hence never narrower than stated, which is what a claim about escapes needs; Wilson's is shorter and holds
    on the average only.
    """
    if not 0 <= count <= of:
        raise ValueError(f"{count} of {of} is no share")
    if of == 0:
        return Share(0, 0, None, 0.0, 1.0, confidence)
    tail = (1.0 - confidence) / 2
    low = 0.0 if count == 0 else _beta_quantile(tail, count, of - count + 1)
    high = 1.0 if count == of else _beta_quantile(1.0 - tail, count + 1, of - count)
    return Share(count, of, count / of, low, high, confidence)


def upper_bound(count: int, of: int, confidence: float = 0.95) -> float:
    """The share that the true one does not exceed with this (one-sided) confidence."""
    return 1.0 if count >= of else _beta_quantile(confidence, count + 1, of - count)


def needed_without_event(rate: float, confidence: float = 0.95) -> int:
    """So many trials without one event are needed to show that its rate is at most ``rate`` (0..1; a thousand millionth
    at least).
    """
    return 1 if rate >= 1.0 else math.ceil(math.log(1.0 - confidence) / math.log1p(-max(rate, 1e-9)))


def _beta_quantile(probability: float, a: float, b: float) -> float:
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if _beta_cdf(middle, a, b) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _beta_cdf(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function, by its continued fraction (DLMF 8.17.22)."""
    if x <= 0.0 or x >= 1.0:
        return float(x >= 1.0)
    if x > (a + 1) / (a + b + 2):  # the fraction converges fast on one side only
        return 1.0 - _beta_cdf(1.0 - x, b, a)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    # Lentz's way: ratios of neighbouring convergents.
    c, d = 1.0, 1.0 / _not_zero(1.0 - (a + b) * x / (a + 1))
    total = d
    for m in range(1, _TERMS):
        for step in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 / _not_zero(1.0 + step * d)
            c = _not_zero(1.0 + step / c)
            total *= c * d
        if abs(c * d - 1.0) < 1e-14:  # noqa: PLR2004  (as good as a float gets)
            break
    return math.exp(log_front) * total / a


def _not_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
