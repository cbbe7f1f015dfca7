"""The broker in memory and the simulated network around it, alone: 1,000 clients, each with a result a second.

* ``broker_messages``: QoS 1 messages a second of CPU through the broker, from PUBLISH to the subscriber's PUBACK
* ``net_messages``: the same with clients, links and kernel around it, and an ack back to each sender
* ``net_memory``: what one client costs, its session, subscriptions, retained state, link and wire

Usage: python bench/broker.py [--json] [--clients 1000] [--map plant]
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from figures import Row, main

from edge.topics import COORDINATOR, filters, topic
from sims.virtual.broker import Broker
from sims.virtual.kernel import NS, Kernel
from sims.virtual.net import Net
from sims.virtual.net_maps import MAPS, LinkMap
from sims.virtual.packets import Connect, Filter, PubAck, Publish, Subscribe, Will
from sims.virtual.wire import Arrived, WireUp

SITE = "hall"
PAYLOAD = b"r" * 300
ACK = b"a" * 120


def wanted(agent: str) -> list[list[str]]:
    """What an agent subscribes to, in the order of ``edge/shell/mqtt.py``."""
    return [[topic(SITE, agent, "state")], [topic(SITE, agent, kind) for kind in ("desired", "ask", "ack")]]


def broker_messages(clients: int, seconds: int) -> float:
    broker = Broker()
    names = [f"cell-{number:05d}" for number in range(clients)]
    for conn, name in enumerate(names, 1):
        will = Will(topic(SITE, name, "state"), b"gone", retain=True)
        broker.handle(conn, Connect(name, keepalive_s=5, max_packet_bytes=2_000_000, will=will), 0)
        for group in wanted(name):
            broker.handle(conn, Subscribe(1, tuple(Filter(text) for text in group)), 0)
        broker.handle(conn, Publish(topic(SITE, name, "state"), PAYLOAD, 1, retain=True, mid=1), 0)
    ledger = clients + 1
    broker.handle(ledger, Connect(COORDINATOR, max_packet_bytes=2_000_000), 0)
    for _, packet in broker.handle(ledger, Subscribe(1, tuple(Filter(text) for text in filters(SITE, "agent"))), 0):
        if isinstance(packet, Publish):
            broker.handle(ledger, PubAck(packet.mid), 0)
    packets = [Publish(topic(SITE, name, "results"), PAYLOAD, 1, mid=7) for name in names]
    heard, began = 0, time.process_time()
    for second in range(seconds):
        for conn, packet in enumerate(packets, 1):
            for to, answer in broker.handle(conn, packet, second * NS):
                if to == ledger and isinstance(answer, Publish):
                    broker.handle(to, PubAck(answer.mid), second * NS)
                    heard += 1
    took_s = time.process_time() - began
    assert heard == clients * seconds
    return heard / took_s


class Agent:
    """Says one thing a second."""

    def __init__(self, net: Net, kernel: Kernel, name: str) -> None:
        self.name, self.kernel, self.acks = name, kernel, 0
        self.wire = net.wire(name, self, 5)

    def take(self, event: Any, t_ns: int) -> None:
        if event is None:
            self.wire.publish(topic(SITE, self.name, "results"), PAYLOAD, qos=1, retain=False)
            self.kernel.post(t_ns + NS, self, None)
        elif event == "dial":
            self.wire.connect((topic(SITE, self.name, "state"), b"gone"), wanted(self.name))
        elif isinstance(event, WireUp):
            self.wire.publish(topic(SITE, self.name, "state"), PAYLOAD, qos=1, retain=True)
            self.kernel.post(t_ns + NS, self, None)
        elif isinstance(event, Arrived):
            self.acks += event.topic.endswith("/ack")


class Ledger:
    """Acknowledges everything."""

    def __init__(self, net: Net) -> None:
        self.heard = 0
        self.wire = net.wire(COORDINATOR, self, 10, inflight=65_535)
        self.wire.connect((topic(SITE, COORDINATOR, "state"), b"gone"), [filters(SITE, "agent")])

    def take(self, event: Any, _t_ns: int) -> None:
        if isinstance(event, Arrived) and event.topic.endswith("/results"):
            self.heard += 1
            self.wire.publish(f"{event.topic[:-7]}ack", ACK, qos=1, retain=False)


def net_messages(clients: int, seconds: int, kind: LinkMap) -> float:
    kernel = Kernel(1)
    net = Net(kernel, kind=kind)
    ledger = Ledger(net)
    for number in range(clients):
        kernel.post(NS + number * NS // clients, Agent(net, kernel, f"cell-{number:05d}"), "dial")
    kernel.run(3 * NS)
    before, began = ledger.heard, time.process_time()
    kernel.run((3 + seconds) * NS)
    return (ledger.heard - before) / (time.process_time() - began)


def net_memory(clients: int) -> float:
    """KiB a client."""
    tracemalloc.start()
    kernel = Kernel(1)
    net = Net(kernel)
    ledger = Ledger(net)
    before = tracemalloc.get_traced_memory()[0]
    agents = [Agent(net, kernel, f"cell-{number:05d}") for number in range(clients)]
    for agent in agents:
        kernel.post(NS, agent, "dial")
    kernel.run(6 * NS)
    kib = (tracemalloc.get_traced_memory()[0] - before) / clients / 1024
    tracemalloc.stop()
    assert ledger.heard
    return kib


def measure(args: argparse.Namespace, _folder: Path) -> Sequence[Row]:
    return [
        Row("broker_messages", broker_messages(args.clients, args.seconds), 30_000, least=True, unit="msg/s"),
        Row("net_messages", net_messages(args.clients, args.seconds, MAPS[args.map]), 10_000, least=True, unit="msg/s"),
        Row("net_memory", net_memory(args.clients), 10.0, unit="KiB"),
    ]


if __name__ == "__main__":
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", action="store_true", help="one JSON document on stdout")
    made.add_argument("--clients", type=int, default=1000)
    made.add_argument("--seconds", type=int, default=30, help="simulated")
    made.add_argument("--map", choices=sorted(MAPS), default="perfect", help="the links of all clients")
    main(measure, made.parse_args())
