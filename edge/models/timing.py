"""How long a step took."""

from __future__ import annotations

import time


def since_ms(started_ns: int) -> float:
    """Milliseconds since ``started_ns``, a reading of ``time.perf_counter_ns()``."""
    return (time.perf_counter_ns() - started_ns) / 1e6
