"""A worker process: one hive, from its start to its end. Whatever ends it early, the boss hears in one line."""

from __future__ import annotations

from contextlib import suppress
from multiprocessing.connection import Connection

from edge.errors import JidokaError
from sims.swarm.hive import Hive
from sims.swarm.limits import enough_files
from sims.swarm.plan import Plan


def work(plan: Plan, numbers: range, boss: Connection) -> None:
    """A worker process, from its start to its end."""
    try:
        enough_files(len(numbers), disk=plan.disk is not None)
        hive = Hive(plan, numbers, boss)
        try:
            hive.run()
        finally:
            hive.close()
    except Exception as error:
        with suppress(OSError):
            boss.send(_line(error))
        raise SystemExit(1) from error


def _line(error: Exception) -> str:
    return str(error) if isinstance(error, JidokaError) else f"{type(error).__name__}: {error}"
