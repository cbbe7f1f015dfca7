"""Looks at a simulated cell from outside, ten times a second, and writes its chronicle."""

from __future__ import annotations

from sims.chronicle import Chronicle, Dot, Recorder, State
from sims.report_svg import dot_of
from sims.story import Story
from sims.virtual.cell_faults import Rig
from sims.virtual.kernel import NS

FAULT_WORDS = {
    "agent_kill": "agent killed",
    "coordinator_kill": "no coordinator",
    "broker_restart": "no broker",
    "plc_gone": "PLC gone",
    "plc_frozen": "PLC frozen",
    "light_drift": "light ages",
    "lens_dirty": "dirty lens",
    "plc_reboot": "PLC reboots",
    "network_cut": "network cut",
    "clock_step": "clock is wrong",
    "disk_slow": "slow disk",
    "ledger_slow": "slow ledger",
}
BEHIND = 3
WAITING = "waiting to be sent"
LATENCY = "ms to verdict"
FEW = 8
"""So many records under way are no news."""


class CellWatch:
    """One cell's, in seconds of line time."""

    def __init__(self, cell: Rig) -> None:
        self._cell = cell
        self._recorder = Recorder()
        self._last_s = 0.0
        self.over = False
        """The run is being ended: what stops now, stops on purpose."""

    def look(self, t_s: float) -> None:
        """How it is now."""
        if self.over:
            return
        self._last_s = t_s
        cell = self._cell
        process = cell.agent.process
        self._see("belt", "standing" if cell.line.stands else "ok")
        self._see("PLC", "ok" if cell.line.plc_health == "ok" else "off")
        self._see("camera", "ok" if cell.sensor.health in {"ok", "slow"} else "blind")
        self._see("agent", self._agent())
        heard = "apart" if cell.net.is_down else "ok"
        self._see("broker", "off" if cell.net.is_down else "ok")
        self._see("coordinator", "off" if cell.coordinator.process is None else heard)
        waiting = sum(process.core.talk.backlog().values()) if process is not None else None
        if waiting is not None:
            self._recorder.plot(t_s, WAITING, "waiting", waiting)

    def _agent(self) -> State:
        process = self._cell.agent.process
        if process is None:
            return "off"
        talk = process.core.talk
        if not process.core.health().ready:
            return "blind"
        if not talk.online:
            return "apart"
        return "behind" if sum(talk.backlog().values()) > BEHIND else "ok"

    def _see(self, name: str, state: State) -> None:
        self._recorder.see(self._last_s, name, ((state, 1.0),))

    def chronicle(self, story: Story) -> Chronicle:
        """All that was seen, every part at its trigger, and what went wrong."""
        recorder = self._recorder
        dots = []
        for outcome in story.outcomes:
            kind, said = dot_of(outcome)
            dots.append(Dot(outcome.truth.trigger_ns / NS, kind, f"part {outcome.truth.part_no}: {said}"))
        recorder.dots("parts", dots)
        for outcome in story.outcomes:
            if outcome.truth.latency_ms is not None:
                recorder.plot(outcome.truth.trigger_ns / NS, LATENCY, "latency", outcome.truth.latency_ms)
        others = (o for o in story.outcomes if story.parts[o.truth.index].finish != 1.0)
        if (first := next(others, None)) is not None:
            recorder.mark("plates of the new supplier", first.truth.trigger_ns / NS, self._last_s)
        for fault, began_s, ended_s in story.faults:
            recorder.mark(FAULT_WORDS.get(fault.kind, fault.kind.replace("_", " ")), began_s, ended_s)
        chronicle = recorder.done(self._last_s)
        few = [c for c in chronicle.curves if c.plot == WAITING and max(v for _, v in c.points) <= FEW]
        chronicle.curves = [curve for curve in chronicle.curves if curve not in few]
        return chronicle
