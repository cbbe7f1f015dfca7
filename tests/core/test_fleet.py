"""The coordinator core as it is: events in, effects out, time as a number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from edge.core.fleet import MAX_AGENTS, SECOND_NS
from edge.core.fleet_agent import supersedes
from edge.events_fleet import (
    Answer,
    AskWanted,
    Connect,
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
    Say,
    StopWanted,
    Tick,
    Trim,
    Trimmed,
    Unheard,
)
from edge.messages import Ack, Desired, Envelope, Metrics, Reported, State
from tests.core.fleet_bench import Bench, of


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    made.up()
    return made


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
    bench(AskWanted(5, "ask5", "a1", "ping", 5.0))
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
