"""A trace fed to today's core, under the trace's own times.

Unchanged, the core gets exactly what it got: every row, ticks included, and must put out exactly what it put out. With
other settings it wants to be woken at other times: then ticks are added where a deadline of its own passes.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator

from msgspec import Struct

from edge.core.agent import AgentCore
from edge.events import AgentEffect, Happening, Received, Tick
from edge.messages import Desired
from edge.trace.codec import Row, TraceSink, pack, unpack
from edge.trace.head import Head, settings_of
from edge.trace.step import advance
from sims.difference import Difference, effect_fields
from sims.verdicts import Tally, Verdicts

LATE_NS = 20_000_000
"""A deadline that passed so long before the next row is one that the recorded core did not have: it wakes in time."""

Show = Callable[[int], None]
"""Called with the number of rows done, now and then."""
SHOW_EVERY = 2000


class Replayed(Struct, frozen=True):
    """The outcome. ``first`` is the first row whose effects differ from the recorded ones, ``differing`` how many do.

    ``revisions`` from the coordinator were left out; ``added`` ticks were not in the trace; ``crash`` is what the core
    died of, at the last row.
    """

    rows: int
    seconds: float
    same: bool
    differing: int
    first: Difference | None
    verdicts: Tally
    revisions: int = 0
    added: int = 0
    crash: str = ""


class Replay:
    """One replay. ``head`` is the trace's own, or with ``exact`` false one with other settings.

    With ``remote`` false, revisions from the coordinator are left out, which would put other values over the changed.
    """

    def __init__(self, head: Head, *, exact: bool = True, remote: bool = True, sink: TraceSink | None = None) -> None:
        """Raises ConfigError and InputError as :func:`edge.trace.head.settings_of`."""
        settings, policies = settings_of(head)
        self._exact = exact
        self._remote = remote
        self._sink = sink
        self._core = AgentCore(settings, head.boot, policies, random.Random(head.seed))
        self._verdicts = Verdicts()
        self._first: Difference | None = None
        self._first_ns: int | None = None
        self._rows = self._made = self._differing = self._revisions = self._added = 0
        self._last_ns = self._woken_ns = 0
        self._crash = ""
        self._running = False

    def run(self, rows: Iterable[Row], show: Show = lambda _: None) -> Replayed:
        """All of it. Raises InputError TRACE_UNREADABLE."""
        for row in rows:
            self._row(row)
            if self._rows % SHOW_EVERY == 0:
                show(self._rows)
            if self._crash:
                break
        show(self._rows)
        return Replayed(
            rows=self._rows,
            seconds=(self._last_ns - (self._first_ns or 0)) / 1e9,
            same=not self._differing and not self._crash,
            differing=self._differing,
            first=self._first,
            verdicts=self._verdicts.tally(),
            revisions=self._revisions,
            added=self._added,
            crash=self._crash,
        )

    def _row(self, row: Row) -> None:
        self._rows += 1
        self._last_ns = row.t_ns
        if self._first_ns is None:
            self._first_ns = row.t_ns
        at_s = (row.t_ns - self._first_ns) / 1e9
        if not self._exact:
            self._wake(row.t_ns)
        self._verdicts.add(0, _results(row), at_s)
        if not self._remote and isinstance(row.what, Received) and isinstance(row.what.message, Desired):
            self._revisions += 1
            return
        made = self._step(row.t_ns, row.what)
        self._verdicts.add(1, made, at_s)
        packed = tuple((type(effect).__name__, pack(effect)) for effect in made)
        if packed == row.effects or self._crash:
            return
        differences = tuple(effect_fields(row.effects, packed))
        if differences:
            self._differing += 1
            self._first = self._first or Difference(self._rows, self._made, at_s, row.name, differences[:50])

    def _wake(self, until_ns: int) -> None:
        """The core's own deadlines before the next row, where it has others than the recorded one."""
        while self._running and not self._crash:
            due_ns = max(self._core.deadline_ns(), self._woken_ns)  # one long past means: at once
            if due_ns >= until_ns - LATE_NS:
                break
            self._woken_ns = due_ns
            self._added += 1
            self._verdicts.add(1, self._step(due_ns, Tick()), (due_ns - (self._first_ns or 0)) / 1e9)
            if self._core.deadline_ns() <= due_ns:
                break  # it is not content: a bug, but not one to hang on
        self._woken_ns = until_ns

    def _step(self, t_ns: int, what: Happening) -> list[AgentEffect]:
        made: list[AgentEffect] = []
        try:
            made = advance(self._core, t_ns, what)
        except Exception as error:  # noqa: BLE001 - whatever it is: the recorded core may have died of it, too
            self._crash = f"{type(error).__name__}: {error}"
        self._running = True
        self._made += 1
        if self._sink is not None:
            self._sink.keep(t_ns, what, made)
        return made


def _results(row: Row) -> Iterator[AgentEffect]:
    """Effects that may hold a verdict; the others are never decoded."""
    return (unpack(name, data) for name, data in row.effects if name == "Append")
