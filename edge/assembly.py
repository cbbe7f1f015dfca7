"""From checked settings to what a core is told: the same for a daemon and for a simulated agent. Opens nothing."""

from __future__ import annotations

import platform
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from edge.config import Loaded, remote_settings
from edge.config.agent import PlcConfig
from edge.core.policy import Policy
from edge.core.settings import (
    MS,
    EvidenceSettings,
    PlcSettings,
    RecipeSettings,
    Settings,
    SourceSettings,
    StopSettings,
)


def core_settings(loaded: Loaded, recipes: dict[str, RecipeSettings], command_key: bytes = b"") -> Settings:
    """What the core is told. ``command_key`` signs what it may be ordered to do."""
    config = loaded.config
    return Settings(
        site=config.agent.site,
        agent=config.agent.id,
        recipes=recipes,
        policies={name: options for name, (_, options) in loaded.policies.items()},
        # A sensor is a source, whose frames are windows.
        sources={
            **{name: SourceSettings(s.max_fps) for name, s in config.sources.items()},
            **{name: SourceSettings() for name in config.sensors},
        },
        devices=tuple(config.devices),
        plc=plc_settings(config.plc) if config.plc else None,
        stop=StopSettings(config.stop.consecutive, config.stop.m, config.stop.k),
        evidence=EvidenceSettings(config.evidence.keep, config.evidence.sample_every_n, config.evidence.max_fps),
        remote=remote_settings(loaded),
        versions=versions(),
        command_key=command_key,
    )


def policies(loaded: Loaded) -> dict[str, Callable[[Any], Policy]]:
    """Recipe -> policy class."""
    return {name: kind for name, (kind, _) in loaded.policies.items()}


def policy_names(loaded: Loaded) -> dict[str, str]:
    """Recipe -> short name of its policy."""
    config = loaded.config
    own: dict[str, dict[str, Any] | None] = {name: recipe.policy for name, recipe in config.recipes.items()}
    own |= {name: sensor.policy for name, sensor in config.sensors.items()}
    tables = {name: config.policy if own.get(name) is None else own[name] for name in loaded.policies}
    return {name: str((table or {}).get("name", "threshold")) for name, table in tables.items()}


def plc_settings(plc: PlcConfig) -> PlcSettings:
    """The PLC table with its times in ns."""
    return PlcSettings(
        plc.device,
        plc.source,
        plc.mode,
        plc.gate,
        plc.no_verdict,
        plc.unsure,
        int(plc.heartbeat_ms * MS),
        int(plc.deadline_ms * MS),
        int(plc.capture_within_ms * MS),
        plc.stale_counts,
        plc.gate_counts,
        int(plc.gate_lead_ms * MS),
        plc.pulse_ms,
        plc.views,
    )


def versions() -> dict[str, str]:
    """What runs here, for the birth message."""
    names = {"jidoka": "jidoka-edge", "onnxruntime": "onnxruntime", "opencv": "opencv-python"}
    return {"python": platform.python_version(), **{name: version(dist) for name, dist in names.items()}}
