"""More rows of the broker matrix: what is retained, shared subscriptions, sizes and windows."""

from __future__ import annotations

from sims.virtual.packets import Connect, Filter
from tests.contract.broker_rows import pair, row, say
from tests.contract.broker_worlds import Told, messages, payloads

# --- retained


@row("3.3.1.3")
def retained_messages_follow_the_suback(world):
    world.connect("a")
    for number in (1, 2):
        world.publish("a", say("hall/cell/state", b"%d" % number, retain=True))
    world.publish("a", say("hall/other/state", b"zero", 0, retain=True))
    world.connect("b")
    world.subscribe("b", "hall/+/state")
    told, *rest = world.log("b")
    assert told == Told("suback", (1,))
    assert sorted((one.payload, one.qos, one.retain) for one in messages(rest)) == [(b"2", 1, True), (b"zero", 0, True)]


@row("3.3.1.3")
def an_empty_retained_message_clears_and_is_passed_on(world):
    pair(world, "state")
    world.publish("a", say("state", b"on", retain=True))
    world.publish("a", say("state", b"", retain=True))
    assert payloads(world.log("b")) == [b"on", b""]
    world.connect("c")
    world.subscribe("c", "#")
    assert messages(world.log("c")) == []


@row("3.8.3.1")
def who_was_subscribed_sees_no_retain_flag_unless_asked_for(world):
    pair(world, "state")
    world.connect("c")
    world.subscribe("c", Filter("state", 1, as_published=True))
    world.publish("a", say("state", b"1", retain=True))
    world.publish("a", say("state", b"2"))
    assert [one.retain for one in messages(world.log("b"))] == [False, False]
    assert [one.retain for one in messages(world.log("c"))] == [True, False]


@row("3.8.3.1")
def retain_handling(world):
    world.connect("a")
    world.publish("a", say("state", b"on", retain=True))
    for name, handling, first, again in (("b", 0, 1, 1), ("c", 1, 1, 0), ("d", 2, 0, 0)):
        world.connect(name)
        for expected in (first, again):
            world.subscribe(name, Filter("state", 1, handling=handling))
            assert len(messages(world.log(name))) == expected


@row("3.3.1.3")
def a_retained_message_outlives_its_publisher(world):
    world.connect("a")
    world.publish("a", say("state", b"on", retain=True))
    world.drop("a")
    world.connect("b")
    world.subscribe("b", "state")
    assert payloads(world.log("b")) == [b"on"]


@row("3.3.1.3")
def three_thousand_retained_messages_all_arrive(world):
    world.connect("a")
    world.publish_all("a", [say(f"state/{n}", b"%d" % n, n % 2, retain=True) for n in range(3000)])
    world.connect("b")
    world.subscribe("b", "state/+")
    assert len(set(payloads(world.log("b")))) == 3000


@row("3.3.2.3.3")
def a_retained_message_expires(world):
    world.connect("a")
    world.publish("a", say("short", retain=True, expiry_s=1))
    world.publish("a", say("long", retain=True, expiry_s=60))
    world.wait(2.1)
    world.connect("b")
    world.subscribe("b", "#")
    (seen,) = messages(world.log("b"))
    assert seen.topic == "long"
    assert seen.expiry_s in {57, 58}


# --- shared


@row("4.8.2")
def members_of_a_group_take_turns(world):
    world.connect("a")
    for name in ("b", "c", "d"):
        world.connect(name)
        world.subscribe(name, "$share/ingest/hall/+/results")
    for number in range(9):
        world.publish("a", say("hall/cell/results", b"%d" % number))
    got = [payloads(world.log(name)) for name in ("b", "c", "d")]
    assert [len(one) for one in got] == [3, 3, 3]
    assert sorted(one for some in got for one in some) == [b"%d" % number for number in range(9)]


@row("4.8.2")
def each_group_and_each_plain_subscriber_has_its_copy(world):
    world.connect("a")
    for name, text in (("b", "$share/g/x"), ("c", "$share/h/x"), ("d", "x")):
        world.connect(name)
        world.subscribe(name, text)
    assert world.publish("a", say("x")) == 0
    assert [len(messages(world.log(name))) for name in ("b", "c", "d")] == [1, 1, 1]


@row("4.8.2", "a member of a group is given retained messages when it subscribes")
def a_group_is_given_what_is_retained(world):
    world.connect("a")
    world.publish("a", say("x/y", retain=True))
    world.connect("b")
    world.subscribe("b", "$share/g/x/+")
    assert [(one.topic, one.retain) for one in messages(world.log("b"))] == [("x/y", True)]


@row("4.8.2", "a member that is away keeps its turn: its session queues the message, although others are there")
def a_member_that_is_away_keeps_its_turn(world):
    world.connect("a")
    world.connect("b", clean_start=False, expiry_s=60)
    world.connect("c")
    for name in ("b", "c"):
        world.subscribe(name, "$share/g/x")
    world.drop("b")
    for number in range(4):
        world.publish("a", say("x", b"%d" % number))
    assert len(messages(world.log("c"))) == 2
    assert world.connect("b", clean_start=False, expiry_s=60) == (0, True)
    assert len(messages(world.log("b"))) == 2


@row("4.8.2")
def who_leaves_a_group_has_no_turn(world):
    world.connect("a")
    for name in ("b", "c", "d"):
        world.connect(name)
        world.subscribe(name, "$share/g/x")
    world.unsubscribe("b", "$share/g/x")
    world.drop("c")
    for _ in range(4):
        world.publish("a", say("x"))
    assert len(messages(world.log("d"))) == 4


# --- sizes and windows


@row("3.1.2.11.4")
def a_message_larger_than_the_client_takes_is_left_out(world):
    world.connect("a")
    world.connect("b", Connect("b", keepalive_s=60, max_packet_bytes=100))
    world.subscribe("b", "x")
    # 1 + 1 + 2 + 1 + 2 + 1 + payload; the first byte is not counted by Mosquitto
    for size in (20, 93, 94, 200, 10):
        world.publish("a", say("x", bytes(size)))
    assert [len(one) for one in payloads(world.log("b"))] == [20, 93, 10]


@row("4.9", "of messages acknowledged in order Mosquitto has up to twice Receive Maximum less one on their way")
def receive_maximum_is_a_window(world):
    world.connect("a")
    world.connect("b", Connect("b", keepalive_s=60, receive_max=3))
    world.subscribe("b", "x")
    world.hold("b")
    for number in range(9):
        world.publish("a", say("x", b"%d" % number))
    assert payloads(world.log("b")) == [b"0", b"1", b"2"]
    world.ack("b")
    assert payloads(world.log("b")) == [b"3", b"4", b"5"]
    for _ in range(5):
        world.ack("b")
    assert payloads(world.log("b")) == [b"6", b"7", b"8"]


@row("4.9")
def without_receive_maximum_all_is_sent_at_once(world):
    pair(world, "x")
    world.hold("b")
    world.publish_all("a", [say("x", b"%d" % n) for n in range(300)])
    assert len(payloads(world.log("b"))) == 300
