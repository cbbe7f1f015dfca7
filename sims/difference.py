"""The first difference between two runs, field by field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from edge.trace.codec import Row, pack, unpack

FIELDS_MOST = 50
ABSENT = "absent"


class FieldDifference(Struct, frozen=True):
    """One value: where it stands, as ``effects[1].record.decision``, and what it was and is."""

    path: str
    before: Any
    after: Any


class Difference(Struct, frozen=True):
    """A row in which two runs differ. ``row`` counts from 1, in each; ``at_s`` is since the first row."""

    row_before: int
    row_after: int
    at_s: float
    event: str
    fields: tuple[FieldDifference, ...]


def same_row(before: Row, after: Row) -> bool:
    """True where time, event and effects are the same values; bytes are looked at first."""
    if before.t_ns != after.t_ns or before.name != after.name:
        return False
    if before.effects != after.effects and any(True for _ in effect_fields(before.effects, after.effects)):
        return False
    return pack(before.what) == pack(after.what) or not any(True for _ in fields("", before.what, after.what))


def effect_fields(
    before: tuple[tuple[str, bytes], ...], after: tuple[tuple[str, bytes], ...]
) -> Iterator[FieldDifference]:
    """What differs in the effects of one row."""
    for i in range(max(len(before), len(after))):
        left, right = (side[i] if i < len(side) else None for side in (before, after))
        if left == right:
            continue
        path = f"effects[{i}]"
        if left is None or right is None or left[0] != right[0]:
            names = [ABSENT if one is None else f"{one[0]} {_short(unpack(*one))}" for one in (left, right)]
            yield FieldDifference(path, names[0], names[1])
        else:
            yield from fields(f"{path}.{left[0]}", unpack(*left), unpack(*right))


def row_fields(before: Row, after: Row) -> tuple[FieldDifference, ...]:
    """All that differs in one row, the first fifty."""
    found = []
    if before.t_ns != after.t_ns:
        found.append(FieldDifference("t_ns", before.t_ns, after.t_ns))
    if before.name != after.name:
        found.append(
            FieldDifference("event", f"{before.name} {_short(before.what)}", f"{after.name} {_short(after.what)}")
        )
    else:
        found += fields(before.name, before.what, after.what)
    found += effect_fields(before.effects, after.effects)
    return tuple(found[:FIELDS_MOST])


def fields(path: str, before: Any, after: Any) -> Iterator[FieldDifference]:
    """Values that differ, with their paths; two that are no number are the same, as are 5 and 5.0."""
    yield from _plain_fields(path, _plain(before), _plain(after))


def _plain_fields(path: str, before: Any, after: Any) -> Iterator[FieldDifference]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            inner = f"{path}.{key}" if path else str(key)
            yield from _plain_fields(inner, before.get(key, ABSENT), after.get(key, ABSENT))
    elif isinstance(before, list) and isinstance(after, list):
        for i in range(max(len(before), len(after))):
            left, right = (side[i] if i < len(side) else ABSENT for side in (before, after))
            yield from _plain_fields(f"{path}[{i}]", left, right)
    elif isinstance(before, bytes) and isinstance(after, bytes) and before != after:
        yield FieldDifference(path, before.decode(errors="replace"), after.decode(errors="replace"))
    elif before != after and not (_is_nan(before) and _is_nan(after)):
        yield FieldDifference(path, before, after)


def _plain(value: Any) -> Any:
    return msgspec.to_builtins(value, builtin_types=(bytes,))


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and value != value  # noqa: PLR0124


def _short(thing: Any) -> str:
    text = repr(thing)
    return text[text.find("(") :][:300] if "(" in text else text[:300]
