"""Open files: a connection is one, a journal on disk about a dozen."""

from __future__ import annotations

import resource
from typing import Final

from edge.errors import ConfigError

BASE: Final = 128
PER_AGENT: Final = 1
PER_JOURNAL: Final = 12
USUAL: Final = 16_384
"""Asked for in any case: the broker is our child and inherits it."""


def files_needed(agents: int, *, disk: bool) -> int:
    """File descriptors for so many agents in one process."""
    return BASE + agents * (PER_AGENT + (PER_JOURNAL if disk else 0))


def enough_files(agents: int, *, disk: bool = False) -> None:
    """Raise the soft limit to the hard one. Raises ConfigError SWARM_FILES where that is not enough."""
    needed = files_needed(agents, disk=disk)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    wanted = max(needed, USUAL)
    if soft != unlimited and soft < wanted:
        soft = wanted if hard == unlimited else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft != unlimited and soft < needed:
        what = f"{agents} agents need {needed} open files, and {soft} are allowed"
        raise ConfigError("SWARM_FILES", what, hint=f"ulimit -Hn {needed} as root, or give --processes")
