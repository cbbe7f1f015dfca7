from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge.core.tracking import RESTART_JUMP, U16, U32, Encoder, GateLine, PartCounter, ahead


@given(st.integers(0, U16 - 1), st.lists(st.integers(0, 20), max_size=50))
def test_every_part_is_either_seen_or_missed(start, steps):
    counter = PartCounter()
    counter.see(start, (start - 1) % U16, 0, 100)
    seen = missed = 0
    number = start
    for step in steps:
        number = (number + step) % U16
        trigger = counter.see(number, 0, 0, 100)
        seen += trigger.part_no is not None
        missed += trigger.missed
        assert not trigger.restarted
    assert seen + missed == sum(steps)


def test_first_sight_takes_up_only_a_fresh_part_without_a_verdict():
    assert PartCounter().see(5, 4, 10, 100).part_no == 5
    assert PartCounter().see(5, 5, 10, 100).part_no is None
    assert PartCounter().see(5, 4, 101, 100).part_no is None


def test_a_leap_is_a_restart():
    counter = PartCounter()
    counter.see(40_000, 0, 0, 100)
    assert counter.see(1, 0, 0, 100).restarted
    assert counter.see(RESTART_JUMP, 0, 0, 100).missed == RESTART_JUMP - 2


@given(st.integers(0, U32 - 1), st.integers(1, 2**31 - 1), st.integers(1, 1000))
def test_encoder_predicts_across_the_wrap(start, distance, speed):
    encoder = Encoder()
    for ms in range(10):
        encoder.see((start + ms * speed) % U32, ms * 1_000_000)
    target = (start + 9 * speed + distance) % U32
    due_ns = encoder.when_at(target)
    assert due_ns is not None
    assert abs((due_ns - 9_000_000) * speed / 1e6 - distance) <= 1 + distance * 1e-6


def test_a_standing_belt_has_no_due_time():
    encoder = Encoder()
    assert encoder.when_at(5) is None
    for ms in range(20):
        encoder.see(100, ms)
    assert encoder.when_at(200) is None
    assert encoder.when_at(50) == 19, "already past"


@given(st.lists(st.tuples(st.integers(50, 200), st.booleans()), min_size=1, max_size=20))
def test_gate_gives_parts_back_in_order_each_once(parts):
    gate, encoder = GateLine(1000, 0), Encoder()
    at, sent = 0, []
    for part_id, (gap, reject) in enumerate(parts, start=1):
        at += gap
        gate.enter(part_id, at)
        gate.decide(part_id, reject=reject)
        sent.append((part_id, reject))
    got = []
    for counts in range(0, at + 1100, 7):
        encoder.see(counts, counts * 1000)
        got += gate.pop_due(encoder, counts * 1000)
    assert got == sent


def test_distances_wrap():
    assert ahead(3, 65_535, U16) == 4
