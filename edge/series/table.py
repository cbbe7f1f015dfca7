"""Files of samples, read from bytes that nobody vouches for: CSV, JSON lines, ``.npy``."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.errors import InputError

MAX_TABLE_BYTES = 256 * 1024**2
MAX_COLUMNS = 4096
_NO_VALUE = frozenset({"", "na", "n/a", "nan", "null", "none", "-", "?"})
_DELIMITERS = (";", "\t", ",")

Column = NDArray[Any]
"""float64 ``(T,)`` with NaN where a cell is empty, or object ``(T,)`` of texts."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Columns of equal length. ``named`` is False where the file has no header; then names are ``"0"``, ``"1"``, …"""

    names: tuple[str, ...]
    columns: tuple[Column, ...]
    named: bool = True

    @property
    def n(self) -> int:
        """Rows."""
        return len(self.columns[0]) if self.columns else 0

    def get(self, name: str) -> Column:
        """The column of this very name."""
        return self.columns[self.names.index(name)]


def parse_table(data: bytes, name: str) -> Table:
    """Decide by the name's ending: ``.npy``, ``.jsonl`` or ``.ndjson``, else a text table. Raises InputError
    SERIES_UNREADABLE.
    """
    lower = name.lower()
    if lower.endswith(".npy"):
        return _npy(data, name)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _unreadable(name, f"byte {error.start} is not UTF-8 text") from error
    return _jsonl(text, name) if lower.endswith((".jsonl", ".ndjson")) else _text(text, name)


def _unreadable(name: str, why: str) -> InputError:
    return InputError("SERIES_UNREADABLE", f"{name} is no table of samples", why, "needed: CSV, JSON lines or .npy")


def _npy(data: bytes, name: str) -> Table:
    """``(T,)`` or ``(T, C)`` of numbers, format version 1 or 2 (numpy's NEP 1). A header may claim any size, so it is
    held against the bytes before numpy makes room for it.
    """
    stream = io.BytesIO(data)
    try:
        first = np.lib.format.read_magic(stream) == (1, 0)
        read = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(stream)
    except (ValueError, OSError, EOFError, SyntaxError, RecursionError, MemoryError) as error:
        raise _unreadable(name, str(error) or "its header is broken") from error
    count = 1
    for dim in shape:
        count *= int(dim)
    if dtype.hasobject or dtype.kind not in "fiub" or len(shape) not in {1, 2}:
        raise _unreadable(name, f"it holds {dtype} of shape {list(shape)}, not numbers (T,) or (T, C)")
    if count * dtype.itemsize != len(data) - stream.tell():
        raise _unreadable(name, f"its header says {count} numbers, which is not what follows")
    flat = np.frombuffer(data, dtype, count, stream.tell()).astype(np.float64)
    array = flat.reshape(shape, order="F" if fortran else "C").reshape(shape[0], -1)
    _check_size(array.shape[1], array.shape[0], name)
    return Table(tuple(map(str, range(array.shape[1]))), tuple(array.T), named=False)


def _jsonl(text: str, name: str) -> Table:
    """One object a line, or one list of numbers a line."""
    rows: list[Any] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = msgspec.json.decode(line)
        except msgspec.DecodeError as error:
            raise _unreadable(name, f"line {number}: {error}") from error
        if not isinstance(row, dict | list):
            raise _unreadable(name, f"line {number} is neither an object nor a list")
        rows.append(row)
    if not rows:
        raise _unreadable(name, "it is empty")
    if all(isinstance(row, list) for row in rows):
        return _from_rows([[_cell(v) for v in row] for row in rows], None, name)
    if not all(isinstance(row, dict) for row in rows):
        raise _unreadable(name, "some lines are objects and some are lists")
    names = list(dict.fromkeys(key for row in rows for key in row))
    return _from_rows([[_cell(row.get(key)) for key in names] for row in rows], names, name)


def _cell(value: Any) -> str:
    return "" if value is None else str(int(value)) if isinstance(value, bool) else str(value)


def _text(text: str, name: str) -> Table:
    """CSV (RFC 4180) with comma, semicolon or tab, or columns apart by white space; with a header or without."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise _unreadable(name, "it is empty")
    delimiter = next((one for one in _DELIMITERS if one in lines[0]), None)
    if delimiter is None and len(lines[0].split()) > 1 and all(map(is_number, lines[0].split())):
        rows = [line.split() for line in lines]
    else:
        try:
            rows = list(csv.reader(lines, delimiter=delimiter or ","))
        except csv.Error as error:
            raise _unreadable(name, str(error)) from error
    rows = [[cell.strip() for cell in row] for row in rows]
    if delimiter == ";":  # where commas are decimal
        rows = [rows[0], *([cell.replace(",", ".") if _is_decimal(cell) else cell for cell in row] for row in rows[1:])]
    if all(is_number(cell) or cell.lower() in _NO_VALUE for cell in rows[0]):
        return _from_rows(rows, None, name)
    return _from_rows(rows[1:], rows[0], name)


def _from_rows(rows: Sequence[Sequence[str]], header: Sequence[str] | None, name: str) -> Table:
    width = len(header) if header is not None else len(rows[0])
    _check_size(width, len(rows), name)
    for number, row in enumerate(rows, 1 if header is None else 2):
        if len(row) != width:
            raise _unreadable(name, f"row {number} has {len(row)} cells, not {width}")
    # Spreadsheets leave columns without a name; theirs is then their number.
    names = tuple(cell or str(i) for i, cell in enumerate(header or [""] * width))
    if len(set(names)) < width:
        twice = next(one for one in names if names.count(one) > 1)
        raise _unreadable(name, f"two columns are called {twice!r}")
    return Table(names, tuple(_column([row[i] for row in rows]) for i in range(width)), named=header is not None)


def _check_size(width: int, rows: int, name: str) -> None:
    if not rows or not width:
        raise _unreadable(name, "it has no samples")
    if width > MAX_COLUMNS:
        raise _unreadable(name, f"it has {width} columns, at most {MAX_COLUMNS} are read")


def _column(cells: list[str]) -> Column:
    try:
        return np.array(cells, np.float64)  # the common case, at the speed of numpy
    except ValueError:
        pass
    texts = [cell for cell in cells if cell.lower() not in _NO_VALUE and not is_number(cell)]
    if texts:
        return np.array(cells, object)
    return np.array([np.nan if cell.lower() in _NO_VALUE else float(cell) for cell in cells], np.float64)


def is_number(cell: str) -> bool:
    """Whether ``float`` takes it."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _is_decimal(cell: str) -> bool:
    return cell.count(",") == 1 and is_number(cell.replace(",", "."))
