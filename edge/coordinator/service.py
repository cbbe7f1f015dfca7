"""The wiring of the coordinator: one thread that reads MQTT, commits and acknowledges; HTTP in threads beside it."""

from __future__ import annotations

import random
import selectors
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Final

from msgspec import Struct

from edge.coordinator import lease
from edge.coordinator.carrier import Carrier, SayLine
from edge.coordinator.desk import Desk
from edge.coordinator.ledger import SqlLedger
from edge.coordinator.link import SelectorLink
from edge.coordinator.retention import Limits, Retention
from edge.core.backoff import Backoff
from edge.core.fleet import FleetCore
from edge.errors import ConfigError, StoreError
from edge.events_fleet import ClockRead, LinkUp, StopWanted, Tick
from edge.shell.clock import utc_offset_ns
from edge.shell.endpoint import Endpoint

MISC_S: Final = 1.0
STANDBY_S: Final = 1.0
MAX_KEY_BYTES: Final = 4096


class Options(Struct, frozen=True):
    """What a coordinator needs to know. ``keys`` are the agents' HMAC keys by agent id."""

    site: str
    ledger_url: str
    endpoint: Endpoint
    limits: Limits = Limits()
    keys: dict[str, bytes] = {}


class Coordinator:
    """Holds the ledger, the core and the connection. ``run`` blocks until :meth:`stop` (any thread) or a fatal error."""

    def __init__(self, options: Options, say: SayLine) -> None:
        """Open the ledger. Raises StoreError, ConfigError."""
        self._options = options
        self._say = say
        self._stopping = False
        self.ledger = SqlLedger(options.ledger_url)
        self.desk = Desk()
        self.ledger.holder = lease.holder_name()
        self.retention = Retention(self.ledger.engine, options.limits)
        self.carrier: Carrier | None = None

    def stop(self, why: str) -> None:
        """Ask for an orderly end. Any thread, and signal handlers."""
        self._stopping = True
        self.desk.post(StopWanted(why))

    def wait_for_lease(self) -> int:
        """Wait as a standby until this process is the one active coordinator; 0 when stopped before.

        Raises StoreError where the first look fails; later ones are said and tried again, as a standby is for bad days.
        """
        told = False
        failed = ""
        while not self._stopping:
            now_utc_ms = time.time_ns() // 1_000_000
            try:
                epoch = lease.hold(self.ledger.engine, self._options.site, self.ledger.holder, now_utc_ms)
            except StoreError as error:
                if not told:
                    raise
                if error.code != failed:
                    self._say("error", error.code, str(error))
                failed, epoch = error.code, 0
            else:
                failed = ""
            if epoch:
                return epoch
            if not told:
                self._say("info", "COORDINATOR_STANDBY", f"another coordinator serves {self._options.site}; waiting")
                told = True
            with selectors.DefaultSelector() as selector:
                selector.register(self.desk.wake_socket, selectors.EVENT_READ)
                selector.select(STANDBY_S)
        return 0

    def run(self, epoch: int, on_ready: Callable[[], None]) -> None:
        """Serve until stopped; ``on_ready`` is called once, when first connected. Raises StoreError LEASE_LOST."""
        options = self._options
        core = FleetCore(
            options.site,
            self.ledger.ledger_id,
            epoch,
            Backoff(0.5, 60.0, random.Random()),
            desired=self.ledger.load_desired(options.site),
            agents=self.ledger.load_agents(options.site),
            keys=options.keys,
            versions={"jidoka": version("jidoka-edge")},
        )
        carrier = Carrier(options.site, core, self.ledger, self.desk, self.retention, self._say)
        self.carrier = carrier
        with selectors.DefaultSelector() as selector:
            ready = _Once(on_ready, carrier)
            client_id = f"coordinator-{self.ledger.holder.rpartition('/')[2]}"
            carrier.link = SelectorLink(options.endpoint, options.site, client_id, selector, ready.post)
            selector.register(self.desk.wake_socket, selectors.EVENT_READ)
            try:
                self._loop(core, carrier, carrier.link, selector)
            finally:
                carrier.link.close()
        if carrier.left is not None and carrier.left.code:
            raise StoreError(carrier.left.code, carrier.left.what, hint="start it again: it will wait its turn")

    def _loop(self, core: FleetCore, carrier: Carrier, link: SelectorLink, selector: selectors.BaseSelector) -> None:
        misc_at = 0.0
        more = False
        carrier.post(ClockRead(utc_offset_ns()))
        carrier.post(Tick())
        while carrier.left is None:
            carrier.turn()
            link.flush()
            now_ns, deadline_ns = time.monotonic_ns(), core.deadline_ns()
            if deadline_ns is None:
                continue
            wait_s = 0.0 if more else min(MISC_S, max(0.0, (deadline_ns - now_ns) / 1e9))
            selector.select(wait_s)
            more = link.pump()
            for event in self.desk.drain():
                carrier.post(event)
            now_s = time.monotonic()
            if now_s >= misc_at:
                misc_at = now_s + MISC_S
                link.misc()
                carrier.post(ClockRead(utc_offset_ns()))
            if (deadline_ns := core.deadline_ns()) is not None and time.monotonic_ns() >= deadline_ns:
                carrier.post(Tick())

    def close(self) -> None:
        """Give the lease back and let go of everything."""
        self.desk.close()
        try:
            lease.release(self.ledger.engine, self._options.site, self.ledger.holder)
        except StoreError as error:
            self._say("warning", error.code, "the lease could not be given back; it runs out by itself")
        self.ledger.close()


class _Once:
    """Passes events on, and calls ``on_ready`` at the first LinkUp."""

    def __init__(self, on_ready: Callable[[], None], carrier: Carrier) -> None:
        self._on_ready: Callable[[], None] | None = on_ready
        self._carrier = carrier

    def post(self, event: object) -> None:
        self._carrier.post(event)  # type: ignore[arg-type]
        if isinstance(event, LinkUp) and self._on_ready is not None:
            ready, self._on_ready = self._on_ready, None
            ready()


def load_keys(folder: Path) -> dict[str, bytes]:
    """``<agent>.key`` files of a folder: HMAC keys as text or bytes, surrounding white space dropped.

    Raises ConfigError SECRET_UNREADABLE, and SECRET_EXPOSED for a file that others may read (mode must be 0600 or less).
    """
    keys = {}
    if not folder.is_dir():
        raise ConfigError("SECRET_UNREADABLE", f"there is no folder {folder}", hint="check the path")
    try:
        for file in sorted(folder.glob("*.key")):
            mode = file.stat().st_mode & 0o077
            if mode:
                raise ConfigError("SECRET_EXPOSED", f"{file} may be read by others", hint=f"chmod 600 {file}")
            with file.open("rb") as stream:
                key = stream.read(MAX_KEY_BYTES).strip()
            if not key:
                raise ConfigError("SECRET_EMPTY", f"{file} holds no key")
            keys[file.stem] = key
    except OSError as error:
        raise ConfigError("SECRET_UNREADABLE", f"the keys in {folder} cannot be read", error.strerror or "") from error
    return keys
