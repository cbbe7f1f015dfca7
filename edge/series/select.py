"""From a table to the channels a model wants: which column, in which unit, at which times."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from edge.errors import InputError
from edge.series.spec import Channel, SeriesInput
from edge.series.table import Column, Table, is_number

_WITH_UNIT = re.compile(r"^(.*?)\s*[\[(]([^\])]*)[\])]$")
_NO_WORD = re.compile(r"\W")
_SAME_RATE = 0.02
"""Sample intervals may be so much (a share of one) off the model's before it counts as another rate."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """``values`` float64 ``(T, C)`` in the channels' order and units, NaN where there is none; categories as numbers.
    ``times_s`` float64 ``(T,)``, where the model wants a time column. ``starts`` int64: where each series begins, the
    first being 0; ``groups`` names them (empty without ``group``).
    """

    values: NDArray[np.float64]
    times_s: NDArray[np.float64] | None = None
    starts: tuple[int, ...] = (0,)
    groups: tuple[str, ...] = ()
    by_position: bool = False


def select(table: Table, spec: SeriesInput, name: str) -> Samples:
    """Raises InputError SERIES_CHANNEL_ABSENT, SERIES_UNIT, SERIES_NOT_A_NUMBER, SERIES_TIME_UNFIT."""
    others = {column for column in (spec.time, spec.group) if column}
    unused = [column for column in table.names if column not in others]
    numbered = all((one.column or one.name).isdigit() for one in spec.channels)  # as is proposed for bare files
    by_position = (
        (numbered or not table.named)
        and len(unused) == len(spec.channels)
        and not any(_find(table.names, one) for one in spec.channels)
    )
    wanted = unused if by_position else [_resolve(table, one, name) for one in spec.channels]
    columns = [
        _numbers(table.get(column), one, column, name) for column, one in zip(wanted, spec.channels, strict=True)
    ]
    values = np.stack(columns, axis=1)
    starts: tuple[int, ...] = (0,)
    groups: tuple[str, ...] = ()
    if spec.group:
        starts, groups = _groups(table.get(_named(table, spec.group, name)))
    times = _times(table.get(_named(table, spec.time, name)), spec.time, name) if spec.time else None
    return Samples(values, times, starts, groups, by_position)


def header_unit(column: str) -> tuple[str, str]:
    """``"temp [C]"`` is ``("temp", "C")``; without a unit the second is empty."""
    match = _WITH_UNIT.match(column)
    return (match[1], match[2].strip()) if match else (column, "")


def _find(names: tuple[str, ...], channel: Channel) -> str | None:
    """The column of a channel: by its exact header, else by the header without its unit, or as exporters spell it
    (skl2onnx makes ``Torque [Nm]`` an input ``Torque__Nm_``).
    """
    wanted = channel.column or channel.name
    if wanted in names:
        return wanted
    same = (one for one in names if header_unit(one)[0] == wanted or _NO_WORD.sub("_", one) == wanted)
    return next(same, None)


def _resolve(table: Table, channel: Channel, name: str) -> str:
    column = _find(table.names, channel)
    if column is None:
        _absent(table, channel.column or channel.name, name)
    unit = header_unit(column)[1]
    if channel.unit and unit and unit != channel.unit:
        why = f"it is in {unit}, the model wants {channel.unit}"
        raise InputError(
            "SERIES_UNIT", f"{name}: column {column!r} has the wrong unit", why, "convert it, or its header"
        )
    return column


def _named(table: Table, column: str, name: str) -> str:
    if column not in table.names:
        _absent(table, column, name)
    return column


def _absent(table: Table, wanted: str, name: str) -> NoReturn:
    near = difflib.get_close_matches(wanted, table.names, n=1) or [
        one for one in table.names if one.lower() == wanted.lower()
    ]
    known = ", ".join(map(repr, table.names[:12])) + (" …" if len(table.names) > 12 else "")  # noqa: PLR2004  (a line)
    hint = f"{near[0]!r} looks like it: rename it, or name it in column" if near else f"it has {known}"
    if not table.named:
        what = f"{name} has {len(table.names)} columns and no header"
        raise InputError("SERIES_CHANNEL_ABSENT", what, f"none is {wanted!r}", hint)
    raise InputError("SERIES_CHANNEL_ABSENT", f"{name} has no column {wanted!r}", "the model needs it", hint)


def _numbers(column: Column, channel: Channel, header: str, name: str) -> NDArray[np.float64]:
    if channel.categories:
        texts = column if column.dtype == object else np.array([f"{x:g}" for x in column], object)
        codes = np.full(len(texts), -1.0)
        for number, category in enumerate(channel.categories):
            codes[texts == category] = number
        if (codes < 0).any():
            row = int(np.argmax(codes < 0))
            hint = f"it knows {', '.join(channel.categories[:12])}"
            raise InputError(
                "SERIES_CATEGORY_UNKNOWN",
                f"{name}: column {header!r} holds {str(texts[row])[:40]!r} in sample {row}",
                "the model does not know that category",
                hint,
            )
        return codes
    if column.dtype == object:
        row = next(i for i, cell in enumerate(column) if not is_number(cell))
        raise InputError(
            "SERIES_NOT_A_NUMBER",
            f"{name}: column {header!r} holds {str(column[row])[:40]!r} in sample {row}",
            "numbers are needed",
            "leave the cell empty where there is none",
        )
    values = np.asarray(column, np.float64)
    return np.where(np.isfinite(values), values, np.nan)


def _groups(column: Column) -> tuple[tuple[int, ...], tuple[str, ...]]:
    changed = np.flatnonzero(column[1:] != column[:-1]) + 1
    starts = (0, *map(int, changed))
    cells = [column[i] for i in starts]
    return starts, tuple(f"{cell:g}" if isinstance(cell, float) else str(cell) for cell in cells)


def _times(column: Column, header: str, name: str) -> NDArray[np.float64]:
    """Seconds; ISO 8601 texts are counted from 1970 as they stand, without a zone."""
    if column.dtype == object:
        try:
            stamps = np.array([str(cell).strip().removesuffix("Z") for cell in column], "datetime64[us]")
        except ValueError as error:
            raise InputError(
                "SERIES_TIME_UNFIT", f"{name}: column {header!r} is no time", str(error), "seconds or ISO 8601 are read"
            ) from error
        times = stamps.astype(np.int64) / 1e6
    else:
        times = np.asarray(column, np.float64)
    if not np.isfinite(times).all():
        raise InputError(
            "SERIES_TIME_UNFIT", f"{name}: column {header!r} has empty cells", "", "each sample has its time"
        )
    return times


def on_grid(samples: Samples, spec: SeriesInput, name: str) -> Samples:
    """Samples at the model's rate, series by series: what is missing becomes NaN, another rate is interpolated or
    refused. Without a time column they are taken as they come. Raises InputError SERIES_RATE, SERIES_TIME_UNFIT.
    """
    if samples.times_s is None:
        return samples
    ends = (*samples.starts[1:], len(samples.values))
    parts = [
        _one_grid(samples.values[a:b], samples.times_s[a:b], spec, name)
        for a, b in zip(samples.starts, ends, strict=True)
    ]
    lengths = np.cumsum([0, *(len(values) for values, _ in parts)])
    values = np.concatenate([values for values, _ in parts])
    times = np.concatenate([times for _, times in parts])
    return Samples(values, times, tuple(map(int, lengths[:-1])), samples.groups, samples.by_position)


def _one_grid(
    values: NDArray[np.float64], times: NDArray[np.float64], spec: SeriesInput, name: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if len(times) < 2:  # noqa: PLR2004  (an interval needs two)
        return values, times
    steps = np.diff(times)
    if (steps <= 0).any():
        row = int(np.argmax(steps <= 0)) + 1
        raise InputError(
            "SERIES_TIME_UNFIT",
            f"{name}: the time of sample {row} is not after the one before",
            "",
            "sort the samples, and keep each once",
        )
    wanted_s = 1.0 / spec.rate_hz
    usual_s = float(np.median(steps))
    n = int(np.floor((times[-1] - times[0]) * spec.rate_hz + 0.5)) + 1
    if n > max(64 * len(times), 1_000_000):
        raise InputError(
            "SERIES_RATE", f"{name} would have {n} samples at {spec.rate_hz:g} Hz", "its times are far apart"
        )
    grid = times[0] + np.arange(n) * wanted_s
    if abs(usual_s - wanted_s) <= _SAME_RATE * wanted_s:
        cells = np.clip(np.floor((times - times[0]) * spec.rate_hz + 0.5).astype(np.int64), 0, n - 1)
        placed = np.full((n, values.shape[1]), np.nan)
        placed[cells] = values
        return placed, grid
    if spec.resample == "no":
        why = f"the model wants {spec.rate_hz:g} Hz"
        hint = 'set resample = "linear" in [input], or give samples at that rate'
        raise InputError("SERIES_RATE", f"{name} has samples at {1 / usual_s:g} Hz", why, hint)
    # A line is drawn between neighbours only: in an outage there is nothing to draw it from.
    right = np.clip(np.searchsorted(times, grid), 1, len(times) - 1)
    far = times[right] - times[right - 1] > max(1.5 * usual_s, (spec.max_gap_n + 1) * wanted_s)
    lines = np.stack([np.interp(grid, times, column) for column in values.T], axis=1)
    lines[far & ~np.isclose(grid, times[right]) & ~np.isclose(grid, times[right - 1])] = np.nan
    return lines, grid
