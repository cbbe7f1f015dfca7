"""One active coordinator a site: a row that its holder renews, and that every commit checks.

The clock is the machine's UTC, so machines that share a PostgreSQL ledger need one that is right to within
``TTL_S``. A wrong clock can make two believe they hold the lease; the fence inside each commit still lets only the
one write whose name stands in the row.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from edge.coordinator import schema, sql
from edge.errors import StoreError

TTL_S = 10.0
RENEW_S = 3.0


def holder_name() -> str:
    """A name for this process that says where it runs: ``<boot id>/<pid namespace>/<pid>/<random>``."""
    return f"{_machine()}/{os.getpid()}/{secrets.token_hex(4)}"


def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return f"{secrets.token_hex(8)}/0"  # no way to tell: never mistaken for another


def is_dead(holder: str) -> bool:
    """True if ``holder`` was a process of this very machine and pid namespace, and is gone.

    So a coordinator that was killed is succeeded at once, not after ``TTL_S``.
    """
    machine, _, rest = holder.rpartition("/")[0].rpartition("/")
    if machine != _machine() or not rest.isdigit():
        return False
    return not Path(f"/proc/{rest}").exists()


def hold(engine: Engine, site: str, holder: str, now_utc_ms: int, ttl_s: float = TTL_S) -> int:
    """Take or renew the lease. Returns its epoch, which rises with every change of holder; 0 if another has it."""
    table = schema.lease
    with sql.writing(engine) as connection:
        query = sa.select(table.c.holder, table.c.epoch, table.c.expires_utc_ms).where(table.c.site == site)
        row = connection.execute(query.with_for_update()).first()
        expires = now_utc_ms + int(ttl_s * 1000)
        if row is None:
            values = {"site": site, "holder": holder, "epoch": 1, "expires_utc_ms": expires}
            done = connection.execute(sql.insert_new(engine, table).values(**values))
            return 1 if done.rowcount else 0  # another may have been first
        if row.holder != holder and row.expires_utc_ms > now_utc_ms and not is_dead(row.holder):
            return 0
        epoch: int = row.epoch + (row.holder != holder)
        change = sa.update(table).where(table.c.site == site)
        connection.execute(change.values(holder=holder, epoch=epoch, expires_utc_ms=expires))
        return epoch


def release(engine: Engine, site: str, holder: str) -> None:
    """Give the lease back, so that a successor need not wait. Keeps the row for its epoch."""
    table = schema.lease
    with sql.writing(engine) as connection:
        change = sa.update(table).where(table.c.site == site, table.c.holder == holder)
        connection.execute(change.values(expires_utc_ms=0))


def check_fence(connection: Connection, site: str, holder: str) -> None:
    """Raises StoreError LEASE_LOST unless ``holder`` stands in the site's row."""
    table = schema.lease.c
    found = connection.scalar(sa.select(table.holder).where(table.site == site).with_for_update(read=True))
    if found != holder:
        raise StoreError("LEASE_LOST", f"another coordinator serves site {site} now", hint="this one starts again")
