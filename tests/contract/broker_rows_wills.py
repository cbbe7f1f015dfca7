"""More rows of the broker matrix: wills, take-over, silence, and the broker's own restarts."""

from __future__ import annotations

from sims.virtual.packets import UNSPECIFIED, WITH_WILL, Connect, Disconnect, Will
from tests.contract.broker_rows import row, say
from tests.contract.broker_worlds import Told, messages, payloads

CLOSED = Told("closed", (UNSPECIFIED,))


def willing(
    name: str, *, delay_s: int = 0, clean_start: bool = True, expiry_s: int = 0, retain: bool = False
) -> Connect:
    will = Will("will", b"gone", 1, retain, delay_s)
    return Connect(name, clean_start, 60, expiry_s, will=will)


def watcher(world) -> None:
    world.connect("w")
    world.subscribe("w", "will")
    world.log("w")


# --- wills


@row("3.1.2.5")
def a_lost_connection_publishes_the_will(world):
    watcher(world)
    world.connect("a", willing("a", retain=True))
    world.drop("a")
    assert payloads(world.log("w")) == [b"gone"]
    world.connect("b")
    world.subscribe("b", "will")
    assert [(one.payload, one.retain) for one in messages(world.log("b"))] == [(b"gone", True)]


@row("3.14.4")
def a_goodbye_takes_the_will_along(world):
    watcher(world)
    world.connect("a", willing("a"))
    world.disconnect("a")
    assert messages(world.log("w")) == []


@row("3.14.2.1")
def a_goodbye_with_will(world):
    watcher(world)
    world.connect("a", willing("a"))
    world.disconnect("a", Disconnect(WITH_WILL))
    assert payloads(world.log("w")) == [b"gone"]


@row("3.1.3.2.2")
def a_will_with_delay_comes_later_and_once(world):
    watcher(world)
    world.connect("a", willing("a", delay_s=1, expiry_s=60))
    world.drop("a")
    assert messages(world.log("w")) == []
    assert 0.9 <= world.wait_for("w", 4.0) <= 2.6
    assert payloads(world.log("w")) == [b"gone"]
    world.wait(1.5)
    assert messages(world.log("w")) == []


@row("3.1.3.2.2")
def coming_back_in_time_cancels_the_will(world):
    watcher(world)
    world.connect("a", willing("a", delay_s=1, clean_start=False, expiry_s=60))
    world.drop("a")
    assert world.connect("a", clean_start=False, expiry_s=60) == (0, True)
    world.wait(3.2)
    assert messages(world.log("w")) == []


@row("3.1.3.2.2", "a delayed will waits its delay although its session ended with the connection")
def a_delay_longer_than_the_session(world):
    watcher(world)
    world.connect("a", willing("a", delay_s=1))
    world.drop("a")
    assert messages(world.log("w")) == []
    assert 0.9 <= world.wait_for("w", 4.0) <= 2.6


@row("3.1.3.2.2", "a clean start while the delay runs ends the old session, and yet its will is never published")
def a_clean_start_while_the_delay_runs(world):
    watcher(world)
    world.connect("a", willing("a", delay_s=1, expiry_s=60))
    world.drop("a")
    world.connect("a")
    world.wait(3.2)
    assert messages(world.log("w")) == []


@row("3.1.2.11.2")
def a_will_comes_when_its_session_ends_before_the_delay(world):
    watcher(world)
    world.connect("a", willing("a", delay_s=60, expiry_s=1))
    world.drop("a")
    assert messages(world.log("w")) == []
    assert 0.9 <= world.wait_for("w", 4.0) <= 2.6


# --- take-over


@row("3.1.4", "the displaced connection is closed without DISCONNECT, and so is not told why")
def the_later_client_of_one_id_displaces_the_earlier(world):
    watcher(world)
    world.connect("first", willing("same"))
    world.subscribe("first", "x")
    world.log("first")
    assert world.connect("second", client_id="same") == (0, False)
    assert world.log("first") == [CLOSED]
    assert payloads(world.log("w")) == [b"gone"]
    assert world.publish("w", say("x")) != 0


@row("3.1.4")
def a_displaced_session_is_taken_over_with_what_is_on_its_way(world):
    world.connect("a")
    world.connect("first", client_id="same", clean_start=False, expiry_s=60)
    world.subscribe("first", "x")
    world.hold("first")
    world.publish("a", say("x"))
    world.log("first")
    assert world.connect("second", client_id="same", clean_start=False, expiry_s=60) == (0, True)
    assert world.log("first") == [CLOSED]
    assert [(one.payload, one.dup) for one in messages(world.log("second"))] == [(b"x", True)]


@row("3.1.4", "a will without delay is not published when its session is taken over")
def a_session_taken_over_publishes_no_will(world):
    watcher(world)
    world.connect("first", willing("same", clean_start=False, expiry_s=60))
    assert world.connect("second", client_id="same", clean_start=False, expiry_s=60) == (0, True)
    assert messages(world.log("w")) == []


@row("3.1.4")
def a_session_that_cannot_be_taken_over_publishes_its_will(world):
    watcher(world)
    world.connect("first", willing("same", clean_start=False))
    assert world.connect("second", client_id="same", clean_start=False) == (0, False)
    assert payloads(world.log("w")) == [b"gone"]


@row("3.1.2.10", "Mosquitto looks every 6 s, so it may take that much longer than one and a half times the keep-alive")
def a_silent_client_is_closed(world):
    watcher(world)
    world.connect("a", Connect("a", keepalive_s=1, will=Will("will", b"gone", 1)))
    assert 1.0 <= world.wait_for("w", 9.0) <= 8.5
    assert payloads(world.log("w")) == [b"gone"]
    assert world.log("a") == [CLOSED]


# --- the broker itself


@row("4.1")
def a_broker_that_keeps_nothing_has_forgotten_all(world):
    world.connect("a")
    world.publish("a", say("state", retain=True))
    world.connect("b", clean_start=False, expiry_s=60)
    world.end_broker("kill")
    assert world.log("b")[-1] == CLOSED
    assert world.connect("b", clean_start=False, expiry_s=60) == (0, False)
    world.subscribe("b", "#")
    assert messages(world.log("b")) == []


@row("4.1", persistent=True)
def a_broker_killed_has_what_it_had_saved(world):
    world.connect("a", willing("a", retain=True))
    world.connect("b", clean_start=False, expiry_s=60)
    world.subscribe("b", "x")
    world.drop("b")
    world.publish("a", say("state", b"saved", retain=True))
    world.publish("a", say("x", b"kept"))
    world.wait(3.5)
    world.end_broker("kill")
    world.log("b")
    assert world.connect("b", clean_start=False, expiry_s=60) == (0, True)
    world.subscribe("b", "#")
    assert payloads(world.log("b")) == [b"kept", b"saved"]


@row("4.1", "a session begun with a clean start is not saved, whatever its expiry", persistent=True)
def a_broker_stopped_saves_and_publishes_wills(world):
    world.connect("a", willing("a", retain=True))
    world.connect("b", clean_start=False, expiry_s=60)
    world.connect("c", expiry_s=60)
    world.publish("a", say("state", b"saved", retain=True))
    world.end_broker("stop")
    assert world.connect("b", clean_start=False, expiry_s=60) == (0, True)
    assert world.connect("c", clean_start=False, expiry_s=60) == (0, False)
    world.log("b")
    world.subscribe("b", "#")
    assert sorted(payloads(world.log("b"))) == [b"gone", b"saved"]
