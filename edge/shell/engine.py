"""A loaded model and the threads that run it."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from edge.errors import JidokaError
from edge.ports import Image
from edge.shell.slots import Job, Slots
from edge.shell.worker import OnCrash, Worker
from edge.vision.prediction import Prediction

WHAT_CHARS = 300


class Steps(Protocol):
    """A loaded model in three steps, as :class:`edge.models.predictor.Predictor` has them; safe from any thread."""

    def preprocess(self, image: Image) -> Any: ...

    def run(self, prepared: Any) -> Any: ...

    def postprocess(self, outputs: Any, prepared: Any, mm_per_px: float | None) -> Prediction: ...

    def warm_up(self) -> object: ...


@dataclass(frozen=True, slots=True)
class Engine:
    """One loaded model, its id (part of the threads' names and of ``Inferred.model``), and how many threads run it.

    ``warming`` waits for a first warm-up frame that somebody sent already, and says whether it was answered.
    """

    name: str
    steps: Steps
    workers: int = 1
    warming: Callable[[], bool] | None = None


class InferWorker(Worker):
    """One thread of one model. Idle, it runs a warm-up frame now and then: the watchdog is fed from the very path
    that inspects, or not at all.
    """

    def __init__(
        self,
        name: str,
        engine: Engine,
        slots: Slots,
        answer: Callable[[Job, Engine], bool],
        warm_every_s: float,
        on_crash: OnCrash,
    ) -> None:
        super().__init__(name, on_crash)
        self._engine = engine
        self._slots = slots
        self._answer = answer
        self._warm_every_s = warm_every_s
        self.last_answer_ns = 0
        self.warm = threading.Event()
        self.warm_error = ""

    def work(self) -> None:
        warming = self._engine.warming
        if warming is not None and warming():
            self._is_warm()
        else:
            self._warm_up()
        while not self.stopping:
            job = self._slots.take(self._warm_every_s)
            if job is None:
                if not self.stopping:
                    self._warm_up()
            elif self._answer(job, self._engine):
                self.last_answer_ns = time.monotonic_ns()

    def _warm_up(self) -> None:
        try:
            self._engine.steps.warm_up()
        except Exception as error:  # noqa: BLE001 - as with any frame; the watchdog notices the silence
            self.warm_error = code_of(error)[1]
        else:
            self._is_warm()

    def _is_warm(self) -> None:
        self.warm_error = ""
        self.last_answer_ns = time.monotonic_ns()
        self.warm.set()


def code_of(error: Exception) -> tuple[str, str]:
    """An error as an event's code and what."""
    if isinstance(error, JidokaError):
        return error.code, str(error)[:WHAT_CHARS]
    return "MODEL_FAILED", f"{type(error).__name__}: {error}"[:WHAT_CHARS]


def give_back_memory() -> None:
    """Let the allocator return what it holds and does not use: loading a model leaves some 20 MB of free pages.

    glibc's own extension (malloc_trim(3)); other C libraries have no such thing and need none. It takes a few ms.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
