"""Two traces side by side: the first difference, and what changed in the verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Struct

from edge.events import AgentEffect, Tick
from edge.trace.codec import Row, unpack
from edge.trace.head import Head
from sims.difference import Difference, FieldDifference, fields, row_fields, same_row
from sims.replay import SHOW_EVERY, Show
from sims.verdicts import Tally, Verdicts


class Compared(Struct, frozen=True):
    """``settings`` are fields of the two heads that differ; ``rows`` how many each has, of which ``alone`` have no partner
    (rows of one time are partners). ``differing`` counts those that differ, or are alone; a tick alone, as a replay with
    other settings makes, only where it did something.
    """

    same: bool
    rows: tuple[int, int]
    differing: int
    alone: int
    settings: tuple[FieldDifference, ...]
    first: Difference | None
    verdicts: Tally


class _Side:
    """One trace, one row ahead."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows: Iterator[Row] = iter(rows)
        self.n = 0
        self.row: Row | None = None
        self.first_ns: int | None = None
        self.step()

    def step(self) -> None:
        self.row = next(self._rows, None)
        if self.row is not None:
            self.n += 1
            self.first_ns = self.row.t_ns if self.first_ns is None else self.first_ns

    def at_s(self, row: Row) -> float:
        return (row.t_ns - (self.first_ns or 0)) / 1e9


def compare(
    heads: tuple[Head, Head], rows: tuple[Iterable[Row], Iterable[Row]], show: Show = lambda _: None
) -> Compared:
    """All rows of both. Raises InputError TRACE_UNREADABLE."""
    settings = tuple(head_fields(*heads))
    a, b = _Side(rows[0]), _Side(rows[1])
    verdicts = Verdicts()
    first: Difference | None = None
    differing = alone = 0
    while a.row is not None or b.row is not None:
        left, right = _pair(a.row, b.row)
        alone += left is None or right is None
        difference = _differ(left, right, a, b)
        if difference is not None:
            differing += 1
            first = first or difference
        for number, side, row in ((0, a, left), (1, b, right)):
            if row is not None:
                verdicts.add(number, _results(row), side.at_s(row))
                side.step()
        if (a.n + b.n) % SHOW_EVERY == 0:
            show(a.n + b.n)
    show(a.n + b.n)
    tally = verdicts.tally()
    return Compared(first is None and not settings, (a.n, b.n), differing, alone, settings, first, tally)


def head_fields(before: Head, after: Head) -> Iterator[FieldDifference]:
    """What the cores were told otherwise; when and how a trace was made does not count."""
    for name in ("settings", "policies", "boot"):
        sides = [msgspec.structs.asdict(head)[name] for head in (before, after)]
        if name == "settings":
            sides = [msgspec.structs.replace(one, command_key=b"") for one in sides]
        yield from fields(name, *sides)


def _pair(left: Row | None, right: Row | None) -> tuple[Row | None, Row | None]:
    """The two to be compared; of two that are no pair the earlier one alone, and of two at one time the tick."""
    if left is None or right is None:
        return left, right
    if left.t_ns != right.t_ns:
        return (left, None) if left.t_ns < right.t_ns else (None, right)
    if left.name != right.name and "Tick" in {left.name, right.name}:
        return (left, None) if left.name == "Tick" else (None, right)
    return left, right


def _differ(left: Row | None, right: Row | None, a: _Side, b: _Side) -> Difference | None:
    if left is not None and right is not None:
        if same_row(left, right):
            return None
        return Difference(a.n, b.n, a.at_s(left), left.name, row_fields(left, right))
    row, side = (left, a) if left is not None else (right, b)
    assert row is not None
    if isinstance(row.what, Tick) and not row.effects:
        return None
    said = f"{row.name} with {', '.join(name for name, _ in row.effects) or 'no effect'}"
    sides = ("absent", said) if left is None else (said, "absent")
    return Difference(a.n, b.n, side.at_s(row), row.name, (FieldDifference("row", *sides),))


def _results(row: Row) -> Iterator[AgentEffect]:
    return (unpack(name, data) for name, data in row.effects if name == "Append")
