"""Recorded runs of a core in memory, replayed: unchanged exactly, changed with the verdicts that the change must change."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as checked
from hypothesis import strategies as st

from edge.core.settings import MS, PlcSettings
from edge.domain import Finding, FrameRef, Inference, Reading
from edge.errors import ConfigError
from edge.events import Happening, Inferred, Polled, Received, Stored, Tick
from edge.messages import Desired
from sims.changed import unsure_of, with_settings, with_values, without_remote
from sims.compare import compare
from sims.replay import Replay, Replayed
from sims.trace_file import TraceFile, reading, writing
from tests.core.bench import settings
from tests.trace.things import any_of, boot, line, policy, read, recorded

SCORES = (0.2, 0.55, 0.7, 0.95)
NAME = "policy.labels.scratch.min_score"


def replayed(data: bytes, **values: str) -> tuple[Replayed, bytes]:
    """A replay with other values, and its own trace."""
    head, rows, _ = read(data)
    new = without_remote(with_values(head, {NAME: values["score"]})) if values else head
    file = io.BytesIO()
    sink = TraceFile(file, new)
    done = Replay(new, exact=not values, remote=not values, sink=sink).run(rows)
    sink.finish()
    return done, file.getvalue()


def sides(a: bytes, b: bytes):
    left, right = read(a), read(b)
    return compare((left[0], right[0]), (left[1], right[1]))


def test_unchanged_it_does_exactly_what_it_did():
    trace = recorded(line(*SCORES))
    done, again = replayed(trace)
    assert done.same and done.first is None and not done.added
    assert done.verdicts.before == done.verdicts.after == {"fail": 3, "pass": 1}
    both = sides(trace, again)
    assert both.same and not both.differing and both.rows == (done.rows, done.rows)


@checked(max_examples=60, deadline=None)
@given(st.lists(any_of(Happening), max_size=12), st.lists(st.floats(0, 1), max_size=4))
def test_whatever_came_in_comes_out_again(strange, scores):
    rows = line(*scores)
    known = [one for one in strange if not isinstance(one, Polled | Inferred)]
    last = rows[-1][0]
    mixed = rows + [(last + (i + 1) * MS, what) for i, what in enumerate(known)]
    done, _ = replayed(recorded(mixed))
    assert done.same, done.first


def test_another_threshold_changes_the_verdicts_it_must():
    trace = recorded(line(*SCORES))
    done, again = replayed(trace, score="0.6")
    tally = done.verdicts
    assert (tally.parts, tally.changed, tally.ways) == (4, 1, {"fail->pass": 1})
    assert tally.reasons == 2  # the limit stands in the reasons of those that still fail
    (change,) = tally.changes
    assert (change.part_id, change.part_no, change.before, change.after) == (2, 9, "fail", "pass")
    assert change.reasons_before == ("found scratch 0.55 (limit 0.5)",) and change.reasons_after == ()
    lower = replayed(trace, score="0.1")[0].verdicts
    assert lower.ways == {"pass->fail": 1}
    both = sides(trace, again)
    assert not both.same and both.verdicts == tally
    assert [(one.path, one.before, one.after) for one in both.settings] == [
        ("policies.default.options.labels.scratch.min_score", 0.5, 0.6)
    ]


def test_the_first_difference_is_told_field_by_field():
    trace = recorded(line(*SCORES))
    _, rows, _ = read(trace)
    _, again = replayed(trace, score="0.6")
    both = sides(trace, again)
    assert both.first is not None and rows[both.first.row_before - 1].name == both.first.event == "Connected"
    assert both.first.fields[0].path.endswith(f"message.settings.{NAME}")
    assert (both.first.fields[0].before, both.first.fields[0].after) == (0.5, 0.6)


def test_a_deadline_of_its_own_passes_between_rows():
    late = [(t_ns, what) for t_ns, what in line(0.9) if not isinstance(what, Inferred | Tick)]
    trace = recorded([*late, (3_000 * MS, Tick())])
    head, rows, _ = read(trace)
    told = settings(policies={"default": policy()}, plc=PlcSettings("plc", "cam", deadline_ns=100 * MS))
    new = with_settings(head, told, {"default": "threshold"})
    file = io.BytesIO()
    sink = TraceFile(file, new)
    done = Replay(new, exact=False, remote=False, sink=sink).run(rows)
    sink.finish()
    assert done.added > 0
    verdicts = {row.t_ns // MS for row in read(file.getvalue())[1] for name, _ in row.effects if name == "Append"}
    assert 1_600 in verdicts  # triggered at 1500 ms
    assert done.verdicts.before == done.verdicts.after == {"none": 1}


def test_what_the_coordinator_changed_does_not_go_over_what_is_asked_for():
    desired = Received("a", "desired", Desired("ledger", 1, {NAME: 0.5}), 2)
    rows = [*line()[:4], (1_100 * MS, desired), (1_101 * MS, Stored("desired")), *line(*SCORES)[4:]]
    trace = recorded(rows, booted=boot())
    done, again = replayed(trace, score="0.99")
    assert done.revisions == 1
    assert done.verdicts.after == {"pass": 4}
    both = sides(trace, again)
    assert both.alone == 1 + done.added and both.verdicts.ways == {"fail->pass": 3}


def test_what_a_replay_cannot_tell_is_said():
    head, _, _ = read(recorded(line(0.9)))
    from msgspec.structs import replace

    head = replace(head, floors={"default": 0.3})
    low = with_values(head, {NAME: "0.2"})
    assert any("below 0.3 the model reported nothing" in one for one in unsure_of(head, low))
    more = with_settings(head, settings(policies={"default": policy(vote_n=3)}), {"default": "threshold"})
    assert any("3 pictures a part are wanted, and 1 were taken" in one for one in unsure_of(head, more))
    assert unsure_of(head, with_values(head, {NAME: "0.6"})) == []


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("policy.labels.scratch.min_scor", "0.5", f"SETTING_UNKNOWN.*did you mean '{NAME}'"),
        (NAME, "5", "SETTING_RANGE"),
        (NAME, "high", "SETTING_TYPE"),
    ],
)
def test_a_wrong_setting_is_one_line(name: str, value: str, said: str):
    head, _, _ = read(recorded([]))
    with pytest.raises(ConfigError, match=said):
        with_values(head, {name: value})


def test_what_the_core_died_of_it_dies_of_again():
    ref = FrameRef("cam", 1, 1)
    broken = Inferred(ref, None, Inference((Finding("scratch", None, (0, 0, 0, 0)),)), "surface", 1)  # type: ignore[arg-type]
    head, rows, _ = read(recorded(line(0.9)))
    from edge.trace.codec import Row

    done = Replay(head).run([*rows, Row(rows[-1].t_ns + 1, broken, ()), *rows])
    assert "TypeError" in done.crash and done.rows == len(rows) + 1 and not done.same


def test_traces_as_files(tmp_path: Path):
    head, rows, _ = read(recorded(line(*SCORES)))
    with writing(tmp_path / "b.trace", head) as sink:
        assert sink is not None
        Replay(head, sink=sink).run(rows)
    with reading(tmp_path / "b.trace") as (reader, _, size):
        assert reader.head == head and size > 100
        assert list(reader.rows()) == rows and not reader.cut
    with writing(None, head) as sink:
        assert sink is None


def test_a_part_that_only_one_side_has_is_told():
    a, b = recorded(line(0.9, 0.9)), recorded(line(0.9))
    assert sides(a, b).verdicts.ways == {"fail->absent": 1}
    assert sides(b, a).verdicts.ways == {"absent->fail": 1}


def test_readings_of_another_kind_differ_in_their_own_field():
    rows = line(0.9)
    other = [(t, Polled(Reading("plc", t, {"part_no": 9}))) if i == 4 else (t, w) for i, (t, w) in enumerate(rows)]
    first = sides(recorded(rows), recorded(other)).first
    assert first is not None and first.event == "Polled"
    assert first.fields[0].path == "Polled.reading.values.part_no" and first.fields[0].after == 9
