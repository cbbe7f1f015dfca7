"""Does to a simulated cell what the timeline says; the words are those of :mod:`sims.faults`, as live."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never, cast

from sims.faults import Step
from sims.live_config import AGENT
from sims.virtual.camera import Health, Sensor
from sims.virtual.coordinator_machine import CoordinatorMachine
from sims.virtual.kernel import NS
from sims.virtual.line import LineNode, PlcHealth
from sims.virtual.machine import AgentMachine
from sims.virtual.net import Net
from sims.virtual.net_link import Mode


@dataclass(frozen=True, slots=True)
class Rig:
    """Everything of a virtual run that can be broken."""

    line: LineNode
    sensor: Sensor
    net: Net
    agent: AgentMachine
    coordinator: CoordinatorMachine


def do(rig: Rig, step: Step, t_ns: int) -> None:
    """Begin or end one fault."""
    fault, begins = step.fault, step.begins
    match fault.kind:
        case "camera_frozen" | "camera_gone" | "camera_hang" | "camera_slow" | "camera_dark":
            rig.sensor.health = cast("Health", fault.kind.removeprefix("camera_")) if begins else "ok"
        case "plc_gone" | "plc_frozen":
            rig.line.plc_health = cast("PlcHealth", fault.kind.removeprefix("plc_")) if begins else "ok"
        case "broker_restart":
            rig.net.stop_broker() if begins else rig.net.start_broker()
        case "network_cut" | "network_refuse" | "network_deaf" | "network_slow":
            mode = cast("Mode", fault.kind.removeprefix("network_"))
            rig.net.set_mode([AGENT], mode if begins else "ok", fault.value if mode == "slow" else 0.0)
        case "agent_kill":
            rig.agent.kill() if begins else rig.agent.start(t_ns)
        case "coordinator_kill":
            rig.coordinator.kill() if begins else rig.coordinator.start(t_ns)
        case "plc_reboot":
            rig.line.reboot() if begins else rig.line.restart()
        case "lens_dirty":
            rig.sensor.camera.grime = fault.value if begins else 0.0
        case "camera_bumped":
            rig.sensor.camera.bump_mm = 10.0 * fault.value if begins else 0.0
        case "light_drift":
            if begins:
                rig.line.line.world.age_light(fault.value, fault.for_s)
        case "disk_full":
            rig.agent.disk.full = begins
        case "disk_slow":
            rig.agent.disk.extra_ns = int(fault.value * NS) if begins else 0
        case "power_cut":
            rig.agent.power_cut(t_ns) if begins else rig.agent.start(t_ns)
        case "clock_step":
            rig.agent.step_clock(int((-1 if begins else 1) * fault.value * 3600 * NS))
        case "ledger_slow":
            rig.coordinator.host.extra_ns = int(fault.value * NS) if begins else 0
        case _:
            assert_never(fault.kind)
