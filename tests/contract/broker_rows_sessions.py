"""More rows of the broker matrix: sessions and time."""

from __future__ import annotations

from sims.virtual.packets import Connect, Disconnect
from tests.contract.broker_rows import pair, row, say
from tests.contract.broker_worlds import messages, payloads

# --- sessions


@row("3.1.2.4")
def a_clean_start_forgets(world):
    world.connect("a")
    assert world.connect("b", expiry_s=60) == (0, False)
    world.subscribe("b", "x")
    world.drop("b")
    assert world.connect("b", expiry_s=60) == (0, False)
    assert world.publish("a", say("x")) != 0
    assert messages(world.log("b")) == []


@row("3.1.2.11.2")
def a_session_without_expiry_ends_with_its_connection(world):
    world.connect("a")
    world.connect("b", clean_start=False)
    world.subscribe("b", "x")
    world.drop("b")
    world.publish("a", say("x"))
    assert world.connect("b", clean_start=False) == (0, False)
    assert messages(world.log("b")) == []


@row("4.1")
def a_session_keeps_what_came_meanwhile(world):
    world.connect("a")
    world.connect("b", clean_start=False, expiry_s=60)
    world.subscribe("b", "x/+")
    world.disconnect("b")
    for number in range(20):
        assert world.publish("a", say(f"x/{number % 2}", b"%d" % number)) == 0
    world.publish("a", say("x/0", b"qos 0 is not kept", 0))
    world.log("b")
    assert world.connect("b", clean_start=False, expiry_s=60) == (0, True)
    seen = messages(world.log("b"))
    assert [one.payload for one in seen] == [b"%d" % number for number in range(20)]
    assert not any(one.dup or one.retain for one in seen)
    world.publish("a", say("x/1", b"live"))
    assert payloads(world.log("b")) == [b"live"]


@row("4.1")
def five_thousand_messages_are_kept(world):
    world.connect("a")
    world.connect("b", clean_start=False, expiry_s=60)
    world.subscribe("b", "x")
    world.disconnect("b")
    world.publish_all("a", [say("x", b"%d" % n) for n in range(5000)])
    world.connect("b", clean_start=False, expiry_s=60)
    assert len(payloads(world.log("b"))) == 5000


@row("4.4")
def what_was_not_acknowledged_comes_again_with_dup_and_first(world):
    world.connect("a")
    world.connect("b", clean_start=False, expiry_s=60)
    world.subscribe("b", "x")
    world.hold("b")
    for number in range(3):
        world.publish("a", say("x", b"%d" % number))
    world.ack("b")
    world.drop("b")
    for number in range(3, 5):
        world.publish("a", say("x", b"%d" % number))
    world.log("b")
    assert world.connect("b", clean_start=False, expiry_s=60) == (0, True)
    assert [(one.payload, one.dup) for one in messages(world.log("b"))] == [
        (b"1", True),
        (b"2", True),
        (b"3", False),
        (b"4", False),
    ]


@row("4.4")
def a_window_holds_after_a_resume(world):
    world.connect("a")
    limits = Connect("b", clean_start=False, keepalive_s=60, expiry_s=60, receive_max=2)
    world.connect("b", limits)
    world.subscribe("b", "x")
    world.drop("b")
    for number in range(4):
        world.publish("a", say("x", b"%d" % number))
    world.log("b")
    world.connect("b", Connect("b", clean_start=False, keepalive_s=60, expiry_s=60, receive_max=2))
    # this client acknowledges at once, so all come, one after the other
    assert payloads(world.log("b")) == [b"0", b"1", b"2", b"3"]


@row("3.1.2.11.2")
def a_session_expires(world):
    world.connect("b", clean_start=False, expiry_s=1)
    world.subscribe("b", "x")
    world.drop("b")
    world.wait(3.2)
    assert world.connect("b", clean_start=False, expiry_s=1) == (0, False)


@row("3.14.2.2.2")
def a_goodbye_may_end_the_session(world):
    world.connect("b", clean_start=False, expiry_s=60)
    world.subscribe("b", "x")
    world.disconnect("b", Disconnect(expiry_s=0))
    assert world.connect("b", clean_start=False, expiry_s=60) == (0, False)


@row("3.3.2.3.3")
def what_waits_grows_older_and_expires(world):
    world.connect("a")
    world.connect("b", clean_start=False, expiry_s=60)
    world.subscribe("b", "x")
    world.drop("b")
    for payload, expiry_s in ((b"short", 1), (b"long", 60), (b"for ever", None)):
        world.publish("a", say("x", payload, expiry_s=expiry_s))
    world.wait(3.2)
    world.log("b")
    world.connect("b", clean_start=False, expiry_s=60)
    long, ever = messages(world.log("b"))
    assert (long.payload, ever.payload, ever.expiry_s) == (b"long", b"for ever", None)
    assert long.expiry_s in {56, 57}


@row("3.3.2.3.3")
def a_live_message_keeps_its_expiry(world):
    pair(world, "x")
    world.publish("a", say("x", expiry_s=30))
    assert messages(world.log("b"))[0].expiry_s in {29, 30}
