"""The policy ``match``: what was read decides. A pattern, a date window, an expected text; all of them, or it fails.

What day it is comes with the call, never from a clock: it is the time label of the frame, which is recorded with the
verdict (``utc_ms``, ``clock_trusted``), so that every verdict can be made again from its record.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta, Struct, field

from edge.core.dates import DAY_MS, day_of, iso, pattern_of
from edge.core.policy import Moment, Share, ThresholdOptions, ThresholdPolicy
from edge.domain import MAX_REASON_CHARS, Decision, Finding, Inference, Reason, Verdict

MAX_RULES = 32
_REMOTE: dict[str, Any] = {"remote": True}
Days = Annotated[int, Meta(ge=-36_500, le=36_500, extra=_REMOTE)]
Expected = Annotated[str, Meta(max_length=200, extra=_REMOTE)]
Broken = Literal["fail", "unsure"]


class TextRule(Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that must be readable and right.

    It looks at texts and codes of ``label`` (left out: all) inside ``zone`` with at least ``min_score``. One of them
    must fulfil all that is given: ``pattern`` (a regular expression, found anywhere in it), ``date`` (formats as they
    look, ``DD.MM.YYYY``; the date must lie ``min_days`` to ``max_days`` after the day of the picture, which is counted
    in the time zone ``utc_offset_h``), ``expected`` (a text; compared with the pattern's group ``value``, its first
    group, all that it found, or without a pattern the whole text; empty: not asked). With ``spaces = false`` white
    space does not count, as readers see it where there is none.

    A window needs a clock that is kept right (NTP, PTP); with ``any_clock`` whatever the machine believes will do.
    ``wrong`` is the verdict when something was read and nothing fits, ``absent`` when nothing at all was read.
    """

    label: str = ""
    zone: str | None = None
    min_score: Share = 0.5
    pattern: Annotated[str, Meta(max_length=500)] = ""
    date: tuple[str, ...] = ()
    min_days: Days | None = None
    max_days: Days | None = None
    utc_offset_h: Annotated[float, Meta(ge=-14, le=14)] = 0.0
    any_clock: bool = False
    expected: Expected = ""
    spaces: bool = False
    wrong: Broken = "fail"
    absent: Broken = "fail"

    def __post_init__(self) -> None:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ValueError(f"pattern is no regular expression: {error}") from error
        for form in self.date:
            pattern_of(form)
        if (self.min_days is not None or self.max_days is not None) and not self.date:
            raise ValueError("min_days and max_days need date, a list of formats such as DD.MM.YYYY")


class MatchOptions(ThresholdOptions, frozen=True, forbid_unknown_fields=True):
    """``[policy]`` with ``name = "match"``: in ``read`` a rule for each thing that must be readable, by a name of your
    own. All else is as in the policy ``threshold``: what a model finds besides text still counts.
    """

    read: Annotated[dict[str, TextRule], Meta(max_length=MAX_RULES)] = field(default_factory=dict)


class MatchPolicy(ThresholdPolicy):
    """See the module's docstring."""

    Options: ClassVar[type] = MatchOptions

    def __init__(self, options: MatchOptions) -> None:
        super().__init__(options)
        self._rules = options.read

    def judge_at(self, inferences: Sequence[Inference], last: Decision, now: Moment) -> Verdict:
        """The verdict on frames whose last was taken at ``now``."""
        return self.vote([self._both(inference, last, now) for inference in inferences])

    def judge(self, inferences: Sequence[Inference], last: Decision) -> Verdict:
        """Without a time label: date windows cannot be judged, and say so."""
        return self.judge_at(inferences, last, Moment())

    def _both(self, inference: Inference, last: Decision, now: Moment) -> Verdict:
        found = self.one(inference, last)
        failed = list(found.reasons) if found.decision == "fail" else []
        doubted = list(found.reasons) if found.decision == "unsure" else []
        for name, rule in self._rules.items():
            reason, decision = _broken(name, rule, inference.findings, now)
            if reason is not None:
                (failed if decision == "fail" else doubted).append(reason)
        if failed:
            return Verdict("fail", (*failed,))
        return Verdict("unsure", (*doubted,)) if doubted else Verdict("pass")


def _broken(name: str, rule: TextRule, findings: Sequence[Finding], now: Moment) -> tuple[Reason | None, Broken]:
    """Why the rule is broken, and what follows; no reason where one of the texts fulfils it."""
    read = [
        finding
        for finding in findings
        if finding.text
        and rule.label in {"", finding.label}
        and rule.zone in {None, finding.zone}
        and finding.score >= rule.min_score
    ]
    if not read:
        return _reason("not_read", name, "", _wanted(rule, now)), rule.absent
    # The one that came furthest tells most: a date out of its window rather than a line that is no date.
    complaints = [_complaint(rule, finding.text, now) for finding in read]
    if not all(complaints):
        return None, rule.wrong
    best = max(range(len(read)), key=lambda i: (_FURTHER.index(complaints[i]), read[i].score))
    if complaints[best] == "no_clock":
        return _reason("no_clock", name, read[best].text, _wanted(rule, now)), "unsure"
    return _reason(complaints[best], name, read[best].text, _wanted(rule, now)), rule.wrong


_FURTHER = ("", "no_match", "no_date", "unexpected", "too_early", "too_late", "no_clock")
"""Complaints, the later the more of the rule was fulfilled."""


def _complaint(rule: TextRule, text: str, now: Moment) -> str:
    """What is wrong with one text, by its word; empty where nothing is."""
    text = text if rule.spaces else _without_spaces(text)
    value = text
    if rule.pattern:
        match = _pattern(rule.pattern).search(text)
        if match is None:
            return "no_match"
        value = _value(match)
    day = None
    if rule.date:
        days = [d for form in rule.date for m in pattern_of(form).finditer(text) if (d := day_of(m)) is not None]
        if not days:
            return "no_date"
        day = days[0]
    if rule.expected and value != (rule.expected if rule.spaces else _without_spaces(rule.expected)):
        return "unexpected"
    return "" if day is None else _window(rule, day, now)


def _window(rule: TextRule, day: int, now: Moment) -> str:
    if rule.min_days is None and rule.max_days is None:
        return ""
    if not _knows_the_day(rule, now):
        return "no_clock"
    ahead = day - _today(rule, now)
    if rule.min_days is not None and ahead < rule.min_days:
        return "too_early"
    return "too_late" if rule.max_days is not None and ahead > rule.max_days else ""


def _knows_the_day(rule: TextRule, now: Moment) -> bool:
    return now.trusted or (rule.any_clock and now.utc_ms > 0)


def _today(rule: TextRule, now: Moment) -> int:
    return int((now.utc_ms + rule.utc_offset_h * 3_600_000) // DAY_MS)


def _wanted(rule: TextRule, now: Moment) -> str:
    """The rule in a few words, with the days that it means today."""
    words = []
    if rule.expected:
        words.append(rule.expected)
    elif rule.pattern:
        words.append(rule.pattern)
    if rule.date:
        window = ""
        if _knows_the_day(rule, now):
            today = _today(rule, now)
            if rule.min_days is not None:
                window += f" from {iso(today + rule.min_days)}"
            if rule.max_days is not None:
                window += f" to {iso(today + rule.max_days)}"
        words.append(f"{' or '.join(rule.date)}{window}")
    return ", ".join(words) or "any text"


def _reason(rule: str, name: str, text: str, wanted: str) -> Reason:
    return Reason(rule, name, text=text[:MAX_REASON_CHARS], wanted=wanted[:MAX_REASON_CHARS])


def _value(match: re.Match[str]) -> str:
    named = match.groupdict()
    value = named["value"] if "value" in named else match[1] if match.re.groups else match[0]
    return value or ""


def _without_spaces(text: str) -> str:
    return "".join(text.split())


@lru_cache(maxsize=256)
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
