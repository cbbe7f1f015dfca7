"""``/metrics`` in Prometheus' text format 0.0.4: one family a name, help and type first, labels escaped."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from edge.events_fleet import FleetView

_NOT_NAME: Final = re.compile(r"[^a-zA-Z0-9_]")
_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_STATUSES: Final = ("online", "offline", "stopped", "unknown")

Sample = tuple[Mapping[str, str], float]


def family(name: str, kind: str, says: str, samples: Sequence[Sample]) -> str:
    """One metric with all its samples. ``name`` and label names are ours; values and label values may be foreign."""
    lines = [f"# HELP {name} {says}", f"# TYPE {name} {kind}"]
    for labels, value in samples:
        inner = ",".join(f'{key}="{text.translate(_ESCAPES)}"' for key, text in labels.items())
        lines.append(f"{name}{{{inner}}} {value:.17g}" if inner else f"{name} {value:.17g}")
    return "\n".join(lines) + "\n"


def metrics_text(view: FleetView, rows: Mapping[str, int], size_bytes: int, commits: int, commit_s: float) -> str:
    """Everything the coordinator can count."""
    site = {"site": view.site}
    statuses = [agent.status for agent in view.agents]
    parts = [
        family("jidoka_connected", "gauge", "1 while the broker is reached", [(site, view.connected)]),
        family("jidoka_ready", "gauge", "1 while results are taken", [(site, not view.why_not)]),
        family(
            "jidoka_agents",
            "gauge",
            "Agents by status",
            [(site | {"status": status}, statuses.count(status)) for status in _STATUSES],
        ),
        family(
            "jidoka_agent_ready",
            "gauge",
            "1 while an agent is online and can inspect",
            [(site | {"agent": agent.agent}, agent.ready) for agent in view.agents],
        ),
        family(
            "jidoka_agent_seen_seconds",
            "gauge",
            "UTC of the last message of an agent",
            [(site | {"agent": agent.agent}, agent.seen_utc_ms / 1000) for agent in view.agents],
        ),
        family(
            "jidoka_agent_counter_total",
            "counter",
            "An agent's own counters since its boot",
            [
                (site | {"agent": agent.agent, "name": name}, value)
                for agent in view.agents
                for name, value in sorted(agent.counters.items())
            ],
        ),
        family(
            "jidoka_agent_gauge",
            "gauge",
            "An agent's own gauges",
            [
                (site | {"agent": agent.agent, "name": name}, value)
                for agent in view.agents
                for name, value in sorted(agent.gauges.items())
            ],
        ),
        family("jidoka_ledger_rows", "gauge", "Rows kept", [({"table": name}, n) for name, n in rows.items()]),
        family("jidoka_ledger_bytes", "gauge", "Bytes the ledger's rows and indexes take", [({}, size_bytes)]),
        family("jidoka_commits_total", "counter", "Transactions that stored records", [({}, commits)]),
        family("jidoka_commit_seconds_total", "counter", "Time those took", [({}, commit_s)]),
    ]
    for name, value in sorted(view.counters.items()):
        says = f"Counted by the coordinator: {name.replace('_', ' ')}"
        parts.append(family(f"jidoka_coordinator_{_NOT_NAME.sub('_', name)}_total", "counter", says, [({}, value)]))
    return "".join(parts)
