"""Everything of a fleet's run: machines, network, ledgers, people. What happens to it is in ``fleet.py``."""

from __future__ import annotations

from edge.core.policy import ThresholdOptions, ThresholdPolicy
from edge.core.settings import EvidenceSettings, RecipeSettings, Settings, SourceSettings
from edge.domain import ModelRef
from edge.events_fleet import AgentView, Answer, FleetView, FleetWanted
from sims.memory_ledger import MemoryLedger
from sims.virtual.books import WatchedLedger, watched_journal
from sims.virtual.clock import NodeClock
from sims.virtual.coordinator_machine import CoordinatorMachine
from sims.virtual.fleet_kinds import REMOTE, Group
from sims.virtual.fleet_spec import FleetScenario
from sims.virtual.kernel import NS, Kernel
from sims.virtual.machine import AgentMachine
from sims.virtual.net import Net
from sims.virtual.net_maps import MAPS
from sims.virtual.operators import Desk
from sims.virtual.pace import PacedCamera, Tally
from sims.virtual.rooms import Life, Plan, Rooms
from sims.virtual.storage import JournalMaker, make_journal
from sims.virtual.trace import Trace

SITE = "plant"
CAMERA = "camera"
MODEL = ModelRef("drawn", "1.0.0", "0" * 64)


class FleetRig:
    """One run's; nothing has begun yet."""

    def __init__(
        self,
        spec: FleetScenario,
        seed: int | None = None,
        trace: Trace | None = None,
        journal: JournalMaker | None = None,
    ) -> None:
        """``journal``: what machines keep records in; when the run is watched, makes a :class:`WatchedJournal`."""
        self.spec, self.site = spec, SITE
        self.ruled = spec.goals.broken is not None
        self.kernel = Kernel(spec.scenario.seed if seed is None else seed, trace)
        self.net = Net(self.kernel, kind=MAPS[spec.net.map])
        self.ledgers: list[MemoryLedger] = []
        self.desk = Desk(self.kernel, spec.operators)
        self.new_ledger()
        self.coordinator = CoordinatorMachine(self.kernel, self.net, SITE, self.ledger, spec=spec.ledger)
        self.tally = Tally()
        self._rng = self.kernel.rng("fleet")
        self._policy = ThresholdOptions(other=spec.policy)
        self._plan = Plan(
            {"default": ThresholdPolicy},
            self._rooms,
            spec.disk,
            spec.fleet.keepalive_s,
            journal_bytes=spec.fleet.journal_kb * 1024,
            journal=journal or (watched_journal if self.ruled else make_journal),
        )
        self._requests = 0
        self.twins: list[AgentMachine] = []
        self.groups: dict[str, list[AgentMachine]] = {}
        self.agents = [self._agent(number) for number in range(spec.fleet.agents)]

    @property
    def ledger(self) -> MemoryLedger:
        """The one in use."""
        return self.ledgers[-1]

    def new_ledger(self) -> MemoryLedger:
        """An empty one with an id of its own, from now on the one in use."""
        ledger_id = f"memory-{len(self.ledgers) + 1}" if self.ledgers else "memory"
        new = WatchedLedger(ledger_id) if self.ruled else MemoryLedger(ledger_id, keep_rows=False)
        new.heed = self.desk.heed
        self.ledgers.append(new)
        return new

    def _group(self, number: int) -> Group | None:
        upto = 0.0
        for group in self.spec.groups:
            upto += group.share
            if number < round(upto * self.spec.fleet.agents):
                return group
        return None

    def _agent(self, number: int) -> AgentMachine:
        rng, clocks = self._rng, self.spec.clocks
        clock = NodeClock(
            int(rng.random() * 1e6 * NS),
            int(clocks.drift_ppm * 1000 * (2 * rng.random() - 1)),
            int(clocks.utc_error_ms * 1e6 * (2 * rng.random() - 1)),
        )
        group = self._group(number)
        name = f"cell-{number:05d}"
        if group is not None and group.map is not None:
            self.net.set_map([name], MAPS[group.map])
        machine = AgentMachine(self.kernel, self.net, self._settings(name, group), self._plan, clock)
        self.groups.setdefault("" if group is None else group.name, []).append(machine)
        return machine

    def _settings(self, name: str, group: Group | None) -> Settings:
        spec, pictures = self.spec, self.spec.evidence
        known = REMOTE if group is None else group.knows
        return Settings(
            SITE,
            name,
            {"default": RecipeSettings(MODEL)},
            {"default": self._policy},
            {CAMERA: SourceSettings(spec.fleet.rate_per_s)},
            evidence=EvidenceSettings(keep=pictures.keep if pictures.jpeg_kb else (), max_fps=pictures.max_fps),
            metrics_every_ns=int(spec.fleet.metrics_every_s * NS),
            remote=tuple(REMOTE[key] for key in known),
            versions={} if group is None else {"jidoka": group.version},
        )

    def _rooms(self, life: Life) -> Rooms:
        spec = self.spec
        jpeg_bytes = int(spec.evidence.jpeg_kb * 1024)
        return Rooms({CAMERA: PacedCamera(CAMERA, life, spec.confusion, spec.delays, self.tally, jpeg_bytes)})

    def some(self, share: float, group: str = "") -> list[AgentMachine]:
        """The first so many: which they are means nothing, as all of a group are alike."""
        among = self.groups.get(group, []) if group else self.agents
        return among[: round(share * len(among))]

    def next_request(self) -> int:
        """A number for a question to the coordinator."""
        self._requests += 1
        return self._requests

    def start_twin(self, agent: AgentMachine) -> None:
        """A second machine with the same settings, and a journal of its own."""
        hardware = f"/twin-{len(self.twins)}"
        twin = AgentMachine(self.kernel, self.net, agent.host.settings, self._plan, NodeClock(), hardware=hardware)
        self.twins.append(twin)
        twin.start(self.kernel.now_ns)

    def stop_twin(self, agent: AgentMachine) -> None:
        """Somebody found it."""
        for twin in self.twins:
            if twin.name == agent.name:
                twin.stop("a machine of another name was meant")

    def views(self) -> tuple[AgentView, ...]:
        """The fleet as the coordinator would show it at this moment."""
        process = self.coordinator.process
        if process is None or process.core is None:
            return ()
        effects = process.core.handle(
            FleetWanted(self.next_request()), self.coordinator.host.clock.mono(self.kernel.now_ns)
        )
        shown = next((one.body for one in effects if isinstance(one, Answer)), None)
        return shown.agents if isinstance(shown, FleetView) else ()
