"""A fleet in virtual time: thousands of real agent cores without pixels, one real coordinator core, one broker."""

from __future__ import annotations

from collections.abc import Callable

from edge.core.policy import LabelRule, ThresholdOptions, ThresholdPolicy
from edge.core.settings import EvidenceSettings, RecipeSettings, Settings, SourceSettings
from edge.domain import ModelRef
from sims.memory_ledger import MemoryLedger
from sims.virtual.clock import NodeClock
from sims.virtual.coordinator_machine import CoordinatorMachine
from sims.virtual.fleet_score import FleetReport, report_of
from sims.virtual.fleet_spec import FleetFault, FleetScenario
from sims.virtual.kernel import NS, Kernel
from sims.virtual.machine import AgentMachine
from sims.virtual.net import Net
from sims.virtual.net_maps import MAPS
from sims.virtual.pace import PacedCamera, Tally
from sims.virtual.rooms import Life, Plan, Rooms
from sims.virtual.trace import Trace

SITE = "plant"
CAMERA = "camera"
MODEL = ModelRef("drawn", "1.0.0", "0" * 64)
STEP_NS = NS

Show = Callable[[str, int, int], None]
"""Called with a line of text, the simulated seconds done, and those to do."""


class Fleet:
    """Everything of one run. ``run`` does it; parts may be reached into from tests between two calls of ``until``."""

    def __init__(self, spec: FleetScenario, seed: int | None = None, trace: Trace | None = None) -> None:
        self.spec = spec
        self.kernel = Kernel(spec.scenario.seed if seed is None else seed, trace)
        self.net = Net(self.kernel, kind=MAPS[spec.net.map])
        self.ledger = MemoryLedger(keep_rows=False)
        self.coordinator = CoordinatorMachine(self.kernel, self.net, SITE, self.ledger, spec=spec.ledger)
        self.tally = Tally()
        self._rng = self.kernel.rng("fleet")
        self._policy = ThresholdOptions(other=LabelRule())
        self._plan = Plan({"default": ThresholdPolicy}, self._rooms, spec.disk, spec.fleet.keepalive_s)
        self.agents = [self._agent(number) for number in range(spec.fleet.agents)]
        self.coordinator.start(0)
        for agent in self.agents:
            self.kernel.post(int(self._rng.random() * spec.fleet.start_within_s * NS), agent, None)
        for fault in spec.faults:
            self.kernel.post(int(fault.at_s * NS), self, (fault, True))
            self.kernel.post(int((fault.at_s + fault.for_s) * NS), self, (fault, False))
        self.kernel.post(int(spec.fleet.seconds * NS), self, (None, False))

    def _agent(self, number: int) -> AgentMachine:
        spec, rng = self.spec, self._rng
        name = f"cell-{number:05d}"
        settings = Settings(
            SITE,
            name,
            {"default": RecipeSettings(MODEL)},
            {"default": self._policy},
            {CAMERA: SourceSettings(spec.fleet.rate_per_s)},
            evidence=EvidenceSettings(keep=()),
            metrics_every_ns=int(spec.fleet.metrics_every_s * NS),
        )
        clocks = spec.clocks
        clock = NodeClock(
            int(rng.random() * 1e6 * NS),
            int(clocks.drift_ppm * 1000 * (2 * rng.random() - 1)),
            int(clocks.utc_error_ms * 1e6 * (2 * rng.random() - 1)),
        )
        return AgentMachine(self.kernel, self.net, settings, self._plan, clock)

    def _rooms(self, life: Life) -> Rooms:
        return Rooms({CAMERA: PacedCamera(CAMERA, life, self.spec.confusion, self.spec.delays, self.tally)})

    # --- what goes wrong

    def take(self, event: tuple[FleetFault | None, bool], t_ns: int) -> None:
        """A fault begins or ends; without one, the shift is over."""
        fault, begins = event
        if fault is None:
            self.tally.closed = True
            return
        self._do(fault, t_ns, begins=begins)

    def _some(self, share: float) -> list[AgentMachine]:
        """The first so many: which they are means nothing, as all are alike."""
        return self.agents[: round(share * len(self.agents))]

    def _do(self, fault: FleetFault, t_ns: int, *, begins: bool) -> None:
        match fault.kind:
            case "broker_restart":
                self.net.stop_broker() if begins else self.net.start_broker()
            case "partition":
                names = [agent.name for agent in self._some(fault.share)]
                self.net.set_mode(names, "cut" if begins else "ok")
            case "agent_kill" | "power_cut":
                for agent in self._some(fault.share):
                    if not begins:
                        agent.start(t_ns)
                    elif fault.kind == "agent_kill":
                        agent.kill()
                    else:
                        agent.power_cut(t_ns)
            case "coordinator_kill":
                self.coordinator.kill() if begins else self.coordinator.start(t_ns)
            case "disk_slow":
                for agent in self._some(fault.share):
                    agent.disk.slowness = fault.value if begins else 1.0
            case "ledger_slow":
                self.coordinator.host.slowness = fault.value if begins else 1.0
            case "clock_step":
                for agent in self._some(fault.share) if begins else ():
                    agent.step_clock(int(fault.value * NS))

    # --- the run

    def until(self, t_s: float) -> None:
        """Everything up to so many simulated seconds."""
        self.kernel.run(int(t_s * NS))

    @property
    def settled(self) -> bool:
        """Whether the ledger has everything that was journalled."""
        return all(
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
            show("running", int(done_s), todo)
        while done_s < shift_s + self.spec.fleet.settle_s and not self.settled:
            done_s += 1.0
            self.until(done_s)
            show("waiting for the ledger", todo, todo)
        return report_of(self.spec, self.kernel, self.agents, self.ledger, self.tally)
