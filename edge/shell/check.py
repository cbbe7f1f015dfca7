"""``jidoka run --check``: everything that can be checked without opening a camera or moving anything."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from edge.assembly import core_settings
from edge.config import load_agent
from edge.config.load import Loaded
from edge.errors import ConfigError
from edge.shell.assemble import (
    check_labels,
    command_key,
    endpoint,
    load_models,
    make_driver,
    notes_of,
    run_as,
    source_file,
)
from edge.shell.endpoint import tls_context

MAX_LABELS = 10
"""So many labels of a model are named."""


class CheckReport(Struct, frozen=True):
    """What was found to be in order, and what will probably surprise."""

    file: str
    agent: str
    site: str
    sources: dict[str, str]
    devices: dict[str, str]
    sensors: dict[str, str]
    models: dict[str, str]
    link: str
    data_dir: str
    remote: tuple[str, ...]
    warnings: tuple[str, ...]

    def lines(self) -> list[str]:
        """For a person."""
        said = [f"{self.file} is in order: agent {self.agent} of site {self.site}"]
        said += [f"  source {name}: {what}" for name, what in self.sources.items()]
        said += [f"  sensor {name}: {what}" for name, what in self.sensors.items()]
        said += [f"  device {name}: {what}" for name, what in self.devices.items()]
        said += [f"  model {name}: {what}" for name, what in self.models.items()]
        said += [f"  link: {self.link}", f"  data: {self.data_dir}"]
        return said + [f"  warning: {text}" for text in self.warnings]


def check_agent(file: Path) -> CheckReport:
    """Load the settings, try the models in a child, construct every driver. Raises JidokaError at the first fault."""
    loaded = load_agent(file)
    config = loaded.config
    for name, source in config.sources.items():
        make_driver(source.driver, loaded.source_options[name], name, loaded.folder).close()
        _check_file(loaded, "sources", name, loaded.source_options[name])
    for name, sensor in config.sensors.items():
        make_driver(sensor.driver, loaded.sensor_options[name], name, loaded.folder).close()
        _check_file(loaded, "sensors", name, loaded.sensor_options[name])
    for name, device in config.devices.items():
        make_driver(device.driver, loaded.device_options[name], name, loaded.folder).close()
    link = "none: the agent works alone"
    if config.link is not None:
        where = endpoint(loaded, config.link)
        link = str(where)
        if where.tls is not None:
            tls_context(where.tls)
    models = load_models(loaded)
    settings = core_settings(loaded, models.recipes, command_key(loaded))
    return CheckReport(
        file=str(file),
        agent=config.agent.id,
        site=config.agent.site,
        sources={name: f"{one.driver}, {one.trigger}, {one.deliver}" for name, one in config.sources.items()},
        sensors={name: f"{one.driver}, {one.rate_hz:g} Hz" for name, one in config.sensors.items()},
        devices={name: one.driver for name, one in config.devices.items()},
        models={name: _named(one.labels) + run_as(one) for name, one in models.predictors.items()},
        link=link,
        data_dir=str(loaded.path(config.agent.data_dir)),
        remote=tuple(key.name for key in settings.remote),
        warnings=(*check_labels(loaded, models), *notes_of(models), *_check_data(loaded)),
    )


def _check_file(loaded: Loaded, table: str, name: str, options: object) -> None:
    """A video or folder must be there now; a camera may come later. Raises ConfigError SOURCE_ABSENT."""
    path = source_file(options, loaded.folder)
    if path is not None and not path.exists():
        where = loaded.locator.where((table, name, "options", "source"))
        raise ConfigError("SOURCE_ABSENT", f"{where}: there is no file or folder {path}", hint="check the path")


def _check_data(loaded: Loaded) -> list[str]:
    """A warning only: the service may run as another user, who owns the folder."""
    path = loaded.path(loaded.config.agent.data_dir)
    there = next(one for one in (path, *path.parents) if one.exists())
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        return []
    where = loaded.locator.where(("agent", "data_dir"))
    return [f"{where}: {there} is no folder that this user may write to"]


def _named(labels: Sequence[str]) -> str:
    more = len(labels) - MAX_LABELS
    return ", ".join(labels[:MAX_LABELS]) + (f" and {more} more" if more > 0 else "")
