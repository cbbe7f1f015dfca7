"""The physical truth: motion, eye, encoder, gate, and the same seed giving the same world."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sims.world import U32, Belt, BeltPart, Lamp, World

DT_S = 0.005


def run(world: World, gate_at: dict[int, bool] | None = None, steps: int = 4000) -> list[tuple[int, BeltPart]]:
    """Step until done; ``gate_at`` changes the gate's output at a step. Returns (step, part) at the eye."""
    seen, gate = [], False
    for step in range(steps):
        gate = (gate_at or {}).get(step, gate)
        seen += [(step, part) for part in world.step(DT_S, gate=gate, run=True)]
        if world.done:
            break
    return seen


def test_every_part_comes_to_the_eye_once_and_leaves():
    world = World(Belt(), Lamp(), 12, seed=1)
    seen = run(world)
    assert [part.index for _, part in seen] == list(range(12))
    assert world.done
    assert {part.fate for part in world.parts} == {"passed"}


def test_same_seed_same_world_and_another_seed_another():
    ends = []
    for seed in (5, 5, 6):
        world = World(Belt(), Lamp(), 6, seed)
        run(world)
        ends.append([(p.eye_ns, p.latched, p.fate_ns) for p in world.parts])
    assert ends[0] == ends[1] != ends[2]


def test_the_latched_encoder_is_the_travel_at_the_very_edge():
    belt = Belt(speed_jitter_pct=0.0, pitch_jitter_mm=0.0)
    world = World(belt, Lamp(), 3, seed=0)
    run(world)
    steps = [(world.parts[i + 1].latched - world.parts[i].latched) % U32 for i in range(2)]
    assert steps == [belt.pitch_mm * belt.counts_per_mm] * 2


def test_encoder_wraps():
    belt = Belt(encoder_start=U32 - 10)
    world = World(belt, Lamp(), 1, seed=0)
    run(world)
    assert world.parts[0].latched < belt.camera_mm * belt.counts_per_mm
    assert world.encoder < U32


@given(open_step=st.integers(0, 300), length=st.integers(1, 80))
@settings(max_examples=60, deadline=None)
def test_the_gate_diverts_exactly_what_is_before_it_while_open(open_step: int, length: int):
    belt = Belt(gate_lag_ms=0.0)
    world = World(belt, Lamp(), 4, seed=3)
    gate = False
    for step in range(2000):
        gate = open_step <= step < open_step + length
        before = {part.index: part.fate for part in world.parts}
        world.step(DT_S, gate=gate, run=True)
        for part in world.parts:
            at_gate = abs(part.x_mm - belt.gate_mm) <= belt.gate_reach_mm
            newly = part.fate == "rejected" and before.get(part.index) != "rejected"
            assert newly == (gate and at_gate and before.get(part.index) == "on_belt")
        if world.done:
            break
    assert world.done


def test_the_gate_lags_behind_its_output():
    world = World(Belt(gate_lag_ms=20.0), Lamp(), 1, seed=0)
    opened = []
    for _ in range(8):
        world.step(DT_S, gate=True, run=True)
        opened.append(world.gate_open)
    assert opened.index(True) == 4


def test_a_stopped_belt_comes_to_rest_and_starts_again():
    world = World(Belt(), Lamp(), 2, seed=0)
    for _ in range(60):
        world.step(DT_S, gate=False, run=True)
    for _ in range(60):
        world.step(DT_S, gate=False, run=False)
    at_mm = world.travelled_mm
    world.step(DT_S, gate=False, run=False)
    assert world.speed_mm_s == 0.0
    assert world.travelled_mm == at_mm
    for _ in range(60):
        world.step(DT_S, gate=False, run=True)
    assert world.travelled_mm > at_mm


def test_a_part_taken_off_is_held_and_goes_nowhere():
    world = World(Belt(), Lamp(), 2, seed=0)
    for _ in range(60):
        world.step(DT_S, gate=False, run=True)
    world.take_off(0)
    run(world)
    assert [part.fate for part in world.parts] == ["held", "passed"]


def test_an_exposure_shows_the_part_where_it_is_now():
    belt = Belt(speed_jitter_pct=0.0)
    world = World(belt, Lamp(), 1, seed=0)
    while not world.step(DT_S, gate=False, run=True):
        pass
    now, later = world.expose(160.0), world.expose(160.0, ahead_s=0.01)
    assert [index for index, _ in now.parts] == [0]
    assert 0.0 <= now.parts[0][1] <= belt.speed_mm_s * DT_S
    assert later.parts[0][1] - now.parts[0][1] == pytest.approx(5.0)
    assert World(belt, Lamp(), 1, seed=0).expose(160.0).parts == ()


def test_what_is_expected_is_what_comes():
    world = World(Belt(speed_jitter_pct=0.0), Lamp(wander_pct=0.0), 3, seed=0)
    assert world.expect(160.0, 0, 0.0) is None  # not in sight yet
    for _ in range(40):
        world.step(DT_S, gate=False, run=True)
    coming = world.expect(160.0, 0, 2.5)
    assert coming is not None
    while (now := dict(world.expose(160.0).parts).get(0, -1e9)) < 2.5 - 1e-9:
        world.step(DT_S, gate=False, run=True)
    assert now == pytest.approx(2.5)
    assert coming == world.expose(160.0)
    world.step(DT_S, gate=False, run=True)
    assert world.expect(160.0, 0, 2.5) is None  # past


def test_light_drifts_to_where_it_was_sent_and_stays():
    world = World(Belt(), Lamp(), 1, seed=0)
    world.age_light(0.5, within_s=0.1)
    for _ in range(10):
        world.step(DT_S, gate=False, run=True)
    assert world.expose(100.0).drift == pytest.approx(0.25)
    for _ in range(30):
        world.step(DT_S, gate=False, run=True)
    assert world.expose(100.0).drift == pytest.approx(0.5)
