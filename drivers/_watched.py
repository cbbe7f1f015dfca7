"""Reads that can hang, kept at arm's length: each source is read in a thread that may be left behind.

OpenCV's capture calls cannot be interrupted and take no time-out that all back ends keep. So one thread owns the reader
and does nothing else; the caller waits for its answers with a deadline. A thread that has not answered for `hang_s` is
abandoned: it is told to release what it holds when it ever comes back, and a new one takes its place on the next open.

::

    caller                      thread
    open(timeout_s)   start ->  make()                -> (opened or error)
    next(timeout_s)   ask   ->  reader.next()         -> (captured_ns, image), None at the end, or error
    close()           leave ->  reader.release(), end
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Protocol, TypeAlias

from edge.errors import DeviceError, JidokaError
from edge.ports import Image

Shot: TypeAlias = tuple[int, Image]
"""Monotonic time the picture was taken, as near as can be told, and its pixels."""

MAX_ABANDONED = 8
"""So many threads of one source may hang at once; each holds a connection or a device."""

JOIN_S = 1.0


class Reader(Protocol):
    """What the thread owns. Only errors of ours should leave it; others become SOURCE_LOST."""

    def next(self) -> Shot | None:
        """The next picture, None at the end. May hang."""

    def release(self) -> None: ...


class WatchedReader:
    """One caller, one thread at a time."""

    def __init__(self, name: str, make: Callable[[], Reader], hang_s: float) -> None:
        self._name = name
        self._make = make
        self._hang_s = hang_s
        self._worker: _Worker | None = None
        self._abandoned: list[_Worker] = []

    @property
    def is_open(self) -> bool:
        """True from open() until close() or until the thread was abandoned."""
        return self._worker is not None

    def open(self, timeout_s: float) -> None:
        """Make the reader. Raises what ``make`` raises, SOURCE_TIMEOUT, or SOURCE_HUNG when too many threads hang."""
        self._abandoned = [worker for worker in self._abandoned if worker.is_alive()]
        if len(self._abandoned) >= MAX_ABANDONED:
            raise DeviceError(
                "SOURCE_HUNG",
                f"{len(self._abandoned)} reads of {self._name} hang",
                hint="restart the camera, or the agent",
            )
        self._worker = _Worker(self._name, self._make)
        self._worker.start()
        try:
            self._worker.answer(timeout_s)
        except queue.Empty:
            self._abandon()
            raise _late(f"{self._name} did not open within {timeout_s:.3g} s") from None
        except JidokaError:
            self.close()
            raise

    def next(self, timeout_s: float) -> Shot | None:
        """The next picture. After SOURCE_TIMEOUT the same read goes on, unless it has hung for ``hang_s`` by now."""
        worker = self._worker
        if worker is None:
            raise DeviceError("SOURCE_NOT_OPEN", f"{self._name} is not open", hint="open it first")
        worker.ask()
        try:
            return worker.answer(timeout_s)
        except queue.Empty:
            if worker.waited_s() >= self._hang_s:
                self._abandon()
            raise _late(f"{self._name} gave no frame within {timeout_s:.3g} s") from None

    def close(self) -> None:
        """Let the thread end; one that hangs is left behind. Never raises."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.leave()
            worker.join(0 if worker.is_busy else JOIN_S)
            if worker.is_alive():
                self._abandoned.append(worker)

    def _abandon(self) -> None:
        if self._worker is not None:
            self._worker.leave()
            self._abandoned.append(self._worker)
            self._worker = None


class _Worker(threading.Thread):
    """Owns one reader from making to release. A daemon, because a hung one must not keep the process."""

    def __init__(self, name: str, make: Callable[[], Reader]) -> None:
        super().__init__(name=f"read-{name}", daemon=True)
        self._make = make
        self._asked: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Shot | JidokaError | None] = queue.SimpleQueue()
        self._leaving = threading.Event()
        self._pending_since_ns: int | None = time.monotonic_ns()  # the opening is the first thing asked

    @property
    def is_busy(self) -> bool:
        return self._pending_since_ns is not None

    def ask(self) -> None:
        """Begin a read, unless one is still under way."""
        if self._pending_since_ns is None:
            self._pending_since_ns = time.monotonic_ns()
            self._asked.put(True)

    def answer(self, timeout_s: float) -> Shot | None:
        """What was asked for. Raises queue.Empty when it is not there in time, and the reader's error."""
        answer = self._answers.get(timeout=max(timeout_s, 0.0))
        self._pending_since_ns = None
        if isinstance(answer, JidokaError):
            raise answer
        return answer

    def waited_s(self) -> float:
        since_ns = self._pending_since_ns
        return 0.0 if since_ns is None else (time.monotonic_ns() - since_ns) / 1e9

    def leave(self) -> None:
        self._leaving.set()
        self._asked.put(False)

    def run(self) -> None:
        try:
            reader = self._make()
        except Exception as error:  # noqa: BLE001 - a thread that ends without an answer looks like one that hangs
            self._answers.put(_as_ours(error))
            return
        self._answers.put(None)
        try:
            while self._asked.get() and not self._leaving.is_set():
                self._answers.put(_next(reader))
        finally:
            reader.release()


def _next(reader: Reader) -> Shot | JidokaError | None:
    try:
        return reader.next()
    except Exception as error:  # noqa: BLE001 - see run()
        return _as_ours(error)


def _as_ours(error: Exception) -> JidokaError:
    """Our errors as they are; what else a foreign library throws becomes one, cause kept."""
    if isinstance(error, JidokaError):
        return error
    lost = DeviceError("SOURCE_LOST", "the source cannot be read", f"{type(error).__name__}: {error}")
    lost.__cause__ = error
    return lost


def _late(what: str) -> DeviceError:
    return DeviceError("SOURCE_TIMEOUT", what, hint="check that it runs, or give it more time (timeout_s)")
