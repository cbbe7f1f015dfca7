"""When a window of samples is whole: the counting, apart from the samples themselves, which never enter a core.

::

    n = 0   1   2   3   4   5   6   7      first_n = 4, step_n = 2, window_n = 4
                        │       │
                        └ cut 4 └ cut 4    each cut holds the last window_n samples, or as many as there are

A gap of at most ``max_gap_n`` samples counts as samples that are missing (the model's manifest says what is done with
them); a longer one begins a new window. Bounded: a few numbers, whatever the rate.
"""

from __future__ import annotations

from msgspec import Struct


class Turn(Struct, frozen=True):
    """What one sample means: ``fresh`` a new window begins with it, ``missing`` so many samples are left out before it,
    ``cut`` a window of the last so many samples is whole (0: none is), and ``window_no`` is its number, from 1.
    """

    fresh: bool = False
    missing: int = 0
    cut: int = 0
    window_no: int = 0


class WindowCutter:
    """One sensor's state. Counters: ``samples`` that came, ``gaps`` that began a window anew, ``windows``."""

    def __init__(self, *, window_n: int, first_n: int, step_n: int, max_gap_n: int = 0) -> None:
        assert 0 < first_n <= window_n
        assert step_n > 0
        self._window_n = window_n
        self._first_n = first_n
        self._step_n = step_n
        self._max_gap_n = max_gap_n
        self._n = 0
        self._due = first_n
        self.samples = self.gaps = self.windows = 0

    def sampled(self, missed: int = 0) -> Turn:
        """One sample came, after ``missed`` that did not."""
        self.samples += 1
        fresh = missed > self._max_gap_n and self._n > 0
        if fresh:
            self.gaps += 1
            self.restart()
        missing = missed if self._n > 0 else 0
        fresh = self._n == 0
        self._n += missing + 1
        if self._n < self._due:
            return Turn(fresh, missing)
        self._due += ((self._n - self._due) // self._step_n + 1) * self._step_n
        self.windows += 1
        return Turn(fresh, missing, min(self._n, self._window_n), self.windows)

    def restart(self) -> None:
        """The next sample is the first of a new window."""
        self._n, self._due = 0, self._first_n
