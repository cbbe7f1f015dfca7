"""A scenario run live: real daemons, real protocols, real time.

::

    LiveLine (world + PLC program, 5 ms)           broker ◀──────── coordinator (child) ─▶ ledger.db
      │ exposure        │ registers                   ▲
    CameraServer      PlcServer                     Proxy
      ▲ HTTP             ▲ Modbus TCP                 ▲ MQTT
      └───────────────── agent (child, agent.toml) ───┘

The main thread keeps the timeline of faults, plays the service manager (a daemon that ends by itself is started again
and told of), and shows the progress. At the end it waits until the ledger has what the agent has, stops everything in
good order and scores.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from edge.errors import ConfigError, InputError
from edge.models.toml import dump_toml
from edge.shell.broker import Broker
from sims.camera import Camera
from sims.camera_server import CameraServer
from sims.faults import VIRTUAL_ONLY, Fault, Step, timeline
from sims.line import Line
from sims.live_config import SITE, agent_tables
from sims.live_faults import Rig, do, down
from sims.live_folder import fresh
from sims.live_ledger import LedgerView, journal_heads
from sims.live_line import LiveLine
from sims.live_process import Daemon
from sims.live_watch import agent_status, answers, backlog, free_port, pause, wait_for
from sims.parts import Part
from sims.plc_server import PlcServer
from sims.proxy import Proxy
from sims.scenario import Scenario, bundle_path, parts_of
from sims.score_model import Report
from sims.story import Document, Left, Story

READY_S = 90.0
"""Until the agent has its model loaded, warmed up, and its devices."""
SETTLE_S = 45.0
"""At most so long is waited for the ledger after the last part; the back-off to a lost broker is up to 30 s."""
STALL_S = 60.0
"""A belt that gets nowhere for so much longer than planned is given up."""
TURN_S = 0.02
SWITCH_S = 0.001
"""Python's thread switch interval: with the default 5 ms drawing would hold up the PLC's answers."""

Show = Callable[[str, int, int], None]
"""Called with a line of text, the parts seen, and the parts to come."""


def run_live(
    scenario: Scenario, file: Path, seed: int, out: Path, show: Show, *, record: bool = False
) -> tuple[Report, Story]:
    """Run it in ``out`` (its ``run`` folder is made anew). ``record`` keeps the agent's trace there, as ``agent.trace``.
    Raises JidokaError; cleans up in any case.
    """
    if only := [fault.kind for fault in scenario.faults if fault.kind in VIRTUAL_ONLY]:
        what = f"{', '.join(only)} cannot be done to this machine"
        raise ConfigError("SIM_VIRTUAL_ONLY", what, "the scenario is for virtual time", "say --virtual")
    bundle = bundle_path(scenario.model, file)
    if not bundle.exists():
        raise InputError("MODEL_ABSENT", f"there is no model at {bundle}", hint="see [model] of the scenario")
    work = fresh(out / "run")
    head = scenario.scenario
    parts = parts_of(scenario, seed)
    story = Story(parts)
    switch_s = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    try:
        with ExitStack() as stack:
            rig = _build(scenario, seed, parts, bundle, work, stack, show, record)
            story.camera, story.broker = rig.camera.camera, rig.broker.kind
            story.notes += rig.broker.notes
            _Run(scenario, rig, work, story, show).run()
            truth = rig.live.truth()
            story.line_s = rig.live.line.world.t_ns / 1e9
            story.worst_lag_ms = rig.live.worst_lag_ns / 1e6
            origin_utc_ms = (time.time_ns() - time.monotonic_ns() + rig.live.origin_ns) // 1_000_000
            show("stopping the agent and the coordinator", len(truth), head.parts)
    finally:
        sys.setswitchinterval(switch_s)
    document = Document(scenario, "live", seed)
    return document.scored(story, truth, _left(work, scenario), origin_utc_ms), story


def _build(
    scenario: Scenario,
    seed: int,
    parts: tuple[Part, ...],
    bundle: Path,
    work: Path,
    stack: ExitStack,
    show: Show,
    record: bool,
) -> Rig:
    """Start everything but the belt. What was started is stopped by ``stack``, the last first."""
    show("starting broker, coordinator, camera and PLC", 0, len(parts))
    live = LiveLine(Line(scenario.belt, scenario.lamp, scenario.plc, len(parts), seed))
    broker = Broker(scenario.link.broker, data_dir=work / "broker")
    stack.callback(broker.stop)
    broker.start()
    network = Proxy((broker.host, broker.port))
    network.start()
    stack.callback(network.stop)
    http = free_port()
    arguments = ["coordinator", "--broker", f"mqtt://{broker.host}:{broker.port}", "--db", str(work / "ledger.db")]
    arguments += ["--data", str(work / "coordinator"), "--http", f"127.0.0.1:{http}", "--site", SITE, "--json"]
    coordinator = Daemon("coordinator", arguments, work / "coordinator.log", work)
    stack.callback(coordinator.stop)
    coordinator.start()
    camera = CameraServer(Camera(scenario.camera, live, parts, scenario.lamp.gradient, seed))
    stack.callback(camera.stop)
    camera.start()
    plc = PlcServer(live)
    plc.start()
    stack.callback(plc.stop)
    stack.callback(live.stop)
    live.on_arrival(camera.part_arrived)
    wait_for(lambda: answers(f"http://127.0.0.1:{http}/healthz"), coordinator, 30.0, "the coordinator was not ready")
    tables = agent_tables(
        scenario, bundle.resolve(), camera_url=camera.url, plc_port=plc.port, broker_port=network.port
    )
    (work / "agent.toml").write_text(dump_toml(tables))
    agent = Daemon(
        "agent", ["run", "agent.toml", *(["--record", "agent.trace"] if record else [])], work / "agent.log", work
    )
    stack.callback(agent.stop)
    return Rig(live, plc, camera, broker, network, agent, coordinator)


class _Run:
    """The main thread's part: start, timeline, watch, settle."""

    def __init__(self, scenario: Scenario, rig: Rig, work: Path, story: Story, show: Show) -> None:
        self._rig = rig
        self._data_dir = work / str(scenario.agent.get("agent", {}).get("data_dir", "agent-data"))
        self._story = story
        self._show = show
        self._steps = timeline(scenario.faults)
        self._began: dict[int, float] = {}
        self._active: dict[int, Fault] = {}
        self._parts = scenario.scenario.parts
        stops_s = scenario.plc.operator_s * self._parts if scenario.plc.no_verdict == "stop" else 0.0
        self._give_up_s = scenario.line_s * 1.5 + stops_s + STALL_S

    def run(self) -> None:
        """Until the belt is empty and the ledger has everything."""
        rig = self._rig
        self._show("starting the agent: model, camera, PLC, broker", 0, self._parts)
        rig.agent.start()
        wait_for(self._is_ready, rig.agent, READY_S, "the agent was not ready")
        rig.live.start()
        while not rig.live.wait_empty(TURN_S):
            t_s = rig.live.now_ns() / 1e9
            self._keep_timeline(t_s)
            self._keep_daemons()
            self._show(self._said(), rig.live.seen(), self._parts)
            if t_s > self._give_up_s:
                self._story.notes.append(f"given up after {t_s:.0f} s: the belt got nowhere")
                break
        self._end_faults()
        self._settle()
        rig.agent.stop()

    def _is_ready(self) -> bool:
        status = agent_status(self._data_dir)
        return bool(status and status.get("ready") and status.get("online"))

    def _keep_timeline(self, t_s: float) -> None:
        while self._steps and self._steps[0].t_s <= t_s:
            self._do(self._steps.pop(0))

    def _do(self, step: Step) -> None:
        key = id(step.fault)
        if step.begins:
            self._began[key] = self._rig.live.now_ns() / 1e9
            self._active[key] = step.fault
        do(self._rig, step)
        if not step.begins and key in self._active:
            del self._active[key]
            self._story.faults.append((step.fault, self._began[key], self._rig.live.now_ns() / 1e9))

    def _end_faults(self) -> None:
        """Whatever still lasts when the belt is empty is mended, so that the books can be balanced."""
        for step in self._steps:
            if not step.begins and id(step.fault) in self._active:
                self._do(step)
        self._steps = []

    def _keep_daemons(self) -> None:
        """As a service manager: what ended by itself is started again, and it is told."""
        dead = {down(fault) for fault in self._active.values()}
        for daemon in (self._rig.agent, self._rig.coordinator):
            if daemon.pid is None and daemon.name not in dead:
                self._story.notes.append(f"{daemon.name} ended by itself with status {daemon.status} and was restarted")
                if daemon.starts > 20:
                    raise daemon.gone()
                daemon.start()

    def _settle(self) -> None:
        end = time.monotonic() + SETTLE_S
        left: int | None = None
        while time.monotonic() < end:
            self._keep_daemons()
            left = backlog(agent_status(self._data_dir))
            if left == 0:
                return
            shown = "?" if left is None else left
            self._show(f"waiting for the ledger: {shown} records to go", self._rig.live.seen(), self._parts)
            pause(0.1)
        self._story.notes.append(f"after {SETTLE_S:g} s the ledger still lacked {left} records")

    def _said(self) -> str:
        broken = ", ".join(sorted(fault.kind for fault in self._active.values()))
        truth = self._rig.live.truth()
        rejected = sum(part.fate == "rejected" for part in truth)
        return f"{rejected} rejected" + (f"   [fault: {broken}]" if broken else "")


def _left(work: Path, scenario: Scenario) -> Left:
    """What the daemons left behind; both have stopped."""
    data_dir = work / str(scenario.agent.get("agent", {}).get("data_dir", "agent-data"))
    committed = journal_heads(data_dir / "journal")
    ledger = LedgerView(work / "ledger.db")
    try:
        return Left(ledger.rows(), ledger.streams(committed), ledger.evidence())
    finally:
        ledger.close()
