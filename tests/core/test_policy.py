from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.policy import AnomalyRule, LabelRule, StopRule, ThresholdOptions, ThresholdPolicy, ValueRule
from edge.core.settings import StopSettings
from edge.domain import AnomalyScore, Finding, Inference


def found(*findings: tuple[str, float], area_px: float = 100.0, area_mm2: float | None = None, zone: str | None = None):
    return Inference(tuple(Finding(label, score, (0, 0, 9, 9), area_px, area_mm2, zone) for label, score in findings))


def judge(options: ThresholdOptions, *frames: Inference, last: str = "none"):
    return ThresholdPolicy(options).judge(frames, last)


RULES = ThresholdOptions(labels={"scratch": LabelRule(min_score=0.5, unsure_score=0.3)})


def test_score_decides_and_says_why():
    assert judge(RULES, found(("scratch", 0.6))).decision == "fail"
    assert judge(RULES, found(("scratch", 0.4))).reasons[0].rule == "near_limit"
    assert judge(RULES, found(("scratch", 0.2))).decision == "pass"
    (reason,) = judge(RULES, found(("scratch", 0.6))).reasons
    assert (reason.label, reason.seen, reason.limit) == ("scratch", 0.6, 0.5)


def test_labels_without_a_rule_only_inform_unless_other_is_set():
    assert judge(RULES, found(("cup", 0.9))).decision == "pass"
    assert judge(ThresholdOptions(other=LabelRule()), found(("cup", 0.9))).decision == "fail"


def test_small_and_foreign_zones_do_not_count():
    rule = LabelRule(min_area_mm2=2.0, min_area_px=50, zone="edge")
    options = ThresholdOptions(labels={"chip": rule})
    assert judge(options, found(("chip", 0.9), area_mm2=1.9, zone="edge")).decision == "pass"
    assert judge(options, found(("chip", 0.9), area_px=49, zone="edge")).decision == "pass"
    assert judge(options, found(("chip", 0.9), area_mm2=2.1, zone="middle")).decision == "pass"
    assert judge(options, found(("chip", 0.9), area_mm2=2.1, zone="edge")).decision == "fail"


def test_counting_both_ways():
    options = ThresholdOptions(labels={"screw": LabelRule(min_count=4, max_count=4)})
    verdicts = [judge(options, found(*[("screw", 0.9)] * n)) for n in (3, 4, 5)]
    assert [v.decision for v in verdicts] == ["fail", "pass", "fail"]
    assert [v.reasons[0].rule for v in (verdicts[0], verdicts[2])] == ["too_few", "too_many"]
    assert judge(options, found()).decision == "fail", "nothing found at all is too few"


def test_vote_over_views():
    options = msgspec.structs.replace(RULES, vote_k=2, vote_n=3)
    good, bad, doubt = found(), found(("scratch", 0.9)), found(("scratch", 0.4))
    assert judge(options, bad, good, good).decision == "pass"
    assert judge(options, bad, good, bad).decision == "fail"
    assert judge(options, bad, doubt, good).decision == "unsure"


def test_hysteresis_keeps_a_failing_scene_failing():
    options = msgspec.structs.replace(RULES, hysteresis=0.1)
    assert judge(options, found(("scratch", 0.45)), last="pass").decision == "unsure"
    assert judge(options, found(("scratch", 0.45)), last="fail").decision == "fail"


@given(st.lists(st.floats(0, 1), max_size=6), st.floats(0, 1))
def test_a_stronger_finding_never_makes_a_part_better(scores, extra):
    order = {"pass": 0, "unsure": 1, "fail": 2}
    before = judge(RULES, found(*[("scratch", s) for s in scores])).decision
    after = judge(RULES, found(*[("scratch", s) for s in [*scores, extra]])).decision
    assert order[after] >= order[before]


def test_stop_rules():
    rule = StopRule()
    assert [bool(rule.seen(rejected=r, limits=StopSettings(consecutive=2))) for r in (True, False, True, True)] == [
        False,
        False,
        False,
        True,
    ]
    rule.clear()
    limits = StopSettings(m=3, k=5)
    assert [bool(rule.seen(rejected=r, limits=limits)) for r in (True, False, True, False, False, True, True)] == [
        *[False] * 6,
        True,
    ]


def unlike(score, threshold=None):
    return Inference((), anomaly=AnomalyScore(score, threshold))


@pytest.mark.parametrize(
    ("rule", "score", "threshold", "decision", "why"),
    [
        (AnomalyRule(), 0.3, 0.4, "pass", None),
        (AnomalyRule(), 0.4, 0.4, "fail", ("anomalous", 0.4, 0.4)),
        (AnomalyRule(unsure_margin=0.25), 0.31, 0.4, "unsure", ("near_limit", 0.31, 0.4)),
        (AnomalyRule(unsure_margin=0.25), 0.29, 0.4, "pass", None),
        (AnomalyRule(verdict="unsure"), 0.5, 0.4, "unsure", ("anomalous", 0.5, 0.4)),
        (AnomalyRule(verdict="ignore"), 0.5, 0.4, "pass", None),
        (AnomalyRule(verdict="ignore"), 0.5, None, "pass", None),
        (AnomalyRule(), 0.0001, None, "unsure", ("not_calibrated", 0.0001, 0.0)),
        (AnomalyRule(), float("nan"), 0.4, "fail", None),
        (AnomalyRule(threshold=2.5), 2.4, 0.1, "pass", None),
        (AnomalyRule(threshold=-3.0, unsure_margin=0.5), -4.0, None, "unsure", ("near_limit", -4.0, -3.0)),
        (AnomalyRule(), 0.000213456789, 0.0002, "fail", ("anomalous", 0.000213457, 0.0002)),
    ],
)
def test_a_frame_unlike_good_parts(rule, score, threshold, decision, why):
    verdict = ThresholdPolicy(ThresholdOptions(anomaly=rule)).judge([unlike(score, threshold)], "none")
    assert verdict.decision == decision
    if not math.isnan(score):
        assert [(r.rule, r.seen, r.limit) for r in verdict.reasons] == ([] if why is None else [why])


def test_anomalies_vote_and_flicker_no_more_than_findings():
    policy = ThresholdPolicy(ThresholdOptions(vote_k=2, vote_n=3, hysteresis=0.1))
    frames = [unlike(5.0, 4.0), unlike(1.0, 4.0), unlike(3.8, 4.0)]
    assert policy.judge(frames, "none").decision == "pass"
    assert policy.judge(frames, "fail").decision == "fail"


@pytest.mark.parametrize(
    ("seen", "decision", "why"),
    [
        (50.0, "pass", []),
        (9.0, "fail", [("below", 9.0, 10.0)]),
        (10.0, "unsure", [("near_limit", 10.0, 10.0)]),
        (14.9, "unsure", [("near_limit", 14.9, 10.0)]),
        (15.0, "pass", []),
        (86.0, "unsure", [("near_limit", 86.0, 90.0)]),
        (90.5, "fail", [("above", 90.5, 90.0)]),
        (math.nan, "unsure", [("no_value", 0.0, 0.0)]),
        (None, "unsure", [("no_value", 0.0, 0.0)]),
    ],
)
def test_values_have_limits(seen, decision, why):
    rules = ThresholdOptions(values={"life": ValueRule(low=10.0, high=90.0, unsure_band=5.0)})
    verdict = judge(rules, Inference((), values={} if seen is None else {"life": seen, "other": -1e9}))
    assert verdict.decision == decision
    assert [(r.rule, r.seen, r.limit) for r in verdict.reasons] == why
    assert all(r.label == "life" for r in verdict.reasons)


def test_a_value_rule_may_only_doubt_or_say_nothing():
    for verdict, decision in (("unsure", "unsure"), ("ignore", "pass")):
        rules = ThresholdOptions(values={"life": ValueRule(verdict=verdict, low=10.0)})
        assert judge(rules, Inference((), values={"life": 1.0})).decision == decision
