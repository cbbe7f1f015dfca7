"""Many ways of running one model, measured in turn over several rounds, so that a machine that slows down slows all."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.models.benching.child import Answer, Feed, Order
from edge.models.tuning.way import Engine, Way

WALL_S = 120.0
"""Of one measurement, whatever was asked: a provider that hangs costs no more."""


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """The model itself (``name`` is '') or one of its variants, with what it is fed, and the engines that may run it."""

    name: str
    sha256: str
    onnx: bytes
    external: Mapping[str, bytes]
    feeds: Mapping[str, NDArray[Any]]
    output_names: tuple[str, ...]
    engines: tuple[Engine, ...] = ("onnxruntime", "openvino")


@dataclass(frozen=True, slots=True)
class Config:
    """A row of the table to be."""

    form: Form
    way: Way


@dataclass(slots=True)
class Measured:
    """What all rounds gave of one configuration. ``error``: it does not run, or not as asked. ``outputs``: raw, once."""

    config: Config
    answers: list[Answer] = field(default_factory=list)
    outputs: list[NDArray[Any]] = field(default_factory=list)
    code: str = ""
    error: str = ""

    @property
    def times_ms(self) -> NDArray[np.float64]:
        """Single runs of all rounds."""
        return np.array([one for answer in self.answers for one in answer.times_ms])

    def median(self, what: str) -> float:
        """Over the rounds, of one of the answer's numbers."""
        return float(np.median([getattr(answer, what) for answer in self.answers]))


def measure(
    configs: Sequence[Config], *, rounds: int, seconds: float, step: Callable[[str], None] = lambda _: None
) -> list[Measured]:
    """Every configuration once a round, each round beginning elsewhere. ``step`` is called after each with its name.

    What does not run is not tried again. A KeyboardInterrupt ends the child that is at work, and goes on.
    """
    found = [Measured(config) for config in configs]
    for number in range(rounds):
        first = number * len(found) // max(1, rounds)
        for one in (*found[first:], *found[:first]):
            if not one.error:
                _once(one, seconds, want_outputs=not one.answers)
            step(one.config.way.name)
    return found


def _once(measured: Measured, seconds: float, *, want_outputs: bool) -> None:
    config = measured.config
    answer, outputs = run_child(config, seconds, want_outputs=want_outputs)
    if answer.code:
        measured.code, measured.error = answer.code, answer.why
    elif config.way.engine == "onnxruntime" and answer.provider != config.way.provider:
        measured.code = "PROVIDER_FELL_BACK"
        measured.error = f"asked for {config.way.provider}, the runtime fell back to {answer.provider} in silence"
    else:
        measured.answers.append(answer)
        measured.outputs = outputs or measured.outputs


def run_child(config: Config, seconds: float, *, want_outputs: bool) -> tuple[Answer, list[NDArray[Any]]]:
    """One measurement. What crashes or hangs is an answer with a code."""
    form = config.form
    arrays = {name: _plain(value) for name, value in form.feeds.items()}
    order = Order(
        way=config.way,
        model_bytes=len(form.onnx),
        external=tuple((name, len(data)) for name, data in form.external.items()),
        feeds=tuple(Feed(name, value.dtype.str, value.shape) for name, value in arrays.items()),
        output_names=form.output_names,
        seconds=seconds,
        want_outputs=want_outputs,
    )
    parts = (msgspec.json.encode(order), b"\n", form.onnx, *form.external.values(), *map(_bytes, arrays.values()))
    command = [sys.executable, "-P", "-m", "edge.models.benching.child"]
    with _child(command) as child:
        try:
            said, _ = child.communicate(b"".join(parts), WALL_S + seconds)
        except subprocess.TimeoutExpired:
            return Answer(code="MODEL_LIMITS", why=f"no answer within {WALL_S + seconds:g} s"), []
    line, _, rest = said.partition(b"\n")
    try:
        answer = msgspec.json.decode(line, type=Answer)
    except msgspec.DecodeError:
        return Answer(code="MODEL_CRASHED", why=f"its process ended with status {child.returncode}"), []
    return answer, _arrays(rest)


@contextlib.contextmanager
def _child(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Ended with all it started, whatever happens to us: Ctrl-C reaches only us, as it is a session of its own."""
    with subprocess.Popen(  # noqa: S603 - our interpreter, our module
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ.copy(),
        start_new_session=True,
    ) as child:
        try:
            yield child
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)


def _plain(value: NDArray[Any]) -> NDArray[Any]:
    """Texts of any length become ones of the same, which are bytes."""
    return np.ascontiguousarray(value.astype(np.str_) if value.dtype == object else value)


def _bytes(value: NDArray[Any]) -> bytes:
    return value.tobytes()


def _arrays(data: bytes) -> list[NDArray[Any]]:
    if not data:
        return []
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return [arrays[name] for name in arrays.files]
