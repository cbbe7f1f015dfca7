"""The worker processes, seen by their boss: started, told what to do, listened to, never left behind.

A worker hears the end of its pipe when we die, and leaves; Ctrl-C is for us alone, who then end it in good order.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Self

from edge.errors import DeviceError
from sims.swarm.plan import Order, Part, Parted, Plan, Progress, Tell, Told, Word
from sims.swarm.worker import work

END_S = 20.0


class Workers:
    """``processes`` workers with an even share of the agents each, as a context."""

    def __init__(self, plan: Plan, processes: int) -> None:
        self._plan = plan
        self._shares = [range(first + 1, plan.agents + 1, processes) for first in range(processes)]
        self._processes: list[BaseProcess] = []
        self._pipes: list[Connection] = []
        self._progress: list[Progress] = [Progress(0, 0, 0)] * processes
        self._words: list[list[Word]] = [[] for _ in range(processes)]

    def __enter__(self) -> Self:
        context = multiprocessing.get_context("spawn")
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # inherited
        try:
            for share in self._shares:
                ours, theirs = context.Pipe()
                process = context.Process(target=work, args=(self._plan, share, theirs), name=f"swarm-{share[0]}")
                process.start()
                theirs.close()
                self._processes.append(process)
                self._pipes.append(ours)
        finally:
            signal.signal(signal.SIGINT, before)
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join(END_S)
            if process.is_alive():
                process.kill()
                process.join(END_S)

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes if process.pid is not None]

    @property
    def progress(self) -> Progress:
        """Of all workers, as they said last."""
        every = self._progress
        return Progress(sum(p.online for p in every), sum(p.results for p in every), sum(p.backlog for p in every))

    def say(self, order: Order) -> None:
        """To all."""
        for pipe in self._pipes:
            pipe.send(order)

    def listen(self, until: Callable[[], bool], timeout_s: float) -> bool:
        """Take what they say until something holds; False if it did not in time. Raises DeviceError SWARM_WORKER_ENDED."""
        end = time.monotonic() + timeout_s
        while not until():
            left_s = end - time.monotonic()
            if left_s <= 0:
                return False
            speaking = [pipe for n, pipe in enumerate(self._pipes) if not self._has(n, Parted)]
            for pipe in wait(speaking, min(0.25, left_s)):
                self._take(self._pipes.index(pipe))  # type: ignore[arg-type]
        return True

    def tell(self) -> list[Told]:
        """Every worker's figures of the step under way."""
        self.say(Tell())
        if not self.listen(lambda: self._have_all(Told), 60.0):
            raise DeviceError("SWARM_SILENT", "a worker did not answer within 60 s", hint="is the machine overloaded?")
        told = [word for words in self._words for word in words if isinstance(word, Told)]
        for words in self._words:
            words.clear()
        return told

    def part(self) -> int:
        """Everybody leaves in good order; how many said so."""
        self.say(Part())
        self.listen(lambda: self._have_all(Parted), END_S)
        return sum(word.stopped for words in self._words for word in words if isinstance(word, Parted))

    def _has(self, number: int, kind: type[Word]) -> bool:
        return any(isinstance(word, kind) for word in self._words[number])

    def _have_all(self, kind: type[Word]) -> bool:
        return all(self._has(number, kind) for number in range(len(self._words)))

    def _take(self, number: int) -> None:
        try:
            word: Word | str = self._pipes[number].recv()
        except (EOFError, OSError) as error:
            raise DeviceError("SWARM_WORKER_ENDED", f"worker {number} of the swarm ended") from error
        if isinstance(word, str):
            raise DeviceError("SWARM_WORKER_ENDED", f"worker {number} of the swarm ended", word)
        if isinstance(word, Progress):
            self._progress[number] = word
        else:
            self._words[number].append(word)
