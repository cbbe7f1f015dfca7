"""Thread ``record``: keeps a trace of what enters the core, so that it can be replayed (see :mod:`edge.trace`).

::

    core ──keep──▶ queue (20,000 rows) ──every 250 ms──▶ clean or mask ─▶ pack ─▶ blocks of 256 KB or 2 s ─▶ FILE

A trace is always the exact beginning of a run. One that had lost its beginning, as in a ring, could not be replayed:
what a core does follows from all it met. So when the file is full, or the disk fails or is too slow, the trace ends,
the line goes on, and it is said; what came after is counted.
"""

from __future__ import annotations

import os
import random
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from edge.assembly import policies, policy_names
from edge.config import Loaded
from edge.core.dialogue import Boot
from edge.core.settings import Settings
from edge.errors import StoreError
from edge.events import AgentEffect, Happening
from edge.shell.logs import Logger
from edge.shell.worker import OnCrash, Worker
from edge.trace.anonymous import Anonymous
from edge.trace.clean import Clean
from edge.trace.codec import pack_row
from edge.trace.frames import MARK, Packer, ending, opening
from edge.trace.head import End, head_of

MB = 1024 * 1024
QUEUE_LIMIT = 20_000
"""Rows that may wait for the disk: some minutes of a busy line."""
TURN_S = 0.25
"""The core's thread is never woken, and wakes nobody: the queue is looked at so often."""
FLUSH_NS = 2_000_000_000
"""A killed process loses at most so much."""
END_BYTES = 512
"""Kept free for the trace's end."""
BEFORE = ".before"
DEFAULT_MB = 256

_TOLD = {
    "full": "is full; the line goes on",
    "slow": "ends: the disk was too slow; the line goes on",
    "disk": "ends: it cannot be written; the line goes on",
    "bug": "ends: something cannot be written into it; the line goes on",
}
_CODES = {"full": "RECORD_FULL", "slow": "RECORD_SLOW", "disk": "RECORD_FAILED", "bug": "RECORD_FAILED"}
Why = Literal["stopped", "full", "slow", "disk", "bug"]


class RecordAsked(Struct, frozen=True):
    """What the command line wants: where to, at most how many MB, under pseudonyms or not."""

    file: Path
    max_mb: int = DEFAULT_MB
    anonymous: bool = False


class Recorder(Worker):
    """One trace. ``keep`` is called by the core's thread and never blocks; all else is done by the recorder's own."""

    def __init__(
        self,
        asked: RecordAsked,
        loaded: Loaded,
        core: tuple[Settings, Boot, int],
        log: Logger,
        on_crash: OnCrash,
        *,
        floors: dict[str, float],
        utc_ms: Callable[[], int],
    ) -> None:
        """``core``: the settings, boot and seed that the core is made of. Raises StoreError RECORD_UNWRITABLE,
        RECORD_NOT_OURS.
        """
        super().__init__("record", on_crash)
        settings, boot, seed = core
        self._log = log
        self._most_bytes = asked.max_mb * MB - END_BYTES
        self._queue: deque[tuple[int, Happening, tuple[AgentEffect, ...]]] = deque()
        self._packer = Packer()
        self._flushed_ns = time.monotonic_ns()
        self._rows = 0
        self._lost = 0
        self._late = 0  # counted by the core's thread
        self._ended = False
        self._path = asked.file.absolute()
        keys = secrets.token_bytes(32), secrets.token_bytes(32)
        self._masked: Anonymous | None = None
        if asked.anonymous:
            self._masked = Anonymous(settings, boot, keys, hosts_of(loaded))
            self._masked.begin(policies(loaded), random.Random(seed))
        self._clean = Clean(settings, boot, keys[0])
        source = self._masked or self._clean
        head = head_of(
            source.settings,
            policy_names(loaded),
            source.boot,
            seed,
            made_utc_ms=utc_ms(),
            anonymous=asked.anonymous,
            floors=floors,
        )
        self._file, self._bytes = _open(self._path), 0
        self._write(opening(head))

    def keep(self, t_ns: int, what: Happening, effects: list[AgentEffect]) -> None:
        """See :class:`edge.trace.codec.TraceSink`. What is kept is not looked at here."""
        if self._ended:
            self._late += 1
        elif len(self._queue) >= QUEUE_LIMIT:
            self._late += 1
            self._ended = True  # a trace with a hole is none; the thread says so
        else:
            self._queue.append((t_ns, what, tuple(effects)))

    def close(self) -> None:
        """Write what waits, and the end; after the core has left. May be called twice, and without ``start``."""
        self.stop()
        if not self.join(5.0) or not self._file.closed:
            self._file.close()

    def work(self) -> None:
        try:
            why = self._until_the_end()
        except OSError as error:
            why = self._fail("disk", error.strerror or str(error))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a trace, the line goes on
            why = self._fail("bug", f"{type(error).__name__}: {error}")
        self._finish(why)

    def _until_the_end(self) -> Why:
        while not self.pause_s(TURN_S):
            slow = self._ended
            if not self._drain():
                return "full"
            if slow:
                return "slow" if self._flush() else "full"
        return "stopped" if self._drain() and self._flush() else "full"

    def _drain(self) -> bool:
        """Pack what waits; False when the file is full."""
        while self._queue:
            self._packer.add(self._packed(*self._queue.popleft()))
            if self._packer.full and not self._flush():
                return False
        due = time.monotonic_ns() - self._flushed_ns >= FLUSH_NS
        return self._flush() if due else True

    def _packed(self, t_ns: int, what: Happening, effects: tuple[AgentEffect, ...]) -> bytes:
        if self._masked is not None:
            return pack_row(t_ns, *self._masked.row(t_ns, what, effects))
        clean = self._clean
        return pack_row(t_ns, clean.what(what), map(clean.effect, effects))

    def _flush(self) -> bool:
        """Write a block; False, and nothing written, when it has no room any more."""
        self._flushed_ns = time.monotonic_ns()
        rows = self._packer.rows
        block = self._packer.take()
        if self._bytes + len(block) > self._most_bytes:
            self._lost += rows
            return False
        self._write(block)
        self._rows += rows
        return True

    def _write(self, data: bytes) -> None:
        self._bytes += len(data)
        while data:
            data = data[self._file.write(data) :]  # a write may take less than it is given

    def _fail(self, why: Why, text: str) -> Why:
        self._log("error", _CODES[why], f"the trace {self._path.name}: {text}", {})
        return why

    def _finish(self, why: Why) -> None:
        """The end is written when all that was lost is known: an ended trace waits for the stop."""
        self._ended = True
        if why in _TOLD:
            facts = {"rows": self._rows, "mb": round(self._bytes / MB, 3)}
            self._log("warning", _CODES[why], f"the trace {self._path.name} {_TOLD[why]}", facts)
            while not self.pause_s(60.0):
                pass
        self._lost += self._late + len(self._queue)
        changed = self._masked.changed if self._masked else 0
        try:
            self._write(ending(End(why, self._rows, self._lost, changed)))
            os.fsync(self._file.fileno())
        except OSError as error:
            self._fail("disk", error.strerror or str(error))
        finally:
            self._file.close()
        facts = {"rows": self._rows, "lost": self._lost, "mb": round(self._bytes / MB, 3)}
        self._log("info", "RECORD_DONE", f"the trace is in {self._path}", facts)


def make_recorder(
    asked: RecordAsked, loaded: Loaded, models: Any, core: tuple[Settings, Boot, int], log: Logger
) -> Recorder:
    """For a daemon. Raises StoreError."""
    crashed = _crash_of(log)
    return Recorder(asked, loaded, core, log, crashed, floors=floors_of(models), utc_ms=_utc_ms)


def _crash_of(log: Logger) -> OnCrash:
    return lambda error: log("error", "RECORD_FAILED", f"{type(error).__name__}: {error}", {})


def _utc_ms() -> int:
    return time.time_ns() // 1_000_000


def _open(path: Path) -> FileIO:
    """A new file; an earlier trace of this name is kept beside it, so that a restart does not cost it."""
    try:
        if path.exists():
            with path.open("rb") as old:
                if old.read(len(MARK)) != MARK:
                    raise StoreError("RECORD_NOT_OURS", f"{path} is there and is no trace", "", "name another file")
            path.replace(path.with_name(path.name + BEFORE))
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=0)
    except OSError as error:
        why = error.strerror or str(error)
        raise StoreError("RECORD_UNWRITABLE", f"{path} cannot be made", why, "name another file") from error


def floors_of(models: Any) -> dict[str, float]:
    """Recipe -> the least score that its model reports, where that is known."""
    found = {}
    for recipe, route in models.routes.items():
        manifest = getattr(models.predictors[route.engine], "manifest", None)
        thresholds = getattr(manifest, "thresholds", None)
        if recipe and thresholds is not None:
            found[recipe] = float(min((thresholds.score, *thresholds.labels.values())))
    return found


def hosts_of(loaded: Loaded) -> list[str]:
    """Names of machines, users and folders that stand in the settings, which messages may repeat."""
    config = loaded.config
    found = [config.link.host, config.link.username or ""] if config.link else []
    tables = (config.sources, config.sensors, config.devices)
    for options in (one.options for table in tables for one in table.values()):
        found += [
            value for key, value in _texts(options) if key in {"host", "user", "username", "address", "url", "source"}
        ]
    return [one for one in found if one]


def _texts(options: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in options.items():
        if isinstance(value, dict):
            yield from _texts(value)
        elif isinstance(value, str):
            yield key, value
