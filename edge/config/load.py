"""Load ``agent.toml``: syntax, keys, values, and what one key says about another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec import Struct

from edge.config.agent import AgentConfig
from edge.config.check import checked, parse_toml, read_toml
from edge.config.locate import Locator
from edge.config.locate import Path as KeyPath
from edge.config.sense import check_sense
from edge.errors import ConfigError, JidokaError
from edge.registry import DRIVERS, POLICIES
from edge.registry import load as load_class

RESERVED_ID = "coordinator"


class Read(Struct, frozen=True):
    """A settings file whose own keys are checked; those of drivers and policies are not yet, see :func:`complete`."""

    config: AgentConfig
    locator: Locator
    folder: Path

    def path(self, text: str) -> Path:
        """A path of the file, relative to the file's own folder."""
        return (self.folder / text).expanduser()


class Loaded(Read, frozen=True):
    """A checked settings file: the structs, each driver's and policy's own options, and where each key stands."""

    source_options: dict[str, Any]
    device_options: dict[str, Any]
    sensor_options: dict[str, Any]
    policies: dict[str, tuple[Any, Any]]
    """Recipe or sensor name -> (policy class, its options); ``default`` is always there."""


def load_agent(file: Path) -> Loaded:
    """Read and check ``agent.toml`` as far as that goes without opening anything. Raises ConfigError."""
    return complete(read_agent(file))


def read_agent(file: Path) -> Read:
    """The first half, which imports no driver: drivers bring their libraries along. Raises ConfigError."""
    return _read(*read_toml(file), file.resolve().parent)


def read_agent_text(text: str, folder: Path) -> Read:
    """:func:`read_agent` of a text instead of a file; paths count from ``folder``. Raises ConfigError."""
    return _read(*parse_toml(text.encode(), "agent.toml"), folder)


def _read(data: dict[str, Any], locator: Locator, folder: Path) -> Read:
    config = checked(data, AgentConfig, locator)
    _check_names(config, locator)
    return Read(config, locator, folder)


def complete(read: Read) -> Loaded:
    """The second half: each driver's and policy's own options, checked by their own classes. Raises ConfigError."""
    config, locator = read.config, read.locator
    sources = {
        name: driver_options(source.driver, source.options, locator, ("sources", name))
        for name, source in config.sources.items()
    }
    devices = {
        name: driver_options(device.driver, device.options, locator, ("devices", name))
        for name, device in config.devices.items()
    }
    sensors = {
        name: driver_options(sensor.driver, sensor.options, locator, ("sensors", name))
        for name, sensor in config.sensors.items()
    }
    policies = {"default": _policy(config.policy, locator, ("policy",))}
    for name, recipe in config.recipes.items():
        own = recipe.policy if recipe.policy is not None else config.policy
        policies[name] = _policy(own, locator, ("recipes", name, "policy"))
    for name, sensor in config.sensors.items():
        own = sensor.policy if sensor.policy is not None else config.policy
        policies[name] = _policy(own, locator, ("sensors", name, "policy"))
    check_sense(config, locator, devices, {name: options for name, (_, options) in policies.items()})
    return Loaded(config, locator, read.folder, sources, devices, sensors, policies)


def driver_options(driver: str, options: dict[str, Any], locator: Locator, path: KeyPath) -> Any:
    """The driver's own sub-table, checked against its ``Options``. Raises ConfigError naming the line."""
    try:
        kind = load_class(DRIVERS, driver)
    except JidokaError as error:
        where = locator.where((*path, "driver"))
        raise ConfigError(error.code, f"{where}: {error.what}", error.why, error.hint) from error
    return checked(options, kind.Options, locator, (*path, "options"))


def _policy(table: dict[str, Any], locator: Locator, path: KeyPath) -> tuple[Any, Any]:
    options = dict(table)
    name = options.pop("name", "threshold")
    try:
        kind = load_class(POLICIES, str(name))
    except JidokaError as error:
        where = locator.where((*path, "name"))
        raise ConfigError(error.code, f"{where}: {error.what}", error.why, error.hint) from error
    return kind, checked(options, kind.Options, locator, path)


def _check_names(config: AgentConfig, locator: Locator) -> None:
    def wrong(path: KeyPath, what: str, hint: str = "") -> ConfigError:
        return ConfigError("CONFIG_WRONG_VALUE", f"{locator.where(path)}: {what}", hint=hint)

    if config.agent.id == RESERVED_ID:
        raise wrong(("agent", "id"), "'coordinator' is a reserved agent id", "choose another id")
    if not config.sources and not config.sensors:
        raise wrong(("sources",), "there is no source", "add a table [sources.camera]")
    for name in config.sensors:
        if name == "default" or name in config.sources or name in config.recipes:
            raise wrong(
                ("sensors", name), f"the name {name!r} is taken", "sensors, sources and recipes share their names"
            )
    plc = config.plc
    if plc is None:
        for name, source in config.sources.items():
            if source.trigger == "plc":
                raise wrong(("sources", name, "trigger"), "trigger = 'plc' needs a table [plc]")
        return
    if plc.device not in config.devices:
        hint = f"known devices: {', '.join(config.devices) or 'none'}"
        raise wrong(("plc", "device"), f"there is no device {plc.device!r}", hint)
    if plc.source not in config.sources:
        hint = f"known sources: {', '.join(config.sources)}"
        raise wrong(("plc", "source"), f"there is no source {plc.source!r}", hint)
    for i, view in enumerate(plc.views):
        if view not in config.sources:
            raise wrong(
                ("plc", "views", i), f"there is no source {view!r}", f"known sources: {', '.join(config.sources)}"
            )
        if view == plc.source or view in plc.views[:i]:
            raise wrong(("plc", "views", i), f"{view!r} looks at the part already", "name each camera once")
    if plc.gate == "agent" and plc.gate_counts == 0:
        raise wrong(("plc", "gate_counts"), "gate = 'agent' needs gate_counts", "encoder counts from camera to gate")
