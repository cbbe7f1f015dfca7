"""What can be said about a driver class without a device: its ports, its Options, the units in their names."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import inspect

from edge.errors import DeviceError
from edge.ports import Actuator, FrameSource, Sensor

UNITS = frozenset(
    [
        "s",
        "ms",
        "us",
        "ns",
        "min",
        "h",
        "hz",
        "fps",
        "px",
        "mm",
        "mm2",
        "um",
        "m",
        "deg",
        "rad",
        "c",
        "k",
        "v",
        "a",
        "w",
        "n",
        "nm",
        "kg",
        "g",
        "bar",
        "pa",
        "pct",
        "share",
        "ratio",
        "bytes",
        "bits",
        "baud",
        "counts",
        "rpm",
    ]
)
"""Last words of a name that say in what a number is counted."""

PURE_NUMBERS = frozenset(
    [
        "port",
        "id",
        "unit",
        "index",
        "no",
        "address",
        "register",
        "input",
        "coil",
        "slot",
        "rack",
        "channel",
        "axis",
        "version",
        "retries",
    ]
)
"""Last words of the names of integers that are not measured in anything."""


def check_fills_a_port(kind: type[Any]) -> None:
    """It has the methods of a FrameSource, Sensor or Actuator."""
    methods = {name for name in dir(kind) if callable(getattr(kind, name))}
    ports = (FrameSource, Sensor, Actuator)
    fits = [port.__name__ for port in ports if _methods(port) <= methods]
    assert fits, f"{kind.__name__} is none of {', '.join(port.__name__ for port in ports)}"


def check_options_are_frozen_and_strict(kind: type[Any]) -> None:
    """Settings cannot change behind a driver's back, and a misspelt key is refused."""
    options = options_of(kind)
    assert options.__struct_config__.frozen, f"{options.__name__} is not frozen"
    assert options.__struct_config__.forbid_unknown_fields, f"{options.__name__} takes unknown keys"


def check_numbers_name_their_units(kind: type[Any]) -> None:
    """Every float, and every integer that is no address or the like, ends in a unit: ``timeout_s``, ``pulse_ms``."""
    for field in msgspec.structs.fields(options_of(kind)):
        last = field.name.rsplit("_", 1)[-1]
        types = _members(inspect.type_info(field.type))
        has_unit = "_" in field.name and last in UNITS
        if any(isinstance(one, inspect.FloatType) for one in types):
            assert has_unit, f"{kind.__name__}: option {field.name!r} is a float without a unit in its name"
        # `source: int | str` is a name that may be a number, not a measure
        elif types and all(isinstance(one, inspect.IntType | inspect.NoneType) for one in types):
            named = has_unit or last in PURE_NUMBERS
            assert named, f"{kind.__name__}: option {field.name!r} is an integer without a unit in its name"


def check_constructing_opens_nothing(kind: type[Any], options: Any) -> None:
    """Made, made safe and closed without a device: nothing is raised; read before open is a DeviceError."""
    driver = kind("unopened", options)
    driver.close()
    if hasattr(driver, "safe"):
        driver.safe()
    try:
        driver.read(0.1)
    except DeviceError:
        pass
    else:
        raise AssertionError(f"{kind.__name__} reads without having been opened")
    driver.close()


def options_of(kind: type[Any]) -> type[msgspec.Struct]:
    """The class's ``Options``. Raises AssertionError when it has none."""
    options = getattr(kind, "Options", None)
    assert isinstance(options, type), f"{kind.__name__} has no class Options"
    assert issubclass(options, msgspec.Struct), f"{kind.__name__}.Options is no msgspec.Struct"
    return options


def _methods(port: type[Any]) -> set[str]:
    return {name for name in vars(port) if not name.startswith("_") and callable(getattr(port, name))}


def _members(info: inspect.Type) -> list[inspect.Type]:
    if isinstance(info, inspect.UnionType):
        return list(info.types)
    return [info.type] if isinstance(info, inspect.Metadata) else [info]
