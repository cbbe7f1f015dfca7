"""From findings to a verdict: thresholds per label, a vote over frames or views, hysteresis, and the stop rule.

A policy is a plug-in (entry point group ``jidoka.policies``): a class with a frozen ``Options`` struct, made from its
options, that answers ``judge``. It is pure and keeps nothing between calls but what it is handed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Annotated, Any, ClassVar, Literal, Protocol

from msgspec import Meta, Struct

from edge.core.settings import StopSettings
from edge.domain import AnomalyScore, Decision, Finding, Inference, Reason, Verdict

_REMOTE: dict[str, Any] = {"remote": True}
Share = Annotated[float, Meta(ge=0, le=1, extra=_REMOTE)]
Area = Annotated[float, Meta(ge=0, le=1e9, extra=_REMOTE)]
Limit = Annotated[float, Meta(ge=-1e12, le=1e12, extra=_REMOTE)]
Count = Annotated[int, Meta(ge=0, le=100_000, extra=_REMOTE)]


class Policy(Protocol):
    """Judges the frames of one part."""

    Options: ClassVar[type]
    frames: int
    """How many frames (or views) one verdict needs."""

    def judge(self, inferences: Sequence[Inference], last: Decision) -> Verdict:
        """The verdict on these frames; ``last`` is the source's previous decision (``none`` at the start)."""
        ...


class Moment(Struct, frozen=True):
    """What time a frame's label says it was, and whether the clock behind it can be trusted. See
    :class:`edge.events.ClockSet`.
    """

    utc_ms: int = 0
    trusted: bool = False


def judged(policy: Policy, inferences: Sequence[Inference], last: Decision, now: Moment) -> Verdict:
    """The verdict of a policy, with the time label where it wants one: then it has ``judge_at(inferences, last, now)``."""
    judge_at: Callable[[Sequence[Inference], Decision, Moment], Verdict] | None = getattr(policy, "judge_at", None)
    return policy.judge(inferences, last) if judge_at is None else judge_at(inferences, last, now)


class LabelRule(Struct, frozen=True, forbid_unknown_fields=True):
    """When findings of one label matter.

    A finding counts from ``min_score`` (0..1) and the minimum areas on, inside ``zone`` where one is named. More than
    ``max_count`` of them, or fewer than ``min_count``, give ``verdict``. Scores from ``unsure_score`` up to
    ``min_score`` make the part unsure instead of passing it.
    """

    verdict: Literal["fail", "unsure", "ignore"] = "fail"
    min_score: Share = 0.5
    unsure_score: Share | None = None
    min_area_mm2: Area = 0.0
    min_area_px: Area = 0.0
    max_count: Count = 0
    min_count: Count = 0
    zone: str | None = None


class AnomalyRule(Struct, frozen=True, forbid_unknown_fields=True):
    """When a frame is too unlike good parts, with models that give such a score.

    At or above ``threshold``, in the model's own unit (left out: the one in the bundle), it gives ``verdict``. From so
    much below it on, as a share of the threshold (``unsure_margin``), the part is unsure. Without any threshold every
    part is unsure: a model that was never calibrated can tell no good part.
    """

    verdict: Literal["fail", "unsure", "ignore"] = "fail"
    threshold: Annotated[float, Meta(ge=-1e9, le=1e9, extra=_REMOTE)] | None = None
    unsure_margin: Share = 0.0


class ValueRule(Struct, frozen=True, forbid_unknown_fields=True):
    """When a named number of the model decides: below ``low`` or above ``high`` it gives ``verdict``; inside, but
    nearer than ``unsure_band`` to a limit, the part is unsure. In the value's own unit. A number that did not come, or is
    none, makes the part unsure: nobody knows whether it is in order.
    """

    verdict: Literal["fail", "unsure", "ignore"] = "fail"
    low: Limit | None = None
    high: Limit | None = None
    unsure_band: Annotated[float, Meta(ge=0, le=1e12, extra=_REMOTE)] = 0.0


class ThresholdOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """``[policy]``: a rule per label; ``other`` for labels without one (left out: they only inform); ``anomaly`` for
    models that say how unlike good parts a frame is; ``values`` a rule per named number.

    A part fails when at least ``vote_k`` of its ``vote_n`` frames fail; where several cameras look at it (``[plc] views``),
    ``vote_k`` of ``vote_n`` frames of each. With 1 and 1 one bad view is enough. After a fail, scores count from
    ``hysteresis`` lower, so that a borderline scene does not flicker.
    """

    labels: dict[str, LabelRule] = {}
    other: LabelRule | None = None
    anomaly: AnomalyRule = AnomalyRule()
    values: dict[str, ValueRule] = {}
    vote_k: Annotated[int, Meta(ge=1, le=32)] = 1
    vote_n: Annotated[int, Meta(ge=1, le=32)] = 1
    hysteresis: Annotated[float, Meta(ge=0, le=1)] = 0.0


class ThresholdPolicy:
    """The built-in policy."""

    Options: ClassVar[type] = ThresholdOptions

    def __init__(self, options: ThresholdOptions) -> None:
        self._options = options
        self.frames = options.vote_n

    def judge(self, inferences: Sequence[Inference], last: Decision) -> Verdict:
        """Vote over the frames; the reasons are those of the frames that carried the vote."""
        return self.vote([self.one(inference, last) for inference in inferences])

    def vote(self, verdicts: Sequence[Verdict]) -> Verdict:
        """One verdict of the frames' own."""
        failed = [v for v in verdicts if v.decision == "fail"]
        doubted = [v for v in verdicts if v.decision == "unsure"]
        needed = self._options.vote_k
        if len(failed) >= needed:
            return failed[0]
        if len(failed) + len(doubted) >= needed:
            return Verdict("unsure", (*(doubted or failed)[0].reasons,))
        return Verdict("pass")

    def one(self, inference: Inference, last: Decision) -> Verdict:
        """One frame's own verdict."""
        ease = self._options.hysteresis if last == "fail" else 0.0
        by_label: dict[str, list[Finding]] = {label: [] for label in self._options.labels}
        for finding in inference.findings:
            by_label.setdefault(finding.label, []).append(finding)
        failed: list[Reason] = []
        doubted: list[Reason] = []
        if inference.anomaly is not None:
            hard, soft = _anomalous(self._options.anomaly, inference.anomaly, ease)
            (failed if self._options.anomaly.verdict == "fail" else doubted).extend(hard)
            doubted.extend(soft)
        for name, limits in self._options.values.items():
            hard, soft = _out_of_limits(name, limits, inference.values.get(name))
            (failed if limits.verdict == "fail" else doubted).extend(hard)
            doubted.extend(soft)
        for label, findings in by_label.items():
            rule = self._options.labels.get(label, self._options.other)
            if rule is not None and rule.verdict != "ignore":
                hard, soft = _broken(label, rule, findings, ease)
                (failed if rule.verdict == "fail" else doubted).extend(hard)
                doubted.extend(soft)
        if failed:
            return Verdict("fail", tuple(failed))
        return Verdict("unsure", tuple(doubted)) if doubted else Verdict("pass")


def _anomalous(rule: AnomalyRule, seen: AnomalyScore, ease: float) -> tuple[list[Reason], list[Reason]]:
    limit = seen.threshold if rule.threshold is None else rule.threshold
    if rule.verdict == "ignore":
        return [], []
    if limit is None:
        return [], [Reason("not_calibrated", "anomaly", _short(seen.score))]
    # The unit is the model's own, so that hysteresis is a share of the threshold here.
    eased = limit - ease * abs(limit)
    if not seen.score < eased:  # so that a score that is no number fails, too
        return [Reason("anomalous", "anomaly", _short(seen.score), _short(eased))], []
    if seen.score >= eased - rule.unsure_margin * abs(limit):
        return [], [Reason("near_limit", "anomaly", _short(seen.score), _short(eased))]
    return [], []


def _out_of_limits(name: str, rule: ValueRule, seen: float | None) -> tuple[list[Reason], list[Reason]]:
    if rule.verdict == "ignore":
        return [], []
    if seen is None or seen != seen:  # noqa: PLR0124  (NaN; a core imports no math for this)
        return [], [Reason("no_value", name)]
    for limit, sign, word in ((rule.low, 1, "below"), (rule.high, -1, "above")):
        if limit is None:
            continue
        inside = (seen - limit) * sign
        if inside < 0:
            return [Reason(word, name, _short(seen), _short(limit))], []
        if inside < rule.unsure_band:
            return [], [Reason("near_limit", name, _short(seen), _short(limit))]
    return [], []


def _short(value: float) -> float:
    """Six digits: a mean squared error may be 0.000213."""
    return float(f"{value:.6g}")


def _broken(label: str, rule: LabelRule, findings: list[Finding], ease: float) -> tuple[list[Reason], list[Reason]]:
    sized = [f for f in findings if _large_enough(f, rule)]
    limit = max(0.0, rule.min_score - ease)
    counted = [f for f in sized if f.score >= limit]
    if len(counted) > rule.max_count:
        best = max(f.score for f in counted)
        if rule.max_count == 0:
            return [Reason("found", label, round(best, 4), round(limit, 4))], []
        return [Reason("too_many", label, len(counted), rule.max_count)], []
    if len(counted) < rule.min_count:
        return [Reason("too_few", label, len(counted), rule.min_count)], []
    if rule.unsure_score is not None:
        near = [f.score for f in sized if rule.unsure_score <= f.score < limit]
        if near and len(near) + len(counted) > rule.max_count:
            return [], [Reason("near_limit", label, round(max(near), 4), round(limit, 4))]
    return [], []


def _large_enough(finding: Finding, rule: LabelRule) -> bool:
    if rule.zone is not None and finding.zone != rule.zone:
        return False
    if finding.area_mm2 is not None and finding.area_mm2 < rule.min_area_mm2:
        return False
    return finding.area_px >= rule.min_area_px


class StopRule:
    """Counts rejects: ``consecutive`` in a row, or ``m`` of the last ``k``."""

    def __init__(self) -> None:
        self._recent: deque[bool] = deque(maxlen=10_000)

    def seen(self, *, rejected: bool, limits: StopSettings) -> str:
        """Why the line must stop now, or an empty string."""
        self._recent.append(rejected)
        n = limits.consecutive
        if n and len(self._recent) >= n and all(islice(reversed(self._recent), n)):
            return f"{n} rejects in a row"
        if limits.m and limits.k and sum(islice(reversed(self._recent), limits.k)) >= limits.m:
            return f"{limits.m} rejects among the last {limits.k}"
        return ""

    def clear(self) -> None:
        """The line was released: counting starts anew."""
        self._recent.clear()
