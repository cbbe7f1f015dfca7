"""``jidoka sim`` and ``jidoka demo``: run a scenario, show the score, write the report."""

from __future__ import annotations
