"""The way of a part through the core: trigger, capture, inference, verdict, act, report.

::

    Polled ─▶ trigger ─▶ Capture ─▶ Inferred ─▶ judge ─▶ Apply, Append, KeepEvidence | Release
                │            └ CaptureFailed, InferFailed, deadline ─▶ verdict "none": the PLC's no_verdict rule holds
                └ missed triggers ─▶ records with verdict "none"

Act comes before append; nothing here waits for disk, network or coordinator.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from edge.core.evidence import EvidenceRule
from edge.core.health import HealthBook
from edge.core.policy import Moment, Policy, StopRule, judged
from edge.core.scribe import Scribe
from edge.core.settings import MS, Settings
from edge.domain import Finding, FrameRef, Inference, Reason, Verdict, View
from edge.events import AgentEffect, Append, Capture, Inferred, Release
from edge.messages import Latency, Result

MISSED_MOST = 200
"""At most so many missed triggers get a record of their own after one jump."""


class Part(Struct):
    """A part on its way; mutable, and never leaves the core."""

    part_id: int
    source: str
    recipe: str
    triggered_ns: int
    deadline_ns: int
    part_no: int | None = None
    encoder: int | None = None
    inferences: list[Inference] = []
    refs: list[FrameRef] = []
    views: tuple[str, ...] = ()
    """Sources besides ``source`` that look at it."""

    @property
    def sources(self) -> tuple[str, ...]:
        """All that look at it."""
        return (self.source, *self.views)

    def seen_by(self, source: str) -> int:
        """How many of its frames are from there."""
        return sum(ref.source == source for ref in self.refs)

    def looks(self) -> tuple[View, ...]:
        """What each of several cameras has given so far; nothing where there is one camera only."""
        return tuple(self._look(source) for source in self.sources) if self.views else ()

    def silent(self) -> list[str]:
        """Cameras of which nothing has come yet."""
        return [source for source in self.sources if not self.seen_by(source)]

    def _look(self, source: str) -> View:
        theirs = [(ref, one) for ref, one in zip(self.refs, self.inferences, strict=True) if ref.source == source]
        findings = sum(len(one.findings) + one.dropped for _, one in theirs)
        return View(source, len(theirs), theirs[-1][0].frame_no if theirs else 0, findings)


class Parts:
    """All parts in flight, and the free-running frames. ``act`` turns a verdict into commands (see line.py)."""

    def __init__(
        self,
        scribe: Scribe,
        health: HealthBook,
        policy: Callable[[str], Policy],
        act: Callable[[Part, Verdict, int], list[AgentEffect]],
    ) -> None:
        self._scribe = scribe
        self._health = health
        self._policy = policy
        self._act = act
        self._parts: dict[int, Part] = {}
        self._next_id = 1
        self._frame_no: dict[str, int] = {}
        self._window: dict[str, deque[Inference]] = {}
        self._last: dict[str, Verdict] = {}
        self.evidence = EvidenceRule()
        self.stop_rule = StopRule()
        self.rev = 0

    def begin(self, settings: Settings, part_no: int | None, encoder: int | None, at_ns: int, recipe: str) -> Part:
        """A part was triggered at ``at_ns``."""
        plc = settings.plc
        assert plc is not None
        part = Part(self._next_id, plc.source, recipe, at_ns, at_ns + plc.deadline_ns, part_no, encoder, [], [])
        part.views = plc.views
        self._next_id += 1
        self._parts[part.part_id] = part
        self._scribe.count("parts")
        return part

    def captures(self, part: Part) -> list[Capture]:
        """Ask for the first frame of a part, of every camera that looks at it."""
        return [self._capture(part, source) for source in part.sources]

    def _capture(self, part: Part, source: str) -> Capture:
        return Capture(source, part.part_id, part.recipe, part.deadline_ns)

    def missed(self, settings: Settings, numbers: list[int], now_ns: int) -> list[AgentEffect]:
        """Triggers we never saw: each part gets its honest record."""
        effects: list[AgentEffect] = []
        self._scribe.count("triggers_missed", len(numbers))
        for part_no in numbers[-MISSED_MOST:]:
            part = self.begin(settings, part_no, None, now_ns, settings.recipe)
            effects += self.give_up(settings, part.part_id, "trigger_missed", now_ns)
        text = f"{len(numbers)} triggers were missed"
        return [*effects, self._scribe.event(now_ns, "TRIGGERS_MISSED", "warning", text, parts=len(numbers))]

    def inferred(self, settings: Settings, event: Inferred, now_ns: int) -> list[AgentEffect]:
        """A frame came through the model."""
        if event.part_id is None:
            return self._free_running(settings, event, now_ns)
        part = self._parts.get(event.part_id)
        if part is None:
            self._scribe.count("late")
            return [Release(event.ref)]
        source = event.ref.source
        seen = self._frame_no.get(source)
        self._frame_no[source] = event.ref.frame_no
        if seen == event.ref.frame_no:
            frozen = self._health.down(f"{source}.frames", "CAMERA_FROZEN", "the same frame came twice", now_ns)
            return [Release(event.ref), *frozen, *self.give_up(settings, part.part_id, "camera_frozen", now_ns, source)]
        effects = self._health.up(f"{source}.frames", now_ns)
        if (
            not part.seen_by(source)
            and settings.plc
            and event.ref.captured_ns > part.triggered_ns + settings.plc.capture_within_ns
        ):
            self._scribe.count("captured_late")
            return [
                *effects,
                Release(event.ref),
                *self.give_up(settings, part.part_id, "captured_late", now_ns, source),
            ]
        part.inferences.append(event.inference)
        part.refs.append(event.ref)
        policy = self._policy(part.recipe)
        if part.seen_by(source) < policy.frames:
            return [*effects, self._capture(part, source)]
        if any(part.seen_by(one) < policy.frames for one in part.sources):
            return [*effects]
        del self._parts[part.part_id]
        verdict = judged(policy, part.inferences, "none", self._moment(event.ref))
        acts = self._act(part, verdict, now_ns)
        return [*acts, *effects, *self._report(settings, part, verdict, event, now_ns)]

    def give_up(
        self, settings: Settings, part_id: int | None, rule: str, now_ns: int, source: str = ""
    ) -> list[AgentEffect]:
        """No verdict for this part, and why; ``source`` is the camera that is to blame, where one is. What its no_verdict rule
        does is the line's business.
        """
        part = self._parts.pop(part_id, None) if part_id is not None else None
        if part is None:
            return []
        self._scribe.count("none")
        verdict = Verdict("none", (Reason(rule, source if part.views else ""),))  # of a single camera everybody knows
        effects = self._act(part, verdict, now_ns)
        effects += [Release(ref) for ref in part.refs]
        result = self._result(settings, part, verdict, Latency(total=_ms(now_ns - part.triggered_ns)), now_ns)
        return [*effects, Append("results", result)]

    def tick(self, settings: Settings, now_ns: int) -> list[AgentEffect]:
        """Parts whose deadline has come have no verdict."""
        late = [part for part in self._parts.values() if part.deadline_ns <= now_ns]
        return [
            effect
            for part in late
            for effect in self.give_up(settings, part.part_id, "deadline", now_ns, ", ".join(part.silent()))
        ]

    def deadline_ns(self) -> int | None:
        return min((part.deadline_ns for part in self._parts.values()), default=None)

    def _free_running(self, settings: Settings, event: Inferred, now_ns: int) -> list[AgentEffect]:
        source = event.ref.source
        policy = self._policy(event.recipe)
        window = self._window.get(source)
        if window is None or window.maxlen != policy.frames:
            window = self._window[source] = deque(maxlen=policy.frames)
        window.append(event.inference)
        last = self._last.get(source, Verdict("none"))
        verdict = self._last[source] = judged(policy, list(window), last.decision, self._moment(event.ref))
        recipe = event.recipe or settings.recipe
        at_ns = event.asked_ns
        part = Part(self._next_id, source, recipe, at_ns, at_ns, None, None, [event.inference], [event.ref])
        self._next_id += 1
        self._scribe.count("frames")
        acts = self._act(part, verdict, now_ns)
        return [*acts, *self._report(settings, part, verdict, event, now_ns)]

    def _report(
        self, settings: Settings, part: Part, verdict: Verdict, event: Inferred, now_ns: int
    ) -> list[AgentEffect]:
        self._scribe.count(verdict.decision)
        inference = event.inference
        latency = Latency(
            round(event.capture_ms, 2),
            round(event.queue_ms, 2),
            round(inference.preprocess_ms, 2),
            round(inference.infer_ms, 2),
            round(inference.postprocess_ms, 2),
            _ms(now_ns - part.triggered_ns),
        )
        result = self._result(settings, part, verdict, latency, now_ns)
        effects: list[AgentEffect] = [Append("results", result)]
        shown = _shown(part, verdict)
        effects += [Release(ref) for i, ref in enumerate(part.refs) if i != shown]
        return [*effects, self.evidence.for_result(settings.evidence, part.refs[shown], result, now_ns)]

    def _result(self, settings: Settings, part: Part, verdict: Verdict, latency: Latency, now_ns: int) -> Result:
        recipe = settings.recipes.get(part.recipe) or settings.recipes["default"]
        shown = _shown(part, verdict)
        last = part.refs[shown] if part.refs else FrameRef(part.source, 0, now_ns)
        findings = part.inferences[shown].findings if part.inferences else ()
        result = Result(
            verdict.decision,
            self._scribe.utc_ms(last.captured_ns),
            last.source,
            last.frame_no,
            part.part_id,
            self._scribe.boot_no,
            part.part_no,
            part.encoder,
            verdict.reasons,
            findings,
            recipe.model,
            part.recipe,
            self.rev,
            latency,
            self._scribe.clock_trusted,
            part.inferences[shown].values if part.inferences else {},
            part.looks(),
        )
        short = reported(findings)
        return result if short is findings else replace(result, findings=short)

    def _moment(self, ref: FrameRef) -> Moment:
        """What the record will say of the time, so that a verdict can be made again from it."""
        return Moment(self._scribe.utc_ms(ref.captured_ns), self._scribe.clock_trusted)


def _shown(part: Part, verdict: Verdict) -> int:
    """Which of a part's frames the result and its picture are of: the last one; of several views the one that the first
    reason speaks of, as findings of another camera would not be on its picture.
    """
    if part.views and verdict.reasons:
        why = verdict.reasons[0]
        for i, seen in enumerate(part.inferences):
            scores = [f.score for f in seen.findings if f.label == why.label]
            scores += [] if seen.anomaly is None else [seen.anomaly.score]
            if any(abs(score - why.seen) <= _ROUNDED * max(1.0, abs(score)) for score in scores):
                return i
    return -1 if not part.refs else len(part.refs) - 1


_ROUNDED = 5.1e-5
"""Reasons have four decimals or six digits."""

FINDINGS_REPORTED = 100
TEXT_REPORTED_CHARS = 4096
"""A result stays far below its size limit, also where every character takes six bytes of JSON: the first findings travel,
and their texts until these are used up. Reasons and the verdict are made from all."""


def reported(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """What of the findings travels; the same tuple where all do."""
    short = findings[:FINDINGS_REPORTED]
    left, kept = TEXT_REPORTED_CHARS, []
    for finding in short:
        left -= len(finding.text)
        kept.append(finding if left >= 0 or not finding.text else replace(finding, text=""))
    return tuple(kept) if left < 0 else findings if len(short) == len(findings) else short


def _ms(ns: int) -> float:
    return round(ns / MS, 2)
