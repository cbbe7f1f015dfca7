from __future__ import annotations

import contextlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import InputError, JidokaError
from edge.series.select import on_grid, select
from edge.series.spec import Channel, SeriesInput
from edge.series.table import parse_table
from edge.series.windows import check_whole, ends_of, fill, shaped, unshaped, windows


def channels(*names: str, **more) -> tuple[Channel, ...]:
    return tuple(Channel(name=name, **more) for name in names)


def code_of(do) -> str:
    with pytest.raises(InputError) as caught:
        do()
    assert "\n" not in str(caught.value)
    return caught.value.code


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", "t,temp [K],flow\n0,1.5,2\n1,2.5,\n"),
        ("a.csv", "﻿t;temp [K];flow\n0;1,5;2\n1;2,5;NaN\n"),
        ("a.tsv", "t\ttemp [K]\tflow\n0\t1.5\t2\n1\t2.5\tnull\n"),
        ("a.jsonl", '{"t":0,"temp [K]":1.5,"flow":2}\n\n{"t":1,"temp [K]":2.5,"flow":null}\n'),
    ],
)
def test_the_same_samples_from_every_kind_of_file(name, data):
    table = parse_table(data.encode(), name)
    samples = select(table, SeriesInput(channels=channels("flow", "temp")), name)
    np.testing.assert_array_equal(samples.values, [[2, 1.5], [np.nan, 2.5]])


def test_files_without_a_header_are_taken_by_position_or_number(tmp_path):
    text = parse_table(b"1 2 3\n4 5 6\n", "run.dat")
    assert select(text, SeriesInput(channels=channels("a", "b", "c")), "f").by_position
    picked = select(text, SeriesInput(channels=(Channel(name="x", column="2"),)), "f")
    assert picked.values.tolist() == [[3], [6]]
    np.save(tmp_path / "v.npy", np.arange(6, dtype=np.int16).reshape(3, 2, order="F"))
    table = parse_table((tmp_path / "v.npy").read_bytes(), "v.npy")
    assert select(table, SeriesInput(channels=channels("a", "b")), "f").values.tolist() == [[0, 3], [1, 4], [2, 5]]


@given(st.binary(max_size=400), st.sampled_from(["x.csv", "x.npy", "x.jsonl", "x.dat"]))
def test_no_bytes_raise_anything_but_our_error(data, name):
    for one in (data, b"\x93NUMPY\x01\x00" + data):
        with contextlib.suppress(JidokaError):
            assert parse_table(one, name).n > 0


def test_a_header_that_claims_more_than_there_is_gets_no_memory(tmp_path):
    np.save(tmp_path / "v.npy", np.zeros(4))
    data = (tmp_path / "v.npy").read_bytes().replace(b"(4,), }          ", b"(1<<40,), }     ")
    assert code_of(lambda: parse_table(data, "v.npy")) == "SERIES_UNREADABLE"
    data = (tmp_path / "v.npy").read_bytes().replace(b"(4,), }          ", b"(99999999999,), }")
    assert code_of(lambda: parse_table(data, "v.npy")) == "SERIES_UNREADABLE"


def test_what_does_not_fit_is_said_with_the_likely_word():
    table = parse_table(b"temp [C],pressure,state\n1,2,on\n", "f.csv")
    with pytest.raises(InputError, match=r"SERIES_CHANNEL_ABSENT.*'pressure' looks like it"):
        select(table, SeriesInput(channels=channels("presure")), "f.csv")
    with pytest.raises(InputError, match=r"SERIES_UNIT.*it is in C, the model wants K"):
        select(table, SeriesInput(channels=channels("temp", unit="K")), "f.csv")
    with pytest.raises(InputError, match=r"SERIES_NOT_A_NUMBER.*'on' in sample 0"):
        select(table, SeriesInput(channels=channels("state")), "f.csv")
    with pytest.raises(InputError, match=r"SERIES_CATEGORY_UNKNOWN.*it knows off"):
        select(table, SeriesInput(channels=channels("state", categories=("off",))), "f.csv")


def windows_of(values, spec):
    table = parse_table(("a\n" + "\n".join(map(str, values))).encode(), "f.csv")
    return [(w.start, w.end) for w in windows(on_grid(select(table, spec, "f"), spec, "f"), spec)]


def test_windows_follow_the_stride_and_a_free_axis_ends_at_the_end():
    one = channels("a")
    assert windows_of(range(10), SeriesInput(channels=one, window_n=4)) == [(0, 4), (4, 8)]
    assert windows_of(range(10), SeriesInput(channels=one, window_n=4, stride_n=3)) == [(0, 4), (3, 7), (6, 10)]
    free = SeriesInput(channels=one, window_n=6, min_n=3, stride_n=4)
    assert windows_of(range(10), free) == [(0, 3), (1, 7), (4, 10)]
    assert windows_of(range(2), free) == []


@given(st.integers(0, 200), st.integers(1, 30), st.integers(0, 30), st.integers(0, 30))
def test_windows_are_inside_and_never_longer_than_said(n, window_n, stride_n, min_n):
    spec = SeriesInput(channels=channels("a"), window_n=window_n, stride_n=stride_n, min_n=min(min_n, window_n))
    ends = ends_of(n, spec)
    assert ends == sorted(set(ends))
    assert all(spec.first_n <= end <= n for end in ends)
    assert bool(ends) == (n >= spec.first_n)


def test_no_window_reaches_from_one_unit_to_the_next():
    table = parse_table(b"unit,a\n1,0\n1,1\n1,2\n2,3\n2,4\n", "f.csv")
    spec = SeriesInput(channels=channels("a"), window_n=2, stride_n=1, group="unit")
    found = [(w.group, w.values[:, 0].tolist()) for w in windows(select(table, spec, "f"), spec)]
    assert found == [("1", [0, 1]), ("1", [1, 2]), ("2", [3, 4])]


def test_missing_samples_are_gaps_and_another_rate_is_refused_or_interpolated():
    table = parse_table(b"time,a\n0,0\n0.1,1\n0.2,2\n0.5,5\n0.6,6\n", "f.csv")
    spec = SeriesInput(channels=channels("a"), window_n=7, rate_hz=10, time="time")
    grid = on_grid(select(table, spec, "f"), spec, "f").values[:, 0]
    np.testing.assert_array_equal(grid, [0, 1, 2, np.nan, np.nan, 5, 6])
    faster = SeriesInput(channels=channels("a"), window_n=7, rate_hz=20, time="time", resample="linear")
    assert code_of(
        lambda: on_grid(select(table, spec, "f"), SeriesInput(channels=spec.channels, rate_hz=20, time="time"), "f")
    ) == "SERIES_RATE"  # fmt: skip
    np.testing.assert_allclose(on_grid(select(table, faster, "f"), faster, "f").values[:4, 0], [0, 0.5, 1, 1.5])
    iso = parse_table(
        b"time,a\n2026-01-01T00:00:00Z,0\n2026-01-01T00:05:00Z,1\n2026-01-01T00:10:00Z,2\n2026-01-01T00:20:00Z,3\n",
        "f.csv",
    )
    slow = SeriesInput(channels=channels("a"), rate_hz=1 / 300, time="time")
    np.testing.assert_array_equal(on_grid(select(iso, slow, "f"), slow, "f").values[:, 0], [0, 1, 2, np.nan, 3])
    back = parse_table(b"time,a\n0,0\n0,1\n", "f.csv")
    assert code_of(lambda: on_grid(select(back, spec, "f"), spec, "f")) == "SERIES_TIME_UNFIT"


def test_short_gaps_are_closed_and_long_ones_are_not():
    nan = np.nan
    values = np.array([[nan, 1, nan, nan, 4, nan, nan, nan, 8, nan]]).T
    line = SeriesInput(channels=channels("a"), window_n=10, gaps="linear", max_gap_n=2)
    np.testing.assert_array_equal(fill(values, line)[:, 0], [nan, 1, 2, 3, 4, nan, nan, nan, 8, nan])
    hold = SeriesInput(channels=channels("a"), window_n=10, gaps="hold", max_gap_n=2)
    np.testing.assert_array_equal(fill(values, hold)[:, 0], [nan, 1, 1, 1, 4, nan, nan, nan, 8, 8])
    with pytest.raises(InputError, match=r"SERIES_GAP.*'a' has no value in sample 0"):
        check_whole(fill(values, line), line)
    assert np.isnan(values[2, 0])


@given(st.lists(st.floats(-9, 9) | st.just(float("nan")), min_size=1, max_size=40), st.sampled_from(["hold", "linear"]))
def test_closing_gaps_changes_nothing_that_was_there_and_stays_between(cells, how):
    values = np.array(cells)[:, None]
    spec = SeriesInput(channels=channels("a"), window_n=40, gaps=how, max_gap_n=3)
    filled = fill(values, spec)
    there = ~np.isnan(values)
    np.testing.assert_array_equal(filled[there], values[there])
    if there.any() and not np.isnan(filled).all():
        assert np.nanmin(filled) >= np.nanmin(values) - 1e-9
        assert np.nanmax(filled) <= np.nanmax(values) + 1e-9


@given(st.integers(1, 9), st.integers(1, 5), st.sampled_from(["tc", "ct", "flat_tc", "flat_ct"]))
def test_every_layout_can_be_undone(t, c, layout):
    part = np.arange(t * c, dtype=float).reshape(t, c)
    np.testing.assert_array_equal(unshaped(shaped(part, layout), (t, c), layout), part)


def test_a_json_line_of_rubbish_names_its_line():
    with pytest.raises(InputError, match="line 2"):
        parse_table((json.dumps([1]) + "\n{oops\n").encode(), "f.jsonl")
