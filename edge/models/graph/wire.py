"""The little of Protocol Buffers that reading a file's structure takes.

Wire format: https://protobuf.dev/programming-guides/encoding/. A message is a row of fields, each a key (number and
wire type) and a value: a varint, 8 or 4 bytes, or a length and so many bytes. Nothing is copied: values with a length
are views of the file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
Value = int | memoryview


class WireError(ValueError):
    """The bytes are no message: cut off, or of a wire type that does not exist."""


class OverflowingError(ValueError):
    """More fields or numbers than were allowed."""


class Budget:
    """What may still be read of one file: two bytes of it can cost a hundred of ours, so work and memory are bounded
    by counting. ``fields`` of messages; ``numbers`` that become Python's own.
    """

    __slots__ = ("fields", "numbers")

    def __init__(self, fields: int, numbers: int) -> None:
        self.fields = fields
        self.numbers = numbers

    def take_numbers(self, n: int) -> None:
        """Raises OverflowingError."""
        self.numbers -= n
        if self.numbers < 0:
            raise OverflowingError("it lists too many numbers")


def fields(view: memoryview, budget: Budget) -> Iterator[tuple[int, int, Value]]:
    """Number, wire type and value of each field. Fixed values come as their bytes. Raises WireError, OverflowingError."""
    at, end = 0, len(view)
    while at < end:
        budget.fields -= 1
        if budget.fields < 0:
            raise OverflowingError("it has too many parts")
        key, at = _varint(view, at, end)
        number, kind = key >> 3, key & 7
        if kind == BYTES:
            size, at = _varint(view, at, end)
        elif kind == VARINT:
            value, at = _varint(view, at, end)
            yield number, kind, value
            continue
        elif kind == FIXED32:
            size = 4
        elif kind == FIXED64:
            size = 8
        else:
            raise WireError(f"wire type {kind} does not exist")
        if size > end - at:
            raise WireError("a field is longer than what it is in")
        yield number, kind, view[at : at + size]
        at += size


def _varint(view: memoryview, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end:
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004  (the highest bit says that more follows)
            return value, at
        shift += 7
        if shift > 63:  # noqa: PLR2004  (64 bits are ten bytes at most)
            break
    raise WireError("a number is cut off or too long")


def text(value: Value, limit: int = 65_536) -> str:
    """A string, as far as ``limit`` bytes; what is no UTF-8 is replaced."""
    return bytes(_bytes(value)[:limit]).decode("utf-8", "replace")


def signed(value: Value) -> int:
    """An ``int64`` or ``int32``: two's complement in 64 bits."""
    if not isinstance(value, int):
        raise WireError("a number was expected")
    return value - (1 << 64) if value >> 63 else value


def float32(value: Value) -> float:
    """A ``float``."""
    if isinstance(value, int) or len(value) != 4:  # noqa: PLR2004  (bytes of a float)
        raise WireError("a float was expected")
    return float(struct.unpack("<f", value)[0])


def ints(kind: int, value: Value, budget: Budget) -> list[int]:
    """One number of a repeated field, or all of them where it is packed."""
    if kind == VARINT:
        budget.take_numbers(1)
        return [signed(value)]
    view, at, found = _bytes(value), 0, []
    # A number takes ten bytes at most, so this bounds the loop without counting twice.
    budget.take_numbers(len(view))
    while at < len(view):
        number, at = _varint(view, at, len(view))
        found.append(signed(number))
    return found


def float32s(kind: int, value: Value, budget: Budget) -> list[float]:
    """The same for floats."""
    if kind == FIXED32:
        budget.take_numbers(1)
        return [float32(value)]
    view = _bytes(value)
    budget.take_numbers(len(view) // 4)
    if len(view) % 4:
        raise WireError("packed floats are cut off")
    return list(struct.unpack(f"<{len(view) // 4}f", view))


def message(value: Value) -> memoryview:
    """An inner message."""
    return _bytes(value)


def _bytes(value: Value) -> memoryview:
    if isinstance(value, int):
        raise WireError("bytes were expected")
    return value
