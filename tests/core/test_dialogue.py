"""Outbox, presence, desired and asks: the coordinator's side is played by hand."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from edge.domain import KINDS
from edge.events import (
    Append,
    Committed,
    Connect,
    Connected,
    Disconnect,
    Disconnected,
    Free,
    KeepEvidence,
    Leave,
    Publish,
    Received,
    Send,
    Sent,
    Store,
    Stored,
    Tick,
)
from edge.messages import Ack, Ask, Desired, Event, Gap, State, mac_of
from tests.core.bench import Bench, heads, of, settings


def online(**more) -> Bench:
    bench = Bench(**more)
    bench.feed(Connected(1))
    return bench


def receive(bench, kind, message, *, agent="a", retained=False, expiry_ns=None):
    return bench.feed(Received(agent, kind, message, bench.now_ns, expiry_ns, retained))


def published(effects, kind):
    return [p.message for p in of(Publish, effects) if p.kind == kind]


def test_birth_follows_the_connection_and_the_will_fits_it():
    bench = Bench()
    (connect,) = of(Connect, bench.effects)
    assert (connect.will.status, connect.will.conn_no) == ("offline", 1)
    birth = published(bench.feed(Connected(1)), "state")[0]
    assert (birth.status, birth.conn_no, birth.log) == ("online", 1, "log1")


def test_reconnects_with_growing_waits():
    bench = Bench()
    waits = []
    for _ in range(8):
        bench.feed(Disconnected("LINK_REFUSED", "nobody"))
        failed_ns, tried = bench.now_ns, []
        while not tried:
            bench.now_ns = bench.core.deadline_ns()
            tried = of(Connect, bench.feed(Tick(), after_ms=0))
        waits.append((bench.now_ns - failed_ns) / 1e9)
    assert waits[0] < 0.51 and 20 < max(waits) <= 60 and waits == sorted(waits)
    said = [a for a in of(Append, bench.effects) if isinstance(a.record, Event) and a.record.code == "LINK_REFUSED"]
    assert len(said) == 1, "changes are told, not states"


def test_records_are_sent_once_committed_and_freed_once_acknowledged():
    bench = online()
    (send,) = of(Send, bench.feed(Committed("results", 3)))
    assert (send.first_seq, send.max_n) == (1, 64)
    assert not of(Send, bench.feed(Committed("results", 4))), "one at a time"
    (send,) = of(Send, bench.feed(Sent("results", 1, 3, 300)))
    assert send.first_seq == 4
    effects = receive(bench, "ack", Ack("ledger", "log1", {"results": 3}))
    assert [(f.kind, f.upto) for f in of(Free, effects)] == [("results", 3)]
    assert of(Store, effects)[0].value == b"ledger"
    assert not of(Free, receive(bench, "ack", Ack("ledger", "other", {"results": 4})))


def test_without_an_ack_it_goes_back():
    bench = online()
    bench.feed(Committed("results", 2))
    bench.feed(Sent("results", 1, 2, 200))
    assert not of(Send, bench.feed(Tick(), after_ms=4000))
    (send,) = of(Send, bench.feed(Tick(), after_ms=2000))
    assert send.first_seq == 1


def test_evidence_waits_for_results():
    bench = online(heads={**dict.fromkeys(KINDS, heads()), "results": heads(600), "evidence": heads(2)})
    kinds = [s.kind for s in of(Send, bench.effects)]
    assert kinds == ["results"]


def test_a_new_ledger_gets_all_that_is_held_and_a_gap_for_the_rest():
    bench = online(heads={**dict.fromkeys(KINDS, heads()), "results": heads(9, 5, 4)}, ledger=b"old")
    bench.feed(Sent("results", 6, 9, 10))
    effects = receive(bench, "ack", Ack("new", "log1", {"results": 0}))
    gaps = [a.record for a in of(Append, effects) if isinstance(a.record, Gap)]
    assert [(g.kind, g.first, g.last) for g in gaps] == [("results", 1, 3)]
    assert of(Send, effects)[0].first_seq == 4


def test_a_new_ledger_is_told_of_what_was_freed_in_this_life():
    """It was acknowledged to the old one and let go; without a gap the new one would wait for it for ever."""
    bench = online(ledger=b"old")
    bench.feed(Committed("results", 9))
    bench.feed(Sent("results", 1, 9, 10))
    receive(bench, "ack", Ack("old", "log1", {"results": 7}))
    (send,) = of(Send, receive(bench, "ack", Ack("new", "log1", {"results": 0})))
    assert send.first_seq == 1, "whatever the journal still has"
    effects = bench.feed(Sent("results", 6, 9, 10))
    gaps = [a.record for a in of(Append, effects) if isinstance(a.record, Gap)]
    assert [(g.kind, g.first, g.last) for g in gaps] == [("results", 1, 5)]
    receive(bench, "ack", Ack("new", "log1", {"results": 9}))
    assert not bench.core.talk.waiting()


def test_pictures_under_way_shrink_on_a_slow_link_and_grow_on_a_fast_one():
    def under_way(took_ms: int, rounds: int) -> int:
        """So many pictures of 10 kB are handed over at once, in the end."""
        bench = online()
        asked = of(Send, bench.feed(Committed("evidence", 2000)))
        first = last = 1
        for _ in range(rounds):
            first = last
            while asked:
                asked = of(Send, bench.feed(Sent("evidence", last, last, 10_000), after_ms=0))
                last += 1
            bench.now_ns += took_ms * 1_000_000
            asked = of(Send, receive(bench, "ack", Ack("ledger", "log1", {"evidence": last - 1})))
        return last - first

    assert under_way(50, 1) == 14
    assert under_way(50, 12) > 100
    assert under_way(3000, 12) <= 2


def test_a_coordinator_that_waits_for_what_is_gone_is_told_once():
    bench = online(heads={**dict.fromkeys(KINDS, heads()), "results": heads(9, 6, 7)}, ledger=b"led")
    told = [receive(bench, "ack", Ack("led", "log1", {"results": 2})) for _ in range(2)]
    gaps = [[a.record for a in of(Append, effects) if isinstance(a.record, Gap)] for effects in told]
    assert [(g.first, g.last) for g in gaps[0]] == [(3, 6)] and not gaps[1]


def test_a_record_that_breaks_the_connection_three_times_is_set_aside():
    bench = online()
    bench.feed(Committed("results", 5))
    for n in range(3):
        bench.feed(Sent("results", 1, 5 if n < 2 else 1, 10))
        bench.feed(Disconnected("LINK_LOST", "closed"))
        bench.feed(Connected(2 + n))
    gaps = [a.record for a in of(Append, bench.effects) if isinstance(a.record, Gap)]
    assert [(g.first, g.last) for g in gaps] == [(1, 1)]
    assert of(Send, bench.effects)[-1].first_seq == 2


@given(st.lists(st.tuples(st.sampled_from(["commit", "sent", "ack", "cut", "tick"]), st.integers(1, 40)), max_size=60))
def test_nothing_is_freed_that_was_not_acknowledged(steps):
    bench = online()
    committed = acked = 0
    asked: Send | None = None
    for what, n in steps:
        if what == "commit":
            committed += n
            effects = bench.feed(Committed("results", committed))
        elif what == "sent" and asked:
            last = min(committed, asked.first_seq + asked.max_n - 1)
            effects, asked = bench.feed(Sent("results", asked.first_seq, last, 10)), None
        elif what == "ack":
            acked = min(committed, acked + n)
            effects = receive(bench, "ack", Ack("l", "log1", {"results": acked}))
        elif what == "cut":
            effects = bench.feed(Disconnected("LINK_LOST", "x"), Connected(5), after_ms=3000)
        else:
            effects = bench.feed(Tick(), after_ms=5000)
        sends = of(Send, effects)
        assert all(f.upto <= acked for f in of(Free, effects))
        assert all(acked < s.first_seq <= committed for s in sends if s.kind == "results")
        asked = sends[-1] if sends else asked
    gaps = [a for a in of(Append, bench.effects) if isinstance(a.record, Gap)]
    assert not gaps


def test_desired_is_stored_then_applied_then_reported():
    bench = online()
    wanted = Desired("led", 1, {"policy.labels.scratch.min_score": 0.95})
    effects = receive(bench, "desired", wanted)
    (store,) = of(Store, effects)
    assert store.name == "desired" and not published(effects, "reported")
    reported = published(bench.feed(Stored("desired")), "reported")[0]
    assert reported.ok and reported.rev == 1 and reported.settings["policy.labels.scratch.min_score"] == 0.95
    bench.poll(1)
    result = next(a.record for a in of(Append, bench.infer(1, 1, 0.9)) if a.kind == "results")
    assert result.decision == "unsure" and result.settings_rev == 1


def test_desired_that_does_not_fit_is_refused_with_the_reason_and_changes_nothing():
    bench = online()
    cases = {
        "SETTING_UNKNOWN": {"agent.id": "x"},
        "SETTING_TYPE": {"stop.consecutive": "many"},
        "SETTING_RANGE": {"policy.labels.scratch.min_score": 1.5},
    }
    for rev, (code, wanted) in enumerate(cases.items(), start=1):
        effects = receive(bench, "desired", Desired("led", rev, wanted))
        (reported,) = published(effects, "reported")
        assert (reported.ok, reported.code, reported.rev) == (False, code, rev)
        assert not of(Store, effects)
    (dropped,) = receive(bench, "desired", Desired("x" * 20_000, 1))
    assert dropped.code == "LEDGER_INVALID"
    nan = receive(bench, "desired", Desired("led", 9, {"policy.labels.scratch.min_score": float("nan")}))
    assert published(nan, "reported")[0].code == "SETTING_RANGE"


def test_a_revision_that_crashed_twice_is_left_out():
    bench = online()
    receive(bench, "desired", Desired("led", 4, {"stop.consecutive": 2}))
    kept = of(Store, bench.effects)[-1].value
    for _ in range(2):  # two boots without surviving the trial
        bench = Bench(kept=kept)
        kept = ([s.value for s in of(Store, bench.effects) if s.name == "desired"] or [kept])[-1]
    codes = [a.record.code for a in of(Append, bench.effects) if isinstance(a.record, Event)]
    assert "SETTINGS_QUARANTINED" in codes
    assert bench.core.settings.stop.consecutive == 0


def test_asks_are_durable_before_they_are_done_and_done_once():
    bench = online()
    ask = Ask("id1", "a", "ping")
    effects = receive(bench, "ask", ask)
    assert not published(effects, "reply") and msgspec.json.decode(of(Store, effects)[0].value) == ["id1"]
    assert published(bench.feed(Stored("asks")), "reply")[0].ok
    assert published(receive(bench, "ask", ask), "reply")[0].code == "CMD_REPEATED"
    again = online(asks=b'["id1"]')
    assert published(receive(again, "ask", ask), "reply")[0].code == "CMD_REPEATED"


def test_asks_that_are_late_foreign_or_unknown_are_refused():
    bench = online()
    assert published(receive(bench, "ask", Ask("x", "b", "ping")), "reply")[0].code == "CMD_NOT_FOR_US"
    assert published(receive(bench, "ask", Ask("y", "a", "ping"), retained=True), "reply")[0].code == "CMD_EXPIRED"
    receive(bench, "ask", Ask("z", "a", "ping", ttl_s=0.5))
    assert published(bench.feed(Stored("asks"), after_ms=600), "reply")[0].code == "CMD_EXPIRED"
    receive(bench, "ask", Ask("w", "a", "explode"))
    assert published(bench.feed(Stored("asks")), "reply")[0].code == "CMD_UNKNOWN"


def test_signed_commands_only_where_a_key_is_set():
    bench = online(wanted=settings(command_key=b"secret"))
    assert not published(receive(bench, "ask", Ask("x", "a", "ping")), "reply")
    ask = Ask("x", "a", "ping")
    ask = msgspec.structs.replace(ask, mac=mac_of(b"secret", "s", "a", ask))
    receive(bench, "ask", ask)
    assert published(bench.feed(Stored("asks")), "reply")[0].ok


def test_pause_snapshot_and_restart():
    bench = online()
    receive(bench, "ask", Ask("p", "a", "pause"))
    bench.feed(Stored("asks"))
    assert bench.core.health().why_not[0] == "paused"
    receive(bench, "ask", Ask("s", "a", "snapshot"))
    (keep,) = of(KeepEvidence, bench.feed(Stored("asks")))
    assert keep.ask_id == "s"
    receive(bench, "ask", Ask("r", "a", "restart"))
    assert of(Leave, bench.feed(Stored("asks")))[0].status == 75


def test_another_agent_with_our_id_makes_us_yield_and_leave_the_third_time():
    bench = online()
    other = State("online", "log2", 1, 1)
    for times in range(3):
        effects = receive(bench, "state", other)
        codes = [a.record.code for a in of(Append, effects) if isinstance(a.record, Event)]
        assert codes == ["AGENT_ID_TAKEN"]
        if times < 2:
            assert of(Disconnect, effects)
            assert bench.core.deadline_ns() - bench.now_ns <= 60e9
            bench.feed(Connected(2 + times), after_ms=61_000)
    assert of(Leave, effects)[0].status == 5


def test_a_strange_will_is_a_rival_only_where_our_own_birth_stood():
    bench = online()
    will = State("offline", "log2", 1, 1)
    assert published(receive(bench, "state", will, retained=True), "state"), "a predecessor: we say that we are here"
    bench.feed(Disconnected("LINK_LOST", "displaced"), Connected(2))
    assert of(Disconnect, receive(bench, "state", will, retained=True))


def test_seeing_ourselves_offline_we_say_that_we_are_here():
    bench = online()
    effects = receive(bench, "state", State("offline", "log1", 1, 1))
    assert published(effects, "state")[0].status == "online"
    assert not published(receive(bench, "state", State("online", "log1", 1, 1)), "state")
