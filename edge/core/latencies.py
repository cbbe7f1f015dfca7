"""How long the last parts took, for metrics and the status page."""

from __future__ import annotations

from collections import deque

LAST = 1000


class Latencies:
    """The last ``LAST`` of them."""

    def __init__(self) -> None:
        self._ms: deque[float] = deque(maxlen=LAST)

    def seen(self, ns: int) -> None:
        """One more."""
        self._ms.append(ns / 1e6)

    def gauges(self) -> dict[str, float]:
        """``latency_p50_ms``, ``latency_p99_ms``, ``latency_max_ms``; nothing before the first."""
        ordered = sorted(self._ms)
        shares = (("p50", 0.5), ("p99", 0.99), ("max", 1.0)) if ordered else ()
        last = len(ordered) - 1
        return {f"latency_{name}_ms": ordered[min(last, int((last + 1) * share))] for name, share in shares}
