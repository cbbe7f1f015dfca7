"""The simulated network: what a client hears of each thing that can go wrong."""

from __future__ import annotations

import itertools

import pytest

from sims.virtual.net_maps import LinkMap
from sims.virtual.wire import Arrived, WireUp
from tests.sims.virtual.net_rig import Client, Rig, two


def test_a_client_is_up_when_its_last_subscription_stands():
    rig = Rig()
    first = rig.client("first")
    rig.run(0.1)
    first.say("state", b"old", retain=True)
    rig.run(0.1)
    client = rig.client("a", ["state"], ["ask", "ack"])
    rig.run(1)
    kinds = [type(one.event) for one in client.told]
    assert kinds == [Arrived, WireUp]
    assert client.told[0].event.retained


def test_messages_take_the_delay_twice():
    rig = Rig(LinkMap(delay_ms=((0.0, 10.0),)))
    a, b = two(rig)
    sent_s = rig.now_s
    a.say("x")
    rig.run(1)
    assert b.told[0].t_s == pytest.approx(sent_s + 0.020)


def test_nobody_without_a_connection_says_anything():
    rig = Rig()
    client = rig.client("a")
    assert not client.say("x")
    rig.run(1)
    assert client.say("x")
    client.wire.cut()
    assert not client.say("x")


def test_a_short_cut_delays_and_loses_nothing():
    rig = Rig()
    a, b = two(rig)
    rig.net.set_mode(["a"], "cut")
    for number in range(10):
        a.say("x", b"%d" % number)
        rig.run(0.2)
    assert b.heard() == []
    rig.net.set_mode(["a"], "ok")
    a.say("x", b"10")
    rig.run(1)
    assert b.heard() == [b"%d" % number for number in range(11)]
    assert a.downs() == b.downs() == []


def test_a_long_cut_is_noticed_at_both_ends():
    rig = Rig()
    a, b = two(rig)
    cut_s = rig.now_s
    rig.net.set_mode(["a"], "cut")
    rig.run(30)
    ((down_s, code),) = a.downs()
    assert code == "LINK_LOST"
    assert 5.0 <= down_s - cut_s <= 10.0  # a ping after 5 s, no answer after 5 more; as measured, 9.5 s
    # one and a half times the keep-alive, and up to 6 s until Mosquitto looks
    (will,) = b.told
    assert will.event.payload == b"a"
    assert 7.5 <= will.t_s - cut_s <= 15.0
    a.dial()
    rig.run(10)
    assert a.downs()[-1][1] == "LINK_TIMEOUT"
    rig.net.set_mode(["a"], "ok")
    a.dial()
    rig.run(1)
    assert len(a.ups()) == 2
    assert b.heard() == [b"a"]  # nothing of the dead attempt came through


def test_a_deaf_client_is_heard_and_gives_up():
    rig = Rig()
    a, b = two(rig)
    rig.net.set_mode(["a"], "deaf")
    a.say("x", b"heard")
    rig.run(11)
    assert [code for _, code in a.downs()] == ["LINK_LOST"]
    assert b.heard() == [b"heard", b"a"]


def test_refused_and_back():
    rig = Rig()
    a, b = two(rig)
    a.again_s = 1.0
    rig.net.set_mode(["a"], "refuse")
    assert b.told == []
    rig.run(3.5)
    assert [code for _, code in a.downs()] == ["LINK_LOST", "LINK_REFUSED", "LINK_REFUSED", "LINK_REFUSED"]
    assert b.heard() == [b"a"]
    rig.net.set_mode(["a"], "ok")
    rig.run(1.5)
    assert len(a.ups()) == 2


def test_a_slow_link():
    rig = Rig()
    a, b = two(rig)
    rig.net.set_mode(["a"], "slow", 0.5)
    sent_s = rig.now_s
    a.say("x")
    rig.run(2)
    assert b.told[0].t_s == pytest.approx(sent_s + 0.5002)


def test_a_broker_killed_and_started_again():
    rig = Rig()
    a, b = two(rig)
    a.again_s = b.again_s = 1.0
    a.say("state", b"kept by nobody", retain=True)
    rig.run(1)
    rig.net.stop_broker("kill")
    rig.run(2.5)
    assert [code for _, code in a.downs()] == ["LINK_LOST", "LINK_REFUSED", "LINK_REFUSED"]
    rig.net.start_broker()
    rig.run(2)
    assert len(a.ups()) == len(b.ups()) + 1 == 2  # b's first was cleared
    assert rig.net.broker.retained == {}
    assert b.heard() == [b"kept by nobody"]  # nobody's will: the broker could publish none


@pytest.mark.parametrize("wait_s", [0.0, 3.0])
def test_a_persistent_broker_keeps_what_it_saved(wait_s):
    rig = Rig(persistent=True)
    a, _ = two(rig)
    rig.run(1)
    a.say("state", b"on", retain=True)
    rig.run(0.01 + wait_s)
    rig.net.stop_broker("kill")
    rig.net.start_broker()
    assert rig.net.broker.retained == ({"state": b"on"} if wait_s else {})


def test_a_broker_without_power_says_nothing():
    rig = Rig()
    a, _ = two(rig)
    gone_s = rig.now_s
    a.again_s = 1.0
    rig.net.stop_broker("vanish")
    rig.run(12)
    (down_s, code) = a.downs()[0]
    assert code == "LINK_LOST"
    assert 5.0 <= down_s - gone_s <= 10.0
    rig.run(10)
    assert a.downs()[1][1] == "LINK_TIMEOUT"
    rig.net.start_broker()
    rig.run(8)
    assert len(a.ups()) == 2


def test_who_did_not_notice_that_the_broker_was_away_is_reset():
    rig = Rig()
    a, _ = two(rig)
    rig.net.stop_broker("vanish")
    rig.run(1)
    rig.net.start_broker()
    a.say("x")
    rig.run(0.1)
    assert [code for _, code in a.downs()] == ["LINK_LOST"]


def test_two_of_one_name():
    rig = Rig()
    _, b = two(rig)
    twin = rig.client("a")
    rig.run(1)
    assert twin.ups()
    assert b.heard() == [b"a"]  # the first one's will


def test_a_goodbye_waits_for_what_was_said_and_takes_the_will_along():
    rig = Rig(LinkMap(delay_ms=((0.0, 50.0),)))
    a, b = two(rig)
    for number in range(5):
        a.say("x", b"%d" % number)
    a.wire.disconnect()
    assert not a.say("x")
    rig.run(5)
    assert b.heard() == [b"0", b"1", b"2", b"3", b"4"]
    assert rig.net.broker.connected == 1
    assert a.downs() == []


def test_a_process_killed_and_a_machine_without_power():
    rig = Rig()
    a, b = two(rig)
    a.wire.cut()
    rig.run(0.1)
    assert b.heard() == [b"a"]
    a.dial()
    rig.run(1)
    b.told.clear()
    gone_s = rig.now_s
    a.wire.vanish()
    rig.run(20)
    (will,) = b.told
    assert 7.5 <= will.t_s - gone_s <= 15.0


def test_what_does_not_fit_the_window_waits():
    rig = Rig(LinkMap(delay_ms=((0.0, 100.0),)))
    _, b = two(rig)
    narrow = Client(rig, "n", [], 5, None)
    narrow.wire = rig.net.wire("n", narrow, 5, inflight=2)
    narrow.dial()
    rig.run(2)
    for number in range(6):
        assert narrow.say("x", b"%d" % number)
    rig.run(3)
    assert b.heard() == [b"%d" % number for number in range(6)]
    gaps = [round(later.t_s - sooner.t_s, 3) for sooner, later in itertools.pairwise(b.told)]
    assert gaps == [0.0, 0.2, 0.0, 0.2, 0.0]


def test_an_idle_connection_is_kept_alive():
    rig = Rig()
    a, b = two(rig)
    rig.run(600)
    assert a.downs() == b.downs() == []
    assert rig.net.broker.connected == 2


def test_nothing_is_kept_of_connections_that_are_over():
    rig = Rig()
    _, b = two(rig)
    a = rig.client("x", ["y"])
    for number in range(300):
        rig.run(0.01)
        match number % 6:
            case 0:
                a.wire.cut()
            case 1:
                a.wire.vanish()
            case 2:
                rig.net.break_links(["x"])
            case 3:
                a.wire.disconnect()
            case 4:
                rig.net.set_mode(["x"], "cut")
                a.wire.cut()
                rig.run(0.01)
                rig.net.set_mode(["x"], "ok")
            case _:
                rig.net.set_mode(["x"], "refuse")
                rig.run(0.01)
                rig.net.set_mode(["x"], "ok")
        rig.run(0.01 if number % 2 else 20.0)
        a.dial()
    rig.run(20)
    assert a.ups()
    assert len(rig.net.link("x").connections) == 1
    assert rig.net.broker.connected == 3
    assert b.downs() == []
