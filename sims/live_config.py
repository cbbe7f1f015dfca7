"""The agent.toml of a live run: what a person would write for this line, made from the scenario. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sims.scenario import Scenario

SITE = "sim"
AGENT = "cell"
CAPTURE_WITHIN_MM = 30.0
"""A part that has moved further from its trigger to its picture may share the picture with its neighbour."""
DECISION_MARGIN_MS = 20.0
"""So much before a part reaches the decision point its verdict's deadline is set."""


def agent_tables(
    scenario: Scenario, bundle: Path, *, camera_url: str, plc_port: int, broker_port: int
) -> dict[str, dict[str, Any]]:
    """Tables of agent.toml; those in the scenario's ``[agent]`` override key by key."""
    belt, plc = scenario.belt, scenario.plc
    counts = belt.counts_per_mm
    to_decision_ms = (belt.decision_mm - belt.camera_mm) / belt.speed_mm_s * 1000.0
    if plc.mode == "coil" and plc.gate == "plc":  # a pulse after the next trigger would be the next part's
        to_decision_ms = min(to_decision_ms, (belt.pitch_mm - 2 * belt.pitch_jitter_mm) / belt.speed_mm_s * 1000.0)
    tables: dict[str, dict[str, Any]] = {
        "agent": {"id": AGENT, "site": SITE, "data_dir": "agent-data"},
        "sources": {
            "camera": {
                "driver": "http",
                "trigger": "plc",
                "deliver": "every",
                "timeout_s": 0.5,
                "mm_per_px": scenario.camera.mm_per_px,
                "options": {"url": f"{camera_url}/snapshot.jpg", "shared_clock": True, "timeout_s": 0.5},
            }
        },
        "devices": {
            "plc": {
                "driver": "modbus",
                "options": {
                    "host": "127.0.0.1",
                    "port": plc_port,
                    "mode": plc.mode,
                    "encoder": plc.mode == "coil",
                    "timeout_s": 0.25,
                },
            }
        },
        "model": {"path": str(bundle)},
        "policy": dict(scenario.model.policy),
        "plc": {
            "mode": plc.mode,
            "gate": plc.gate,
            "no_verdict": plc.no_verdict,
            "unsure": "pass" if plc.unsure == "pass" else "reject",
            "poll_ms": 2.0,
            "deadline_ms": round(max(20.0, to_decision_ms - DECISION_MARGIN_MS), 1),
            "capture_within_ms": round(CAPTURE_WITHIN_MM / belt.speed_mm_s * 1000.0, 1),
            "stale_counts": round(20.0 * counts),
            "gate_counts": round((belt.gate_mm - belt.camera_mm) * counts),
            "gate_lead_ms": belt.gate_lag_ms,
            "pulse_ms": 60,
        },
        "link": {"host": "127.0.0.1", "port": broker_port, "keepalive_s": 5},
    }
    for table, values in scenario.agent.items():
        tables[table] = {**tables.get(table, {}), **values}
    return {name: table for name, table in tables.items() if table}
