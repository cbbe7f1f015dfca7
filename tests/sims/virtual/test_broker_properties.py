"""Whatever the order in which packets and losses of connections come: QoS 1 holds, wills come once, the last word stays.

Publishers and subscribers are kept by hand here, with the wire between them and the broker as queues, so that hypothesis
chooses which packet moves next and when a connection breaks.
"""

from __future__ import annotations

from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st

from sims.virtual.broker import Broker
from sims.virtual.packets import (
    CLOSED,
    ConnAck,
    Connect,
    Disconnect,
    Filter,
    PubAck,
    Publish,
    Subscribe,
    ToBroker,
    ToClient,
    Will,
)

PUBLISHERS = ("p0", "p1")
SUBSCRIBERS = ("s0", "s1", "s2")
FILTERS = {"s0": "data/#", "s1": "data/+/a", "s2": "data/+/+"}
TOPICS = ("a", "b")
WINDOWS = {"s0": 0, "s1": 1, "s2": 3}


class End:
    """One client with its session, and the two queues of its present connection."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.conn = 0
        self.up: deque[ToBroker] = deque()
        self.down: deque[ToClient] = deque()
        self.unacked: dict[int, Publish] = {}
        self.acked: list[Publish] = []
        self.got: list[Publish] = []
        self.mid = 0


class Plant:
    """The broker, its clients, and one watcher of wills that is always there and hears at once."""

    def __init__(self) -> None:
        self.broker = Broker()
        self.ends = {name: End(name) for name in (*PUBLISHERS, *SUBSCRIBERS)}
        self.by_conn: dict[int, End] = {}
        self.conns = 0
        self.said = 0
        self.wills_due: list[bytes] = []
        self.wills: list[bytes] = []
        self.last: dict[str, bytes] = {}
        self.conns += 1
        self.watcher = self.conns
        self.broker.handle(self.watcher, Connect("watcher"), 0)
        self.broker.handle(self.watcher, Subscribe(1, (Filter("will/+"),)), 0)
        for name, text in FILTERS.items():
            self.connect(name)
            self.ends[name].up.append(Subscribe(1, (Filter(text),)))
            self.drain(self.ends[name])

    def connect(self, name: str) -> None:
        """Also while a connection stands: then it is displaced."""
        end = self.ends[name]
        if end.conn:
            self.forget(end, will=True)
        self.conns += 1
        end.conn = self.conns
        self.by_conn[end.conn] = end
        if name in PUBLISHERS:
            will = Will(f"will/{name}", b"%s %d" % (name.encode(), end.conn), 1)
            packet = Connect(name, clean_start=True, will=will)
        else:
            packet = Connect(name, clean_start=False, expiry_s=3600, receive_max=WINDOWS[name])
        self.to_broker(end.conn, packet)
        # what was not acknowledged is sent again, before anything new (4.4)
        again = [Publish(one.topic, one.payload, 1, one.retain, one.mid, dup=True) for one in end.unacked.values()]
        end.up.extend(again)

    def forget(self, end: End, *, will: bool) -> None:
        """What was under way is lost."""
        if will and end.name in PUBLISHERS:
            self.wills_due.append(b"%s %d" % (end.name.encode(), end.conn))
        del self.by_conn[end.conn]
        end.conn = 0
        end.up.clear()
        end.down.clear()

    def lose(self, name: str) -> None:
        end = self.ends[name]
        if end.conn:
            conn = end.conn
            self.forget(end, will=True)
            self.to_broker(conn, CLOSED)

    def leave(self, name: str) -> None:
        """DISCONNECT, behind all that was said; what was said before is therefore there."""
        end = self.ends[name]
        if end.conn:
            conn = end.conn
            while end.up:
                self.to_broker(conn, end.up.popleft())
            self.forget(end, will=False)
            self.to_broker(conn, Disconnect())

    def publish(self, name: str, topic: str, *, retain: bool) -> None:
        end = self.ends[name]
        if not end.conn:
            self.connect(name)
        self.said += 1
        end.mid += 1
        packet = Publish(f"data/{name}/{topic}", b"%d" % self.said, 1, retain, end.mid)
        end.unacked[end.mid] = packet
        end.up.append(packet)

    def move_up(self, end: End) -> None:
        if end.up:
            self.to_broker(end.conn, end.up.popleft())

    def move_down(self, end: End) -> None:
        if not end.down:
            return
        packet = end.down.popleft()
        if isinstance(packet, Publish):
            end.got.append(packet)
            end.up.append(PubAck(packet.mid))
        elif isinstance(packet, PubAck) and packet.mid in end.unacked:
            end.acked.append(end.unacked.pop(packet.mid))

    def drain(self, end: End) -> None:
        while end.up or end.down:
            self.move_up(end)
            self.move_down(end)

    def to_broker(self, conn: int, packet: ToBroker) -> None:
        if isinstance(packet, Publish) and packet.retain:
            self.last[packet.topic] = packet.payload
        for to, answer in self.broker.handle(conn, packet, 0):
            if to == self.watcher:
                assert isinstance(answer, Publish)
                self.wills.append(answer.payload)
                self.broker.handle(to, PubAck(answer.mid), 0)
            elif to in self.by_conn:
                self.by_conn[to].down.append(answer)


NAMES = st.sampled_from((*PUBLISHERS, *SUBSCRIBERS))
SAYING = (st.sampled_from(PUBLISHERS), st.sampled_from(TOPICS), st.booleans())
OPS = st.one_of(
    st.tuples(st.just("say"), *SAYING),
    st.tuples(st.just("say"), *SAYING),
    st.tuples(st.just("publish"), *SAYING),
    st.tuples(st.sampled_from(("up", "down", "drain")), NAMES),
    st.tuples(st.just("connect"), NAMES),
    st.tuples(st.sampled_from(("lose", "lose", "leave")), NAMES),
)
LONG = st.lists(OPS, min_size=30, max_size=100)
"""Long, as most of what can go wrong needs several things at once."""


def run(ops: list[tuple]) -> Plant:
    plant = Plant()
    for op, name, *rest in ops:
        match op:
            case "publish" | "say":
                plant.publish(name, rest[0], retain=rest[1])
                if op == "say":
                    plant.drain(plant.ends[name])
            case "up":
                plant.move_up(plant.ends[name])
            case "down":
                plant.move_down(plant.ends[name])
            case "drain":
                plant.drain(plant.ends[name])
            case "connect":
                plant.connect(name)
            case "lose":
                plant.lose(name)
            case "leave":
                plant.leave(name)
    # in the end everybody is there and everything arrives
    for name, end in plant.ends.items():
        if not end.conn:
            plant.connect(name)
    while any(end.up or end.down for end in plant.ends.values()):
        for end in plant.ends.values():
            plant.drain(end)
    return plant


def wanted(name: str, topic: str) -> bool:
    return name != "s1" or topic.endswith("/a")


@settings(max_examples=300)
@given(LONG)
def test_every_acknowledged_message_reaches_every_session_in_order(ops):
    plant = run(ops)
    published = {one.payload: one.topic for name in PUBLISHERS for one in plant.ends[name].acked}
    assert all(not plant.ends[name].unacked for name in PUBLISHERS)
    for name in SUBSCRIBERS:
        got = [one.payload for one in plant.ends[name].got]
        assert {payload for payload, topic in published.items() if wanted(name, topic)} == set(got)
        for publisher in PUBLISHERS:
            for topic in TOPICS:
                mine = [int(one.payload) for one in plant.ends[name].got if one.topic == f"data/{publisher}/{topic}"]
                first = list(dict.fromkeys(mine))
                assert first == sorted(first)


@settings(max_examples=150)
@given(LONG)
def test_the_last_retained_message_stays(ops):
    plant = run(ops)
    assert plant.broker.retained == plant.last


@settings(max_examples=150)
@given(LONG)
def test_every_will_comes_exactly_once_and_never_after_a_goodbye(ops):
    plant = run(ops)
    assert plant.wills == plant.wills_due


def test_a_window_is_filled_and_not_exceeded():
    plant = Plant()
    plant.connect("p0")
    for _ in range(10):
        plant.publish("p0", "a", retain=False)
    plant.drain(plant.ends["p0"])
    for name, window in WINDOWS.items():
        assert len(plant.ends[name].down) == (window or 10)


def test_more_messages_than_packet_identifiers_wait_and_arrive():
    plant = Plant()
    plant.lose("s0")
    plant.connect("p0")
    for _ in range(70_000):
        plant.publish("p0", "a", retain=False)
        plant.drain(plant.ends["p0"])
    plant.connect("s0")
    s0 = plant.ends["s0"]
    under_way = [one.mid for one in s0.down if isinstance(one, Publish)]
    assert len(set(under_way)) == len(under_way) == 65_535
    plant.drain(s0)
    assert [int(one.payload) for one in s0.got] == list(range(1, 70_001))


def test_a_resumed_session_is_told_so():
    plant = Plant()
    plant.lose("s0")
    plant.connect("s0")
    assert plant.ends["s0"].down[0] == ConnAck(0, session_present=True)


@given(
    st.lists(st.sampled_from(["a", "b", "+", "#", "$x", ""]), min_size=1, max_size=4),
    st.lists(st.sampled_from(["a", "b", "$x", ""]), min_size=1, max_size=4),
)
def test_two_ways_of_matching_agree(levels, topic_levels):
    """The tree that messages go through, and the pattern that retained messages are found with."""
    text, topic = "/".join(levels), "/".join(topic_levels)
    if ("#" in levels[:-1]) or not text or not topic:
        return
    broker = Broker()
    broker.handle(1, Connect("s"), 0)
    broker.handle(1, Subscribe(1, (Filter(text),)), 0)
    broker.handle(2, Connect("p"), 0)
    live = [packet for _, packet in broker.handle(2, Publish(topic, b"1", retain=True), 0)]
    broker.handle(3, Connect("late"), 0)
    late = [packet for _, packet in broker.handle(3, Subscribe(1, (Filter(text),)), 0) if isinstance(packet, Publish)]
    assert len(live) == len(late)
