"""Several cameras look at one part: one verdict, and nothing of it before all have spoken."""

from __future__ import annotations

from itertools import permutations

import pytest

from edge.core.policy import LabelRule, ThresholdOptions
from edge.core.settings import MS, PlcSettings, SourceSettings
from edge.domain import AnomalyScore, Finding, FrameRef, Inference, Reason
from edge.events import Append, Apply, Capture, CaptureFailed, Inferred, KeepEvidence, Release, Tick
from edge.messages import Result
from tests.core.bench import Bench, settings

VIEWS = ("top", "left", "right")


def bench(vote_k=1, vote_n=1):
    options = ThresholdOptions(labels={"scratch": LabelRule(min_score=0.5)}, vote_k=vote_k, vote_n=vote_n)
    return Bench(
        settings(
            sources={name: SourceSettings() for name in VIEWS},
            plc=PlcSettings("plc", "top", views=("left", "right")),
            policies={"default": options},
        )
    )


def began(rig):
    rig.poll(0)
    asked = [e for e in rig.poll(1) if isinstance(e, Capture)]
    assert {e.source for e in asked} == set(VIEWS)
    return asked[0].part_id


def see(rig, part_id, source, frame_no, *scores, late_ms=0.0):
    findings = tuple(Finding("scratch", score, (0, 0, 9, 9), 81.0) for score in scores)
    ref = FrameRef(source, frame_no, rig.now_ns + int(late_ms * MS))
    return rig.feed(Inferred(ref, part_id, Inference(findings), "surface", rig.now_ns))


def results(effects):
    return [e.record for e in effects if isinstance(e, Append) and isinstance(e.record, Result)]


@pytest.mark.parametrize("order", list(permutations(VIEWS)))
def test_one_bad_view_fails_the_part_whatever_the_order(order):
    rig = bench()
    part = began(rig)
    got = [see(rig, part, name, 1, *([0.9] if name == "left" else [])) for name in order]
    assert not any(results(effects) for effects in got[:2])
    assert not any(isinstance(e, Apply) for effects in got[:2] for e in effects)
    (result,) = results(got[2])
    assert result.decision == "fail"
    assert {view.source: (view.frames, view.frame_no, view.findings) for view in result.views} == {
        "top": (1, 1, 0),
        "left": (1, 1, 1),
        "right": (1, 1, 0),
    }
    # The picture kept is the one that shows it, and every frame is let go or kept once.
    assert result.source == "left" and [f.score for f in result.findings] == [0.9]
    gone = [e.ref.source for e in got[2] if isinstance(e, Release)]
    kept = [e.ref.source for e in got[2] if isinstance(e, KeepEvidence)]
    assert kept == ["left"] and sorted(gone) == ["right", "top"]


def test_a_vote_is_over_the_views():
    rig = bench(vote_k=2)
    part = began(rig)
    see(rig, part, "top", 1, 0.9)
    see(rig, part, "left", 1)
    (result,) = results(see(rig, part, "right", 1))
    assert result.decision == "pass"
    part = next(e.part_id for e in rig.poll(2) if isinstance(e, Capture))
    see(rig, part, "top", 2, 0.9)
    see(rig, part, "left", 2, 0.8)
    (result,) = results(see(rig, part, "right", 2))
    assert result.decision == "fail"


def test_several_frames_of_each_view():
    rig = bench(vote_n=2)
    part = began(rig)
    again = [e for e in see(rig, part, "left", 1) if isinstance(e, Capture)]
    assert [e.source for e in again] == ["left"]
    for name, frame_no in (("left", 2), ("top", 1), ("right", 1), ("top", 2)):
        assert not results(see(rig, part, name, frame_no))
    (result,) = results(see(rig, part, "right", 2, 0.7))
    assert result.decision == "fail" and result.source == "right"


def test_a_view_that_fails_leaves_no_verdict():
    rig = bench()
    part = began(rig)
    see(rig, part, "top", 1)
    effects = rig.feed(CaptureFailed("left", part, "CAMERA_GONE", "gone"))
    (result,) = results(effects)
    assert (result.decision, result.reasons) == ("none", (Reason("camera_gone", "left"),))
    assert [view.source for view in result.views if view.frames] == ["top"]
    assert [e.ref.source for e in effects if isinstance(e, Release)] == ["top"]
    assert see(rig, part, "right", 1)[0] == Release(FrameRef("right", 1, rig.now_ns - MS))


def test_at_the_deadline_those_that_kept_silent_are_named():
    rig = bench()
    part = began(rig)
    see(rig, part, "left", 1)
    result = results(rig.feed(Tick(), after_ms=1_000))[-1]
    assert result.reasons == (Reason("deadline", "top, right"),)
    assert [view.frames for view in result.views] == [0, 1, 0]


def test_each_camera_may_be_frozen_or_late_by_itself():
    rig = bench()
    part = began(rig)
    for name in VIEWS:
        see(rig, part, name, 1)
    part = next(e.part_id for e in rig.poll(2) if isinstance(e, Capture))
    see(rig, part, "top", 2)
    assert [r.reasons[0].rule for r in results(see(rig, part, "left", 1))] == ["camera_frozen"]
    part = next(e.part_id for e in rig.poll(3) if isinstance(e, Capture))
    see(rig, part, "top", 3)
    assert [r.reasons[0].rule for r in results(see(rig, part, "right", 3, late_ms=200))] == ["captured_late"]


def test_the_picture_of_an_anomaly_is_that_of_the_view_with_the_score():
    rig = bench()
    part = began(rig)
    got = []
    for name, score in (("top", 0.0001), ("left", 0.000731234), ("right", 0.0002)):
        inference = Inference((), anomaly=AnomalyScore(score, 0.0005))
        got = rig.feed(Inferred(FrameRef(name, 1, rig.now_ns), part, inference, "surface", rig.now_ns))
    (result,) = results(got)
    assert (result.decision, result.source) == ("fail", "left")
