"""Does to the live line what the timeline says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never, cast

from edge.shell.broker import Broker
from sims.camera_server import CameraHealth, CameraServer
from sims.faults import Fault, Step
from sims.live_line import LiveLine
from sims.live_process import Daemon
from sims.plc_server import Health, PlcServer
from sims.proxy import Mode, Proxy


@dataclass(frozen=True, slots=True)
class Rig:
    """Everything of a live run that can be broken."""

    live: LiveLine
    plc: PlcServer
    camera: CameraServer
    broker: Broker
    network: Proxy
    agent: Daemon
    coordinator: Daemon


def do(rig: Rig, step: Step) -> None:
    """Begin or end one fault."""
    fault = step.fault
    match fault.kind:
        case "camera_frozen" | "camera_gone" | "camera_hang" | "camera_slow" | "camera_dark":
            health = cast("CameraHealth", fault.kind.removeprefix("camera_"))
            rig.camera.set_health(health if step.begins else "ok")
        case "plc_gone" | "plc_frozen":
            rig.plc.set_health(cast("Health", fault.kind.removeprefix("plc_")) if step.begins else "ok")
        case "broker_restart":
            rig.broker.kill() if step.begins else rig.broker.start()
        case "network_cut" | "network_refuse" | "network_deaf" | "network_slow":
            _network(rig.network, fault, begins=step.begins)
        case "agent_kill":
            rig.agent.kill() if step.begins else rig.agent.start()
        case "coordinator_kill":
            rig.coordinator.kill() if step.begins else rig.coordinator.start()
        case "light_drift":
            if step.begins:
                rig.live.age_light(fault.value, fault.for_s)
        case "lens_dirty":
            rig.camera.camera.grime = fault.value if step.begins else 0.0
        case "camera_bumped":
            rig.camera.camera.bump_mm = 10.0 * fault.value if step.begins else 0.0
        case "disk_full" | "disk_slow" | "power_cut" | "clock_step" | "ledger_slow" | "plc_reboot":
            pass  # refused before anything was started
        case _:
            assert_never(fault.kind)


def _network(network: Proxy, fault: Fault, *, begins: bool) -> None:
    mode = cast("Mode", fault.kind.removeprefix("network_"))
    network.set_mode(mode if begins else "ok", fault.value if mode == "slow" else 0.0)


def down(fault: Fault) -> str:
    """The daemon that is dead on purpose while this fault lasts; empty when none is."""
    return {"agent_kill": "agent", "coordinator_kill": "coordinator"}.get(fault.kind, "")
