"""Traces as files: written without a thread of their own, by what needs not keep up with a line, and read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from edge.errors import InputError, StoreError
from edge.events import AgentEffect, Happening
from edge.trace.codec import pack_row
from edge.trace.frames import Packer, Reader, ending, opening
from edge.trace.head import End, Head


class TraceFile:
    """A :class:`edge.trace.codec.TraceSink` on an open binary file: a replay's, or a simulated agent's."""

    def __init__(self, file: BinaryIO, head: Head) -> None:
        self._file = file
        self._packer = Packer()
        self._rows = 0
        file.write(opening(head))

    def keep(self, t_ns: int, what: Happening, effects: list[AgentEffect]) -> None:
        """One row; written when a block is full."""
        self._packer.add(pack_row(t_ns, what, effects))
        self._rows += 1
        if self._packer.full:
            self._file.write(self._packer.take())

    def finish(self) -> None:
        """What waits, and the end. The file stays open."""
        self._file.write(self._packer.take())
        self._file.write(ending(End("stopped", self._rows)))


@contextmanager
def reading(path: Path) -> Iterator[tuple[Reader, BinaryIO, int]]:
    """A trace's reader, its file and size. Raises InputError TRACE_ABSENT, TRACE_UNREADABLE, TRACE_VERSION."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError("TRACE_ABSENT", f"{path} cannot be read", error.strerror or str(error)) from error
    with file:
        yield Reader(file, path.name), file, max(1, path.stat().st_size)


@contextmanager
def writing(path: Path | None, head: Head) -> Iterator[TraceFile | None]:
    """A new trace, ended in good order; nothing where there is no path. Raises StoreError TRACE_UNWRITABLE."""
    if path is None:
        yield None
        return
    try:
        with path.open("wb") as file:
            made = TraceFile(file, head)
            yield made
            made.finish()
    except OSError as error:
        raise StoreError("TRACE_UNWRITABLE", f"{path} cannot be written", error.strerror or str(error)) from error
