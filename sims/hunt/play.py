"""One scenario, run and watched: which invariants it breaks."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from sims.scenario import Scenario
from sims.virtual.books import Broken
from sims.virtual.cell import Cell
from sims.virtual.fleet import Fleet
from sims.virtual.fleet_spec import FleetScenario
from sims.virtual.storage import JournalMaker

Spec = FleetScenario | Scenario

INVARIANTS: dict[str, str] = {
    "lost": "a record whose commit returned is neither in the ledger nor explained",
    "doubled": "two rows for one part, or two verdicts",
    "differs": "ledger and journal disagree about a record",
    "unsettled": "the ledger never gets everything",
    "unconverged": "what is wanted, or who is there, never becomes what the coordinator shows",
    "wrong_part": "the gate does the opposite of a part's verdict",
    "let_through": "a part without verdict, or an unsure one, passes where it must be rejected",
    "misframed": "a part is judged by a picture in which it is not whole",
    "unsafe": "an actuator moves for a stopped agent, or with no part before it",
    "crashed": "a process ends by itself, or a core raises",
}


class Played(Struct, frozen=True):
    """What came of it. ``trace_hash`` is empty where the run itself broke."""

    broken: tuple[Broken, ...]
    trace_hash: str

    def named(self, names: frozenset[str]) -> Broken | None:
        """The first broken invariant of these; of all when there are none."""
        return next((one for one in self.broken if not names or one.name in names), None)


Play = Callable[[Spec], Played]


def play(spec: Spec, journal: JournalMaker | None = None) -> Played:
    """Run it. ``journal`` stands for the simulated one: that is how a test plants a defect."""
    try:
        if isinstance(spec, FleetScenario):
            fleet = Fleet(spec, journal=journal)
            trace_hash = fleet.run().trace_hash
            return Played(tuple(fleet.broken), trace_hash)
        cell = Cell(spec, Path("hunt.toml"), spec.scenario.seed, journal=journal)
        report, _ = cell.run()
        return Played(tuple(cell.broken), report.trace_hash or "")
    except Exception as error:  # noqa: BLE001 - whatever leaves a core is what is being looked for
        last = traceback.extract_tb(error.__traceback__)[-1]
        what = f"{type(error).__name__}: {error}, in {last.name} ({Path(last.filename).name}:{last.lineno})"
        return Played((Broken("crashed", what),), "")
