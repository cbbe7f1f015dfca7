"""What must not stand in a trace does not, and it replays exactly for all that."""

from __future__ import annotations

import io
import random

import msgspec
import pytest

from edge.core.agent import AgentCore
from edge.core.match import MatchOptions, MatchPolicy, TextRule
from edge.core.policy import ThresholdPolicy
from edge.core.settings import MS, Settings
from edge.core.wanted import Kept
from edge.events import ClockSet, DeviceChanged, Happening, Received, Started, Stored
from edge.messages import Ack, Ask, Desired, State, mac_of
from edge.trace.anonymous import Anonymous
from edge.trace.clean import Clean, without_userinfo
from edge.trace.head import head_of
from edge.trace.step import advance
from sims.replay import Replay
from sims.trace_file import TraceFile
from tests.core.bench import settings
from tests.trace.things import boot, line, policy, read, unpacked

KEY, OURS, TEMPORARY = b"the-true-command-key", b"o" * 32, b"t" * 32
NAMES = (
    "plant-nine",
    "press-four",
    "log1",
    "ledger-of-nine",
    "LOT 4711",
    "LOT4711",
    "10.1.2.3",
    "cam.plant.example",
    "kurt",
)


def told(**more) -> Settings:
    return settings(site="plant-nine", agent="press-four", command_key=KEY, policies={"default": policy()}, **more)


def signed(message):
    return msgspec.structs.replace(message, mac=mac_of(KEY, "plant-nine", "press-four", message))


def commands() -> list[tuple[int, Happening]]:
    """Genuine and forged ones, and what became durable of them."""
    desired = Desired("ledger-of-nine", 3, {"policy.labels.scratch.min_score": 0.8})
    ask = Ask("ask-of-kurt", "press-four", "ping")
    said = "rtsp://kurt:LOT4711@cam.plant.example:554/one did not answer from 10.1.2.3"
    rows: list[Happening] = [
        Received("press-four", "desired", Desired("ledger-of-nine", 2, {"stop.consecutive": 1}, mac="00" * 32), 1),
        Received("press-four", "desired", signed(desired), 2),
        Stored("desired"),
        Received("press-four", "ask", signed(ask), 1_300 * MS),
        Stored("asks"),
        Received("press-four", "ask", ask, 1_300 * MS),
        Received("press-four", "ack", Ack("ledger-of-nine", "log1", {"results": 1}), 3),
        Received("press-four", "state", State("online", "log1", 1, 1), 3),
        DeviceChanged("plc", up=False, code="DEVICE_LOST", what=said),
    ]
    return [(1_300 * MS + i, what) for i, what in enumerate(rows)]


def rows_of(text: str = "") -> list[tuple[int, Happening]]:
    begin: list[tuple[int, Happening]] = [(900 * MS, ClockSet(10**18, trusted=True)), (901 * MS, Started())]
    return [*begin, *line(0.6, 0.9, 0.3, text=text), *((t_ns + 2_000 * MS, what) for t_ns, what in commands())]


def test_signatures_hold_without_the_key_and_the_trace_replays_exactly():
    wanted, kept = told(), msgspec.json.encode(Kept(signed(Desired("ledger-of-nine", 1, {"stop.consecutive": 5}))))
    booted = boot(kept=kept)
    clean = Clean(wanted, booted, OURS)
    file = io.BytesIO()
    trace = TraceFile(file, head_of(clean.settings, {"default": "threshold"}, clean.boot, 5))
    core = AgentCore(wanted, booted, {"default": ThresholdPolicy}, random.Random(5))
    for t_ns, what in rows_of():
        made = advance(core, t_ns, what)
        trace.keep(t_ns, clean.what(what), list(map(clean.effect, made)))
    trace.finish()
    assert core.scribe.counters["cmd_forged"] == 2
    assert core.settings.stop.consecutive == 0  # the forged revision was not obeyed, and the kept one was replaced
    head, rows, _ = read(file.getvalue())
    done = Replay(head).run(rows)
    assert done.same, done.first
    everything = unpacked(file.getvalue())
    genuine = mac_of(
        KEY, "plant-nine", "press-four", Desired("ledger-of-nine", 3, {"policy.labels.scratch.min_score": 0.8})
    )
    assert KEY not in everything and genuine.encode() not in everything and b"kurt:LOT4711" not in everything


def test_an_anonymous_trace_names_nobody_and_replays_exactly():
    wanted, booted = told(), boot(asks=b'["ask-of-kurt"]', ledger=b"ledger-of-nine")
    masked = Anonymous(wanted, booted, (OURS, TEMPORARY), ["cam.plant.example", "kurt"])
    masked.begin({"default": ThresholdPolicy}, random.Random(5))
    head = head_of(masked.settings, {"default": "threshold"}, masked.boot, 5, anonymous=True)
    file = io.BytesIO()
    trace = TraceFile(file, head)
    core = AgentCore(wanted, booted, {"default": ThresholdPolicy}, random.Random(5))
    for t_ns, what in rows_of("LOT 4711"):
        trace.keep(t_ns, *masked.row(t_ns, what, advance(core, t_ns, what)))
    trace.finish()
    assert masked.changed == 0
    everything = unpacked(file.getvalue())
    for name in NAMES:
        assert name.encode() not in everything, name
    head, rows, _ = read(file.getvalue())
    done = Replay(head).run(rows)
    assert done.same, done.first
    assert done.verdicts.after == {"fail": 2, "pass": 1}


def test_verdicts_that_hang_on_a_text_are_counted_where_pseudonyms_change_them():
    options = {"default": MatchOptions(read={"lot": TextRule(pattern=r"LOT (\d+)", spaces=True)})}
    wanted = settings(policies=options, remote=())
    masked = Anonymous(wanted, boot(), (OURS, TEMPORARY))
    masked.begin({"default": MatchPolicy}, random.Random(5))
    core = AgentCore(wanted, boot(), {"default": MatchPolicy}, random.Random(5))
    for t_ns, what in rows_of("LOT 4711"):
        masked.row(t_ns, what, advance(core, t_ns, what))
    assert masked.changed == 2  # the third has a score below the rule's own


def test_equal_texts_stay_equal():
    options = {"default": MatchOptions(read={"lot": TextRule(expected="LOT4711")})}
    masked = Anonymous(settings(policies=options, remote=()), boot(), (OURS, TEMPORARY))
    masked.begin({"default": MatchPolicy}, random.Random(5))
    core = AgentCore(settings(policies=options, remote=()), boot(), {"default": MatchPolicy}, random.Random(5))
    for t_ns, what in rows_of("LOT 4711"):
        masked.row(t_ns, what, advance(core, t_ns, what))
    assert masked.changed == 0


@pytest.mark.parametrize(
    ("said", "clean"),
    [
        ("rtsp://u:p@h/x is gone", "rtsp://h/x is gone"),
        ("http://u:p/@@h:80/x", "http://h:80/x"),
        ("mail kurt@plant", "mail kurt@plant"),
    ],
)
def test_logins_are_taken_out_of_urls(said: str, clean: str):
    assert without_userinfo(said) == clean
