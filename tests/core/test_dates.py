from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.dates import civil_day, day_of, iso, pattern_of

EPOCH = dt.date(1970, 1, 1)
DATES = st.dates(dt.date(2000, 1, 1), dt.date(2099, 12, 31))


@given(st.dates(dt.date(1583, 1, 1)))
def test_days_are_those_of_the_calendar(date):
    day = (date - EPOCH).days
    assert civil_day(date.year, date.month, date.day) == day
    assert iso(day) == date.isoformat()


@given(DATES, st.sampled_from(["%d.%m.%Y DD.MM.YYYY", "%y%m%d YYMMDD", "%d%b%y DDMMMYY", "%Y-%j YYYY-JJJ"]))
def test_what_is_printed_is_read_back(date, forms):
    printed, form = forms.split(" ")
    match = pattern_of(form).search(f"LOT A7 {date.strftime(printed).upper()} B")
    assert day_of(match) == (date - EPOCH).days


def test_without_a_day_it_is_the_last_of_the_month():
    assert iso(day_of(pattern_of("MM/YYYY").search("02/2024"))) == "2024-02-29"
    assert iso(day_of(pattern_of("MM/YY").search("02/23"))) == "2023-02-28"


def test_no_date_is_made_of_other_digits():
    form = pattern_of("DD.MM.YYYY")
    assert form.search("123.08.2022") is None
    assert form.search("23.08.20225") is None
    assert pattern_of("DD MM YY").search("230822")
    assert day_of(pattern_of("DD.MM.YYYY").search("31.02.2022")) is None
    assert day_of(pattern_of("YYYY-JJJ").search("2023-366")) is None


@pytest.mark.parametrize("form", ["", "DD.MM", "YYYY", "DD.DD.MM.YYYY", "YYYY-MM-JJJ", "MM.YYYY.YY"])
def test_formats_that_name_no_day_are_refused(form):
    with pytest.raises(ValueError, match="date format"):
        pattern_of(form)
