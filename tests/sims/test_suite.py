"""The plant's bad days: every file can be read, six are run, each can fail, and the page says it all."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from edge.errors import ConfigError
from sims.chronicle import Recorder
from sims.report_lanes import clock, lanes
from sims.scenario import goal_limits, is_fleet, load_scenario
from sims.suite.day import DAYS, Day, find_days, run_day
from sims.suite.page import as_html
from sims.suite.runner import run_days
from sims.virtual.fleet_spec import limits_of, load_fleet

FAST = [
    "duplicate-id",
    "evidence-flood",
    "dirty-lens",
    "mixed-versions",
    "power-cut",
    "unsure-parts",
]


def day_file(name: str) -> Path:
    return DAYS / f"{name}.toml"


def changed(name: str, tmp_path: Path, *swaps: tuple[str, str]) -> Day:
    """A day with something taken away from it."""
    text = day_file(name).read_text(encoding="utf-8")
    for before, after in swaps:
        assert before in text
        text = text.replace(before, after)
    file = tmp_path / f"{name}.toml"
    file.write_text(text, encoding="utf-8")
    return run_day(file)


def missed(day: Day) -> set[str]:
    return {goal.name for goal in day.goals if not goal.ok}


@pytest.mark.parametrize("file", find_days(), ids=lambda file: file.stem)
def test_every_day_says_what_happens_and_what_must_hold(file: Path) -> None:
    if is_fleet(file):
        fleet = load_fleet(file)
        head, limits = fleet.scenario, limits_of(fleet.goals)
    else:
        scenario, _ = load_scenario(str(file))
        head, limits = scenario.scenario, goal_limits(scenario.goals)
    assert head.name == file.stem
    assert len(head.title) > 8
    assert len(head.about) > 60
    assert len(head.promise) > 15
    assert {"lost", "doubled"} <= set(limits)


@pytest.mark.parametrize("name", FAST)
def test_the_promise_is_kept(name: str) -> None:
    day = run_day(day_file(name))
    assert day.ok, (day.error, missed(day))
    ET.fromstring(lanes(day.chronicle))


def test_a_pattern_chooses_and_a_wrong_one_is_said() -> None:
    assert [file.stem for file in find_days("power")] == ["power-cut"]
    with pytest.raises(ConfigError, match="SCENARIO_ABSENT"):
        find_days("no-such-day")


def test_processes_give_what_one_process_gives() -> None:
    files = [day_file("mixed-versions"), day_file("duplicate-id")]
    apart = run_days(files, jobs=2)
    assert [day.name for day in apart] == ["mixed-versions", "duplicate-id"]
    assert [day.trace_hash for day in apart] == [run_day(file).trace_hash for file in files]


def test_the_command_runs_tells_and_exits(tmp_path: Path) -> None:
    jidoka = str(Path(sys.executable).parent / "jidoka")
    command = [jidoka, "sim", "suite", "--only", "duplicate", "--json", "-o", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    document = json.loads(done.stdout)
    assert done.returncode == 0
    assert document["ok"]
    page = Path(document["report"]).read_text(encoding="utf-8")
    assert "kept" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "<script" not in page


# --- each day can fail: a protection less, and the goal says so


def test_a_small_journal_forgets_an_outage(tmp_path: Path) -> None:
    day = changed("half-the-plant-apart", tmp_path, ("[fleet]", "[fleet]\njournal_kb = 48"))
    assert missed(day) == {"gaps"}


def test_a_cell_that_does_not_know_its_settings_is_not_converged(tmp_path: Path) -> None:
    day = changed("settings-during-outage", tmp_path, ("for_s = 300", "for_s = 3000"))
    assert {"unconverged", "offline"} <= missed(day)


def test_old_versions_that_know_the_setting_do_not_refuse(tmp_path: Path) -> None:
    day = changed(
        "mixed-versions", tmp_path, ('version = "0.8.0"\nknows = ["policy.other.min_score"]', 'version = "1.2.0"')
    )
    assert missed(day) == {"refused_min", "SETTING_UNKNOWN_min"}


def test_without_people_questions_stay_open(tmp_path: Path) -> None:
    day = changed("unsure-parts", tmp_path, ("answer_s = 8", "answer_s = 600"))
    assert {"unanswered", "answer_p95_s"} <= missed(day)


def test_a_disk_that_waits_is_seen(tmp_path: Path) -> None:
    day = changed("disk-slow", tmp_path, ("value = 150", "value = 3000"))
    assert "lag_p95_ms" in missed(day)


def test_a_twin_that_is_not_there_raises_no_alarm(tmp_path: Path) -> None:
    day = changed("duplicate-id", tmp_path, ('kind = "duplicate_id"', 'kind = "agent_kill"'))
    assert missed(day) == {"AGENT_ID_TAKEN_min"}


def test_without_the_stop_rule_a_dirty_lens_fills_the_bin(tmp_path: Path) -> None:
    day = changed("dirty-lens", tmp_path, ("consecutive = 6", "consecutive = 0"))
    assert missed(day) == {"overkill"}


def test_a_plc_that_lets_pass_what_nobody_saw_breaks_the_promise(tmp_path: Path) -> None:
    day = changed("camera-frozen", tmp_path, ("[model]", '[plc]\nno_verdict = "pass"\n\n[model]'))
    assert {"uninspected_not_held", "escapes"} <= missed(day)


def test_a_camera_that_loses_the_part_is_seen(tmp_path: Path) -> None:
    day = changed("camera-bumped", tmp_path, ("value = 1.0", "value = 6.0"))
    assert missed(day)


def test_cells_that_are_off_inspect_nothing(tmp_path: Path) -> None:
    day = changed("power-cut", tmp_path, ("for_s = 5", "for_s = 500"))
    assert {"parts_min", "offline"} <= missed(day)


# --- the picture


def test_lanes_keep_what_was_seen_until_it_changes() -> None:
    recorder = Recorder()
    for t_s, state in ((0, "ok"), (1, "ok"), (2, "off"), (3, "ok")):
        recorder.see(t_s, "cell", ((state, 1.0),))  # type: ignore[arg-type]
    chronicle = recorder.done(3)
    spans = [(s.began_s, s.ended_s, s.shares[0][0]) for s in chronicle.lanes[0].spans]
    assert spans == [(0, 2, "ok"), (2, 3, "off"), (3, 3, "ok")]


def test_labels_are_not_written_over_each_other() -> None:
    recorder = Recorder()
    recorder.see(0, "cell <1>", (("ok", 1.0),))
    for number in range(6):
        recorder.mark(f"fault & {number}", number, number + 5)
    texts = [t for t in ET.fromstring(lanes(recorder.done(100))).iter("text") if t.get("class") == "mark"]
    assert len({(t.get("x"), t.get("y")) for t in texts}) == len({t.get("y") for t in texts}) == 6


def test_the_page_of_one_day_is_a_report(tmp_path: Path) -> None:
    day = changed("mixed-versions", tmp_path, ("parts_min = 5200", "parts_min = 999999"))
    page = as_html([day])
    assert "Promise broken" in page
    assert 'class="missed"' in page
    assert "<nav>" not in page


def test_times_read_as_people_say_them() -> None:
    assert [clock(t) for t in (0, 59, 60, 170, 600, 9000)] == ["0 s", "59 s", "1 min", "170 s", "10 min", "2.5 h"]


def test_another_model_is_tried_and_its_absence_is_told(tmp_path: Path) -> None:
    day = run_day(day_file("camera-bumped"), model=str(tmp_path / "nothing"))
    assert "MODEL_ABSENT" in day.error
    assert not day.ok
    assert "MODEL_ABSENT" in as_html([day])
