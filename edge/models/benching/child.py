"""One way of running a model, measured in a process of its own: ``python -m edge.models.benching.child``.

A process of its own, because threads of a runtime outlive their session, memory is not given back, and a provider that
crashes must not take the others' figures with it. One line of JSON on stdin (an :class:`Order`), then the bytes of the
model, its external data and its inputs; one line of JSON on stdout, then, if asked for, the outputs as ``.npz``.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import signal
import sys
import threading
import time
import warnings
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from edge.errors import ModelError
from edge.models.benching.outputs import as_array
from edge.models.runner import OnnxRunner
from edge.models.tuning.openvino import OpenVinoRunner
from edge.models.tuning.runners import runner_of
from edge.models.tuning.way import Way
from edge.ports import Blob

MAX_SAMPLES = 20_000
_MIN_RUNS = 3
_PACED_RUNS = 4
_PACED_MS = 50.0
"""A frame every so many milliseconds, or every three times what one takes: a camera slower than the model."""

Inputs = dict[str, Blob]


class Feed(Struct, frozen=True):
    """One input tensor; its bytes follow. ``dtype`` as numpy spells it (``<f4``; ``<U3`` for texts)."""

    name: str
    dtype: str
    shape: tuple[int, ...]


class Order(Struct, frozen=True):
    """What is to be measured."""

    way: Way
    model_bytes: int
    external: tuple[tuple[str, int], ...]
    feeds: tuple[Feed, ...]
    output_names: tuple[str, ...]
    seconds: float
    want_outputs: bool = False


class Answer(Struct, frozen=True, kw_only=True):
    """``times_ms`` of single runs, in all threads. ``paced_cpu_ms``: CPU of one frame where frames come slowly."""

    provider: str = ""
    fps: float = 0.0
    times_ms: tuple[float, ...] = ()
    cpu_ms: float = 0.0
    paced_cpu_ms: float = 0.0
    memory_mb: float = 0.0
    load_ms: float = 0.0
    code: str = ""
    why: str = ""


def main() -> int:
    """Exit status 0 with an answer, also when the model does not run this way."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: no measurement outlives who asked for it
    warnings.simplefilter("ignore")  # a provider that falls back is told by what is really used
    stdin = sys.stdin.buffer
    order = msgspec.json.decode(stdin.readline(), type=Order)
    model = stdin.read(order.model_bytes)
    external = {name: stdin.read(size) for name, size in order.external}
    inputs = {feed.name: _array(stdin.read(_size(feed)), feed) for feed in order.feeds}
    outputs: list[Blob] = []
    try:
        answer, outputs = _measure(order, model, external, inputs)
    except ModelError as error:
        answer = Answer(code=error.code, why=f"{error.what}; {error.why}"[:600])
    sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
    if outputs and order.want_outputs:
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **{str(i): value for i, value in enumerate(outputs)})
        sys.stdout.buffer.write(buffer.getvalue())
    sys.stdout.buffer.flush()
    os._exit(0)  # threads of a runtime may take their time to end


def _measure(order: Order, model: bytes, external: dict[str, bytes], inputs: Inputs) -> tuple[Answer, list[Blob]]:
    empty_mb = _resident_mb()
    started = time.perf_counter()
    runner = runner_of(model, external, order.way, order.output_names)
    load_ms = (time.perf_counter() - started) * 1e3
    outputs: list[Any] = [as_array(one) for one in runner.run(inputs)]
    times, wall_s, cpu_s = _closed_loop(runner, inputs, order.way.workers, order.seconds)
    memory_mb = _resident_mb() - empty_mb
    return Answer(
        provider=runner.provider,
        fps=len(times) / wall_s,
        times_ms=tuple(round(one, 3) for one in times[:MAX_SAMPLES]),
        cpu_ms=cpu_s * 1e3 / len(times),
        paced_cpu_ms=_paced(runner, inputs, float(np.median(times))),
        memory_mb=memory_mb,
        load_ms=load_ms,
    ), outputs


def _closed_loop(
    runner: OnnxRunner | OpenVinoRunner, inputs: Inputs, workers: int, seconds: float
) -> tuple[list[float], float, float]:
    """Every worker runs one frame after the other. Returns ms of each run, seconds of wall time, seconds of CPU."""
    times: list[list[float]] = [[] for _ in range(workers)]
    errors: list[ModelError] = []
    begun = [0.0, 0.0]

    def begin() -> None:
        begun[:] = time.perf_counter(), time.process_time()

    gate = threading.Barrier(workers, action=begin)  # the last to have run once starts the clock for all

    def work(mine: list[float]) -> None:
        try:
            runner.run(inputs)
            gate.wait()
            while len(mine) < _MIN_RUNS or time.perf_counter() < begun[0] + seconds:
                started = time.perf_counter()
                runner.run(inputs)
                mine.append((time.perf_counter() - started) * 1e3)
        except ModelError as error:
            errors.append(error)
            gate.abort()
        except threading.BrokenBarrierError:
            pass

    threads = [threading.Thread(target=work, args=(mine,)) for mine in times]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    wall_s, cpu_s = time.perf_counter() - begun[0], time.process_time() - begun[1]
    return [one for mine in times for one in mine], wall_s, cpu_s


def _paced(runner: OnnxRunner | OpenVinoRunner, inputs: Inputs, median_ms: float) -> float:
    """CPU of one frame in ms where the next one comes later: what threads burn while they wait is in it."""
    period_s = max(_PACED_MS, 3 * median_ms) / 1e3
    cpu, due = time.process_time(), time.perf_counter()
    for _ in range(_PACED_RUNS):
        runner.run(inputs)
        due += period_s
        time.sleep(max(0.0, due - time.perf_counter()))
    return (time.process_time() - cpu) * 1e3 / _PACED_RUNS


def _array(data: bytes, feed: Feed) -> Any:
    array = np.frombuffer(data, feed.dtype).reshape(feed.shape)
    return array.astype(object) if array.dtype.kind == "U" else array


def _size(feed: Feed) -> int:
    return int(np.prod(feed.shape, dtype=np.int64)) * np.dtype(feed.dtype).itemsize


def _resident_mb() -> float:
    """Resident memory (proc(5), statm: pages). 0 where that cannot be told."""
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - a pseudo file
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except (OSError, ValueError, IndexError):
        return 0.0


if __name__ == "__main__":
    sys.exit(main())
