"""More rows of the broker matrix: what a client may not do, by Mosquitto's ``acl_file``."""

from __future__ import annotations

from sims.virtual.packets import NO_SUBSCRIBERS, NOT_AUTHORISED, Connect, Will
from tests.contract.broker_rows import row, say
from tests.contract.broker_worlds import messages, payloads

ACL = """\
topic read open/#
topic write inbox/#
pattern readwrite own/%c/#
"""
"""Everybody may read ``open``, write to ``inbox``, and do anything below a folder of his own."""


class OwnFolders:
    """The same rules for the broker in memory."""

    def may_connect(self, client_id: str) -> bool:
        return bool(client_id)

    def may_publish(self, client_id: str, topic: str) -> bool:
        return topic.startswith(("inbox/", f"own/{client_id}/"))

    def may_read(self, client_id: str, topic: str) -> bool:
        return topic.startswith(("open/", f"own/{client_id}/"))


@row("3.4.2.1", access=True)
def a_publish_that_is_not_allowed_has_a_reason(world):
    world.connect("a")
    world.connect("b")
    world.subscribe("b", "own/b/#")
    world.log("b")
    assert world.publish("a", say("own/b/x")) == NOT_AUTHORISED
    assert world.publish("a", say("own/b/x", b"qos 0", 0)) == 0
    assert world.publish("a", say("inbox/x")) == NO_SUBSCRIBERS  # allowed, and the connection stands
    assert world.publish("b", say("own/b/x", b"his own")) == 0
    assert payloads(world.log("b")) == [b"his own"]


@row("3.9.3", "a subscription to what may not be read is granted, and nothing comes", access=True)
def a_subscription_that_is_not_allowed(world):
    world.connect("a")
    world.connect("b")
    assert world.subscribe("b", "own/a/#", "inbox/#") == (1, 1)
    assert world.publish("a", say("own/a/x")) == 0
    assert world.publish("a", say("inbox/x")) == 0
    assert messages(world.log("b")) == []


@row("3.3.1.3", access=True)
def retained_messages_keep_to_the_rules(world):
    world.connect("a")
    assert world.publish("a", say("own/b/x", retain=True)) == NOT_AUTHORISED
    world.publish("a", say("own/a/x", b"mine", retain=True))
    world.connect("b")
    world.subscribe("b", "#")
    assert messages(world.log("b")) == []
    world.subscribe("a", "#")
    assert payloads(world.log("a")) == [b"mine"]


@row("3.1.2.5", access=True)
def a_will_that_is_not_allowed_is_never_published(world):
    world.connect("b")
    world.subscribe("b", "own/b/#")
    world.log("b")
    assert world.connect("a", Connect("a", keepalive_s=60, will=Will("own/b/will", b"x"))) == (0, False)
    world.drop("a")
    assert messages(world.log("b")) == []
