"""The simulated network: delay, order, speed, and what may come twice."""

from __future__ import annotations

import itertools

import pytest

from sims.virtual.net_maps import MAPS, LinkMap
from sims.virtual.packets import Connect, Publish, size_bytes
from tests.sims.virtual.net_rig import Rig, two


def test_a_throttle_spreads_messages_out():
    rig = Rig()
    a, b = two(rig)
    rig.net.set_map(["a"], LinkMap(bytes_per_s=10_000.0))
    for _ in range(10):
        a.say("x", bytes(990))
    rig.run(3)
    times = [one.t_s for one in b.told]
    gaps = [later - sooner for sooner, later in itertools.pairwise(times)]
    each_s = size_bytes(Publish("x", bytes(990), 1, mid=1)) / 10_000
    assert gaps == pytest.approx([each_s] * 9)


@pytest.mark.parametrize("name", MAPS)
def test_order_within_a_connection_on_every_map(name):
    rig = Rig(MAPS[name], seed=3)
    a, b = rig.client("a", keepalive_s=60), rig.client("b", ["#"], keepalive_s=60)
    rig.run(30)
    for number in range(300):
        a.say("x", b"%d" % number)
        rig.run(0.01)
    rig.run(60)
    heard = b.heard()
    assert len(heard) == 300
    assert heard == [b"%d" % number for number in range(300)]


def test_clients_overtake_each_other():
    rig = Rig(LinkMap(delay_ms=((0.0, 1.0), (1.0, 200.0))))
    clients = [rig.client(f"c{number}") for number in range(20)]
    b = rig.client("b", ["#"])
    rig.run(5)
    for client in clients:
        client.say("x", client.name.encode())
    rig.run(5)
    names = [client.name.encode() for client in clients]
    assert sorted(b.heard()) == sorted(names)
    assert b.heard() != names


def test_only_other_topics_overtake():
    rig = Rig()
    a, b = two(rig)
    rig.net.set_map(["b"], LinkMap(overtaken=0.5, overtake_ms=100.0))
    for number in range(200):
        a.say(f"x/{number % 2}", b"%d" % number)
        rig.run(0.001)
    rig.run(1)
    heard = [int(one) for one in b.heard()]
    assert heard != sorted(heard)
    for rest in (0, 1):
        mine = [number for number in heard if number % 2 == rest]
        assert mine == sorted(mine) == list(range(rest, 200, 2))


def test_duplicates_are_of_qos_1():
    rig = Rig()
    a, b = two(rig)
    rig.net.set_map(["b"], LinkMap(duplicate=1.0))
    a.say("x", b"1")
    a.say("x", b"0", 0)
    rig.run(1)
    assert b.heard() == [b"1", b"1", b"0"]


def test_connections_that_break_by_themselves():
    rig = Rig(LinkMap(breaks_per_hour=60.0))
    a = rig.client("a", again_s=1.0)
    rig.run(3600)
    assert 40 <= len(a.downs()) <= 85
    assert rig.net.counters["broken"] == len(a.downs())


def test_the_same_seed_is_the_same_run():
    def heard(seed: int) -> list[tuple[float, object]]:
        rig = Rig(MAPS["4g"], seed)
        clients = [rig.client(f"c{number}", again_s=1.0) for number in range(20)]
        b = rig.client("b", ["#"], again_s=1.0)
        for _ in range(50):
            for client in clients:
                client.say("x", client.name.encode())
            rig.run(1)
        return list(b.told)

    assert heard(1) == heard(1) != heard(2)


def test_maps_are_checked():
    for bad in ([], [(0.0, 5.0), (1.0, 1.0)], [(0.1, 1.0), (1.0, 2.0)], [(0.0, 1.0), (0.0, 2.0)]):
        with pytest.raises(ValueError, match="delay_ms"):
            LinkMap(delay_ms=tuple(bad))


def test_drawn_delays_have_the_map_s_quantiles():
    kind = LinkMap(delay_ms=((0.0, 10.0), (0.5, 20.0), (0.9, 50.0), (1.0, 100.0)))
    rng = Rig().kernel.rng("draws")
    draws = sorted(kind.draw_ns(rng) / 1e6 for _ in range(4000))
    assert draws[0] >= 10.0
    assert draws[-1] <= 100.0
    assert draws[2000] == pytest.approx(20.0, rel=0.05)
    assert draws[3600] == pytest.approx(50.0, rel=0.05)


def test_sizes_are_those_of_the_wire():
    # 1 + 1 + (2 + 1) + 2 + 1 + 5: the fixed header, topic "x", packet id, no properties, payload
    assert size_bytes(Publish("x", b"12345", 1, mid=7)) == 13
    assert size_bytes(Publish("x", b"12345")) == 11
    assert size_bytes(Publish("x", b"12345", 1, mid=7, expiry_s=9)) == 18
    assert size_bytes(Connect("abc")) > 20
