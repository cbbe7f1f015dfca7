"""A line's scenario in virtual time: one cell with rendered frames and its real model, and everything that breaks.

::

    LineNode (world + PLC program, 5 ms)        Net (broker) ◀──── coordinator ─▶ ledger in memory
      │ exposure        │ registers                ▲
    Sensor            PlcBus                       │
      ▲ frames           ▲ requests                │
      └───────────────── agent ────────────────────┘

The same scenario, the same agent core, the same score as live; see :mod:`sims.live`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from edge.assembly import core_settings, policies
from edge.config import Loaded, complete, read_agent_text
from edge.core.settings import RecipeSettings
from edge.errors import InputError
from edge.models.toml import dump_toml
from sims.faults import Fault, Step, timeline
from sims.line import Line
from sims.live_config import SITE, agent_tables
from sims.memory_ledger import MemoryLedger
from sims.scenario import Scenario, bundle_path, parts_of
from sims.score_model import Outcome, Report
from sims.story import Document, Story
from sims.virtual.books import Broken, WatchedLedger, audit, watched_journal
from sims.virtual.bus import PlcBus, Setup
from sims.virtual.camera import HttpCameraRoom, Looker, Sensor
from sims.virtual.cell_faults import Rig, do
from sims.virtual.cell_left import left_by
from sims.virtual.cell_rules import RuledLine, line_broken
from sims.virtual.cell_watch import CellWatch
from sims.virtual.clock import ORIGIN_UTC_NS, NodeClock
from sims.virtual.coordinator_machine import CoordinatorMachine
from sims.virtual.fleet_rules import apart, crashed
from sims.virtual.kernel import MS, NS, Kernel
from sims.virtual.line import LineNode
from sims.virtual.machine import AgentMachine
from sims.virtual.net import Net
from sims.virtual.net_maps import MAPS
from sims.virtual.rooms import Life, Plan, Rooms
from sims.virtual.sight import sight_of
from sims.virtual.storage import JournalMaker, make_journal
from sims.virtual.trace import Trace

READY_S = 60.0
SETTLE_S = 45.0
QUIET_S = 300.0
"""The same where rules are kept: a link's back-off may be a minute, and whoever says 'never' must have waited."""
STALL_S = 60.0
STEP_NS = 100 * MS
UP_NS = 100_000 * NS
"""What the agent's monotonic clock shows at the start: the machine was up for a day."""

Show = Callable[[str, int, int], None]


class Cell:
    """Everything of one run."""

    def __init__(
        self,
        scenario: Scenario,
        file: Path,
        seed: int,
        trace: Trace | None = None,
        looker: Looker | None = None,
        journal: JournalMaker | None = None,
    ) -> None:
        """Raises JidokaError. ``looker`` stands for the scenario's model, ``journal`` makes what records are kept in: when
        the run is watched (``[goals] broken``), a :class:`sims.virtual.books.WatchedJournal`.
        """
        self.scenario, self.seed = scenario, seed
        virtual = scenario.virtual
        bundle = bundle_path(scenario.model, file)
        if not bundle.exists():
            raise InputError("MODEL_ABSENT", f"there is no model at {bundle}", hint="see [model] of the scenario")
        tables = agent_tables(scenario, bundle.resolve(), camera_url="http://camera", plc_port=502, broker_port=1883)
        self._loaded = loaded = complete(read_agent_text(dump_toml(tables), file.resolve().parent))
        sight = sight_of(scenario, bundle, loaded)
        self._looker: Looker = looker or sight.looker
        self._delays = sight.delays
        self.broken: list[Broken] = []
        self.ruled = scenario.goals.broken is not None
        parts = parts_of(scenario, seed)
        self.story = Story(parts)
        self.kernel = Kernel(seed, trace)
        self.net = Net(self.kernel, kind=MAPS[virtual.net])
        self.ledger = WatchedLedger() if self.ruled else MemoryLedger()
        line = Line(scenario.belt, scenario.lamp, scenario.plc, len(parts), seed)
        self.line = RuledLine(self.kernel, line) if self.ruled else LineNode(self.kernel, line)
        self.sensor = Sensor(sight.camera(scenario.camera, self.line, parts, scenario.lamp.gradient, seed))
        self.story.camera, self.story.broker = self.sensor.camera, "in memory"
        self.coordinator = CoordinatorMachine(self.kernel, self.net, SITE, self.ledger, spec=virtual.ledger)
        settings = core_settings(loaded, {"default": RecipeSettings(sight.ref)})
        plan = Plan(
            policies(loaded),
            self._rooms,
            virtual.disk,
            _keepalive_s(loaded),
            start_ns=int(virtual.start_ms * MS),
            journal=journal or (watched_journal if self.ruled else make_journal),
        )
        clock = NodeClock(UP_NS, int(virtual.drift_ppm * 1000))
        self.agent = AgentMachine(self.kernel, self.net, settings, plan, clock)
        self.rig = Rig(self.line, self.sensor, self.net, self.agent, self.coordinator)
        self.watch = CellWatch(self.rig)
        self._active: dict[int, tuple[Fault, float]] = {}
        if isinstance(self.line, RuledLine):
            self.line.may_act = lambda: self.agent.process is not None and not self.watch.over

    def _rooms(self, life: Life) -> Rooms:
        config, plc = self._loaded.config, self._loaded.config.plc
        assert plc is not None
        setup = Setup(plc.device, plc.mode, plc.poll_ms, plc.pulse_ms, plc.mode == "coil", plc.gate == "agent")
        source = config.sources[plc.source]
        camera = HttpCameraRoom(plc.source, life, self.sensor, self._looker, self._delays, source.timeout_s)
        return Rooms({plc.source: camera}, {plc.device: PlcBus(setup, life, self.line, self.scenario.virtual.bus)})

    # --- the run

    def run(self, show: Show = lambda _text, _seen, _parts: None) -> tuple[Report, Story]:
        """Start, let the belt run until it is empty, settle, stop, score."""
        kernel = self.kernel
        self.coordinator.start(0)
        self.agent.start(0)
        while not self._is_ready():
            if kernel.now_ns > READY_S * NS:
                raise InputError("SIM_NOT_READY", "the agent was not ready", f"after {READY_S:g} simulated seconds")
            self._advance(STEP_NS)
        self.line.begin(kernel.now_ns)
        for step in timeline(self.scenario.faults):
            kernel.post(self.line.origin_ns + int(step.t_s * NS), self, step)
        self._until_empty(show)
        self._end_faults()
        self._settle()
        if self.ruled:
            apart_by = apart([self.agent], self.coordinator, kernel.now_ns)
            self.broken = audit([self.agent], [self.ledger]) + crashed([self.agent])
            self.broken += [Broken("unconverged", apart_by)] if apart_by else []
        self.watch.over = True
        self.agent.stop("the run is over")
        self._advance(2 * NS)
        story = self.story
        story.line_s = self.line.line.world.t_ns / NS
        rules = self._rules if self.ruled else None
        document = Document(self.scenario, "virtual", self.seed, kernel.trace.digest(), rules)
        origin_utc_ms = (ORIGIN_UTC_NS + self.line.origin_ns) // MS
        report = document.scored(story, self.line.truth(), left_by(self.agent, self.ledger), origin_utc_ms)
        story.chronicle = self.watch.chronicle(story)
        return report, story

    def _rules(self, outcomes: Sequence[Outcome]) -> int:
        """All invariants that do not hold, into ``broken`` and the story's notes; how many."""
        assert isinstance(self.line, RuledLine)
        self.broken += line_broken(outcomes, self.scenario.plc, self.story.faults)
        if self.line.unsafe:
            self.broken.append(Broken("unsafe", self.line.unsafe[0]))
        self.story.notes += [f"broken: {one.name}: {one.what}" for one in self.broken]
        return len(self.broken)

    def _advance(self, ns: int) -> None:
        self.kernel.run(self.kernel.now_ns + ns)
        if self.line.running:
            self.watch.look(self.line.line_ns() / NS)

    def _is_ready(self) -> bool:
        process = self.agent.process
        return process is not None and process.core.talk.online and process.core.health().ready

    def _until_empty(self, show: Show) -> None:
        scenario = self.scenario
        parts = scenario.scenario.parts
        stops_s = scenario.plc.operator_s * parts if scenario.plc.no_verdict == "stop" else 0.0
        give_up_s = scenario.line_s * 1.5 + stops_s + STALL_S
        while self.line.done_ns is None:
            self._advance(STEP_NS)
            t_s = self.line.line_ns() / NS
            show(
                f"{t_s:.0f} s of line time", self.line.line.seen, parts
            )  # a figure first: said only where it can be said over
            if t_s > give_up_s:
                self.story.notes.append(f"given up after {t_s:.0f} s: the belt got nowhere")
                return

    def _settle(self) -> None:
        settle_s = QUIET_S if self.ruled else SETTLE_S
        end_ns = self.kernel.now_ns + int(settle_s * NS)
        while self.kernel.now_ns < end_ns:
            if self._quiet():
                return
            self._advance(STEP_NS)
        self.story.notes.append(f"after {settle_s:g} s the ledger still lacked records")

    def _quiet(self) -> bool:
        """Whether the ledger has everything; and, where rules are kept, all is as the coordinator shows it."""
        process = self.agent.process
        if process is None or self.agent.journal.queued or process.core.talk.waiting():
            return False
        return not (self.ruled and apart([self.agent], self.coordinator, self.kernel.now_ns))

    # --- faults

    def take(self, step: Step, t_ns: int) -> None:
        """A fault begins or ends."""
        line_s = (t_ns - self.line.origin_ns) / NS
        key = id(step.fault)
        if step.begins:
            self._active[key] = (step.fault, line_s)
        elif key not in self._active:
            return  # mended already, when the belt was empty
        do(self.rig, step, t_ns)
        if not step.begins:
            _, began_s = self._active.pop(key)
            self.story.faults.append((step.fault, began_s, line_s))

    def _end_faults(self) -> None:
        """Whatever still lasts when the belt is empty is mended, so that the books can be balanced."""
        for fault, _ in list(self._active.values()):
            self.take(Step(0.0, False, fault), self.kernel.now_ns)


def _keepalive_s(loaded: Loaded) -> int:
    link = loaded.config.link
    assert link is not None
    return int(link.keepalive_s)
