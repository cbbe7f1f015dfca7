"""The doors of the house: Protocols that drivers and shells fill in, and the frame that passes through them.

All are synchronous and may block up to the time-out they are given, never longer. Only errors of
:mod:`edge.errors` leave an implementation, with the cause kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from edge.domain import Applied, Command, FrameRef, Kind, Reading, SeqRange
from edge.topics import TopicKind

Image = NDArray[np.uint8]
"""uint8, shape (height, width, 3) in BGR order or (height, width) grey, C-contiguous, 0..255."""

Blob = NDArray[Any]

CAMERA_PATHS = ("/dev/video", "/dev/v4l/")
"""What a source path begins with that is a camera of this machine, and no file that must be there now."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Pixels with their name. ``captured_ns`` in ``ref`` is when light was taken, as near as the driver can tell."""

    ref: FrameRef
    image: Image


@runtime_checkable
class FrameSource(Protocol):
    """A camera, video or folder of pictures.

    ``on_demand`` is True where ``read`` itself triggers the exposure (the frame is never older than the call) and
    False where frames come at the source's own pace (``read`` gives the next one). A source whose frames wait for the
    reader (files, folders) has an attribute ``finite = True``: none of its frames is then dropped for being late.
    """

    on_demand: ClassVar[bool]

    def open(self) -> None:
        """Connect. Raises DeviceError within the driver's own time-out."""

    def read(self, timeout_s: float) -> Frame:
        """One frame, with a frame number that rises. Raises DeviceError (time-out included) or SourceEnded."""
        ...

    def close(self) -> None:
        """Let go. May be called twice, and without open. Never raises."""


@runtime_checkable
class Sensor(Protocol):
    """Anything that is read as named values."""

    def open(self) -> None: ...

    def read(self, timeout_s: float) -> Reading:
        """Fresh values. Raises DeviceError; never gives old values for new."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class Actuator(Protocol):
    """Anything that can be told to do something. One thread owns it."""

    def open(self) -> None: ...

    def apply(self, command: Command) -> Applied:
        """Carry out, or refuse with ``ok=False`` and a code (late, unknown, out of range). Raises DeviceError if the
        device is out of reach.
        """
        ...

    def safe(self) -> None:
        """Put outputs in their configured safe state. Never raises; may be called twice, before open, after close."""

    def close(self) -> None: ...


@runtime_checkable
class Plc(Sensor, Actuator, Protocol):
    """A device that both reports parts and takes verdicts, over one connection.

    ``read`` gives, in ``handshake`` mode, ``part_no, encoder_latched, encoder, ready, result_ack, heartbeat_plc``
    (ints, unsigned, wrapping; ``ready`` bool), in ``coil`` mode ``trigger`` (bool) and ``encoder`` where wired.
    """

    def beat(self, value: int, *, ready: bool) -> None:
        """Write our heartbeat (u16, any change counts) and whether we can inspect. Raises DeviceError."""


class Runner(Protocol):
    """Runs a loaded model: arrays in, arrays out. Safe to call from several threads."""

    def run(self, inputs: dict[str, Blob]) -> list[Blob]: ...


class Link(Protocol):
    """An agent's connection to the broker: hand over bytes, hear nothing back but events. See :mod:`edge.shell.mqtt`."""

    def connect(self, will: bytes) -> None:
        """Try once, in the background; the outcome comes as an event. ``will`` is for our own ``state`` topic."""

    def publish(self, kind: TopicKind, payload: bytes) -> bool:
        """True if the bytes were handed to the connection; False when there is none. QoS and retain are the table's."""
        ...

    def disconnect(self) -> None:
        """Leave in good order."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Heads:
    """Where one stream of the journal stands: ``last`` appended and committed (0 if none), ``acked`` by the
    coordinator, ``first`` still held (``last + 1`` when nothing is held), ``bytes_held``.
    """

    last: int
    acked: int
    first: int
    bytes_held: int


class Journal(Protocol):
    """The agent's durable memory of what it reported. See :mod:`edge.shell.journal`."""

    log: str

    def append(self, kind: Kind, payload: bytes) -> int:
        """Queue one record, return its sequence number at once. It is durable when the commit callback names it."""
        ...

    def read(self, kind: Kind, first_seq: int, max_n: int, max_bytes: int) -> list[tuple[int, bytes]]:
        """Committed records from ``first_seq`` on, consecutive, at least one if there is one however large."""
        ...

    def free(self, kind: Kind, upto: int) -> None:
        """The coordinator has everything up to ``upto``; space may be taken back."""

    def heads(self) -> dict[Kind, Heads]: ...

    def get(self, name: str) -> bytes | None:
        """A small value kept beside the records."""
        ...

    def put(self, name: str, value: bytes) -> None:
        """Keep a small value; durable on return. Raises StoreError."""

    def bump(self, name: str) -> int:
        """Count up a durable counter and give its new value, 1 at first. Raises StoreError."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Batch:
    """One envelope as it arrived at the coordinator, decoded as far as the frame."""

    site: str
    agent: str
    log: str
    kind: Kind
    first_seq: int
    records: Sequence[bytes]
    received_utc_ms: int


@dataclass(frozen=True, slots=True)
class Upto:
    """How far a stream is contiguous in the ledger, gaps explained by the agent included."""

    site: str
    agent: str
    log: str
    kind: Kind
    upto: int


class Ledger(Protocol):
    """The coordinator's store of every result. See :mod:`edge.coordinator.ledger`."""

    ledger_id: str

    def commit(self, batches: Sequence[Batch]) -> list[Upto]:
        """Store all records idempotently in one transaction; answer for every stream touched. Raises StoreError."""
        ...

    def positions(self, site: str, agent: str, log: str) -> list[Upto]: ...

    def gaps(self, site: str, agent: str, log: str, kind: Kind) -> list[SeqRange]: ...


class Disk(Protocol):
    """The few file operations whose durability is argued about, so that a simulated disk can lose power."""

    def read(self, name: str) -> bytes | None: ...

    def write_durably(self, name: str, data: bytes) -> None:
        """tmp, fsync, rename, fsync of the folder. Raises StoreError."""

    def append(self, name: str, data: bytes) -> None: ...

    def sync(self, name: str) -> None: ...

    def remove(self, name: str) -> None: ...

    def names(self) -> list[str]: ...
