"""Runs many days in processes of their own: each is alone with its clock, so they cannot disturb each other."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from sims.suite.day import Day, run_day

Done = Callable[[Day, int], None]
"""Called with a day that is over, and how many are."""


def run_days(files: Sequence[Path], jobs: int = 0, done: Done = lambda _day, _n: None, model: str = "") -> list[Day]:
    """All of them, ``jobs`` at a time (0: one a core), told in the order of ``files``; ``model`` as in :func:`run_day`.
    Raises ConfigError.
    """
    jobs = min(jobs or len(os.sched_getaffinity(0)), len(files))
    if jobs <= 1:
        days = []
        for number, file in enumerate(files, 1):
            days.append(run_day(file, model=model))
            done(days[-1], number)
        return days
    found: dict[Path, Day] = {}
    # a fresh process: nothing of this one's threads (ONNX Runtime, progress) is carried over
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        waiting = {pool.submit(run_day, file, None, model): file for file in files}
        for future in as_completed(waiting):
            day = found[waiting[future]] = future.result()
            done(day, len(found))
    return [found[file] for file in files]
