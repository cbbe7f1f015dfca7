"""What changed in the verdicts between two runs of one line: every part by its number since boot, before and after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from msgspec import Struct

from edge.domain import Decision, Reason
from edge.events import AgentEffect, Append
from edge.messages import Result

CHANGES_MOST = 1000
"""So many changed parts are kept one by one; all are counted."""
WAITING_MOST = 10_000
"""So many parts of one side may wait for the other's; more have no partner."""


class Change(Struct, frozen=True):
    """One part that was judged otherwise. ``before`` or ``after`` is None where one side has no record of it.

    ``at_s`` is since the trace's first row. ``same_decision``: only the reasons differ.
    """

    part_id: int
    source: str
    at_s: float
    before: Decision | None
    after: Decision | None
    reasons_before: tuple[str, ...]
    reasons_after: tuple[str, ...]
    part_no: int | None = None
    utc_ms: int = 0

    @property
    def way(self) -> str:
        """As ``pass->fail``."""
        return f"{self.before or 'absent'}->{self.after or 'absent'}"


class Tally(Struct, frozen=True):
    """The count. ``changed`` parts have another decision; ``ways`` counts them, as ``pass->fail``. ``reasons`` have the
    same decision for other reasons. ``before`` and ``after`` count decisions of either side.
    """

    parts: int
    changed: int
    reasons: int
    ways: dict[str, int]
    before: dict[str, int]
    after: dict[str, int]
    changes: tuple[Change, ...]


class Verdicts:
    """Matches the records of two runs, row by row, and forgets what matched."""

    def __init__(self) -> None:
        self._waiting: tuple[dict[int, tuple[Result, float]], dict[int, tuple[Result, float]]] = ({}, {})
        self._seen: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
        self._ways: Counter[str] = Counter()
        self._parts = 0
        self._reasons = 0
        self._changes: list[Change] = []

    def add(self, side: int, effects: Iterable[AgentEffect], at_s: float) -> None:
        """Effects of one row; ``side`` is 0 for before and 1 for after."""
        for effect in effects:
            if isinstance(effect, Append) and isinstance(effect.record, Result):
                self._add(side, effect.record, at_s)

    def tally(self) -> Tally:
        """The count so far; what waits for its partner has none."""
        for side in (0, 1):
            for part_id in list(self._waiting[side]):
                self._alone(side, part_id)
        changes = tuple(sorted(self._changes, key=lambda one: one.part_id))
        ways = dict(sorted(self._ways.items()))
        before, after = (dict(sorted(seen.items())) for seen in self._seen)
        return Tally(self._parts, sum(ways.values()), self._reasons, ways, before, after, changes)

    def _add(self, side: int, result: Result, at_s: float) -> None:
        self._seen[side][result.decision] += 1
        partner = self._waiting[1 - side].pop(result.part_id, None)
        if partner is None:
            mine = self._waiting[side]
            mine[result.part_id] = (result, at_s)
            if len(mine) > WAITING_MOST:
                self._alone(side, next(iter(mine)))
            return
        pair = (partner[0], result) if side else (result, partner[0])
        self._judge(pair[0], pair[1], at_s)

    def _alone(self, side: int, part_id: int) -> None:
        result, at_s = self._waiting[side].pop(part_id)
        self._judge(None if side else result, result if side else None, at_s)

    def _judge(self, before: Result | None, after: Result | None, at_s: float) -> None:
        self._parts += 1
        one = after or before
        assert one is not None
        said = tuple(() if side is None else side.reasons for side in (before, after))
        decisions = tuple(None if side is None else side.decision for side in (before, after))
        if decisions[0] == decisions[1]:
            self._reasons += said[0] != said[1]
            return
        texts = [tuple(map(reason_text, reasons)) for reasons in said]
        change = Change(
            one.part_id, one.source, at_s, decisions[0], decisions[1], texts[0], texts[1], one.part_no, one.utc_ms
        )
        self._ways[change.way] += 1
        if len(self._changes) < CHANGES_MOST:
            self._changes.append(change)


def reason_text(reason: Reason) -> str:
    """A reason in one short piece, as ``found scratch 0.62 (limit 0.5)``."""
    words = [reason.rule, reason.label]
    if reason.text or reason.wanted:
        words.append(f"read {reason.text!r}" if reason.text else "")
        words.append(f"(wanted {reason.wanted})" if reason.wanted else "")
    elif reason.seen or reason.limit:
        words.append(f"{reason.seen:g} (limit {reason.limit:g})")
    return " ".join(word for word in words if word)
