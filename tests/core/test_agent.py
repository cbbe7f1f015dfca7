"""The way of a part through the core, end to end, without a thread."""

from __future__ import annotations

from edge.core.settings import MS, PlcSettings, SourceSettings
from edge.domain import FrameRef, Inference, Reading
from edge.events import (
    Append,
    Apply,
    Beat,
    Capture,
    CaptureFailed,
    Committed,
    Connected,
    DeviceChanged,
    Inferred,
    KeepEvidence,
    Leave,
    MakeSafe,
    Polled,
    Received,
    Release,
    Sent,
    SourceChanged,
    SourceEnd,
    StopAsked,
    Tick,
)
from edge.messages import Ack, Event, Result
from tests.core.bench import Bench, of, settings


def results(effects):
    return [a.record for a in of(Append, effects) if isinstance(a.record, Result)]


def events(effects):
    return [a.record.code for a in of(Append, effects) if isinstance(a.record, Event)]


def test_a_part_is_captured_judged_acted_on_then_reported():
    bench = Bench()
    (capture,) = of(Capture, bench.poll(7))
    assert (capture.source, capture.part_id) == ("cam", 1)
    effects = bench.infer(1, 100, 0.9)
    (apply,) = of(Apply, effects)
    assert (apply.command.action, apply.command.part_no, apply.command.code) == ("verdict", 7, 2)
    (result,) = results(effects)
    assert (result.decision, result.part_no, result.reasons[0].rule) == ("fail", 7, "found")
    assert result.model.sha256 == "ab" * 32
    assert effects.index(apply) < effects.index(of(Append, effects)[0]), "act, then append"
    assert of(KeepEvidence, effects) and not of(Release, effects)


def test_good_and_unsure_parts():
    bench = Bench()
    bench.poll(1)
    good = bench.infer(1, 1, 0.1)
    assert of(Apply, good)[0].command.code == 1 and of(Release, good)
    bench.poll(2)
    unsure = bench.infer(2, 2, 0.4)
    assert of(Apply, unsure)[0].command.code == 3
    assert results(unsure)[0].decision == "unsure"


def test_missed_triggers_get_a_record_and_no_command():
    bench = Bench()
    bench.poll(65534)
    effects = bench.poll(2)
    assert [r.part_no for r in results(effects)] == [65535, 0, 1]
    assert all(r.decision == "none" for r in results(effects))
    assert "TRIGGERS_MISSED" in events(effects)
    assert len(of(Capture, effects)) == 1 and not of(Apply, effects)


def test_restarted_plc_is_told_and_its_part_inspected():
    bench = Bench()
    bench.poll(40_000)
    effects = bench.poll(1)
    assert "PLC_RESTARTED" in events(effects) and len(of(Capture, effects)) == 1
    assert not results(effects)


def test_at_start_a_part_that_is_long_past_is_left_to_the_plc():
    bench = Bench()
    far = Polled(Reading("plc", 0, {"part_no": 5, "encoder": 9000, "encoder_latched": 0, "result_ack": 4}))
    assert not of(Capture, bench.feed(far))
    assert of(Capture, bench.poll(6))


def test_a_verdict_that_comes_after_the_deadline_moves_nothing():
    bench = Bench()
    bench.poll(1)
    effects = bench.feed(Tick(), after_ms=500)
    assert [r.decision for r in results(effects)] == ["none"]
    late = bench.infer(1, 1, 0.9)
    assert not of(Apply, late) and not results(late) and of(Release, late)


def test_the_same_frame_twice_is_a_frozen_camera():
    bench = Bench()
    bench.feed(SourceChanged("cam", up=True), DeviceChanged("plc", up=True))
    bench.poll(1)
    bench.infer(1, 10)
    bench.poll(2)
    frozen = bench.infer(2, 10)
    assert results(frozen)[0].reasons[0].rule == "camera_frozen"
    assert not of(Apply, frozen) and "CAMERA_FROZEN" in events(frozen)
    assert not bench.core.health().ready
    bench.poll(3)
    bench.infer(3, 11)
    assert bench.core.health().ready


def test_a_failed_capture_gives_an_honest_record():
    bench = Bench()
    bench.poll(1)
    effects = bench.feed(CaptureFailed("cam", 1, "SOURCE_TIMEOUT", "no frame"))
    assert results(effects)[0].reasons[0].rule == "source_timeout" and not of(Apply, effects)


def test_heartbeat_goes_on_only_while_the_plc_is_there():
    bench = Bench()
    assert not of(Beat, bench.feed(Tick(), after_ms=1000))
    bench.feed(DeviceChanged("plc", up=True), SourceChanged("cam", up=True))
    first = of(Beat, bench.feed(Tick(), after_ms=100))
    second = of(Beat, bench.feed(Tick(), after_ms=100))
    assert first[0].value != second[0].value and second[0].ready
    assert bench.core.deadline_ns() <= bench.now_ns + 100 * MS


def test_coil_mode_pulses_at_once_and_sees_edges_only():
    plc = PlcSettings("plc", "cam", mode="coil")
    bench = Bench(settings(plc=plc))

    def trigger(on):
        return bench.feed(Polled(Reading("plc", bench.now_ns, {"trigger": on})))

    assert not of(Capture, trigger(on=True)), "high at start is no edge"
    trigger(on=False)
    assert of(Capture, trigger(on=True))
    assert not of(Capture, trigger(on=True))
    (apply,) = of(Apply, bench.infer(1, 1, 0.9))
    assert apply.command.action == "reject" and apply.command.pulse_ms == plc.pulse_ms


def test_in_coil_mode_a_verdict_after_the_next_trigger_moves_nothing():
    bench = Bench(settings(plc=PlcSettings("plc", "cam", mode="coil", deadline_ns=1000 * MS)))
    for on in (False, True, False, True):  # found by `sim hunt`: the pulse would have rejected the second part
        bench.feed(Polled(Reading("plc", bench.now_ns, {"trigger": on})))
    first = bench.infer(1, 1, 0.9)
    assert not of(Apply, first)
    assert [(r.record.code, r.record.level) for r in of(Append, first) if r.kind == "events"] == [
        ("VERDICT_LATE", "alarm")
    ]
    (apply,) = of(Apply, bench.infer(2, 2, 0.9))
    assert apply.command.action == "reject"


def test_agent_gate_fires_when_the_right_part_is_there():
    plc = PlcSettings("plc", "cam", gate="agent", gate_counts=1000, gate_lead_ns=5 * MS)
    bench = Bench(settings(plc=plc))
    counts = 2**32 - 300  # wraps on the way; one count a ms
    for no, (part, scores) in enumerate([(1, (0.9,)), (2, ()), (3, (0.8,))], start=1):
        bench.poll(part, encoder=counts, after_ms=100)
        counts = (counts + 100) % 2**32
        bench.infer(no, part, *scores)
    fired = []
    for _ in range(1300):
        counts = (counts + 1) % 2**32
        reading = {"part_no": 3, "encoder": counts, "encoder_latched": 0, "result_ack": 0}
        effects = bench.feed(Polled(Reading("plc", bench.now_ns + MS, reading)))
        if bench.core.deadline_ns() <= bench.now_ns:
            effects += bench.feed(Tick(), after_ms=0)
        fired += [(counts, a.command.action) for a in of(Apply, effects)]
    gates = [(2**32 - 300 + 1000 + 100 * i) % 2**32 for i in (0, 2)]
    assert [action for _, action in fired] == ["reject", "reject"]
    assert all(0 <= gate - at <= 8 for gate, (at, _) in zip(gates, fired, strict=True))


def test_undecided_part_at_the_agents_gate_is_rejected():
    plc = PlcSettings("plc", "cam", gate="agent", gate_counts=100)
    bench = Bench(settings(plc=plc))
    bench.poll(1, encoder=0)
    for counts in (10, 20, 98, 120):
        reading = {"part_no": 1, "encoder": counts, "encoder_latched": 0, "result_ack": 0}
        bench.feed(Polled(Reading("plc", bench.now_ns + 10 * MS, reading)), after_ms=10)
    assert [a.command.action for a in of(Apply, bench.feed(Tick(), after_ms=0))] == ["reject"]


def test_stop_rule_stops_the_line_once():
    from edge.core.settings import StopSettings

    bench = Bench(settings(stop=StopSettings(consecutive=3)))
    actions = []
    for n in range(1, 5):
        bench.poll(n)
        actions.append([a.command.action for a in of(Apply, bench.infer(n, n, 0.9))])
    assert actions[2] == ["verdict", "stop"] and actions[3] == ["verdict"]
    assert "LINE_STOPPED" in events(bench.effects)


def test_free_running_frames_are_judged_and_finite_sources_end_the_run():
    bench = Bench(settings(plc=None, devices=(), sources={"cam": SourceSettings()}))
    effects = bench.infer(None, 1, 0.9)
    assert results(effects)[0].decision == "fail" and not of(Apply, effects)
    assert not of(Leave, bench.feed(SourceEnd("cam"), Committed("results", 1)))
    assert not of(Leave, bench.feed(Tick(), after_ms=100)), "pictures may still be on their way"
    assert of(Leave, bench.feed(Tick(), after_ms=500))[0].status == 0


def test_a_run_that_ended_waits_until_the_ledger_has_everything():
    bench = Bench(settings(plc=None, devices=(), sources={"cam": SourceSettings()}))
    bench.feed(Connected(1), SourceEnd("cam"), Committed("results", 2), Sent("results", 1, 2, 9))
    assert not of(Leave, bench.feed(Tick(), after_ms=2000))
    bench.feed(Received("a", "ack", Ack("led", "log1", {"results": 2}), bench.now_ns))
    assert of(Leave, bench.feed(Tick(), after_ms=500))


def test_orderly_stop_is_safe_first():
    bench = Bench()
    effects = bench.feed(StopAsked("SIGTERM"))
    assert isinstance(effects[0], MakeSafe)
    assert isinstance(effects[-1], Leave)
    assert "AGENT_STOPPED" in events(effects)
    assert not bench.feed(StopAsked("again"))


def test_a_picture_taken_too_late_gives_no_verdict():
    bench = Bench()
    bench.poll(1)
    late = bench.feed(
        Inferred(FrameRef("cam", 5, bench.now_ns + 200 * MS), 1, Inference(()), "surface", bench.now_ns), after_ms=210
    )
    assert results(late)[0].reasons[0].rule == "captured_late" and not of(Apply, late)


def test_a_part_that_has_travelled_too_far_is_missed_whenever_that_is():
    bench = Bench()
    bench.poll(1)
    effects = bench.poll(3, encoder=5000, encoder_latched=0)
    assert [r.part_no for r in results(effects)] == [2, 3] and not of(Capture, effects)


def test_verdicts_go_one_by_one_through_the_registers():
    bench = Bench()
    for part in (1, 2, 3):
        bench.poll(part)
    sent = [of(Apply, bench.infer(part, part)) for part in (1, 2, 3)]
    assert [len(applies) for applies in sent] == [1, 0, 0]
    (second,) = of(Apply, bench.poll(3, result_ack=1))
    assert second.command.part_no == 2
    assert bench.core.deadline_ns() <= bench.now_ns + 60 * MS
    (third,) = of(Apply, bench.feed(Tick(), after_ms=60))
    assert third.command.part_no == 3, "no answer: go on"
