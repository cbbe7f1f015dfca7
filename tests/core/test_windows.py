from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge.core.windows import WindowCutter
from edge.series.spec import Channel, SeriesInput
from edge.series.windows import ends_of


def cutter(**more) -> WindowCutter:
    return WindowCutter(**{"window_n": 4, "first_n": 4, "step_n": 2, **more})


def test_windows_are_cut_after_the_first_and_every_step():
    one = cutter()
    cuts = [one.sampled().cut for _ in range(9)]
    assert cuts == [0, 0, 0, 4, 0, 4, 0, 4, 0]
    assert (one.windows, one.samples) == (3, 9)


def test_a_free_axis_grows_up_to_the_window():
    one = cutter(first_n=2)
    assert [one.sampled().cut for _ in range(7)] == [0, 2, 0, 4, 0, 4, 0]


def test_a_short_gap_is_missing_samples_and_a_long_one_begins_anew():
    one = cutter(max_gap_n=2)
    assert [one.sampled().fresh for _ in range(3)] == [True, False, False]
    turn = one.sampled(2)  # the fourth sample is missing, and so the window is whole only with the sixth
    assert (turn.fresh, turn.missing, turn.cut, turn.window_no) == (False, 2, 4, 1)
    turn = one.sampled(3)
    assert (turn.fresh, turn.missing, turn.cut) == (True, 0, 0)
    assert one.gaps == 1


def test_what_is_missed_before_the_first_sample_is_no_gap():
    turn = cutter().sampled(100)
    assert (turn.fresh, turn.missing, turn.cut) == (True, 0, 0)


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 20), st.integers(0, 100))
def test_cut_live_as_from_a_file(window_n, stride_n, min_n, n):
    """The agent and `jidoka infer` see the same windows, but for the rest at a recording's end."""
    spec = SeriesInput(channels=(Channel(name="a"),), window_n=window_n, stride_n=stride_n, min_n=min(min_n, window_n))
    one = WindowCutter(window_n=window_n, first_n=spec.first_n, step_n=spec.step_n)
    cuts = [(i, turn.cut) for i in range(1, n + 1) if (turn := one.sampled()).cut]
    whole = [end for end in ends_of(n, spec) if (end - spec.first_n) % spec.step_n == 0]
    assert cuts == [(end, min(end, window_n)) for end in whole]


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 5), st.lists(st.integers(0, 12), max_size=60))
def test_a_cut_never_reaches_over_a_long_gap(window_n, step_n, max_gap_n, misses):
    one = WindowCutter(window_n=window_n, first_n=window_n, step_n=step_n, max_gap_n=max_gap_n)
    held = 0
    for missed in misses:
        turn = one.sampled(missed)
        held = 1 if turn.fresh else held + turn.missing + 1
        assert turn.missing <= max_gap_n
        assert turn.cut in {0, window_n}
        assert turn.cut <= held
