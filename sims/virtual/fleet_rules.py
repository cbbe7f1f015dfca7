"""What must hold of a fleet once all faults are over and everything had time to get quiet."""

from __future__ import annotations

from collections.abc import Sequence

from edge.events_fleet import AgentView, FleetView, FleetWanted
from sims.virtual.books import Broken, audit
from sims.virtual.coordinator_machine import CoordinatorMachine
from sims.virtual.fleet_rig import FleetRig
from sims.virtual.machine import AgentMachine


def fleet_broken(fleet: FleetRig) -> list[Broken]:
    """Every invariant that does not hold; empty when all do."""
    found = audit(fleet.agents, fleet.ledgers)
    # a twin was sent away: what it holds it keeps for its next start
    found += [one for one in audit(fleet.twins, fleet.ledgers) if one.name != "unsettled"]
    if what := unconverged(fleet):
        found.append(Broken("unconverged", what))
    found += crashed([*fleet.agents, *fleet.twins])
    return list({one.name: one for one in reversed(found)}.values())[::-1]


def unconverged(fleet: FleetRig) -> str:
    """The first agent of which the coordinator believes something else than is; empty when all is as wanted."""
    return apart(fleet.agents, fleet.coordinator, fleet.kernel.now_ns)


def apart(agents: Sequence[AgentMachine], coordinator: CoordinatorMachine, now_ns: int) -> str:
    """The same of some agents and their coordinator."""
    if coordinator.process is None:
        return "there is no coordinator"
    shown = _views(coordinator, now_ns)
    wanted = coordinator.host.ledger.load_desired(coordinator.host.site)
    for agent in agents:
        view, process = shown.get(agent.name), agent.process
        if process is None:
            return f"{agent.name} does not run"
        if view is None or view.status != "online":
            return f"{agent.name} runs, and the coordinator shows it as {view.status if view else 'unknown'}"
        if (view.log, view.boot_no) != (agent.journal.log, process.core.scribe.boot_no):
            return f"{agent.name}: the coordinator shows boot {view.boot_no}, it is {process.core.scribe.boot_no}"
        desired = wanted.get(agent.name)
        if desired is None:
            continue
        if view.desired_rev != desired.rev:
            return f"{agent.name}: revision {desired.rev} is in the ledger, the coordinator wants {view.desired_rev}"
        if view.settings == "waiting":
            return f"{agent.name}: revision {desired.rev} is wanted, it reported {view.reported_rev}"
        if view.settings == "applied" and process.core.talk.wanted.rev != desired.rev:
            return f"{agent.name}: revision {desired.rev} is shown as applied, {process.core.talk.wanted.rev} runs"
    return ""


def crashed(agents: Sequence[AgentMachine]) -> list[Broken]:
    """Processes that ended by themselves."""
    gone = [f"{agent.name} ended by itself: {why}" for agent in agents for _, status, why in agent.left if status]
    return [Broken("crashed", gone[0])] if gone else []


def _views(coordinator: CoordinatorMachine, now_ns: int) -> dict[str, AgentView]:
    """The fleet as the coordinator would show it; nothing while none is there."""
    process = coordinator.process
    if process is None or process.core is None:
        return {}
    for effect in process.core.handle(FleetWanted(0), coordinator.host.clock.mono(now_ns)):
        body = getattr(effect, "body", None)
        if isinstance(body, FleetView):
            return {view.agent: view for view in body.agents}
    return {}
