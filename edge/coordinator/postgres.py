"""What PostgreSQL needs that SQLite does not: a way in, the same one writer at a time, and its errors in our words.

::

    writer     BEGIN; take WRITE_LOCK; …; COMMIT      one at a time, as SQLite's BEGIN IMMEDIATE
    reader     BEGIN REPEATABLE READ, READ ONLY; …    one snapshot, waits for nobody

One writer at a time is not only for the arithmetic of ``upto``: row ids come from a sequence, and only without
overlap do they rise in the order of commits, which the cursors of :mod:`edge.coordinator.queries` rely on.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import URL, Connection

from edge.errors import StoreError

DRIVER: Final = "postgresql+psycopg"
WRITE_LOCK: Final = 0x6A69646F6B61
"""Key of the advisory lock, "jidoka" in ASCII. It holds for one database of the server."""

LOCK_TIMEOUT_S: Final = 5.0
IDLE_TIMEOUT_S: Final = 10.0
"""A coordinator that lost its power inside a transaction holds the lock until the server misses it."""

_CONNECT: Final[dict[str, Any]] = {
    "application_name": "jidoka",
    "client_encoding": "utf8",
    "connect_timeout": 3,  # s; the coordinator's one thread waits for it
    # A server that vanished without a word is noticed after 5 + 3 * 2 s, or 10 s for data under way; TCP's own wait
    # is two hours.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # ms
}
_OPTIONS: Final = (
    f"-c lock_timeout={int(LOCK_TIMEOUT_S * 1000)} -c idle_in_transaction_session_timeout={int(IDLE_TIMEOUT_S * 1000)}"
)

_RUNS: Final = "check that PostgreSQL runs and can be reached"
_STATES: Final[dict[str, tuple[str, str]]] = {
    "08": ("STORE_UNREACHABLE", _RUNS),
    "57P": ("STORE_UNREACHABLE", _RUNS),
    "28": ("STORE_REFUSED", "check user, password and pg_hba.conf"),
    "25P03": ("STORE_LOCKED", "the transaction stood still for too long: it is tried again"),
    "55P03": ("STORE_LOCKED", "another process holds it: stop that one, or wait"),
    "40": ("STORE_LOCKED", "another process holds it: stop that one, or wait"),
    "42501": ("STORE_READ_ONLY", "make the user the owner of the database and of its tables"),
    "25006": ("STORE_READ_ONLY", "name a server that takes writes: a standby does not"),
    "42P01": ("STORE_UNREADABLE", "name the database of a ledger"),
    "XX": ("STORE_UNREADABLE", "restore a copy: pg_restore, then jidoka coordinator renew-id"),
    "53100": ("STORE_FULL", "free some space on the database server, or lower --retain-gb"),
    "58": ("STORE_IO_ERROR", "check the disk of the database server"),
}
"""By SQLSTATE or its beginning (PostgreSQL's manual, appendix A); the longest that fits counts."""

# While connecting, libpq hands on the server's words without their SQLSTATE.
_WORDS: Final[tuple[tuple[str, str, str], ...]] = (
    ("password", "STORE_REFUSED", "name the right user, and put its password into ~/.pgpass or the URL"),
    ('database "', "STORE_REFUSED", "create it, owned by the user: createdb -E UTF8 -T template0 -O USER NAME"),
    ("role", "STORE_REFUSED", "create it: createuser --pwprompt USER"),
    ("pg_hba.conf", "STORE_REFUSED", "allow this host in the server's pg_hba.conf"),
    ("starting up", "STORE_UNREACHABLE", "wait until it has started"),
    ("shutting down", "STORE_UNREACHABLE", _RUNS),
    ("too many clients", "STORE_UNREACHABLE", "raise max_connections of the server"),
    ("connection slots", "STORE_UNREACHABLE", "raise max_connections of the server"),
)


def with_driver(url: URL) -> URL:
    """``postgresql://`` and ``postgres://`` mean the driver we have."""
    return url.set(drivername=DRIVER) if url.drivername in {"postgres", "postgresql"} else url


def engine_options(url: URL) -> dict[str, Any]:
    """Arguments for ``create_engine``. What the URL says itself stands."""
    if url.get_backend_name() != "postgresql":
        return {}
    if url.drivername != DRIVER:
        raise StoreError(
            "STORE_UNSUPPORTED", f"the driver {url.drivername} is not supported", hint=f"write {DRIVER}://"
        )
    connect = {name: value for name, value in _CONNECT.items() if name not in url.query}
    own = url.query.get("options", "")
    connect["options"] = f"{_OPTIONS} {own if isinstance(own, str) else ' '.join(own)}".strip()
    # A server that was restarted meanwhile is met by a fresh connection, not by an error.
    return {"connect_args": connect, "pool_pre_ping": True}


def set_up(dbapi: Any, _record: Any) -> None:
    """For every new connection. Raises StoreError STORE_UNSUPPORTED for a database that cannot hold every text."""
    encoding = dbapi.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        dbapi.close()
        hint = "create the database with: createdb -E UTF8 -T template0 NAME"
        raise StoreError("STORE_UNSUPPORTED", f"the database's encoding is {encoding}", "a ledger needs UTF8", hint)
    before, dbapi.autocommit = dbapi.autocommit, True
    # An acknowledged record must survive a power cut; stronger settings than "on" are left alone.
    dbapi.execute(
        "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
    )
    dbapi.autocommit = before


def begin_writing(connection: Connection) -> None:
    """Wait for the writer before. Raises what :func:`told` makes STORE_LOCKED of, after ``LOCK_TIMEOUT_S``."""
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITE_LOCK})")


def told(origin: Exception) -> tuple[str, str, str]:
    """(code, why, hint) of psycopg's error."""
    text = str(origin).strip() or type(origin).__name__
    state: str | None = getattr(origin, "sqlstate", None)
    if state is not None:
        fits = [state[:n] for n in (5, 3, 2) if state[:n] in _STATES]
        code, hint = _STATES[fits[0]] if fits else ("STORE_FAILED", "")
        return code, text.splitlines()[0], hint
    # Several addresses of one host name are tried in turn; the last line of that list says what came of the last.
    _, said, fatal = text.partition("FATAL:")
    why = fatal.splitlines()[0].strip() if said else text.splitlines()[-1 if text.startswith("Multiple") else 0]
    if said or "password" in why:
        fallback = ("", "STORE_REFUSED", "check user, password and pg_hba.conf")
        _, code, hint = next((row for row in _WORDS if row[0] in why), fallback)
        return code, why, hint
    return "STORE_UNREACHABLE", why.removeprefix("- "), _RUNS
