from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge.shell.pace import Pace

MS = 1_000_000


def test_turns_stand_on_a_grid_however_long_they_take():
    pace = Pace(0.010)
    assert pace.take(5 * MS)
    assert not pace.take(14 * MS)
    assert pace.wait_ns(14 * MS) == 1 * MS
    assert pace.take(17 * MS)
    assert pace.wait_ns(17 * MS) == 8 * MS  # 25, not 27
    assert pace.missed == 0


def test_missed_turns_are_counted_and_not_made_up_for():
    pace = Pace(0.010)
    pace.take(0)
    assert pace.take(37 * MS)
    assert pace.missed == 2
    assert not pace.take(38 * MS)
    assert pace.take(40 * MS)


def test_no_period_is_no_limit():
    pace = Pace(0)
    assert all(pace.take(n) for n in (3, 3, 4))
    assert (pace.wait_ns(4), pace.missed) == (0, 0)


def test_another_period_begins_at_once():
    pace = Pace(10)
    pace.take(0)
    pace.restart(0.001)
    assert pace.take(1)
    assert pace.wait_ns(1) == MS


@given(st.lists(st.integers(1, 50), min_size=1, max_size=50), st.integers(1, 20))
def test_never_more_turns_than_the_rate_allows_and_every_one_is_accounted_for(steps: list[int], period_ms: int):
    pace, now, taken = Pace(period_ms / 1000), 0, 0
    for step in (0, *steps):
        now += step * MS
        taken += pace.take(now)
        elapsed = now // (period_ms * MS) + 1
        assert taken + pace.missed == elapsed
