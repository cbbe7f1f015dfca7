"""What a run looked like over time, for pictures: lanes of states, faults, and curves. Pure values.

::

    Recorder.see(t_s, lane, shares) ──▶ Lane: [ ok ──────── | apart ── | ok ── ]
    Recorder.mark(…)                ──▶ Mark: what went wrong, from when to when
    Recorder.plot(…)                ──▶ Curve: how much of something there was

Nothing here is part of a run: it is looked at from outside, between two moments, and changes no trace hash.
"""

from __future__ import annotations

from typing import Literal, get_args

from msgspec import Struct

State = Literal["ok", "behind", "apart", "blind", "standing", "off"]
"""``ok`` works and is heard; ``behind`` is heard, and the ledger lacks what it made; ``apart`` works and is not heard;
``blind`` runs and can inspect nothing; ``standing`` is stopped on purpose; ``off`` is not there."""

STATES: tuple[State, ...] = get_args(State)
STATE_WORDS: dict[State, str] = {
    "ok": "works, and is heard",
    "behind": "sends what it kept",
    "apart": "works on alone, keeps its records",
    "blind": "runs, and cannot inspect",
    "standing": "stands",
    "off": "is not there",
}

Shares = tuple[tuple[State, float], ...]
"""How much of a lane is in which state; together 1."""


class Span(Struct):
    """A lane's time without a change, in seconds of the run."""

    began_s: float
    ended_s: float
    shares: Shares


class Dot(Struct, frozen=True):
    """One thing that happened on a lane: a part, an answer. ``kind`` is a CSS class of the report's."""

    t_s: float
    kind: str
    text: str = ""


class Lane(Struct):
    """One agent, group or machine. ``dots`` are drawn in place of states where there are any."""

    name: str
    spans: list[Span] = []
    dots: list[Dot] = []


class Mark(Struct, frozen=True):
    """Something that went wrong, or was done on purpose."""

    text: str
    began_s: float
    ended_s: float


class Curve(Struct):
    """A quantity over time. Curves with the same ``plot`` are drawn over each other."""

    plot: str
    name: str
    points: list[tuple[float, float]] = []


class Chronicle(Struct):
    """All of one run."""

    seconds: float = 0.0
    lanes: list[Lane] = []
    marks: list[Mark] = []
    curves: list[Curve] = []


class Recorder:
    """Collects a chronicle; ``t_s`` must not go back."""

    def __init__(self) -> None:
        self._lanes: dict[str, Lane] = {}
        self._curves: dict[tuple[str, str], Curve] = {}
        self._marks: list[Mark] = []

    def see(self, t_s: float, name: str, shares: Shares) -> None:
        """How a lane is at this moment; until now it is taken to have been as it was: no effect before its cause."""
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = Lane(name, [], [])
        spans = lane.spans
        if spans:
            spans[-1].ended_s = t_s
        if not spans or spans[-1].shares != shares:
            spans.append(Span(t_s, t_s, shares))

    def plot(self, t_s: float, plot: str, name: str, value: float) -> None:
        """One point of a curve."""
        curve = self._curves.get((plot, name))
        if curve is None:
            curve = self._curves[plot, name] = Curve(plot, name, [])
        curve.points.append((round(t_s, 2), round(value, 2)))

    def mark(self, text: str, began_s: float, ended_s: float) -> None:
        """Something went wrong."""
        self._marks.append(Mark(text, began_s, ended_s))

    def dots(self, name: str, dots: list[Dot]) -> None:
        """A lane of single things."""
        self._lanes[name] = Lane(name, [], dots)

    def done(self, seconds: float) -> Chronicle:
        """Everything, with the faults in order of time."""
        marks = sorted(self._marks, key=lambda mark: (mark.began_s, mark.ended_s, mark.text))
        return Chronicle(seconds, list(self._lanes.values()), marks, list(self._curves.values()))
