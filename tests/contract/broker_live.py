"""The live world of the broker matrix: Mosquitto as ``edge/shell/broker.py`` starts it, and paho, one loop for all.

Nothing here sleeps. A call is over when every client has had the answer to a question it asked after it (UNSUBSCRIBE of
something nobody has): a broker answers in order, and delivers before it acknowledges.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge.shell.broker import Broker
from edge.shell.endpoint import no_delay
from sims.virtual.packets import Connect, Disconnect, Filter, Props, Publish
from tests.contract.broker_worlds import GOODBYE, Log, Seen, Told, as_filters

WAIT_S = 15.0
NOBODY = "nobody/subscribes/to/this"


class _End:
    """One paho client, driven by the world's loop."""

    def __init__(self, client: paho.Client) -> None:
        self.client = client
        self.log: Log = []
        self.open = True
        self.silent = False
        self.holds = False
        self.held: list[int] = []
        self.asked: set[int] = set()
        self.connack: tuple[int, bool] | None = None
        client.manual_ack_set(True)
        client.on_socket_open = no_delay
        client.on_connect = self._on_connect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_unsubscribe = self._on_unsubscribe
        client.on_disconnect = self._on_disconnect

    def _on_connect(self, _client: Any, _data: Any, flags: Any, reason: ReasonCode, _props: Any) -> None:
        self.connack = (reason.value, bool(flags.session_present))

    def _on_message(self, client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        found = vars(message.properties) if message.properties is not None else {}
        user = tuple(found.get("UserProperty", ()))
        props = Props(
            found.get("ResponseTopic", ""), found.get("CorrelationData", b""), user, found.get("ContentType", "")
        )
        self.log.append(
            Seen(
                message.topic, bytes(message.payload), message.qos, bool(message.retain), bool(message.dup),
                found.get("MessageExpiryInterval"), None if props == Props() else props,
            )
        )  # fmt: skip
        if message.qos and self.holds:
            self.held.append(message.mid)
        elif message.qos:
            client.ack(message.mid, message.qos)

    def _on_publish(self, _client: Any, _data: Any, _mid: int, reason: ReasonCode, _props: Any) -> None:
        self.log.append(Told("puback", (reason.value,)))

    def _on_subscribe(self, _client: Any, _data: Any, _mid: int, reasons: list[ReasonCode], _props: Any) -> None:
        self.log.append(Told("suback", tuple(one.value for one in reasons)))

    def _on_unsubscribe(self, _client: Any, _data: Any, mid: int, reasons: list[ReasonCode], _props: Any) -> None:
        if mid in self.asked:
            self.asked.discard(mid)
        else:
            self.log.append(Told("unsuback", tuple(one.value for one in reasons)))

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, reason: ReasonCode, _props: Any) -> None:
        if self.open:
            self.open = False
            self.log.append(Told("closed", (reason.value,)))


class Running(NamedTuple):
    """A broker that somebody else has started."""

    host: str
    port: int


class LiveWorld:
    """See :class:`tests.contract.broker_worlds.World`. ``close`` it."""

    def __init__(self, broker: Broker | Running) -> None:
        self._broker = broker
        self._ends: dict[str, _End] = {}
        self._old: list[_End] = []

    def close(self) -> None:
        for end in [*self._ends.values(), *self._old]:
            _shut(end)

    def connect(
        self,
        name: str,
        packet: Connect | None = None,
        *,
        client_id: str = "",
        clean_start: bool = True,
        expiry_s: int = 0,
    ) -> tuple[int, bool]:
        packet = packet or Connect(client_id or name, clean_start, 60, expiry_s)
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            packet.client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        if packet.will is not None:
            will = packet.will
            props = Properties(PacketTypes.WILLMESSAGE)
            props.WillDelayInterval = will.delay_s
            if will.expiry_s:
                props.MessageExpiryInterval = will.expiry_s
            client.will_set(will.topic, will.payload, will.qos, will.retain, props)
        props = Properties(PacketTypes.CONNECT)
        props.SessionExpiryInterval = packet.expiry_s
        if packet.receive_max:
            props.ReceiveMaximum = packet.receive_max
        if packet.max_packet_bytes:
            props.MaximumPacketSize = packet.max_packet_bytes
        before = self._ends.get(name)
        end = _End(client)
        if before is not None:
            end.log = before.log
            self._old.append(before)
        self._ends[name] = end
        client.connect(
            self._broker.host, self._broker.port, packet.keepalive_s, clean_start=packet.clean_start, properties=props
        )
        end.silent = 0 < packet.keepalive_s < 10
        self._pump(lambda: end.connack is not None)
        self._settle()
        assert end.connack is not None
        return end.connack

    def subscribe(self, name: str, *filters: Filter | str) -> tuple[int, ...]:
        wanted = [
            (
                one.text,
                SubscribeOptions(
                    one.qos, noLocal=one.no_local, retainAsPublished=one.as_published, retainHandling=one.handling
                ),
            )
            for one in as_filters(filters)
        ]
        self._ends[name].client.subscribe(wanted)
        return self._answer(name, "suback")

    def unsubscribe(self, name: str, *filters: str) -> tuple[int, ...]:
        self._ends[name].client.unsubscribe(list(filters))
        return self._answer(name, "unsuback")

    def publish(self, name: str, packet: Publish) -> int:
        props = Properties(PacketTypes.PUBLISH)
        if packet.expiry_s is not None:
            props.MessageExpiryInterval = packet.expiry_s
        if packet.props is not None:
            props.ResponseTopic = packet.props.response_topic
            props.CorrelationData = packet.props.correlation
            props.ContentType = packet.props.content_type
            props.UserProperty = list(packet.props.user)
        end = self._ends[name]
        if packet.qos == 0:
            on_publish, end.client.on_publish = end.client.on_publish, None
            end.client.publish(packet.topic, packet.payload, 0, packet.retain, props)
            self._settle()
            end.client.on_publish = on_publish
            return 0
        end.client.publish(packet.topic, packet.payload, packet.qos, packet.retain, props)
        return self._answer(name, "puback")[0]

    def publish_all(self, name: str, packets: list[Publish]) -> None:
        end = self._ends[name]
        for packet in packets:
            end.client.publish(packet.topic, packet.payload, packet.qos, packet.retain)
        self._pump(lambda: not end.client.want_write() and not end.client._out_messages)
        self._settle()
        end.log.clear()

    def drop(self, name: str) -> None:
        end = self._ends[name]
        end.open = False
        _shut(end)
        self._settle()

    def disconnect(self, name: str, packet: Disconnect = GOODBYE) -> None:
        end = self._ends[name]
        props = Properties(PacketTypes.DISCONNECT)
        if packet.expiry_s is not None:
            props.SessionExpiryInterval = packet.expiry_s
        end.open = False
        end.client.disconnect(ReasonCode(PacketTypes.DISCONNECT, identifier=packet.reason), props)
        end.client.loop_write()
        self._settle()

    def hold(self, name: str) -> None:
        self._ends[name].holds = True

    def ack(self, name: str) -> None:
        end = self._ends[name]
        end.client.ack(end.held.pop(0), 1)
        self._settle()

    def log(self, name: str) -> Log:
        end = self._ends[name]
        log, end.log = end.log, []
        return log

    def wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self._pump(lambda: time.monotonic() >= end, seconds + 1)
        self._settle()

    def wait_for(self, name: str, within_s: float) -> float:
        began, end = time.monotonic(), self._ends[name]
        self._pump(lambda: bool(end.log), within_s)
        return time.monotonic() - began

    def end_broker(self, how: str) -> None:
        assert isinstance(self._broker, Broker)
        if how == "kill":
            self._broker.kill()
        self._broker.restart()
        self._pump(lambda: not any(end.open for end in self._ends.values()))

    def _answer(self, name: str, what: str) -> tuple[int, ...]:
        log, seen = self._ends[name].log, len(self._ends[name].log)
        found: list[Told] = []

        def answered() -> bool:
            found[:] = [one for one in log[seen:] if isinstance(one, Told) and one.what in {what, "closed"}]
            return bool(found)

        self._pump(answered)
        self._settle()
        return found[0].reasons

    def _settle(self) -> None:
        """Until whatever the broker had to say has been heard by everybody. A dropped connection it sees by then: twice
        round, as it looks at its sockets in any order."""
        for _ in range(2):
            ends = [end for end in self._ends.values() if end.open and not end.silent]
            for end in ends:
                _, mid = end.client.unsubscribe(NOBODY)
                assert mid is not None
                end.asked.add(mid)
            self._pump(lambda ends=ends: not any(end.open and end.asked for end in ends))

    def _pump(self, done: Callable[[], bool], within_s: float = WAIT_S) -> None:
        limit = time.monotonic() + within_s
        while not done():
            assert time.monotonic() < limit, "it did not come in time"
            open_ends = {end.client.socket(): end for end in [*self._ends.values(), *self._old] if end.client.socket()}
            wanting = [sock for sock, end in open_ends.items() if end.client.want_write()]
            readable, writable, _ = select.select(list(open_ends), wanting, [], 0.02)
            for sock in writable:
                open_ends[sock].client.loop_write()
            for sock in readable:
                client = open_ends[sock].client
                if client.socket() is sock and client.loop_read() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                    open_ends[sock].open = False


def _shut(end: _End) -> None:
    """Close as a dying process does: no DISCONNECT."""
    sock, end.client.on_disconnect = end.client.socket(), None
    if sock is not None:
        end.client._sock_close()  # paho offers no other way to end without a word
