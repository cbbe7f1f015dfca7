"""Windows out of samples, gaps filled or not, scaled, in the shapes the model's inputs have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import InputError
from edge.series.select import Samples
from edge.series.spec import Layout, SeriesInput


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Samples ``start`` to ``end`` (not included) of a file, times in seconds where it has them."""

    start: int
    end: int
    values: NDArray[np.float64]
    from_s: float | None = None
    to_s: float | None = None
    group: str | None = None


def ends_of(n: int, spec: SeriesInput) -> list[int]:
    """Where windows end in a series of ``n`` samples: after ``first_n``, every ``step_n``, and, with a free time
    axis, at its end. Empty where it is too short.
    """
    ends = list(range(spec.first_n, n + 1, spec.step_n))
    if spec.min_n and ends and ends[-1] != n:
        ends.append(n)
    return ends


def windows(samples: Samples, spec: SeriesInput) -> Iterator[Window]:
    """All windows, series by series, in order. None for series that are too short."""
    stops = (*samples.starts[1:], len(samples.values))
    for i, (first, stop) in enumerate(zip(samples.starts, stops, strict=True)):
        own = fill(samples.values[first:stop], spec)
        for end in ends_of(stop - first, spec):
            start = max(0, end - spec.window_n)
            times = samples.times_s
            yield Window(
                first + start,
                first + end,
                own[start:end],
                None if times is None else float(times[first + start]),
                None if times is None else float(times[first + end - 1]),
                samples.groups[i] if samples.groups else None,
            )


def noise(spec: SeriesInput, seed: int = 0) -> NDArray[np.float64]:
    """A window ``(window_n, C)`` in sensor units that no machine made: normal about each channel's mean with its spread,
    even between ``low`` and ``high`` where it has these, any of its categories. The same for the same seed.
    """
    rng = np.random.default_rng(seed)
    columns = []
    for channel in spec.channels:
        if channel.categories:
            columns.append(rng.integers(0, len(channel.categories), spec.window_n).astype(np.float64))
        elif channel.low is not None and channel.high is not None:
            columns.append(rng.uniform(min(channel.low, channel.high), max(channel.low, channel.high), spec.window_n))
        else:
            columns.append(rng.normal(channel.mean, abs(channel.std), spec.window_n))
    return np.stack(columns, axis=1)


def fill(values: NDArray[np.float64], spec: SeriesInput) -> NDArray[np.float64]:
    """Gaps of at most ``max_gap_n`` samples are closed as ``spec.gaps`` says; longer ones, and those at either end
    that have no neighbour to go by, stay NaN. ``(T, C)`` in and out; the input is not changed.
    """
    missing = np.isnan(values)
    if spec.gaps == "refuse" or not missing.any():
        return values
    filled = values.copy()
    index = np.arange(len(values))
    for c in np.flatnonzero(missing.any(axis=0)):
        gone = missing[:, c]
        if gone.all():
            continue
        there = index[~gone]
        after = np.searchsorted(there, index)
        left = there[np.maximum(after - 1, 0)]
        right = there[np.minimum(after, len(there) - 1)]
        short = gone & (left < index) & ((right - left - 1 <= spec.max_gap_n) | (right < index))
        if spec.gaps == "hold":
            close = short & (index - left <= spec.max_gap_n)
            filled[close, c] = values[left[close], c]
        else:
            close = short & (right > index)
            filled[close, c] = np.interp(index[close], there, values[there, c])
    return filled


def check_whole(window: NDArray[np.float64], spec: SeriesInput, first: int = 0) -> None:
    """Raises InputError SERIES_GAP for a window with samples that are missing, SERIES_SHORT for a short one."""
    if not spec.first_n <= len(window) <= spec.window_n:
        raise too_short(len(window), spec)
    missing = np.isnan(window)
    if missing.any():
        row, c = (int(i[0]) for i in np.nonzero(missing))
        more = int(missing.any(axis=1).sum())
        hint = 'gaps = "hold" or "linear" in [input] closes short ones' if spec.gaps == "refuse" else ""
        raise InputError(
            "SERIES_GAP",
            f"channel {spec.channels[c].name!r} has no value in sample {first + row}",
            f"{more} of the window's {len(window)} samples are not whole",
            hint,
        )


def too_short(n: int, spec: SeriesInput) -> InputError:
    """The error for a series that gives no window."""
    least = f"at least {spec.min_n}" if spec.min_n else f"{spec.window_n}"
    return InputError("SERIES_SHORT", f"there are {n} samples", f"a window has {least}", "give a longer recording")


@dataclass(frozen=True, slots=True)
class Feed:
    """Which channels go to one input of the model, and as what; no channel: the number of samples does."""

    input: str
    channels: tuple[int, ...]
    dtype: str
    """numpy's name, or ``str``."""


def feeds_of(spec: SeriesInput, inputs: dict[str, str]) -> tuple[Feed, ...]:
    """``inputs``: names and dtypes of the model's inputs, in its order. Channels without an ``input`` go to the
    first. Raises ValueError, a sentence, where these do not fit together.
    """
    if not inputs:
        raise ValueError("the model has no input")
    first = next(iter(inputs))
    wanted = [channel.input or first for channel in spec.channels]
    strange = sorted(set(wanted) - set(inputs))
    if strange:
        raise ValueError(f"channels go to input {strange[0]!r}, the model has {', '.join(inputs)}")
    if spec.length_input and (spec.length_input not in inputs or inputs[spec.length_input] not in {"int64", "int32"}):
        raise ValueError(f"length_input names {spec.length_input!r}, which is no whole number of the model's inputs")
    idle = [name for name in inputs if name not in wanted and name != spec.length_input]
    if idle:
        raise ValueError(f"no channel goes to the model's input {idle[0]!r}")
    return tuple(
        Feed(name, tuple(i for i, one in enumerate(wanted) if one == name), dtype) for name, dtype in inputs.items()
    )


def scaled(window: NDArray[np.float64], spec: SeriesInput) -> NDArray[np.float64]:
    """``(t, C)`` in the units of the model's own input space."""
    pairs = np.array([channel.offset_and_scale for channel in spec.channels])
    return np.asarray((window - pairs[:, 0]) * pairs[:, 1], np.float64)


def blobs(window: NDArray[np.float64], spec: SeriesInput, feeds: tuple[Feed, ...]) -> dict[str, NDArray[Any]]:
    """The model's inputs by name, from a whole window ``(t, C)`` in sensor units."""
    ready = scaled(window, spec)
    found: dict[str, NDArray[Any]] = {}
    for feed in feeds:
        if not feed.channels:  # it is told how long the window is
            found[feed.input] = np.full(1, len(ready), feed.dtype)
            continue
        part = ready[:, feed.channels]
        if feed.dtype == "str":
            names = [spec.channels[c].categories for c in feed.channels]
            cells = [[names[j][int(x)] if names[j] else f"{x:g}" for j, x in enumerate(row)] for row in part]
            found[feed.input] = shaped(np.array(cells, object), spec.layout)
        else:
            found[feed.input] = np.ascontiguousarray(shaped(part, spec.layout), feed.dtype)
    return found


def shaped(part: NDArray[Any], layout: Layout) -> NDArray[Any]:
    """``(t, c)`` as a batch of one."""
    match layout:
        case "tc":
            return part[None]
        case "ct":
            return part.T[None]
        case "flat_tc":
            return part.reshape(1, -1)
        case "flat_ct":
            return part.T.reshape(1, -1)


def unshaped(array: NDArray[np.float64], shape: tuple[int, int], layout: Layout) -> NDArray[np.float64]:
    """The inverse of :func:`shaped`: an output like the input, as ``(t, c)``."""
    t, c = shape
    return array.reshape(c, t).T if layout in {"ct", "flat_ct"} else array.reshape(t, c)
