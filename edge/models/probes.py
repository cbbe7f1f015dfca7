"""Probe inputs for a model that nobody knows, and what its answers have in common. Used in the trial's child only.

The inputs are what a healthy model must tell apart: nothing, noise, soft blobs, a ramp; in 0..1, in 0..255 and around
zero, because nobody said yet what the model is used to. Answers are compared element by element: what never changes is
reported, and judged elsewhere (:mod:`edge.models.liveness`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
    "tensor(string)": np.object_,
}
_PICTURE_RANK = 4
_CHANNELS = (1, 3, 4)
_MIN_PROBES = 3
_BOX = 4
_MAX_INPUT = 2**28
"""Elements of a probe; a model that wants more is not tried."""

Array = Any


class NoProbe(Exception):  # noqa: N818  (no error: nothing is wrong with the model)
    """No input can be made for this model."""


def run(session: Any, inputs: list[dict[str, Any]], order: dict[str, Any]) -> Tried:
    """Run the probes one after the other, at least three and then as long as there is time.

    Free sizes are taken as asked for; where the model does not run with that, others that are usual. Raises what the
    runtime raises when it runs with none.
    """
    if not inputs:
        raise NoProbe("it has no input")
    for one in inputs:
        if one["type"] not in DTYPES:
            raise NoProbe(f"input {one['name'][:60]!r} is a {one['type'][:60]}")
    first: Exception | None = None
    for size in _sizes(inputs, order):
        shapes = [_shape(one["shape"], size) for one in inputs]
        if max(float(np.prod(shape, dtype=np.float64)) for shape in shapes) > _MAX_INPUT:
            raise MemoryError
        tried = Tried(list(shapes[_main(inputs)]))
        started = time.perf_counter()
        for number, kind in enumerate(KINDS):
            if number >= _MIN_PROBES and time.perf_counter() - started > order["budget_s"]:
                break
            feed = {one["name"]: _values(one, shape, kind, size) for one, shape in zip(inputs, shapes, strict=True)}
            try:
                answers = session.run(None, feed)
            except Exception as error:  # noqa: BLE001  (the runtime has no common base for its errors)
                if number and tried.count >= _MIN_PROBES:
                    break
                first = first or error
                tried.count = 0
                break
            tried.take([_array(answer) for answer in answers], number)
        if tried.count:
            return tried
    assert first is not None
    raise first


class Tried:
    """What was seen so far. ``shape`` is of the main input."""

    def __init__(self, shape: list[int]) -> None:
        self.shape = shape
        self.count = 0
        self.finite = True
        self._rows: list[_Row] = []

    def take(self, answers: list[Array | None], number: int) -> None:
        """One more probe's answers; None for what is no array of numbers."""
        self._rows = self._rows or [_Row() for _ in answers]
        self.count += 1
        for row, answer in zip(self._rows, answers, strict=True):
            # A picture of one value may divide by its own spread, and 0..255 overflow what is used to 0..1.
            whole = row.take(answer)
            if not whole and KINDS[number].gentle:
                self.finite = False

    def describe(self, outputs: list[dict[str, Any]]) -> list[str]:
        """Write what was seen to the rows of the outputs; sentences about what was declared otherwise."""
        said = []
        for entry, row in zip(outputs, self._rows, strict=True):
            if row.first is None:
                continue
            declared, seen = entry["shape"], list(row.first.shape)
            fits = len(declared) == len(seen) and all(d in {None, n} for d, n in zip(declared, seen, strict=True))
            if declared and not fits:
                said.append(f"output {entry['name'][:60]!r} is declared {declared} and gives {seen}")
            entry.update(row.facts(), shape=seen)
        return said

    def suspicious(self) -> bool:
        """True if something of the answers never changed."""
        return any(row.first is not None and (not row.moves or row.still_axis()) for row in self._rows)


class _Row:
    """One output over all probes."""

    def __init__(self) -> None:
        self.first: Array | None = None
        self.moves = False
        self.low = self.high = 0.0
        self.least, self.most = np.inf, -np.inf
        self._columns: dict[int, tuple[Array, Array]] = {}
        self._last: Array | None = None

    def take(self, answer: Array | None) -> bool:
        """False if something in it is not finite."""
        if answer is None:
            return True
        numbers = answer.dtype.kind in "fiub" and answer.size
        whole = not numbers or answer.dtype.kind != "f" or bool(np.isfinite(answer).all())
        if numbers and whole:
            low, high = float(answer.min()), float(answer.max())
            self.low, self.high = min(self.low, low), max(self.high, high)
            self.least, self.most = min(self.least, low), max(self.most, high)
            self._channels(answer)
        if self.first is None:
            self.first = answer
        elif self.first.shape != answer.shape or not np.array_equal(self.first, answer):
            self.moves = True
        self._last = answer
        return whole

    def _channels(self, answer: Array) -> None:
        if answer.dtype.kind != "f" or answer.ndim not in {2, 3}:
            return
        for axis in range(1, answer.ndim):
            if answer.shape[axis] <= _BOX:
                continue
            others = tuple(a for a in range(answer.ndim) if a != axis)
            low, high = answer.min(axis=others), answer.max(axis=others)
            if axis in self._columns and self._columns[axis][0].shape == low.shape:
                low = np.minimum(low, self._columns[axis][0])
                high = np.maximum(high, self._columns[axis][1])
            self._columns[axis] = (low, high)

    def still_axis(self) -> dict[str, Any]:
        """Of an output that begins with a box: the axis along which all that follows the box never changes."""
        for axis, (low, high) in self._columns.items():
            if (low[:_BOX] < high[:_BOX]).all() and (low[_BOX:] == high[_BOX:]).all():
                return {
                    "axis": axis,
                    "last": len(low) - 1,
                    "low": float(low[_BOX:].min()),
                    "high": float(low[_BOX:].max()),
                }
        return {}

    def facts(self) -> dict[str, Any]:
        still = self.still_axis()
        facts: dict[str, Any] = {"low": self.low, "high": self.high, "moves": self.moves}
        if np.isfinite(self.least):
            facts |= {"least": self.least, "most": self.most}
        if still and self._last is not None:
            values = np.unique(self._last.astype(np.float64))
            still["step"] = float(np.diff(values).min()) if values.size > 1 else 0.0
            facts["still"] = still
        return facts


class Kind:
    """A kind of probe: how to make it in 0..1, and what it is stretched to. ``gentle``: every model must bear it."""

    def __init__(self, make: Callable[[tuple[int, ...]], Array], low: float, high: float, *, gentle: bool) -> None:
        self.make, self.low, self.high, self.gentle = make, low, high, gentle


def _noise(shape: tuple[int, ...]) -> Array:
    return np.random.default_rng(0).random(shape, np.float32)


def _blobs(shape: tuple[int, ...]) -> Array:
    """Soft hills, another in each channel."""
    total = np.zeros(shape, np.float32)
    for axis, n in enumerate(shape):
        at = np.arange(n, dtype=np.float32).reshape([-1 if a == axis else 1 for a in range(len(shape))])
        total = total + np.sin(at * (12.0 / max(n, 8)) + axis)
    return (np.sin(2 * total) + 1) / 2


def _ramp(shape: tuple[int, ...]) -> Array:
    n = int(np.prod(shape))
    return np.linspace(0, 1, n, dtype=np.float32).reshape(shape)


KINDS = (
    Kind(np.zeros, 0, 1, gentle=False),
    Kind(_noise, 0, 1, gentle=True),
    Kind(_blobs, 0, 255, gentle=False),
    Kind(_blobs, 0, 1, gentle=True),
    Kind(_noise, 0, 255, gentle=False),
    Kind(_ramp, -1, 1, gentle=False),
)


def _values(one: dict[str, Any], shape: tuple[int, ...], kind: Kind, size: tuple[int, int]) -> Array:
    dtype = DTYPES[one["type"]]
    name = one["name"].lower()
    if dtype is np.object_:
        return np.full(shape, "a", np.object_)
    if len(shape) <= 2 and ("shape" in name or "size" in name):  # noqa: PLR2004  (the picture's own, as detectors ask)
        return np.resize(np.array([size[1], size[0]]), shape).astype(dtype)
    if len(shape) <= 2 and ("scale_factor" in name or name.startswith("len")):  # noqa: PLR2004  (as above; how long)
        return np.ones(shape, dtype)
    values = np.asarray(kind.make(shape) * (kind.high - kind.low) + kind.low)  # a number alone loses its array
    if dtype is np.bool_:
        return values > 0.5  # noqa: PLR2004  (half)
    if dtype is np.uint8:
        return np.clip(values if kind.high > 1 else values * 255, 0, 255).astype(np.uint8)
    if np.issubdtype(dtype, np.integer):
        # Whole numbers may be places in a table: small ones are in any.
        return np.asarray(np.clip(np.rint(values), 0, 1 if len(shape) < _PICTURE_RANK else 127)).astype(dtype)
    return values.astype(dtype)


def _main(inputs: list[dict[str, Any]]) -> int:
    """Which input is the picture, else the first."""
    for number, one in enumerate(inputs):
        if len(one["shape"]) == _PICTURE_RANK:
            return number
    return 0


def _sizes(inputs: list[dict[str, Any]], order: dict[str, Any]) -> list[tuple[int, int]]:
    """Width and height to try for free sizes; where nothing is free there is one."""
    asked = (order["width_px"], order["height_px"])
    if all(None not in one["shape"][1:] for one in inputs):
        return [asked]
    usual = [
        (192, 48),
        (224, 224),
        (256, 256),
        (640, 640),
        (100, 32),
        (512, 512),
        (128, 128),
        (64, 64),
        (16, 16),
        (1, 1),
    ]
    return [asked, *(size for size in usual if size != asked)]


def _shape(dims: list[int | None], size: tuple[int, int]) -> tuple[int, ...]:
    """Free dimensions become one picture, three channels and the size; elsewhere one row, and so many steps."""
    wanted: tuple[int, ...]
    if len(dims) == _PICTURE_RANK:
        last = dims[3] in _CHANNELS and dims[1] not in _CHANNELS
        wanted = (1, size[1], size[0], 3) if last else (1, 3, size[1], size[0])
    else:
        wanted = (1, *(min(size[0], 64),) * (len(dims) - 1)) if dims else ()
    return tuple(want if dim is None else dim for dim, want in zip(dims, wanted, strict=True))


def _array(answer: Any) -> Array | None:
    """Sequences of maps, as classical models give their probabilities, as rows of numbers."""
    if isinstance(answer, list):
        if answer and all(isinstance(one, dict) for one in answer):
            return np.array([[float(v) for v in one.values()] for one in answer])
        return None
    return np.asarray(answer)
