"""``[input]`` of a series model: which channels, how many samples, and what is done to them before the model sees them.

The counterpart of :class:`edge.vision.spec.InputSpec`. Knows no arrays, as manifests are read before those are there.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".txt", ".dat", ".jsonl", ".ndjson", ".npy"})
"""Endings of files that hold samples."""

Layout = Literal["tc", "ct", "flat_tc", "flat_ct"]
Gaps = Literal["refuse", "hold", "linear"]

MAX_CHANNELS = 512
MAX_WINDOW_N = 1_000_000
MAX_VALUES = 16_777_216
"""Samples times channels of one window: 64 MB as float32."""

Samples = Annotated[int, Meta(ge=1, le=MAX_WINDOW_N)]
Name = Annotated[str, Meta(min_length=1, max_length=64)]


class Channel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One quantity over time. ``name`` is also the column's in a file, and the value's of a sensor's reading;
    ``column`` where it is called otherwise there (in files without a header the number of the column, from ``"0"``).

    ``unit``: a column whose header gives another (``temp [C]``, ``temp (C)``) is refused. ``categories``: texts the
    column holds, in the order the model numbers them from 0 (models that take texts get the text). A sample ``x``
    becomes ``(x - mean) / std``, or ``(x - low) / (high - low)`` where these are given. ``input`` is the model's
    input this channel goes to, where it has several; channels of one input keep their order.
    """

    name: Name
    column: str = ""
    unit: str = ""
    input: str = ""
    categories: tuple[str, ...] = ()
    mean: float = 0.0
    std: float = 1.0
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if (self.low is None) != (self.high is None) or (self.low is not None and self.low == self.high):
            raise ValueError(f"channel {self.name!r}: low and high are given together, and differ")
        if self.low is not None and (self.mean, self.std) != (0.0, 1.0):
            raise ValueError(f"channel {self.name!r}: either mean and std or low and high")
        if not self.std:
            raise ValueError(f"channel {self.name!r}: std must not be 0")

    @property
    def offset_and_scale(self) -> tuple[float, float]:
        """``(x - offset) * scale``."""
        if self.low is not None and self.high is not None:
            return self.low, 1.0 / (self.high - self.low)
        return self.mean, 1.0 / self.std


class SeriesInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From samples ``(T, C)`` to the model's input or inputs.

    A window has ``window_n`` samples; the next begins ``stride_n`` later (0: ``window_n``). With ``min_n`` the time
    axis is free: a window ends after ``min_n`` samples, then every ``stride_n`` (0: ``min_n``) and at the end, and
    holds the last ``window_n`` samples or as many as there are.

    ``layout`` of a float tensor of t samples and c channels: ``tc`` is ``(1, t, c)`` (Keras, most recurrent models),
    ``ct`` is ``(1, c, t)`` (PyTorch's Conv1d), ``flat_tc`` and ``flat_ct`` are ``(1, t * c)`` with the time or the
    channel as outer index. A table row is ``flat_tc`` with ``window_n = 1``.

    ``rate_hz`` is what the model was trained at; 0 where it does not matter. With ``time`` (a column in seconds, or in
    ISO 8601) samples are held against it: others in between are interpolated with ``resample = "linear"``, refused
    with ``"no"``, and missing ones are gaps. ``gaps`` are these and empty cells: ``refuse`` the windows they are in,
    ``hold`` the last value or draw a ``linear`` line, over at most ``max_gap_n`` samples. ``group`` is a column whose
    value changes where another series begins (a unit, a batch): no window reaches across. ``length_input`` names an input
    of the model, whole numbers ``(1,)``, that is told how many samples the window has (``lengths`` of PyTorch's packed
    sequences).
    """

    channels: Annotated[tuple[Channel, ...], Meta(min_length=1, max_length=MAX_CHANNELS)]
    window_n: Samples = 1
    stride_n: Annotated[int, Meta(ge=0, le=MAX_WINDOW_N)] = 0
    min_n: Annotated[int, Meta(ge=0, le=MAX_WINDOW_N)] = 0
    length_input: str = ""
    layout: Layout = "flat_tc"
    rate_hz: Annotated[float, Meta(ge=0, le=10_000_000)] = 0.0
    time: str = ""
    resample: Literal["no", "linear"] = "no"
    gaps: Gaps = "refuse"
    max_gap_n: Annotated[int, Meta(ge=0, le=MAX_WINDOW_N)] = 8
    group: str = ""

    def __post_init__(self) -> None:
        names = [channel.name for channel in self.channels]
        if len(set(names)) < len(names):
            raise ValueError("channels must differ in name")
        if self.window_n * len(names) > MAX_VALUES:
            raise ValueError(f"window_n times channels is above {MAX_VALUES}")
        if self.min_n > self.window_n:
            raise ValueError(f"min_n = {self.min_n} is above window_n = {self.window_n}")
        if self.time and not self.rate_hz:
            raise ValueError("time needs rate_hz: samples are held against it")

    @property
    def first_n(self) -> int:
        """Samples before the first window is whole."""
        return self.min_n or self.window_n

    @property
    def step_n(self) -> int:
        """Samples from one window's end to the next one's."""
        return self.stride_n or self.first_n
