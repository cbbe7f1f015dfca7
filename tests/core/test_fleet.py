"""The coordinator core as it is: events in, effects out, time as a number."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from edge.core.backoff import Backoff
from edge.core.fleet import MAX_AGENTS, SECOND_NS, FleetCore
from edge.core.fleet_agent import supersedes
from edge.core.fleet_wishes import MAX_PENDING
from edge.events_fleet import (
    Answer,
    AskWanted,
    Connect,
    DesiredSaved,
    Disconnect,
    FleetWanted,
    Heard,
    HoldLease,
    Keep,
    KeepResult,
    Kept,
    LeaseRead,
    Leave,
    LinkDown,
    LinkUp,
    PublishTo,
    ReadUpto,
    SaveDesired,
    Say,
    SettingsWanted,
    StopWanted,
    Tick,
    Trim,
    Trimmed,
    Unheard,
)
from edge.messages import Ack, Ask, Desired, Envelope, Metrics, Reply, Reported, State, mac_ok

KEY = b"secret"


class Bench:
    """A core with a clock that tests move."""

    def __init__(self, **more: Any) -> None:
        self.core = FleetCore("hall", "ledger1", 4, Backoff(0.5, 60.0, random.Random(1)), keys={"a1": KEY}, **more)
        self.now_ns = 0

    def __call__(self, event: Any) -> list[Any]:
        return self.core.handle(event, self.now_ns)

    def pass_s(self, seconds: float) -> list[Any]:
        """Let time pass, with a Tick at every deadline on the way."""
        end_ns, effects = self.now_ns + int(seconds * SECOND_NS), []
        while (deadline_ns := self.core.deadline_ns()) is not None and deadline_ns <= end_ns:
            self.now_ns = max(self.now_ns, deadline_ns)
            effects += self(Tick())
        self.now_ns = end_ns
        return effects

    def up(self) -> None:
        self(Tick())
        self(LinkUp())

    def birth(self, agent: str = "a1", **more: Any) -> list[Any]:
        state = State(**({"status": "online", "log": "log1", "boot_no": 1, "conn_no": 1, "ready": True} | more))
        return self(Heard(agent, "state", state))

    def view(self, agent: str = "a1") -> Any:
        (answer,) = self(FleetWanted(1, agent))
        return answer.body

    def want(self, settings: dict[str, Any], agent: str = "a1", **more: Any) -> list[Any]:
        effects = self(SettingsWanted(7, agent, settings, **more))
        if effects and isinstance(effects[0], SaveDesired):
            effects = self(DesiredSaved(7, agent, effects[0].desired))
        return effects


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    made.up()
    return made


def of(effects: list[Any], kind: type) -> list[Any]:
    return [effect for effect in effects if isinstance(effect, kind)]


def test_the_first_tick_connects_with_a_will_that_is_older_than_nothing() -> None:
    bench = Bench()
    effects = bench(Tick())
    (connect,) = of(effects, Connect)
    assert (connect.will.status, connect.will.log, connect.will.boot_no, connect.will.conn_no) == (
        "offline",
        "ledger1",
        4,
        1,
    )
    assert of(effects, HoldLease)
    assert of(effects, Trim)
    (own,) = of(bench(LinkUp()), PublishTo)
    assert (own.agent, own.kind, own.message.status, own.message.conn_no) == ("coordinator", "state", "online", 1)


def test_a_lost_link_is_tried_again_ever_later_and_said_once() -> None:
    bench = Bench()
    bench(Tick())
    said, waits = [], []
    for _ in range(8):
        said += of(bench(LinkDown("LINK_REFUSED", "nobody")), Say)
        before = bench.now_ns
        while not of(bench.pass_s(0.1), Connect):
            assert bench.now_ns - before < 70 * SECOND_NS
        waits.append((bench.now_ns - before) / SECOND_NS)
    assert len(said) == 1
    assert waits[0] < 1
    assert 29 < max(waits) <= 60.2
    assert of(bench(LinkUp()), Say)[0].code == "LINK_BACK"


def test_a_birth_asks_the_ledger_and_its_word_becomes_an_ack(bench: Bench) -> None:
    assert of(bench.birth(), ReadUpto) == [ReadUpto("a1", "log1")]
    (ack,) = bench(Kept("a1", "log1", {"results": 4, "events": 0, "evidence": 0}))
    assert ack.message == Ack("ledger1", "log1", {"results": 4, "events": 0, "evidence": 0}, ack.message.utc_ms)
    bench(LinkDown("LINK_LOST", "x"))
    assert bench(Kept("a1", "log1", {"results": 4})) == []


def test_an_envelope_is_kept_byte_by_byte(bench: Bench) -> None:
    envelope = Envelope(1, "log1", "results", 5, 2, 0, (Raw(b'{"t":"result"}'), Raw(b"[]")))
    assert bench(Heard("a1", "results", envelope)) == [Keep("a1", "log1", "results", 5, (b'{"t":"result"}', b"[]"))]


orders = st.tuples(st.integers(1, 4), st.integers(1, 4), st.sampled_from(["online", "offline", "stopped"]))


@given(st.lists(orders, min_size=1, max_size=12))
def test_presence_never_goes_back_in_order(steps: list[tuple[int, int, str]]) -> None:
    bench = Bench()
    bench.up()
    most = (0, 0)
    for boot_no, conn_no, status in steps:
        bench.birth(boot_no=boot_no, conn_no=conn_no, status=status)
        taken = (boot_no, conn_no) >= most
        most = max(most, (boot_no, conn_no))
        seen = bench.view()
        assert (seen.boot_no, seen.conn_no) == most
        assert not taken or seen.status == status


def test_another_log_replaces_only_when_it_lives() -> None:
    old = State("online", "log1", 9, 9)
    assert supersedes(State("online", "log2", 1, 1), old)
    assert not supersedes(State("offline", "log2", 99, 1), old)
    assert supersedes(State("offline", "log2", 1, 1), None)


def test_who_was_not_heard_since_our_own_break_is_unknown(bench: Bench) -> None:
    bench.birth()
    assert bench.view().status == "online"
    bench(LinkDown("LINK_LOST", "x"))
    assert (bench.view().status, bench.view().ready) == ("unknown", False)
    bench(LinkUp())
    bench(Heard("a1", "reported", Reported("ledger1", 0, True), retained=True))
    assert bench.view().status == "unknown"
    bench(Heard("a1", "metrics", Metrics(5, 1, {"parts": 3})))
    assert (bench.view().status, bench.view().counters) == ("online", {"parts": 3})


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


def test_a_store_that_fails_is_said_once_shown_and_said_again_when_back(bench: Bench) -> None:
    for _ in range(3):
        bench(KeepResult(0, 0, "STORE_FULL", "full"))
    (answer,) = bench(FleetWanted(1))
    assert "STORE_FULL" in answer.body.why_not[0]
    assert answer.body.counters["keep_failed"] == 3
    back = bench(KeepResult(5))
    assert of(back, Say)[0].code == "STORE_BACK"
    assert of(back, PublishTo)[0].message.ready
    assert bench(KeepResult(5)) == []


def test_a_lost_lease_ends_it(bench: Bench) -> None:
    bench.birth()
    bench(ask(5))
    effects = bench(LeaseRead(held=False))
    assert [type(effect) for effect in effects] == [Answer, Disconnect, Leave]
    assert effects[-1].code == "LEASE_LOST"
    assert bench.core.deadline_ns() is None
    assert bench(Tick()) == []


def test_an_orderly_stop_says_so(bench: Bench) -> None:
    effects = bench(StopWanted("SIGTERM"))
    assert [type(effect) for effect in effects] == [PublishTo, Disconnect, Leave]
    assert (effects[0].message.status, effects[-1].code) == ("stopped", "")


def test_hearing_ourselves(bench: Bench) -> None:
    ours = State("online", "ledger1", 4, 1)
    assert bench(Heard("coordinator", "state", ours)) == []
    for stale in (State("offline", "ledger1", 4, 0), State("stopped", "ledger1", 3, 9), State("offline", "x", 9, 9)):
        (again,) = bench(Heard("coordinator", "state", stale))
        assert again.message.status == "online"
    other = bench(Heard("coordinator", "state", State("online", "ledger1", 5, 1)))
    assert [type(effect) for effect in other] == [Say, HoldLease]


def test_foreign_things_are_counted(bench: Bench) -> None:
    bench(Unheard("MESSAGE_MALFORMED"))
    bench(Heard("a1", "desired", Desired("x", 1)))
    (answer,) = bench(FleetWanted(1))
    assert answer.body.counters["refused_message_malformed"] == 1
    assert answer.body.counters["refused_not_an_agents"] == 1


def test_invented_agents_have_an_end() -> None:
    bench = Bench()
    bench.up()
    for n in range(MAX_AGENTS + 3):
        bench(Heard(f"x{n}", "metrics", Metrics(1, 1)))
    (answer,) = bench(FleetWanted(1))
    assert (len(answer.body.agents), answer.body.counters["refused_fleet_full"]) == (MAX_AGENTS, 3)


def test_trimming_goes_on_soon_while_there_is_more(bench: Bench) -> None:
    bench.pass_s(60)
    bench(Trimmed(500, more=True))
    assert of(bench.pass_s(0.2), Trim)
    bench(Trimmed(3, more=False))
    assert not of(bench.pass_s(50), Trim)
