"""An agent's end of the wire, whoever drives it: one paho client a connection, what it subscribes to, and what of it
becomes an event. Its callbacks put events in the mailbox and return: an exception there would silently end paho's thread.

A fresh client is made for each attempt, so that nothing is left in paho's own queue: what must not be lost is in the
journal. TCP_NODELAY is set, as a QoS 1 round trip takes tens of milliseconds without it.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge.core.hearing import hear
from edge.core.hearing import refused as refused_message
from edge.errors import RemoteError
from edge.events import AgentEvent, Connected, Disconnected, Received, Refused
from edge.shell.endpoint import (
    NOT_AUTHORISED,
    Endpoint,
    ended,
    new_client,
    no_delay,
    refused,
    tls_context,
)
from edge.topics import BY_KIND, MAX_PACKET_BYTES, WINDOW_RECORDS, TopicKind, topic

CONNECT_TIMEOUT_S = 5.0
INFLIGHT = 4 * WINDOW_RECORDS
WITH_WILL = 0x04
"""MQTT 5.0, 3.14.2.1: disconnect with will message."""


class Wire:
    """One agent's end of the wire: its client, what it subscribes to, and what of it becomes an event.

    Who drives the client is a subclass's business: :class:`MqttLink` has threads, a swarm has one selector for all.
    ``conn_no`` bumps the persisted counter; ``post`` never blocks.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        site: str,
        agent: str,
        post: Callable[[AgentEvent], None],
        conn_no: Callable[[], int],
        *,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        context: ssl.SSLContext | None = None,
    ) -> None:
        """Raises ConfigError TLS_FILE_UNUSABLE. ``connect_timeout_s``: until our subscriptions stand. ``context``: TLS
        that several share.
        """
        self._endpoint = endpoint
        self._site = site
        self._agent = agent
        self._post = post
        self._conn_no = conn_no
        self._connect_timeout_s = connect_timeout_s
        self._context = context or (tls_context(endpoint.tls) if endpoint.tls else None)
        self._client: paho.Client | None = None
        self._up = False
        self._trying = False
        self._answered = False
        self._accepted = False
        self._subscribed = 0
        self._socket: object = None

    def publish(self, kind: TopicKind, payload: bytes, expiry_s: int | None = None) -> bool:
        """Hand a message to the connection. False when there is none."""
        client, row = self._client, BY_KIND[kind]
        if client is None or not self._up:
            return False
        properties = None
        if expiry_s is not None:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.MessageExpiryInterval = expiry_s
        info = client.publish(
            topic(self._site, self._agent, kind), payload, qos=row.qos, retain=row.retain, properties=properties
        )
        return info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS

    def dial(self, client: paho.Client) -> None:
        """The connection's blocking part. Raises OSError, ValueError."""
        client.connect(self._endpoint.host, self._endpoint.port, self._endpoint.keepalive_s, **self._session())

    def _begin(self, will: bytes) -> paho.Client:
        # Known before it connects: it may be lost again within `connect`, and that must be heard.
        client = self._client = self._make(will)
        self._trying, self._answered, self._accepted, self._subscribed = True, False, False, 0
        return client

    def _down(self, code: str, what: str) -> None:
        self._up = self._trying = False
        self._post(Disconnected(code, what))

    def _session(self) -> dict[str, Any]:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.MaximumPacketSize = MAX_PACKET_BYTES
        return {"clean_start": True, "properties": properties}

    def _make(self, will: bytes) -> paho.Client:
        client = new_client(self._endpoint, self._agent, self._context, self._connect_timeout_s)
        client.max_inflight_messages_set(INFLIGHT)
        client.will_set(topic(self._site, self._agent, "state"), will, qos=1, retain=True)
        client.on_socket_open = self._on_open
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        return client

    def _goodbye(self, client: paho.Client) -> None:
        """One that was not ours to say: the broker publishes our will."""
        client.on_disconnect = None
        client.disconnect(ReasonCode(PacketTypes.DISCONNECT, identifier=WITH_WILL))

    def _on_open(self, client: paho.Client, data: Any, sock: Any) -> None:
        no_delay(client, data, sock)
        self._socket = sock

    def _on_connect(self, client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _props: Any) -> None:
        self._answered = True
        if reason.is_failure:
            self._leave(client, *refused(self._endpoint, reason))
            return
        # Our own state alone first: by the time the second subscription stands, we know who was here before us.
        client.subscribe(topic(self._site, self._agent, "state"), options=SubscribeOptions(qos=1))

    def _on_subscribe(self, client: paho.Client, _data: Any, _mid: int, reasons: list[ReasonCode], _props: Any) -> None:
        failed = [reason for reason in reasons if reason.is_failure]
        if failed:
            self._leave(client, "LINK_NOT_AUTHORISED", refused(self._endpoint, failed[0], "our own topics")[1])
            return
        self._subscribed += 1
        if self._subscribed == 1:
            rest = [topic(self._site, self._agent, kind) for kind in ("desired", "ask", "ack")]
            client.subscribe([(name, SubscribeOptions(qos=1)) for name in rest])
            return
        self._up, self._trying = True, False
        self._post(Connected(self._conn_no()))

    def _on_publish(self, client: paho.Client, _data: Any, _mid: int, reason: ReasonCode, _props: Any) -> None:
        if reason.value not in NOT_AUTHORISED:
            self._accepted = True
        elif self._accepted:
            self._post(Refused("PUBLISH_NOT_AUTHORISED"))
        else:  # our birth, the first of all: nobody would know of us
            self._leave(client, *refused(self._endpoint, reason, "what we publish"))

    def _leave(self, client: paho.Client, code: str, what: str) -> None:
        """On paho's thread: this connection is of no use."""
        client.on_disconnect = None
        if client is self._client and (self._trying or self._up):
            self._down(code, what)
        client.disconnect()

    def _on_disconnect(self, client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _props: Any) -> None:
        if client is not self._client:
            return
        client.on_disconnect = None  # paho calls twice when the keep-alive ran out
        self._down(*ended(self._endpoint, reason, self._socket, answered=self._answered))

    def _on_message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        received_ns = time.monotonic_ns()
        try:
            event = read_message(message, received_ns)
        except RemoteError as error:
            self._post(refused_message(message.topic, error.code))
        except Exception:  # noqa: BLE001 - an exception here would silently end paho's thread
            self._post(Refused("MESSAGE_MALFORMED"))
        else:
            self._post(event)


def read_message(message: paho.MQTTMessage, received_ns: int) -> Received:
    """Decode one message from outside, with its remaining time to live. Raises RemoteError."""
    expiry_s = getattr(message.properties, "MessageExpiryInterval", None)
    payload, retained = bytes(message.payload), bool(message.retain)
    return hear(message.topic, payload, received_ns, expiry_s=expiry_s, retained=retained)


def unsent(client: paho.Client) -> bool:
    """Whether paho still holds packets or unanswered QoS 1 messages of ours."""
    return bool(client.want_write() or client._out_messages)  # noqa: SLF001 - paho offers no public question for it
