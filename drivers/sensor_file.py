"""Sensors out of a recorded table: a CSV file is played back, one row a reading.

Device family: none; a recording stands for sensors that are not there, to try settings and models, and in tests.
Format: CSV (RFC 4180), UTF-8, separated by comma, semicolon or tab; the first line names the columns, or, where it
is all numbers, they are called "0", "1", … Each cell becomes a float, or a text where it is none; empty cells are left
out of the reading. Units are in the columns' names.

The file says nothing of time: readings are of now, and the agent's `rate_hz` decides how fast they come. A file is read
row by row, never as a whole. Opened again after a bad row it goes on behind it; after its end it begins anew. With `loop`
it never ends.
"""

from __future__ import annotations

import csv
import os
import stat
import time
from collections.abc import Iterator
from typing import IO, ClassVar

from msgspec import Struct

from edge.domain import Reading
from edge.errors import DeviceError, SourceEnded

MAX_CELLS = 4096
"""Of one row."""
MAX_LINE_CHARS = 1_000_000
DELIMITERS = (";", "\t", ",")


class CsvOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """``source`` is the file, relative to the settings file. ``loop``: begin again at the end, for ever."""

    source: str
    loop: bool = False


class CsvSensor:
    """See the module's docstring. ``finite``: no row is skipped when the reader is late."""

    Options: ClassVar[type] = CsvOptions

    def __init__(self, name: str, options: CsvOptions) -> None:
        self._name = name
        self._options = options
        self._file: IO[str] | None = None
        self._rows: Iterator[list[str]] | None = None
        self._names: list[str] = []
        self._done = 0
        self.finite = True

    def open(self) -> None:
        """Raises DeviceError SENSOR_ABSENT, SENSOR_GARBLED."""
        if self._file is not None:
            return
        try:
            # Not waiting for a writer, should it be a pipe.
            descriptor = os.open(self._options.source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            what = f"{self._name}: {self._options.source} cannot be opened"
            raise DeviceError("SENSOR_ABSENT", what, error.strerror or str(error), "check the path") from error
        self._file = os.fdopen(descriptor, encoding="utf-8-sig", newline="")
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            self.close()
            raise DeviceError("SENSOR_ABSENT", f"{self._name}: {self._options.source} is not a regular file")
        self._begin()
        for _ in range(self._done):
            self._row()

    def read(self, timeout_s: float) -> Reading:
        """The next row. Raises DeviceError SENSOR_GARBLED, SENSOR_NOT_OPEN; SourceEnded after the last row."""
        del timeout_s  # a local file answers at once
        if self._rows is None:
            raise DeviceError("SENSOR_NOT_OPEN", f"{self._name} is not open")
        row = self._row()
        if row is None and self._options.loop and self._done:
            self._done = 0
            self._begin()
            row = self._row()
        if row is None:
            self._done = 0
            raise SourceEnded(self._name)
        self._done += 1
        if len(row) != len(self._names):
            raise self._garbled(f"row {self._done} has {len(row)} cells, not {len(self._names)}")
        values = {name: _value(cell) for name, cell in zip(self._names, row, strict=True) if cell.strip()}
        return Reading(self._name, time.monotonic_ns(), values)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = self._rows = None

    def _begin(self) -> None:
        """From the file's first line on."""
        assert self._file is not None
        try:
            self._file.seek(0)
            first = self._file.readline(MAX_LINE_CHARS)
            delimiter = next((one for one in DELIMITERS if one in first), ",")
            cells = next(csv.reader([first], delimiter=delimiter), [])
        except (OSError, ValueError, csv.Error) as error:
            raise self._garbled(str(error)) from error
        if not 0 < len(cells) <= MAX_CELLS:
            raise self._garbled(f"its first line has {len(cells)} cells")
        headless = all(isinstance(_value(cell), float) for cell in cells)
        if headless:
            self._file.seek(0)
        self._names = [str(i) for i in range(len(cells))] if headless else [cell.strip() for cell in cells]
        self._rows = csv.reader(self._file, delimiter=delimiter)

    def _row(self) -> list[str] | None:
        """The next row that is not empty; None at the end."""
        assert self._rows is not None
        try:
            return next((row for row in self._rows if row), None)
        except (OSError, ValueError, csv.Error) as error:
            raise self._garbled(str(error)) from error

    def _garbled(self, why: str) -> DeviceError:
        return DeviceError(
            "SENSOR_GARBLED", f"{self._name}: {self._options.source} is no table", why, "export it as CSV"
        )


def _value(cell: str) -> float | str:
    try:
        return float(cell)
    except ValueError:
        return cell.strip()
