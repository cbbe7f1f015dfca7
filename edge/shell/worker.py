"""One named thread that is started, stopped and joined, and that never dies in silence."""

from __future__ import annotations

import threading
from collections.abc import Callable

OnCrash = Callable[[Exception], None]
"""Called on the dying thread with an exception nobody expected: our bug, so the daemon makes itself safe and leaves."""


class Worker:
    """Base of the shells that own a thread. A subclass writes ``work`` and looks at ``stopping`` often.

    ``wake`` is the condition its loop waits on; ``stop`` notifies it. The thread is a daemon thread only so that a
    driver hanging in a foreign library cannot keep a stopped process alive: ``join`` says whether it ended.
    """

    def __init__(self, name: str, on_crash: OnCrash) -> None:
        self.name = name
        self.wake = threading.Condition(threading.Lock())
        self._on_crash = on_crash
        self._stopping = False
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)

    @property
    def stopping(self) -> bool:
        return self._stopping

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        """Start the thread; once."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; returns at once. May be called twice, and without start."""
        with self.wake:
            self._stopping = True
            self.wake.notify_all()

    def join(self, timeout_s: float = 5.0) -> bool:
        """Wait for the end; False if the thread still hangs after ``timeout_s``."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def pause_s(self, seconds: float) -> bool:
        """Wait, or be woken by ``stop``; True when stopping."""
        with self.wake:
            return self.wake.wait_for(lambda: self._stopping, seconds)

    def work(self) -> None:
        """The thread's life, from start to stop."""
        raise NotImplementedError

    def _main(self) -> None:
        try:
            self.work()
        except Exception as error:  # noqa: BLE001 - whatever it is, the daemon must hear of it
            self._on_crash(error)
