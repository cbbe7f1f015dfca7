"""What `jidoka sim hunt` found in the agent's core, one test each, so that it stays away."""

from __future__ import annotations

from edge.core.hearing import refused
from edge.events import Append, Committed, Connected, Disconnected, Sent, Tick
from edge.messages import Ack, Gap
from tests.core.bench import of
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
