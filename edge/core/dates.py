"""Dates as they are printed on parts: read by a format, counted in days. No clock and no calendar library: a core.

A format is written as it looks: ``DD.MM.YYYY``, ``YYMMDD``, ``DD MMM YY``, ``MM/YYYY``. ``YYYY`` and ``YY`` (2000 to
2099) are the year, ``MM`` its month as a number, ``MMM`` as three English letters, ``DD`` the day, ``JJJ`` the day of
the year. Everything else must be there as it is written, but a space may be missing. Without a day it is the month's
last, as "best before" means it (EU 1169/2011, annex X).
"""

from __future__ import annotations

import re
from functools import lru_cache

DAY_MS = 86_400_000
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_PARTS = {
    "YYYY": r"(?P<year>[12]\d{3})",
    "YY": r"(?P<short>\d{2})",
    "MMM": f"(?P<name>{'|'.join(_MONTHS)})",
    "MM": r"(?P<month>\d{2})",
    "DD": r"(?P<day>\d{2})",
    "JJJ": r"(?P<of_year>\d{3})",
}
_TOKEN = re.compile("|".join(_PARTS))
_LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_FEBRUARY, _MONTHS_A_YEAR = 2, 12


@lru_cache(maxsize=256)
def pattern_of(form: str) -> re.Pattern[str]:
    """A format as a pattern; no digit may stand before or after it. Raises ValueError for one that names no date."""
    parts, at, seen = [], 0, []
    for token in _TOKEN.finditer(form):
        parts.append(_literal(form[at : token.start()]) + _PARTS[token[0]])
        seen.append(token[0])
        at = token.end()
    parts.append(_literal(form[at:]))
    years, months, rest = (
        [token for token in seen if token in kind] for kind in ({"YYYY", "YY"}, {"MM", "MMM"}, {"DD", "JJJ"})
    )
    by_day_of_year = rest == ["JJJ"] and not months
    if len(years) != 1 or not (by_day_of_year or (len(months) == 1 and rest in ([], ["DD"]))):
        raise ValueError(f"date format {form!r} needs a year (YYYY or YY) and MM, MMM or JJJ, each once")
    return re.compile(rf"(?<!\d){''.join(parts)}(?!\d)", re.IGNORECASE)


def day_of(match: re.Match[str]) -> int | None:
    """Days since 1970-01-01 of what a format's pattern matched; None for a day that never was, as 31.02."""
    found = match.groupdict()
    year = int(found["year"]) if found.get("year") else 2000 + int(found["short"])
    if found.get("of_year"):
        number = int(found["of_year"])
        return civil_day(year, 1, 1) + number - 1 if 1 <= number <= 365 + is_leap(year) else None
    name = found.get("name")
    month = _MONTHS.index(name.upper()) + 1 if name else int(found["month"])
    if not 1 <= month <= _MONTHS_A_YEAR:
        return None
    last = _LENGTHS[month - 1] + (month == _FEBRUARY and is_leap(year))
    day = int(found["day"]) if found.get("day") else last
    return civil_day(year, month, day) if 1 <= day <= last else None


def is_leap(year: int) -> bool:
    """Gregorian."""
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def civil_day(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the Gregorian calendar: years begin in March, so that the odd day is at their end."""
    year -= month <= _FEBRUARY
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return 365 * year + year // 4 - year // 100 + year // 400 + of_year - 719_468


def iso(day: int) -> str:
    """``YYYY-MM-DD`` of days since 1970-01-01."""
    shifted = day + 719_468
    era, of_era = divmod(shifted, 146_097)
    year_of_era = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    march_month = (5 * of_year + 2) // 153
    month = march_month + 3 if march_month < 10 else march_month - 9  # noqa: PLR2004  (March is 0)
    year = year_of_era + era * 400 + (month <= _FEBRUARY)
    return f"{year:04d}-{month:02d}-{of_year - (153 * march_month + 2) // 5 + 1:02d}"


def _literal(text: str) -> str:
    return "".join(r"\s*" if c.isspace() else re.escape(c) for c in text)
