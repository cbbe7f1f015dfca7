from __future__ import annotations

import time

from edge.shell.clock import NS_PER_MS, NS_PER_S, UtcWatch, is_trusted, kernel_synchronised, utc_offset_ns


def test_the_offset_leads_from_monotonic_to_utc():
    assert abs(time.monotonic_ns() + utc_offset_ns() - time.time_ns()) < 50 * NS_PER_MS


def test_the_kernel_answers_or_says_that_it_cannot():
    assert kernel_synchronised() in {True, False, None}


def test_trust_needs_a_plausible_time_and_no_denial():
    now, nineties = time.time_ns(), 700_000_000 * NS_PER_S
    assert is_trusted(now, True)
    assert is_trusted(now, None)
    assert not is_trusted(now, False)
    assert not is_trusted(nineties, True)


def test_told_once_then_only_on_change():
    real = utc_offset_ns()
    offsets = iter([real, real + NS_PER_MS, real + 6 * NS_PER_MS, real + 7 * NS_PER_MS])
    watch = UtcWatch(lambda: next(offsets), lambda: True)
    first = watch.check()
    assert first is not None
    assert (first.utc_offset_ns, first.trusted) == (real, True)
    assert watch.check() is None
    crept = watch.check()
    assert crept is not None
    assert crept.utc_offset_ns == real + 6 * NS_PER_MS
    assert watch.check() is None
    assert watch.steps == 0


def test_a_step_is_counted_and_told():
    real = utc_offset_ns()
    offsets = iter([real, real - 3600 * NS_PER_S, real - 3600 * NS_PER_S])
    watch = UtcWatch(lambda: next(offsets), lambda: None)
    watch.check()
    assert watch.check() is not None
    assert watch.check() is None
    assert (watch.steps, watch.last_step_ns) == (1, -3600 * NS_PER_S)


def test_a_change_of_trust_is_told():
    real = utc_offset_ns()
    answers = iter([False, False, True])
    watch = UtcWatch(lambda: real, lambda: next(answers))
    told = [watch.check() for _ in range(3)]
    assert [None if t is None else t.trusted for t in told] == [False, None, True]
