"""What a rule gives: one guess about a file, with its reasons and its doubts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from edge.models.inspect.facts import Facts
from edge.vision.conventions import HeadSpec

SURE, LIKELY, FAIR, POOR = 0.98, 0.85, 0.6, 0.35
"""Of confidence: the file says so itself; names and shapes fit nothing else we know; fits well, others are possible;
hardly more than a possibility."""


@dataclass(frozen=True, slots=True)
class Guess:
    """What a rule found out.

    ``prior`` names the row of :mod:`~edge.models.inspect.priors` that says how such models are usually fed.
    ``labels`` are empty where the file names none; ``label_set`` then names a built-in set that is usual.
    ``evidence`` and ``unsure`` are sentences. ``input_changes`` are fields of InputSpec that the rule knows better.
    ``rivals``: other heads that the same shapes fit; a probe picture decides. ``size_px``: width and height that are
    usual where the input's size is free. ``labels_why`` says where ``labels`` are from, where not from the metadata.
    """

    head: HeadSpec
    n_labels: int
    confidence: float
    evidence: tuple[str, ...]
    prior: str = ""
    labels: tuple[str, ...] = ()
    label_set: str = ""
    unsure: tuple[str, ...] = ()
    input_changes: dict[str, Any] = field(default_factory=dict)
    size_px: tuple[int, int] | None = None
    rivals: tuple[HeadSpec, ...] = ()
    thresholds: dict[str, Any] = field(default_factory=dict)
    labels_why: str = ""


Rule = Callable[[Facts], Guess | None]


def shown(shape: tuple[int, ...]) -> str:
    """``[1, 84, 2100]``."""
    return f"[{', '.join(map(str, shape))}]"
