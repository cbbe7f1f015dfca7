"""The hunt itself: runs in order of their number until one breaks a rule or the time is up, on several processes."""

from __future__ import annotations

import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

from msgspec import Struct
from msgspec.structs import replace

from sims.hunt.draw import draw, kinds_of
from sims.hunt.found import Found, found_of
from sims.hunt.play import Play, Played, Spec, play
from sims.hunt.shrink import MOST_RUNS, shrink

CHUNK = 8
AHEAD = 3


class Plan(Struct, frozen=True):
    """What is hunted, and for how long; ``runs`` 0: as many as there is time for."""

    bases: tuple[Spec, ...]
    seed: int = 1
    seconds: float = 120.0
    runs: int = 0
    jobs: int = 1
    names: frozenset[str] = frozenset()
    shrink_runs: int = MOST_RUNS


class Hunt(Struct):
    """How far it got."""

    runs: int = 0
    seconds: float = 0.0
    coverage: Counter[str] = Counter()
    found: Found | None = None
    interrupted: bool = False


Told = Callable[[Hunt, str], None]


def hunt(plan: Plan, told: Told = lambda _hunt, _text: None, player: Play = play) -> Hunt:
    """Hunt, and make small what was found. ``player`` other than the real one needs ``jobs = 1``.

    The run of the lowest number that breaks a rule is the one that is shrunk, however many processes there are. Ctrl-C
    ends it; what was found so far stays.
    """
    state, begun_s = Hunt(coverage=Counter()), time.monotonic()
    try:
        with _runner(plan, player) as results:
            for number, played in results:
                state.runs += 1
                state.seconds = time.monotonic() - begun_s
                state.coverage.update(kinds_of(draw(plan.bases, plan.seed, number)))
                broken = played.named(plan.names)
                if broken is not None:
                    _small(plan, state, number, played, broken.name, told, player)
                    break
                told(state, "hunting")
                if state.seconds > plan.seconds:
                    break
    except KeyboardInterrupt:
        state.interrupted = True
    state.seconds = time.monotonic() - begun_s
    return state


def _small(plan: Plan, state: Hunt, number: int, played: Played, name: str, told: Told, player: Play) -> None:
    spec = draw(plan.bases, plan.seed, number)
    first = len(spec.faults)
    state.found = found_of(spec, played, name, number, first)
    told(state, f"run {number} breaks '{name}'; making it smaller")

    def keep(smaller: Spec, seen: Played) -> None:
        state.found = found_of(smaller, seen, name, number, first)
        told(state, f"'{name}' with {len(smaller.faults)} of {first} faults")

    runs = shrink(spec, name, player, plan.shrink_runs, keep)
    state.found = replace(state.found, shrink_runs=runs)


@contextmanager
def _runner(plan: Plan, player: Play) -> Iterator[Iterator[tuple[int, Played]]]:
    if plan.jobs <= 1:
        yield ((number, player(draw(plan.bases, plan.seed, number))) for number in _numbers(plan))
        return
    # spawned, not forked: the parent may have threads (onnxruntime, rich)
    pool = ProcessPoolExecutor(plan.jobs, get_context("spawn"), _deaf)
    try:
        yield _in_order(plan, pool)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _numbers(plan: Plan) -> Iterator[int]:
    number = 0
    while not plan.runs or number < plan.runs:
        yield number
        number += 1


def _in_order(plan: Plan, pool: ProcessPoolExecutor) -> Iterator[tuple[int, Played]]:
    """Some chunks ahead of what is looked at, so that no process waits."""
    under_way: deque[tuple[range, Future[list[Played]]]] = deque()
    first, last = 0, plan.runs or 1 << 60
    while first < last or under_way:
        while first < last and len(under_way) < plan.jobs * AHEAD:
            numbers = range(first, min(first + CHUNK, last))
            under_way.append((numbers, pool.submit(_chunk, plan.bases, plan.seed, numbers)))
            first = numbers.stop
        numbers, future = under_way.popleft()
        yield from zip(numbers, future.result(), strict=True)


def _chunk(bases: Sequence[Spec], seed: int, numbers: range) -> list[Played]:
    return [play(draw(bases, seed, number)) for number in numbers]


def _deaf() -> None:
    """Ctrl-C is the parent's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
