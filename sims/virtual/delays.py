"""How long the way of a frame takes in virtual time: stated, not measured while it runs, so that a run repeats.

Defaults are what the live simulator measures with the demo model on a 2-core x86 machine (medians; the tail is that of
a machine with other work). ``from_profile`` takes the
model's share from what ``jidoka model bench`` kept for this machine; the trace then depends on the machine, too.
"""

from __future__ import annotations

import math
import random
from itertools import pairwise
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

Ms = Annotated[float, Meta(ge=0.0, le=60_000.0)]


class DelaySpec(Struct, frozen=True, forbid_unknown_fields=True):
    """Milliseconds of each step; ``tail_ms`` is the mean of an exponential that is added to the model's time.

    ``exposure_ms``: from the ask to the light. ``transfer_ms``: from the light to the decoded frame.
    ``infer_quantiles_ms``: evenly spaced quantiles of the model's time, the least first and the most last; they stand for
    ``infer_ms`` and ``tail_ms``.
    """

    exposure_ms: Ms = 1.0
    transfer_ms: Ms = 2.4
    preprocess_ms: Ms = 0.2
    infer_ms: Ms = 4.5
    postprocess_ms: Ms = 0.3
    tail_ms: Ms = 1.5
    infer_quantiles_ms: tuple[Ms, ...] = ()
    from_profile: bool = False

    def draw_infer_ms(self, rng: random.Random) -> float:
        """One frame's time in the model, in steps of 0.01 ms."""
        if self.infer_quantiles_ms:
            return round(_between(self.infer_quantiles_ms, rng.random()), 2)
        # a logarithm differs in its last bit between machines; what is left after rounding does not
        return round(self.infer_ms + self.tail_ms * -math.log(1.0 - rng.random()), 2)

    @property
    def capture_ms(self) -> float:
        """From the ask to the frame."""
        return self.exposure_ms + self.transfer_ms


class BusSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """``trip_ms``: one request and its answer (Modbus TCP on a switch: 0.5 to 2). ``timeout_ms`` for an answer."""

    trip_ms: Annotated[float, Meta(gt=0.0, le=1000.0)] = 0.8
    timeout_ms: Annotated[float, Meta(gt=0.0, le=60_000.0)] = 250.0


def with_profile(delays: DelaySpec, p50_ms: float, p99_ms: float) -> DelaySpec:
    """The exponential whose median and 99th percentile are these."""
    tail_ms = max(0.0, p99_ms - p50_ms) / math.log(50.0)
    return replace(delays, infer_ms=max(0.0, p50_ms - tail_ms * math.log(2.0)), tail_ms=tail_ms, infer_quantiles_ms=())


def _between(quantiles: tuple[float, ...], share: float) -> float:
    if len(quantiles) == 1:
        return quantiles[0]
    place = share * (len(quantiles) - 1)
    low, high = list(pairwise(quantiles))[min(int(place), len(quantiles) - 2)]
    return low + (high - low) * (place - min(int(place), len(quantiles) - 2))
