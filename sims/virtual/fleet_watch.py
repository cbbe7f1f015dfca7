"""Looks at a fleet from outside, once in a while, and writes its chronicle."""

from __future__ import annotations

from collections import Counter

from sims.chronicle import STATES, Chronicle, Recorder, Shares, State
from sims.virtual.fleet_faults import FAULT_WORDS
from sims.virtual.fleet_rig import FleetRig
from sims.virtual.machine import AgentMachine

LANES = 16
LOOKS = 300
"""About so many a run: a picture has no more columns to show."""
WAITING = "waiting to be sent"
BEHIND = 20
"""An agent with more records that wait than this is behind."""


class FleetWatch:
    """One fleet's. ``look`` at most once a simulated second."""

    def __init__(self, fleet: FleetRig) -> None:
        self._fleet = fleet
        self._recorder = Recorder()
        self._every_s = max(1.0, fleet.spec.fleet.seconds / LOOKS)
        self._next_s = fleet.spec.fleet.start_within_s + 1.0  # until then they start, one after another
        self._last_s = 0.0
        self._backlog = [0] * len(fleet.agents)
        self._lanes = _lanes(fleet)

    def look(self, t_s: float) -> None:
        """How it is now."""
        if t_s < self._next_s:
            return
        self._next_s = t_s + self._every_s
        fleet, recorder = self._fleet, self._recorder
        process = fleet.coordinator.process
        recorder.see(t_s, "broker", (("off" if fleet.net.is_down else "ok", 1.0),))
        # a coordinator that waits for the broker is there, and hears nobody
        heard = "apart" if fleet.net.is_down else "ok"
        recorder.see(t_s, "coordinator", (("off" if process is None else heard, 1.0),))
        for name, agents in self._lanes:
            recorder.see(t_s, name, _shares(agents))
        made, kept = fleet.tally.frames, fleet.ledger.lags_ms.total()
        recorder.plot(t_s, "parts so far", "judged", made)
        recorder.plot(t_s, "parts so far", "in the ledger", kept)
        recorder.plot(t_s, WAITING, "waiting", self._waiting())
        if fleet.spec.operators.people:
            recorder.plot(t_s, "open questions", "open", fleet.desk.waiting)
        self._last_s = t_s

    def _waiting(self) -> int:
        """Results in journals that no ledger has acknowledged; of a machine that is off, as it was."""
        for number, agent in enumerate(self._fleet.agents):
            if agent.process is not None:
                self._backlog[number] = agent.process.core.talk.backlog()["results"]
        return sum(self._backlog)

    def chronicle(self) -> Chronicle:
        """All that was seen, and what went wrong meanwhile."""
        spec, recorder = self._fleet.spec, self._recorder
        for fault in spec.faults:
            text = FAULT_WORDS[fault.kind] + (f": {fault.group}" if fault.group else "")
            instant = fault.kind in {"clock_step", "retained_poison"}
            recorder.mark(text, fault.at_s, fault.at_s if instant else fault.at_s + fault.for_s)
        for wish in spec.wishes:
            recorder.mark("settings from afar" + (f": {wish.group}" if wish.group else ""), wish.at_s, wish.at_s)
        if spec.operators.people:
            recorder.mark("people at the review desk", spec.operators.from_s, spec.operators.from_s)
        chronicle = recorder.done(self._last_s)
        usual = max(8, self._fleet.spec.fleet.agents // 2)  # what is under way at any moment is no news
        quiet = [c for c in chronicle.curves if c.plot == WAITING and max(value for _, value in c.points) <= usual]
        chronicle.curves = [curve for curve in chronicle.curves if curve not in quiet]
        return chronicle


def _lanes(fleet: FleetRig) -> list[tuple[str, list[AgentMachine]]]:
    """Agents one by one where they are few, else in equal bundles; groups are never mixed."""
    per_lane = -(-len(fleet.agents) // LANES)
    found = []
    for group, agents in fleet.groups.items():
        for first in range(0, len(agents), per_lane):
            some = agents[first : first + per_lane]
            begin, end = (int(agent.name[-5:]) + 1 for agent in (some[0], some[-1]))
            label = f"{group or 'cells'} {begin}–{end}" if end > begin else f"{group or 'cell'} {begin}"
            found.append((label, some))
    return found


def _shares(agents: list[AgentMachine]) -> Shares:
    counts: Counter[State] = Counter(state_of(agent) for agent in agents)
    return tuple((state, counts[state] / len(agents)) for state in STATES if counts[state])


def state_of(agent: AgentMachine) -> State:
    """One agent as somebody would find it who stood before it."""
    process = agent.process
    if process is None:
        return "off"
    talk = process.core.talk
    if not process.core.health().ready:
        return "blind"
    if not talk.online:
        return "apart"
    return "behind" if sum(talk.backlog().values()) > BEHIND else "ok"
