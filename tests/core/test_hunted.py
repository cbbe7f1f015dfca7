"""What `jidoka sim hunt` found in the agent's core, one test each, so that it stays away."""

from __future__ import annotations

from edge.core.hearing import refused
from edge.domain import KINDS
from edge.events import Append, Committed, Connected, Disconnected, Send, Sent, Tick
from edge.messages import Ack, Gap
from tests.core.bench import heads, of
from tests.core.test_dialogue import online, published, receive


def test_a_new_ledger_is_told_of_what_is_let_go_while_it_is_sent_again():
    """Found by `sim hunt`: the journal let go only after the first batch, the link broke, and the rest waited for ever."""
    bench = online(ledger=b"old")
    bench.feed(Committed("results", 9))
    bench.feed(Sent("results", 1, 9, 10))
    receive(bench, "ack", Ack("old", "log1", {"results": 7}))
    receive(bench, "ack", Ack("new", "log1", {"results": 0}))
    whole = bench.feed(Sent("results", 1, 9, 10))
    bench.feed(Disconnected("LINK_DOWN", "gone"), Connected(2))
    effects = bench.feed(Sent("results", 6, 9, 10))
    gaps = [[a.record for a in of(Append, some) if isinstance(a.record, Gap)] for some in (whole, effects)]
    assert [[(g.first, g.last) for g in some] for some in gaps] == [[], [(1, 5)]]


def test_whoever_leaves_nonsense_on_our_state_topic_is_overwritten():
    bench = online()  # found by `sim hunt`: a coordinator that came later never heard of this agent
    assert not published(bench.feed(refused("jidoka/v1/s/a/desired", "MESSAGE_MALFORMED")), "state")
    assert not published(bench.feed(refused("elsewhere", "TOPIC_FOREIGN")), "state")
    (state,) = published(bench.feed(refused("jidoka/v1/s/a/state", "MESSAGE_MALFORMED")), "state")
    assert state.status == "online"
    assert not published(bench.feed(Tick()), "state"), "said once"


def test_the_gap_a_new_ledger_waits_for_is_sent_however_far_back_it_is():
    """The window was one record, as the link had broken twice at it, and the gap came ten records later: nothing moved."""
    bench = online(heads={**dict.fromkeys(KINDS, heads()), "events": heads(3, 2, 3)}, ledger=b"old")
    for conn_no in (2, 3):
        bench.feed(Sent("events", 3, 3, 10))
        bench.feed(Disconnected("LINK_LOST", "gone"), Connected(conn_no))
    receive(bench, "ack", Ack("new", "log1", {"events": 0}))
    bench.feed(Committed("events", 12), Sent("events", 3, 3, 10))
    asked = []
    for _ in range(12):
        asked += [send.first_seq for send in of(Send, bench.feed(Tick(), after_ms=6000)) if send.kind == "events"]
        bench.feed(*[Sent("events", seq, seq, 10) for seq in asked[-1:]])
    assert set(range(4, 13)) <= set(asked)
    receive(bench, "ack", Ack("new", "log1", {"events": 12}))
    assert not bench.core.talk.waiting()


def test_the_gap_of_an_event_that_was_set_aside_is_sent_although_the_window_is_one_record():
    bench = online()
    bench.feed(Committed("events", 12))
    for conn_no in range(
        2, 7
    ):  # three times at the first, then twice at the second: it is set aside, and suspicion remains
        bench.feed(Sent("events", conn_no // 5 + 1, conn_no // 5 + 1, 10))
        bench.feed(Disconnected("LINK_LOST", "gone"), Connected(conn_no))
    receive(bench, "ack", Ack("ledger", "log1", {"events": 0}))
    asked = [2]
    for _ in range(24):
        bench.feed(*[Sent("events", seq, seq, 10) for seq in asked[-1:]])
        asked += [send.first_seq for send in of(Send, bench.feed(Tick(), after_ms=6000)) if send.kind == "events"]
    assert set(range(2, 13)) <= set(asked)
