"""A camera read over and over in a thread, for a person who looks: the newest picture with its figures.

Errors are shown and tried again once a second; this is a tool at a bench, so there is no back-off to speak of.
"""

from __future__ import annotations

import threading
import time
from collections import deque

from msgspec import Struct

from drivers._figures import Figures, Region, figures_of
from edge.errors import ImageError, JidokaError, SourceEnded
from edge.ports import Frame, FrameSource

READ_S = 2.0
RETRY_S = 1.0
ON_DEMAND_S = 0.06
"""Between two pictures of a camera that exposes when asked: smooth enough to turn a lens by, and no flood."""

SMOOTHED = 5
"""Pictures whose median focus is shown as best: a single flash of noise is not the best focus."""

RATE_OVER = 20


class View(Struct, frozen=True):
    """The newest picture and what was measured; ``error`` says why there is none newer."""

    frame: Frame | None = None
    figures: Figures | None = None
    focus_best: float = 0.0
    rate_hz: float = 0.0
    error: str = ""
    turn: int = 0


class LiveView:
    """Owns one source while it runs. `view` and `newer` may be called from any thread."""

    def __init__(self, source: FrameSource) -> None:
        self._source = source
        self._changed = threading.Condition()
        self._view = View()
        self._region: Region | None = None
        self._reset = False
        self._leaving = False
        self._focus: deque[float] = deque(maxlen=SMOOTHED)
        self._times_ns: deque[int] = deque(maxlen=RATE_OVER)
        self._thread = threading.Thread(target=self._run, name="live-view")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Close the source and join the thread. Needs start before."""
        with self._changed:
            self._leaving = True
            self._changed.notify_all()
        self._thread.join()

    def view(self) -> View:
        """What there is now."""
        with self._changed:
            return self._view

    def newer(self, turn: int, timeout_s: float) -> View:
        """The first view after ``turn``, or the present one when there is no newer one in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._view.turn > turn or self._leaving, timeout_s)
            return self._view

    def look_at(self, region: Region | None) -> None:
        """Measure only there from now on; the best focus begins anew."""
        with self._changed:
            self._region, self._reset = region, True

    def _run(self) -> None:
        try:
            while not self._leaving:
                try:
                    self._source.open()
                    while not self._leaving:
                        self._show(self._source.read(READ_S))
                        if self._source.on_demand:
                            self._pause(ON_DEMAND_S)
                except SourceEnded:
                    self._source.close()
                except ImageError as error:
                    self._tell(error)
                except JidokaError as error:
                    self._source.close()
                    self._tell(error)
        finally:
            self._source.close()

    def _show(self, frame: Frame) -> None:
        with self._changed:
            region, reset, self._reset = self._region, self._reset, False
            best = 0.0 if reset else self._view.focus_best
        if reset:
            self._focus.clear()
        figures = figures_of(frame.image, region)
        self._focus.append(figures.focus)
        self._times_ns.append(time.monotonic_ns())
        steady = sorted(self._focus)[len(self._focus) // 2]
        self._put(
            View(frame, figures, max(best, steady), _rate_hz(self._times_ns), turn=self.view().turn + 1),
        )

    def _tell(self, error: JidokaError) -> None:
        old = self.view()
        self._put(View(old.frame, old.figures, old.focus_best, error=str(error), turn=old.turn + 1))
        self._pause(RETRY_S)

    def _pause(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._leaving, seconds)

    def _put(self, view: View) -> None:
        with self._changed:
            self._view = view
            self._changed.notify_all()


def _rate_hz(times_ns: deque[int]) -> float:
    span_ns = times_ns[-1] - times_ns[0]
    return (len(times_ns) - 1) * 1e9 / span_ns if span_ns > 0 else 0.0
