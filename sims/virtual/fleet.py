"""A fleet in virtual time: thousands of real agent cores without pixels, one real coordinator core, one broker."""

from __future__ import annotations

from collections.abc import Callable

from sims.virtual.books import Broken
from sims.virtual.fleet_faults import Moment, do, go_on, wish
from sims.virtual.fleet_kinds import Wish
from sims.virtual.fleet_rig import FleetRig
from sims.virtual.fleet_rules import fleet_broken, unconverged
from sims.virtual.fleet_score import FleetReport, report_of
from sims.virtual.fleet_spec import FleetScenario
from sims.virtual.fleet_watch import FleetWatch
from sims.virtual.kernel import NS
from sims.virtual.storage import JournalMaker
from sims.virtual.trace import Trace

STEP_NS = NS

Show = Callable[[str, int, int], None]
"""Called with a line of text, the simulated seconds done, and those to do."""


class Fleet(FleetRig):
    """Everything of one run. ``run`` does it; parts may be reached into from tests between two calls of ``until``."""

    def __init__(
        self,
        spec: FleetScenario,
        seed: int | None = None,
        trace: Trace | None = None,
        journal: JournalMaker | None = None,
    ) -> None:
        super().__init__(spec, seed, trace, journal)
        self.broken: list[Broken] = []
        self.watch = FleetWatch(self)
        self.coordinator.start(0)
        for agent in self.agents:
            self.kernel.post(int(self._rng.random() * spec.fleet.start_within_s * NS), agent, None)
        for fault in spec.faults:
            self.kernel.post(int(fault.at_s * NS), self, Moment(fault, True))
            self.kernel.post(int((fault.at_s + fault.for_s) * NS), self, Moment(fault, False))
        for wanted in spec.wishes:
            self.kernel.post(int(wanted.at_s * NS), self, wanted)
        self.kernel.post(int(spec.fleet.seconds * NS), self, None)

    # --- what goes wrong

    def take(self, event: Moment | Wish | None, t_ns: int) -> None:
        """A fault begins or ends, somebody wants something, or (None) the shift is over."""
        if event is None:
            self.tally.closed = True
        elif isinstance(event, Wish):
            wish(self, event)
        elif event.begins is None:
            go_on(self, event.fault)
        else:
            do(self, self, event.fault, t_ns, begins=event.begins)

    # --- the run

    def until(self, t_s: float) -> None:
        """Everything up to so many simulated seconds."""
        self.kernel.run(int(t_s * NS))

    @property
    def settled(self) -> bool:
        """Whether the ledger has everything that was journalled, and nobody waits for an answer."""
        return not self.desk.waiting and all(
            agent.process is not None and not agent.journal.queued and not agent.process.core.talk.waiting()
            for agent in self.agents
        )

    def run(self, show: Show = lambda _text, _done, _todo: None) -> FleetReport:
        """All of it, and the score."""
        shift_s = self.spec.fleet.seconds
        todo = int(shift_s)
        done_s = 0.0
        while done_s < shift_s:
            done_s = min(shift_s, done_s + 1.0)
            self.until(done_s)
            self.watch.look(done_s)
            show("running", int(done_s), todo)
        while done_s < shift_s + self.spec.fleet.settle_s and not self._quiet():
            done_s += 1.0
            self.until(done_s)
            self.watch.look(done_s)
            show("waiting for the ledger", todo, todo)
        if self.ruled:
            self.broken = fleet_broken(self)
        caught_up_s = done_s - shift_s if self.settled else None
        return report_of(self, caught_up_s, len(self.broken) if self.ruled else None)

    def _quiet(self) -> bool:
        """Whether there is nothing to wait for; who watches also waits for faults that outlast the shift."""
        if not self.ruled:
            return self.settled
        if any(fault.at_s + fault.for_s >= self.kernel.now_ns / NS for fault in self.spec.faults):
            return False
        return self.settled and not unconverged(self)
