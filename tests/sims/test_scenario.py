"""Scenario files: what is shipped is valid, and what is wrong is refused with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import ConfigError
from sims.faults import KINDS, Fault, overlapping, timeline
from sims.parts import grade, make_parts
from sims.scenario import BUNDLES, bundle_path, goal_limits, load_scenario, scenario_of, shipped
from sims.world import Belt

HEAD = '[scenario]\nname = "x"\nparts = 5\n'
SHIPPED = [file.stem for file in shipped(fleets=False)]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_scenario_is_valid_and_bears_its_files_name(name: str):
    scenario, file = load_scenario(name)
    assert scenario.name == name == file.stem
    assert scenario.scenario.about
    assert goal_limits(scenario.goals)
    assert all(fault.at_s + fault.for_s < scenario.line_s for fault in scenario.faults)


def test_what_is_promised_is_shipped():
    assert {"demo", "faults", "cell", "coil", "gate-agent"} <= set(SHIPPED)
    kinds = {fault.kind for fault in load_scenario("faults")[0].faults}
    assert {"broker_restart", "network_cut", "agent_kill", "plc_gone", "camera_frozen"} <= kinds


def test_the_demo_has_the_parts_it_promises():
    scenario, _ = load_scenario("demo")
    head, product = scenario.scenario, scenario.product
    parts = make_parts(head.parts, head.seed, product.defect_rate, kinds=product.kinds, severity=product.severity)
    grades = [grade(part) for part in parts]
    assert len(parts) >= 200
    assert grades.count("reject") >= 80
    assert grades.count("good") >= 60
    assert 50.0 <= scenario.line_s <= 70.0


def test_a_scenario_is_found_by_path_too(tmp_path: Path):
    file = tmp_path / "mine.toml"
    file.write_text(HEAD)
    assert load_scenario(str(file))[0].scenario.parts == 5


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        (HEAD + "[belt]\nspeed_mms = 3\n", "CONFIG_UNKNOWN_KEY", "line 5.*did you mean 'speed_mm_s'"),
        (HEAD + "[belt]\nspeed_m_s = 3\n", "CONFIG_UNKNOWN_KEY", "line 5"),
        ('[scenario]\nname = "x"\n', "CONFIG_MISSING_KEY", "parts"),
        (HEAD + "[product]\ndefect_rate = 1.5\n", "CONFIG_WRONG_VALUE", "line 5"),
        (HEAD + '[[faults]]\nkind = "camera_frozn"\nat_s = 1\n', "CONFIG_WRONG_VALUE", "camera_frozn"),
        (HEAD + "[goals]\noverkil = 1\n", "CONFIG_UNKNOWN_KEY", "did you mean 'overkill'"),
        (HEAD + "[belt]\npitch_mm = 60\n", "SCENARIO_IMPOSSIBLE", "line 5.*lie on each other"),
        (HEAD + "[belt]\ngate_mm = 100\n", "SCENARIO_IMPOSSIBLE", "in this order"),
        (HEAD + "[belt]\ngate_reach_mm = 90\n", "SCENARIO_IMPOSSIBLE", "two parts at once"),
        (HEAD + "[belt\n", "CONFIG_SYNTAX", "not valid TOML"),
        (
            HEAD + '[[faults]]\nkind="camera_gone"\nat_s=1\nfor_s=3\n[[faults]]\nkind="camera_dark"\nat_s=2\n',
            "SCENARIO_IMPOSSIBLE",
            "begins before camera_gone",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(text: str, code: str, says: str):
    with pytest.raises(ConfigError, match=says) as caught:
        scenario_of(text)
    assert caught.value.code == code
    assert "\n" not in str(caught.value)


def test_an_unknown_scenario_names_the_known_ones():
    with pytest.raises(ConfigError, match=r"SCENARIO_ABSENT.*demo"):
        load_scenario("nowhere")


def test_where_the_bundle_is(tmp_path: Path):
    built_in = scenario_of(HEAD).model
    assert bundle_path(built_in, tmp_path / "a.toml") == BUNDLES / "surface"
    own = scenario_of(HEAD + '[model]\nbundle = "../m"\n').model
    assert bundle_path(own, tmp_path / "deep" / "a.toml") == tmp_path / "m"


FAULTS = st.builds(
    Fault,
    kind=st.sampled_from(KINDS),
    at_s=st.floats(0, 100),
    for_s=st.floats(0.1, 30),
)


@given(st.lists(FAULTS, max_size=8))
def test_the_timeline_is_in_order_and_every_fault_begins_and_ends(faults: list[Fault]):
    steps = timeline(faults)
    assert [step.t_s for step in steps] == sorted(step.t_s for step in steps)
    for fault in faults:
        mine = [step.begins for step in steps if step.fault == fault]
        assert mine.count(True) == mine.count(False) >= 1
    if overlapping(faults) is None:  # then each device is hit by one thing at a time
        for device in {fault.kind.split("_")[0] for fault in faults}:
            begins = [step.begins for step in steps if step.fault.kind.startswith(f"{device}_")]
            assert begins == [True, False] * (len(begins) // 2)


def test_the_default_belt_shows_one_part_at_a_time():
    belt = Belt()
    assert belt.pitch_mm - belt.pitch_jitter_mm > belt.part_length_mm + 0.5 * (160.0 - belt.part_length_mm)
