"""From measurements to rows a person can decide from, and to one that is recommended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from edge.models.benching.measuring import Measured
from edge.models.benching.outputs import as_array
from edge.models.tuning.way import Way

BURNS = 1.5
"""A frame that comes alone may cost so many times the CPU of one among many; beyond, threads burn it while they wait."""
BURNS_MS = 2.0
"""And at least so many ms more: of a model that takes less, all of it is the clock's grain."""
EVEN = 0.03
"""Differences of throughput below this, or below the noise, are none."""
MOST_NOISE = 0.10
"""However noisy the machine: a way that is a tenth slower is not taken for being lighter."""
TRIFLE_MS = 0.1
"""A model that takes no longer, and less than what is done around it, is run the usual way: measured alone it may gain by
threads what it loses as soon as Python prepares and reads beside them."""
RAW_ERROR = 0.01
"""Another engine's numbers may differ so much from the usual one's, as a share of the largest of an output."""


class Row(Struct, frozen=True, kw_only=True):
    """One configuration. ``p50_ms`` and ``p99_ms`` are the model's alone; ``ratio`` is throughput against the usual way,
    median over rounds, ``spread`` half the range of that. ``safe``: it may run beside everything else on the machine.
    """

    variant: str = ""
    way: Way
    fps: float = 0.0
    ratio: float = 0.0
    spread: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    cpu_ms: float = 0.0
    paced_cpu_ms: float = 0.0
    memory_mb: float = 0.0
    load_ms: float = 0.0
    runs: int = 0
    raw_error: float | None = None
    safe: bool = True
    why: str = ""
    """Why it is not safe, or not there."""

    @property
    def name(self) -> str:
        """``onnxruntime int8, 2 workers``."""
        return f"{self.way.runtime}{' ' + self.variant if self.variant else ''}, {self.way.name}"


class Decision(Struct, frozen=True, kw_only=True):
    """``chosen`` is an index of ``rows``. ``met``: within the limit, if one was set. ``noise``: half the range of the
    usual way's throughput over the rounds, as a share.
    """

    rows: tuple[Row, ...]
    chosen: int
    met: bool
    noise: float
    reason: str


def rows_of(measured: Sequence[Measured]) -> tuple[Row, ...]:
    """The first is the usual way."""
    usual = measured[0]
    return tuple(_row(one, usual) for one in measured)


def noise_of(measured: Measured) -> float:
    """Half the range of throughput over the rounds, as a share of its median."""
    speeds = [answer.fps for answer in measured.answers]
    return (max(speeds) - min(speeds)) / 2 / float(np.median(speeds)) if speeds else 0.0


def decide(rows: Sequence[Row], noise: float, *, limit_ms: float | None = None, besides_ms: float = 0.0) -> Decision:
    """The highest throughput among what is safe and keeps to the limit, ``besides_ms`` (before and after the model)
    included. Among those that are as fast, within the noise, the one that costs least CPU a frame; the usual way stays
    where nothing is better than it. Where nothing keeps to the limit: the safe one with the shortest p99.
    """
    safe = [i for i, row in enumerate(rows) if row.safe and row.runs]
    if not safe:
        return Decision(rows=tuple(rows), chosen=0, met=limit_ms is None, noise=noise, reason="nothing else runs here")
    fit = [i for i in safe if limit_ms is None or rows[i].p99_ms + besides_ms <= limit_ms]
    if not fit:
        chosen = min(safe, key=lambda i: rows[i].p99_ms)
        reason = f"nothing keeps to {limit_ms:g} ms; this comes nearest"
        return Decision(rows=tuple(rows), chosen=chosen, met=False, noise=noise, reason=reason)
    if 0 in fit and rows[0].p50_ms <= min(TRIFLE_MS, besides_ms):
        reason = "preparing and reading take longer than the model: no way of running it gains anything"
        return Decision(rows=tuple(rows), chosen=0, met=True, noise=noise, reason=reason)
    even = min(max(EVEN, noise), MOST_NOISE)
    best = max(rows[i].ratio for i in fit)
    if 0 in fit and best <= rows[0].ratio * (1 + even):
        reason = "nothing is faster by more than the noise"
        return Decision(rows=tuple(rows), chosen=0, met=True, noise=noise, reason=reason)
    near = [i for i in fit if rows[i].ratio >= best * (1 - even)]
    chosen = min(near, key=lambda i: (rows[i].cpu_ms, rows[i].memory_mb))
    reason = "highest throughput" + ("" if limit_ms is None else f" within {limit_ms:g} ms")
    if rows[chosen].ratio < best:
        reason += ", and of those that are as fast within the noise the lightest"
    return Decision(rows=tuple(rows), chosen=chosen, met=True, noise=noise, reason=reason)


def _row(one: Measured, usual: Measured) -> Row:
    variant, way = one.config.form.name, one.config.way
    if not one.answers:
        return Row(variant=variant, way=way, safe=False, why=one.error or "not measured")
    ratios = [a.fps / b.fps for a, b in zip(one.answers, usual.answers, strict=False) if b.fps]
    times = one.times_ms
    cpu, paced = one.median("cpu_ms"), one.median("paced_cpu_ms")
    error = raw_error(usual.outputs, one.outputs)
    why = ""
    if not variant and error is not None and error > RAW_ERROR:
        why = f"its numbers differ by {error:.2g} of the largest"
    elif paced > max(BURNS * cpu, cpu + BURNS_MS):
        why = f"burns CPU while it waits: {paced:.1f} ms a frame that comes alone"
    return Row(
        variant=variant,
        way=way,
        fps=one.median("fps"),
        ratio=float(np.median(ratios)) if ratios else 0.0,
        spread=(max(ratios) - min(ratios)) / 2 if ratios else 0.0,
        p50_ms=float(np.percentile(times, 50)),
        p99_ms=float(np.percentile(times, 99)),
        cpu_ms=cpu,
        paced_cpu_ms=paced,
        memory_mb=one.median("memory_mb"),
        load_ms=one.median("load_ms"),
        runs=len(times),
        raw_error=error,
        safe=not why,
        why=why,
    )


def raw_error(wanted: Sequence[Any], seen: Sequence[Any]) -> float | None:
    """The largest difference of any output, as a share of the largest number of that output, or the share of texts that
    differ; None where outputs cannot be compared (lists of another length, other shapes).
    """
    if not wanted or len(wanted) != len(seen):
        return None
    worst = 0.0
    for a, b in zip(map(as_array, wanted), map(as_array, seen), strict=True):
        if a.shape == b.shape and a.dtype.kind == b.dtype.kind == "U":
            worst = max(worst, float((a != b).mean()) if a.size else 0.0)
            continue
        if a.shape != b.shape or a.dtype.kind not in "fiub" or b.dtype.kind not in "fiub":
            return None
        if a.size:
            left, right = a.astype(np.float64), b.astype(np.float64)
            worst = max(worst, float(np.abs(left - right).max() / max(float(np.abs(left).max()), 1e-12)))
    return worst
