"""Inference without pixels: what a model would find, drawn from stated probabilities, for fleets too large to render.

A part is truly bad with ``defect_rate``. A bad part is found with ``recall`` and a good one found bad with
``false_alarm``; scores of findings are drawn evenly from ``found_scores``, and of what is not found from
``missed_scores`` (below any sensible threshold, as a model gives them).
"""

from __future__ import annotations

import random
from typing import Annotated

from msgspec import Meta, Struct

from edge.domain import Finding

Share = Annotated[float, Meta(ge=0.0, le=1.0)]


class Confusion(Struct, frozen=True, forbid_unknown_fields=True):
    """A model as its confusion matrix."""

    label: str = "defect"
    defect_rate: Share = 0.05
    recall: Share = 0.98
    false_alarm: Share = 0.01
    found_scores: tuple[Share, Share] = (0.6, 0.99)
    missed_scores: tuple[Share, Share] = (0.05, 0.3)

    def draw(self, rng: random.Random) -> tuple[bool, bool, tuple[Finding, ...]]:
        """(truly bad, found bad, what the model says)."""
        bad = rng.random() < self.defect_rate
        found = rng.random() < (self.recall if bad else self.false_alarm)
        if not found and not bad:
            return False, False, ()
        low, high = self.found_scores if found else self.missed_scores
        score = round(low + (high - low) * rng.random(), 4)
        x, y = 600.0 * rng.random(), 400.0 * rng.random()
        box = (round(x, 1), round(y, 1), round(x + 40.0, 1), round(y + 40.0, 1))
        return bad, found, (Finding(self.label, score, box, 1600.0),)
