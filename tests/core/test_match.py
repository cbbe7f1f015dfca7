"""What was read decides, and the reasons say what was read and what was wanted."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.dates import civil_day
from edge.core.inspection import reported
from edge.core.match import MatchOptions, MatchPolicy, TextRule
from edge.core.policy import LabelRule, Moment, ThresholdOptions, ThresholdPolicy, judged
from edge.domain import MAX_REASON_CHARS, Finding, Inference
from edge.messages import Result
from edge.topics import MAX_RECORD_BYTES

DAY_MS = 86_400_000
NOON = Moment(civil_day(2022, 8, 1) * DAY_MS + DAY_MS // 2, trusted=True)


def read(*texts, score=0.9, label="text"):
    return Inference(tuple(Finding(label, score, (0, 0, 9, 9), text=text) for text in texts))


def judge(rule, *texts, now=NOON, **more):
    return judged(MatchPolicy(MatchOptions(read={"rule": rule})), [read(*texts, **more)], "none", now)


BEST = TextRule(date=("DD.MM.YYYY", "DD-MM-YY"), min_days=14, max_days=60)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("23.08.2022", ""),
        ("BB 31-08-22 L7", ""),
        ("14.08.2022", "too_early"),
        ("01.10.2022", "too_late"),
        ("31.02.2022", "no_date"),
        ("L7", "no_date"),
    ],
)
def test_a_date_lies_in_its_window(text, rule):
    verdict = judge(BEST, text)
    assert verdict.decision == ("fail" if rule else "pass")
    if rule:
        (reason,) = verdict.reasons
        assert (reason.rule, reason.label, reason.text) == (rule, "rule", text)
        assert reason.wanted == "DD.MM.YYYY or DD-MM-YY from 2022-08-15 to 2022-09-30"


@given(st.integers(-100, 100), st.integers(-30, 30), st.integers(0, 40), st.integers(0, 23))
def test_the_window_is_counted_in_days_of_its_zone(ahead, least, wide, hour):
    today = civil_day(2022, 8, 1)
    rule = TextRule(date=("YYYY-JJJ",), min_days=least, max_days=least + wide, utc_offset_h=9)
    # This hour of that day in the zone, 9 h before in UTC.
    now = Moment((today * 24 + hour - 9) * 3_600_000, trusted=True)
    number = today + ahead - civil_day(2022, 1, 1) + 1
    verdict = judge(rule, f"2022-{number:03d}", now=now)
    assert (verdict.decision == "pass") == (least <= ahead <= least + wide)


def test_without_a_trusted_clock_a_window_is_unsure_and_says_so():
    for now in (Moment(NOON.utc_ms), Moment()):
        verdict = judge(BEST, "23.08.2022", now=now)
        assert (verdict.decision, verdict.reasons[0].rule) == ("unsure", "no_clock")
    lax = TextRule(date=("DD.MM.YYYY",), min_days=14, any_clock=True)
    assert judge(lax, "23.08.2022", now=Moment(NOON.utc_ms)).decision == "pass"
    assert judge(lax, "23.08.2022", now=Moment()).reasons[0].rule == "no_clock"
    # What needs no clock is judged all the same.
    assert judge(BEST, "no date", now=Moment()).decision == "fail"
    assert judge(TextRule(date=("DD.MM.YYYY",)), "23.08.2022", now=Moment()).decision == "pass"


def test_a_lot_is_the_patterns_group():
    rule = TextRule(pattern=r"L(?P<value>\d{4})", expected="2234")
    assert judge(rule, "23.08.2022", "L 22 34 X").decision == "pass"
    verdict = judge(rule, "L2235")
    assert verdict.reasons[0].rule == "unexpected"
    assert (verdict.reasons[0].text, verdict.reasons[0].wanted) == ("L2235", "2234")
    assert judge(rule, "2234").reasons[0].rule == "no_match"
    assert judge(TextRule(expected="A B", spaces=True), "AB").decision == "fail"
    assert judge(TextRule(expected="AB"), "A B").decision == "pass"


def test_nothing_read_is_its_own_case():
    verdict = judge(TextRule(absent="unsure"))
    assert (verdict.decision, verdict.reasons[0].rule) == ("unsure", "not_read")
    assert judge(TextRule(min_score=0.8), "faint", score=0.7).reasons[0].rule == "not_read"
    assert judge(TextRule(label="QRCode"), "text").reasons[0].rule == "not_read"
    assert judge(TextRule(label="QRCode"), "text", label="QRCode").decision == "pass"


def test_other_labels_still_count_and_frames_still_vote():
    rules = {"lot": TextRule(pattern="L1")}
    policy = MatchPolicy(MatchOptions(read=rules, labels={"scratch": LabelRule()}, vote_k=2, vote_n=2))
    good, bad = read("L1"), read("L2")
    scratched = Inference((*good.findings, Finding("scratch", 0.9, (0, 0, 9, 9))))
    assert policy.frames == 2
    assert judged(policy, [good, bad], "none", NOON).decision == "pass"
    assert judged(policy, [scratched, bad], "none", NOON).decision == "fail"
    assert judged(policy, [scratched, bad], "none", NOON).reasons[0].label == "scratch"


def test_policies_without_a_clock_are_called_as_ever():
    policy = ThresholdPolicy(ThresholdOptions(labels={"text": LabelRule()}))
    assert judged(policy, [read("x")], "none", NOON).decision == "fail"


@pytest.mark.parametrize("wrong", [{"pattern": "("}, {"date": ["DD"]}, {"min_days": 1}, {"date": "DD.MM.YYYY"}])
def test_rules_that_cannot_be_are_refused(wrong):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, TextRule)


@given(st.lists(st.text(max_size=256), max_size=300))
def test_a_result_with_much_text_stays_below_its_limit(texts):
    findings = reported(read(*texts, "\0" * 256, *["\x1f" * 256] * 40).findings)
    verdict = judge(TextRule(pattern="never-ever"), *texts, "\0" * 256)
    assert all(len(r.text) <= MAX_REASON_CHARS for r in verdict.reasons)
    result = Result("fail", 0, "camera", 1, 1, 1, reasons=verdict.reasons, findings=findings)
    assert len(msgspec.json.encode(result)) < MAX_RECORD_BYTES["results"]
