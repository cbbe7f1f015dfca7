"""The language between one life of an agent and its rooms: cameras, devices, the outbox."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from edge.core.policy import Policy
from edge.core.settings import Settings
from edge.domain import Command, Kind
from edge.events import AgentEvent, Capture, KeepEvidence, Release
from sims.memory import MemoryJournal
from sims.virtual.clock import NodeClock
from sims.virtual.kernel import Kernel
from sims.virtual.storage import Disk, DiskSpec, JournalMaker, make_journal
from sims.virtual.wire import Net

KEEPALIVE_S = 30


class Life(Protocol):
    """What a room knows of the process it is in."""

    @property
    def rng(self) -> random.Random: ...

    def mono(self, t_ns: int) -> int:
        """The machine's monotonic clock at true time ``t_ns``."""
        ...

    def true(self, mono_ns: int) -> int:
        """The inverse."""
        ...

    def utc_ms(self, t_ns: int) -> int:
        """The machine's UTC."""
        ...

    def later(self, at_ns: int, call: Callable[[Any, int], None], argument: object) -> None:
        """``call(argument, t_ns)`` at true time ``at_ns``, unless this life has ended by then."""

    def tell_at(self, at_ns: int, event: AgentEvent) -> None:
        """An event for the core at true time ``at_ns``, unless this life has ended by then."""

    def handle(self, event: AgentEvent, t_ns: int) -> None:
        """An event for the core, now."""

    def journal(self, kind: Kind, payload: bytes, t_ns: int) -> int:
        """Queue one encoded record; its number, 0 if it was refused."""
        ...


class Room(Protocol):
    """A camera or device of one process."""

    def start(self, t_ns: int) -> None:
        """The process is up."""


class Camera(Room, Protocol):
    """What captures are asked of."""

    def capture(self, effect: Capture, t_ns: int) -> None: ...

    def keep(self, effect: KeepEvidence, t_ns: int) -> None: ...

    def release(self, effect: Release) -> None: ...

    def pause(self, *, paused: bool) -> None: ...

    def set_rate(self, max_fps: float, t_ns: int) -> None: ...

    def use_recipe(self, recipe: str) -> None: ...


class Device(Room, Protocol):
    """What commands are given to."""

    def apply(self, command: Command, t_ns: int) -> None: ...

    def beat(self, value: int, *, ready: bool, t_ns: int) -> None: ...

    def make_safe(self, t_ns: int) -> None: ...


@dataclass(slots=True)
class Rooms:
    """What one life has besides its core."""

    cameras: dict[str, Camera] = field(default_factory=dict)
    devices: dict[str, Device] = field(default_factory=dict)


@dataclass(slots=True)
class Plan:
    """How an agent is made; shared by many. ``rooms`` makes one life's cameras and devices; ``start_ns`` is from the start
    of a process to its first word, as models are loaded and warmed up. ``journal`` makes each machine's.
    """

    policies: dict[str, Callable[[Any], Policy]]
    rooms: Callable[[Life], Rooms]
    disk: DiskSpec = field(default_factory=DiskSpec)
    keepalive_s: int = KEEPALIVE_S
    journal_bytes: int = 1 << 30
    start_ns: int = 0
    journal: JournalMaker = make_journal


@dataclass(slots=True)
class Host:
    """What outlives a process: the machine's settings, journal, disk, clocks and random stream.

    ``over(t_ns, status, why)`` is called when a process left by itself.
    """

    kernel: Kernel
    net: Net
    settings: Settings
    plan: Plan
    clock: NodeClock
    rng: random.Random
    journal: MemoryJournal
    disk: Disk
    over: Callable[[int, int, str], None]
