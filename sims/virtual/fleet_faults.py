"""Does to a fleet what the timeline says."""

from __future__ import annotations

from typing import NamedTuple, assert_never

from edge.events_fleet import SettingsWanted
from sims.virtual.fleet_kinds import Wish
from sims.virtual.fleet_rig import FleetRig
from sims.virtual.fleet_spec import FleetFault
from sims.virtual.kernel import NS, Node
from sims.virtual.machine import AgentMachine
from sims.virtual.rogue import Rogue

FAULT_WORDS = {
    "broker_restart": "no broker",
    "partition": "network cut",
    "agent_kill": "agents killed",
    "power_cut": "power cut",
    "coordinator_kill": "no coordinator",
    "disk_slow": "slow disks",
    "ledger_slow": "slow ledger",
    "clock_step": "clock set",
    "link_refused": "refused at the broker",
    "link_deaf": "agents hear nothing",
    "link_slow": "slow network",
    "link_flapping": "flapping link",
    "ledger_lost": "ledger lost",
    "retained_poison": "poisoned messages",
    "duplicate_id": "id used twice",
}


class Moment(NamedTuple):
    """A fault begins or ends, or goes on (``begins`` None)."""

    fault: FleetFault
    begins: bool | None


def do(fleet: FleetRig, node: Node, fault: FleetFault, t_ns: int, *, begins: bool) -> None:
    """Begin or end one fault; ``node`` is told the moments at which it goes on."""
    some = fleet.some(fault.share, fault.group)
    names = [agent.name for agent in some]
    match fault.kind:
        case "broker_restart":
            fleet.net.stop_broker() if begins else fleet.net.start_broker()
        case "partition":
            fleet.net.set_mode(names, "cut" if begins else "ok")
        case "link_refused":
            fleet.net.set_mode(names, "refuse" if begins else "ok")
        case "link_deaf":
            fleet.net.set_mode(names, "deaf" if begins else "ok")
        case "link_slow":
            fleet.net.set_mode(names, "slow" if begins else "ok", fault.value)
        case "link_flapping":
            if begins:
                _flap(fleet, node, fault, t_ns)
        case "agent_kill" | "power_cut":
            _end_or_start(some, t_ns, begins=begins, silently=fault.kind == "power_cut")
        case "coordinator_kill":
            fleet.coordinator.kill() if begins else fleet.coordinator.start(t_ns)
        case "disk_slow":
            for agent in some:
                agent.disk.slowness = fault.value if begins else 1.0
        case "ledger_slow":
            fleet.coordinator.host.slowness = fault.value if begins else 1.0
        case "clock_step":
            for agent in some if begins else ():
                agent.step_clock(int(fault.value * NS))
        case "ledger_lost":
            _lose_ledger(fleet, t_ns, begins=begins)
        case "retained_poison":
            if begins:
                Rogue(fleet.net, fleet.site, names)
        case "duplicate_id":
            for agent in some:
                fleet.start_twin(agent) if begins else fleet.stop_twin(agent)
        case _:
            assert_never(fault.kind)


def go_on(fleet: FleetRig, fault: FleetFault) -> None:
    """The next blow of a fault that comes in blows."""
    fleet.net.break_links([agent.name for agent in fleet.some(fault.share, fault.group)])


def wish(fleet: FleetRig, wanted: Wish) -> None:
    """What a person would send over HTTP, for each agent that is meant. Nothing reaches a coordinator that is gone."""
    for agent in fleet.some(1.0, wanted.group):
        fleet.coordinator.post(SettingsWanted(fleet.next_request(), agent.name, dict(wanted.settings)))


def _end_or_start(some: list[AgentMachine], t_ns: int, *, begins: bool, silently: bool) -> None:
    for agent in some:
        if not begins:
            agent.start(t_ns)
        elif silently:
            agent.power_cut(t_ns)
        else:
            agent.kill()


def _flap(fleet: FleetRig, node: Node, fault: FleetFault, t_ns: int) -> None:
    every_ns = max(NS // 10, int(fault.value * NS))
    at_ns = t_ns
    while at_ns < t_ns + int(fault.for_s * NS):
        fleet.kernel.post(at_ns, node, Moment(fault, None))
        at_ns += every_ns


def _lose_ledger(fleet: FleetRig, t_ns: int, *, begins: bool) -> None:
    coordinator = fleet.coordinator
    if begins:
        coordinator.kill()
        coordinator.host.ledger = fleet.new_ledger()
    else:
        coordinator.start(t_ns)
