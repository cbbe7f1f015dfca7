"""The rows of the broker matrix: messages and subscriptions. Further rows: ``broker_rows_*``.

Each row is a script with what must be seen; it is run against Mosquitto and against the broker in memory. ``differs``
says where Mosquitto (2.0.11) departs from MQTT 5; then the row expects what Mosquitto does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from sims.virtual.packets import NO_SUBSCRIBERS, NO_SUBSCRIPTION, Filter, Props, Publish
from tests.contract.broker_worlds import Seen, Told, World, messages, payloads

Script = Callable[[World], None]


class Row(NamedTuple):
    """``section`` of MQTT 5; ``persistent`` wants a broker that keeps a file, ``access`` one with rules of access."""

    script: Script
    section: str
    differs: str = ""
    persistent: bool = False
    access: bool = False

    @property
    def name(self) -> str:
        return self.script.__name__


ROWS: list[Row] = []


def row(
    section: str, differs: str = "", *, persistent: bool = False, access: bool = False
) -> Callable[[Script], Script]:
    """Put a script into the matrix."""

    def put(script: Script) -> Script:
        ROWS.append(Row(script, section, differs, persistent, access))
        return script

    return put


def say(
    topic: str, payload: bytes = b"x", qos: int = 1, *, retain: bool = False, expiry_s: int | None = None
) -> Publish:
    return Publish(topic, payload, qos, retain, 0, False, expiry_s)


def pair(world: World, *filters: Filter | str) -> None:
    """A publisher ``a`` and a subscriber ``b``."""
    world.connect("a")
    world.connect("b")
    world.subscribe("b", *filters)
    world.log("b")


@row("4.3")
def messages_arrive_as_they_were_sent(world):
    pair(world, "hall/+/results")
    assert world.publish("a", say("hall/cell/results", b"\x00\xff one")) == 0
    assert world.publish("a", say("hall/cell/results", b"", 0)) == 0
    assert world.log("b") == [
        Seen("hall/cell/results", b"\x00\xff one", 1, False, False, None, None),
        Seen("hall/cell/results", b"", 0, False, False, None, None),
    ]


@row("3.4.2.1")
def a_publisher_is_told_when_nobody_subscribed(world):
    pair(world, "other")
    assert world.publish("a", say("hall/cell/results")) == NO_SUBSCRIBERS
    assert world.publish("a", say("other")) == 0


@row("4.6")
def what_one_publisher_says_stays_in_order(world):
    pair(world, "x/#")
    for number in range(200):
        world.publish("a", say(f"x/{number % 3}", b"%d" % number, number % 2))
    assert payloads(world.log("b")) == [b"%d" % number for number in range(200)]


@row("3.3.4")
def an_own_message_comes_back_before_its_acknowledgement(world):
    world.connect("a")
    world.subscribe("a", "mine")
    world.log("a")
    world.publish("a", say("mine"))
    seen, told = world.log("a")
    assert isinstance(seen, Seen)
    assert told == Told("puback", (0,))


@row("4.7.1.3")
def a_plus_is_one_level(world):
    pair(world, "a/+/c", "+/+/d", "+")
    for topic in ("a/b/c", "a/b/b/c", "a/c", "a//c", "x/y/d", "single", "/d", "//d"):
        world.publish("a", say(topic))
    assert [one.topic for one in messages(world.log("b"))] == ["a/b/c", "a//c", "x/y/d", "single", "//d"]


@row("4.7.1.2")
def a_hash_is_the_parent_and_all_below(world):
    pair(world, "a/b/#")
    for topic in ("a/b", "a/b/c", "a/b/c/d", "a/bc", "a", "b/a/b"):
        world.publish("a", say(topic))
    assert [one.topic for one in messages(world.log("b"))] == ["a/b", "a/b/c", "a/b/c/d"]


@row("4.7.2")
def leading_wildcards_leave_dollar_topics_alone(world):
    pair(world, "#", "+/x")
    world.publish("a", say("$jidoka/x"))
    assert messages(world.log("b")) == []
    world.subscribe("b", "$jidoka/+")
    world.publish("a", say("$jidoka/x"))
    assert [one.topic for one in messages(world.log("b"))] == ["$jidoka/x"]


@row("3.8.4")
def the_lower_qos_holds(world):
    world.connect("a")
    world.connect("b")
    assert world.subscribe("b", Filter("zero", 0), Filter("one", 1)) == (0, 1)
    for topic, qos in (("zero", 1), ("one", 0), ("one", 1)):
        world.publish("a", say(topic, b"x", qos))
    assert [one.qos for one in messages(world.log("b"))] == [0, 0, 1]


@row("3.3.4")
def overlapping_subscriptions_bring_a_copy_each(world):
    pair(world, Filter("a/b", 0), Filter("a/+", 1), Filter("#", 1))
    world.publish("a", say("a/b"))
    assert [one.qos for one in messages(world.log("b"))] == [0, 1, 1]


@row("3.8.4")
def the_same_filter_again_is_no_second_subscription(world):
    pair(world, "a/+", "a/+")
    world.subscribe("b", Filter("a/+", 0))
    world.publish("a", say("a/b"))
    assert [one.qos for one in messages(world.log("b"))] == [0]


@row("3.8.3.1", "a filter subscribed again keeps its old No Local and Retain As Published; only the QoS changes")
def options_of_a_repeated_subscription(world):
    world.connect("a")
    world.subscribe("a", Filter("x", 1))
    world.subscribe("a", Filter("x", 0, no_local=True, as_published=True))
    world.log("a")
    world.publish("a", say("x", retain=True))
    assert [(one.qos, one.retain) for one in messages(world.log("a"))] == [(0, False)]


@row("3.8.3.1")
def no_local_keeps_own_messages_away(world):
    world.connect("a")
    world.connect("b")
    world.subscribe("a", Filter("x", 1, no_local=True))
    assert world.publish("a", say("x", b"own")) == 0
    world.publish("b", say("x", b"other"))
    assert payloads(world.log("a")) == [b"other"]


@row("3.10.4")
def unsubscribing_ends_it(world):
    pair(world, "a/+", "b")
    assert world.unsubscribe("b", "a/+", "never") == (0, NO_SUBSCRIPTION)
    world.publish("a", say("a/b"))
    world.publish("a", say("b"))
    assert [one.topic for one in messages(world.log("b"))] == ["b"]


@row("3.3.2.3")
def properties_travel_as_they_are(world):
    pair(world, "ask")
    props = Props("hall/cell/reply", b"\x00\x01", (("k", "1"), ("k", "2"), ("j", "ü")), "application/json")
    world.publish("a", Publish("ask", b"?", 1, props=props))
    assert [one.props for one in messages(world.log("b"))] == [props]
