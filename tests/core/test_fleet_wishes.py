"""What people want of agents: settings with revisions, and asks that happen at most once."""

from __future__ import annotations

import pytest

from edge.core.fleet_wishes import MAX_PENDING
from edge.events_fleet import (
    Answer,
    AskWanted,
    DesiredSaved,
    Heard,
    LinkDown,
    LinkUp,
    PublishTo,
    Say,
    SettingsWanted,
)
from edge.messages import Ask, Reply, Reported, mac_ok
from tests.core.fleet_bench import KEY, Bench, of


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    made.up()
    return made


def test_settings_are_saved_then_signed_published_and_answered(bench: Bench) -> None:
    bench.birth()
    first = bench.want({"threshold": 0.5, "recipe": "b"})
    assert [type(effect) for effect in first] == [PublishTo, Answer]
    assert mac_ok(KEY, "hall", "a1", first[0].message)
    second = bench.want({"threshold": 0.7, "recipe": None})
    assert (second[0].message.rev, second[0].message.settings) == (2, {"threshold": 0.7})
    third = bench.want({"rate": 3}, replace=True)
    assert (third[0].message.rev, third[0].message.settings) == (3, {"rate": 3})
    assert [effect.message.rev for effect in of(bench(LinkUp()), PublishTo) if effect.kind == "desired"] == [3]


def test_who_runs_something_else_is_told_again_more_and_more_rarely(bench: Bench) -> None:
    bench.birth()
    bench.want({"threshold": 0.5})
    bench(Heard("a1", "reported", Reported("somebody-else", 1, ok=True)))  # found by `sim hunt`: this never healed

    def told(seconds: float) -> int:
        return sum(effect.kind == "desired" for effect in of(bench.pass_s(seconds), PublishTo))

    assert [told(9), told(2), told(18), told(4)] == [0, 1, 0, 1]
    assert 2 <= sum(told(60) for _ in range(60)) <= 10
    bench(Heard("a1", "reported", Reported("ledger1", 1, ok=True)))
    assert told(1000) == 0


def test_two_changes_in_one_turn_get_two_revisions(bench: Bench) -> None:
    bench.birth()
    (one,) = bench(SettingsWanted(1, "a1", {"x": 1}))
    (two,) = bench(SettingsWanted(2, "a1", {"y": 2}))
    assert (one.desired.rev, two.desired.rev, two.desired.settings) == (1, 2, {"x": 1, "y": 2})


def test_settings_that_cannot_be_saved_are_not_published(bench: Bench) -> None:
    bench.birth()
    (save,) = bench(SettingsWanted(7, "a1", {"x": 1}))
    assert bench(DesiredSaved(7, "a1", save.desired, "STORE_FULL", "full")) == [Answer(7, "STORE_FULL", "full")]
    assert bench.view().desired_rev == 0
    assert bench.want({"y": 1})[0].message.settings == {"y": 1}


def test_what_differs_and_whether_it_was_applied_or_refused(bench: Bench) -> None:
    bench.birth()
    assert bench.view().settings == "none"
    bench.want({"threshold": 0.7, "rate": 2})
    assert bench.view().settings == "waiting"
    bench(Heard("a1", "reported", Reported("other", 1, True, settings={"rate": 2})))
    assert (bench.view().settings, [d.name for d in bench.view().differs]) == ("waiting", ["threshold"])
    said = bench(Heard("a1", "reported", Reported("ledger1", 1, False, "SETTING_RANGE", "too high", {"rate": 2})))
    assert of(said, Say)[0].code == "SETTING_RANGE"
    assert (bench.view().settings, bench.view().code) == ("refused", "SETTING_RANGE")
    bench(Heard("a1", "reported", Reported("ledger1", 1, True, settings={"rate": 2, "threshold": 0.7})))
    assert (bench.view().settings, bench.view().differs) == ("applied", ())


def test_too_large_or_unknown_wishes_are_answered_with_a_code(bench: Bench) -> None:
    assert bench.want({"x": 1}, agent="nobody")[0].code == "AGENT_UNKNOWN"
    bench.birth()
    assert bench.want({f"x{n}": "y" * 500 for n in range(100)})[0].code == "MESSAGE_TOO_LARGE"


def ask(n: int, ttl_s: float = 5.0, op: str = "ping", agent: str = "a1") -> AskWanted:
    return AskWanted(n, f"ask{n}", agent, op, ttl_s)


def test_an_ask_goes_out_signed_and_its_reply_finds_the_asker(bench: Bench) -> None:
    bench.birth()
    bench.birth("a2")
    (sent,) = bench(ask(11))
    assert isinstance(sent.message, Ask)
    assert (sent.expiry_s, sent.message.agent, mac_ok(KEY, "hall", "a1", sent.message)) == (5, "a1", True)
    assert bench(Heard("a2", "reply", Reply("ask11", True))) == []
    (answer,) = bench(Heard("a1", "reply", Reply("ask11", True, body={"pong": 1})))
    assert (answer.request_id, answer.body.ok, answer.body.body) == (11, True, {"pong": 1})
    assert bench(Heard("a1", "reply", Reply("ask11", True))) == []


def test_an_ask_without_a_reply_ends_with_its_ttl(bench: Bench) -> None:
    bench.birth()
    bench(ask(12, 2.0))
    assert not of(bench.pass_s(1.9), Answer)
    (late,) = of(bench.pass_s(0.2), Answer)
    assert (late.request_id, late.code) == (12, "ASK_EXPIRED")
    assert bench(Heard("a1", "reply", Reply("ask12", True))) == []


def test_asks_are_refused_at_once_where_they_cannot_work(bench: Bench) -> None:
    assert bench(ask(1))[0].code == "AGENT_UNKNOWN"
    bench.birth(status="offline")
    assert bench(ask(1))[0].code == "AGENT_OFFLINE"
    bench.birth()
    assert bench(ask(1, ttl_s=1e9))[0].code == "ASK_INVALID"
    assert bench(ask(1, op="rm -rf"))[0].code == "ASK_INVALID"
    for n in range(MAX_PENDING):
        bench(ask(100 + n))
    assert bench(ask(1))[0].code == "ASKS_FULL"
    bench(LinkDown("LINK_LOST", "x"))
    assert bench(ask(1))[0].code == "AGENT_OFFLINE"
