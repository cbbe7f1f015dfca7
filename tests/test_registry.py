"""Short names: found, loaded, and a clear word for what is not there."""

from __future__ import annotations

import pytest

from edge.errors import ConfigError
from edge.registry import COMMANDS, DRIVERS, POLICIES, find, load, names


def test_our_own_are_registered() -> None:
    assert {"opencv", "http", "modbus"} <= set(names(DRIVERS))
    assert "threshold" in names(POLICIES)
    assert "run" in names(COMMANDS)


def test_names_are_sorted_and_single() -> None:
    assert names(DRIVERS) == sorted(set(names(DRIVERS)))


@pytest.mark.parametrize("name", names(DRIVERS))
def test_every_driver_has_options(name) -> None:
    assert load(DRIVERS, name).Options.__struct_config__.frozen


@pytest.mark.parametrize(
    ("group", "name", "code", "hint"),
    [
        (DRIVERS, "opencw", "DRIVER_UNKNOWN", "did you mean 'opencv'?"),
        (DRIVERS, "zzz", "DRIVER_UNKNOWN", "known: "),
        (POLICIES, "treshold", "POLICY_UNKNOWN", "did you mean 'threshold'?"),
        (COMMANDS, "runn", "COMMAND_UNKNOWN", "did you mean 'run'?"),
        ("jidoka.nothing", "x", "NOTHING_UNKNOWN", "known: none"),
    ],
)
def test_unknown_names(group, name, code, hint) -> None:
    with pytest.raises(ConfigError) as caught:
        find(group, name)
    assert caught.value.code == code
    assert hint in caught.value.hint
