"""What the agent says of itself on its own page: one plain document, made by the core's thread."""

from __future__ import annotations

from typing import Any

from edge.core.agent import AgentCore
from edge.messages import State
from edge.shell.carrier import Shells


def status_of(core: AgentCore, shells: Shells, dropped_remote: int, now_ns: int) -> dict[str, Any]:
    """Health, counters, gauges and the state of every part."""
    settings, health = core.settings, core.health()
    state = core.state(State("online", shells.journal.log, core.scribe.boot_no, 0, versions=settings.versions))
    counters = dict(core.scribe.counters)
    counters["remote_dropped"] = dropped_remote
    for name, capture in shells.captures.items():
        counters[f"frames_{name}"] = capture.frames
        counters[f"captures_failed_{name}"] = capture.failed_asks
    for name, device in shells.devices.items():
        counters[f"polls_{name}"] = device.polls
        counters[f"commands_late_{name}"] = device.late
        counters[f"commands_refused_{name}"] = device.refused
        counters[f"reopened_{name}"] = device.reopened
        counters[f"polls_late_{name}"] = device.late_polls
    counters["frames_replaced"] = shells.infer.replaced
    counters["pictures_lost"] = shells.store.missed + shells.store.evicted
    model = state.model
    return {
        "made_ns": now_ns,
        "agent": settings.agent,
        "site": settings.site,
        "ready": health.ready,
        "why_not": list(health.why_not),
        "paused": state.paused,
        "recipe": state.recipe,
        "model": {"name": model.name, "version": model.version, "sha256": model.sha256} if model else None,
        "devices": state.devices,
        "up": {
            **{f"source {name}": capture.up for name, capture in shells.captures.items()},
            **{f"device {name}": device.up for name, device in shells.devices.items()},
        },
        "linked": shells.link is not None,
        "online": core.talk.online,
        "boot_no": core.scribe.boot_no,
        "log": shells.journal.log,
        "versions": settings.versions,
        "counters": counters,
        "gauges": core.gauges(),
        "journal": {kind: head.bytes_held for kind, head in shells.journal.heads().items()},
    }
