"""Short name -> class, from entry points. Nothing else in the house is dynamic.

Groups: ``jidoka.drivers`` (cameras, PLCs, robots, sensors), ``jidoka.policies``,
``jidoka.heads`` (what a model's outputs mean). A third party's package registers in
the same groups; a class is imported only when its name is asked for.
"""

from __future__ import annotations

import difflib
from functools import cache
from typing import TYPE_CHECKING, Any

from edge.errors import ConfigError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint, EntryPoints

DRIVERS = "jidoka.drivers"
POLICIES = "jidoka.policies"
HEADS = "jidoka.heads"
COMMANDS = "jidoka.commands"


@cache
def _points(group: str) -> EntryPoints:
    """Read once a process: it looks into the metadata of everything installed."""
    from importlib.metadata import entry_points  # takes long to import, and a daemon has something to begin before

    return entry_points(group=group)


def names(group: str) -> list[str]:
    """All registered short names of a group, sorted."""
    return sorted({point.name for point in _points(group)})


def find(group: str, name: str) -> EntryPoint:
    """The entry point called ``name``. Raises ConfigError with the likely word."""
    for point in _points(group):
        if point.name == name:
            return point
    known = names(group)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known) or 'none'}"
    what = group.removeprefix("jidoka.").removesuffix("s").replace("policie", "policy")
    raise ConfigError(f"{what.upper()}_UNKNOWN", f"there is no {what} called {name!r}", hint=hint)


def load(group: str, name: str) -> Any:
    """The class behind a short name. Raises ConfigError DRIVER_UNKNOWN or …_NOT_INSTALLED (a missing extra)."""
    point = find(group, name)
    try:
        return point.load()
    except ImportError as error:
        what = group.removeprefix("jidoka.").removesuffix("s").replace("policie", "policy")
        raise ConfigError(
            f"{what.upper()}_NOT_INSTALLED",
            f"{what} {name!r} needs a library that is not installed",
            str(error),
            f'install its extra: pip install "jidoka-edge[{name}]"',
        ) from error
