"""The coordinator's connection: paho driven through its external-loop hooks on one selector, in the core's own thread.

paho's own thread would cost half as much again and end at 339 clients; here the loop that reads is the loop that
commits, so a batch is whatever arrived while the last commit ran. A fresh client is made for every attempt: what
paho still had queued (an ask whose asker has long gone) must not be sent after a reconnect.
"""

from __future__ import annotations

import select
import selectors
import time
from collections.abc import Callable
from typing import Any, Final

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge.errors import RemoteError
from edge.events_fleet import FleetEvent, Heard, LinkDown, LinkUp, Unheard
from edge.shell.endpoint import (
    NOT_AUTHORISED,
    Endpoint,
    ended,
    explain,
    new_client,
    no_delay,
    refused,
    silent,
    tls_context,
)
from edge.shell.wire import read_message
from edge.topics import COORDINATOR, MAX_PACKET_BYTES, TABLE, filters, topic

CONNECT_TIMEOUT_S: Final = 3.0
KEEPALIVE_S: Final = 10
MAX_TURN_MESSAGES: Final = 512
MAX_TURN_BYTES: Final = 2 * 1024 * 1024
"""What one turn reads at most. A commit of it takes some 0.2 s, far below the 5 s after which agents send again."""
LINGER_S: Final = 2.0
_QOS: Final = {row.kind: row.qos for row in TABLE}


class SelectorLink:
    """One connection at a time. ``post`` takes events; nothing is called from another thread; nothing raises."""

    def __init__(
        self,
        endpoint: Endpoint,
        site: str,
        client_id: str,
        selector: selectors.BaseSelector,
        post: Callable[..., None],
        *,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
    ) -> None:
        """Raises ConfigError TLS_FILE_UNUSABLE."""
        self._endpoint = endpoint
        self._site = site
        self._client_id = client_id
        self._connect_timeout_s = connect_timeout_s
        self._selector = selector
        self._post: Callable[[FleetEvent], None] = post
        self._context = tls_context(endpoint.tls) if endpoint.tls else None
        self._client: paho.Client | None = None
        self._socket: Any = None
        self._last_socket: Any = None
        self._poll = select.poll()
        self._give_up_at = 0.0
        self._up = False
        self._answered = False
        self._accepted = False
        self._ended: LinkDown | None = None
        self._turn_messages = 0
        self._turn_bytes = 0
        self.bytes_in = 0

    def connect(self, will: bytes) -> None:
        """Try once; the outcome is posted as LinkUp or LinkDown. Blocks up to ``connect_timeout_s``."""
        self._drop()
        self._ended, self._answered, self._accepted = None, False, False
        client = self._make(will)
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.MaximumPacketSize = MAX_PACKET_BYTES
        try:
            client.connect(
                self._endpoint.host, self._endpoint.port, KEEPALIVE_S, clean_start=True, properties=properties
            )
        except (OSError, ValueError) as error:
            self._drop()
            self._post(LinkDown(*explain(error, self._endpoint, self._connect_timeout_s)))
            return
        self._client = client
        self._give_up_at = time.monotonic() + self._connect_timeout_s

    def publish(self, agent: str, kind: str, payload: bytes, *, retain: bool, expiry_s: int = 0) -> None:
        """Hand one message over; dropped when there is no connection (the core hears of that)."""
        if self._client is None or not self._up:
            return
        properties = None
        if expiry_s:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.MessageExpiryInterval = expiry_s
        name = topic(self._site, agent, kind)  # type: ignore[arg-type]
        self._client.publish(name, payload, _QOS[kind], retain, properties)  # type: ignore[index]

    def pump(self) -> bool:
        """Read what is there, up to a turn's measure. True if more may be waiting."""
        self._turn_messages = self._turn_bytes = 0
        while (client := self._client) is not None and self._readable():
            if self._turn_messages >= MAX_TURN_MESSAGES or self._turn_bytes >= MAX_TURN_BYTES:
                return True
            client.loop_read()
            self._settle()
        return False

    def flush(self) -> None:
        """Write what is queued, as far as the socket takes it; the selector wakes us for the rest."""
        client = self._client
        if client is None:
            return
        if client.want_write():
            client.loop_write()
            self._settle()
        sock = self._socket
        if sock is not None:
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if client.want_write() else 0)
            self._selector.modify(sock, wanted, self)

    def misc(self) -> None:
        """Keep-alive, and an end to attempts that hang. To be called about once a second."""
        client = self._client
        if client is None:
            return
        client.loop_misc()
        if not self._up and time.monotonic() > self._give_up_at:
            self._fail(*silent(self._endpoint, self._connect_timeout_s))
        self._settle()

    def close(self) -> None:
        """Leave in good order: what was handed over goes out first, as far as ``LINGER_S`` allows."""
        client, end = self._client, time.monotonic() + LINGER_S
        while client is not None and self._up and _unsent(client) and time.monotonic() < end:
            self._selector.select(0.01)
            self.pump()
            self.flush()
        self._drop()

    def _make(self, will: bytes) -> paho.Client:
        client = new_client(self._endpoint, self._client_id, self._context, self._connect_timeout_s)
        # No limit of paho's: with one, each PUBACK walks through all that is in flight, and a thousand acks cost a second.
        client.max_inflight_messages_set(0)
        client.will_set(topic(self._site, COORDINATOR, "state"), will, qos=1, retain=True)
        client.on_socket_open = self._on_open
        client.on_socket_close = self._on_close
        client.on_socket_register_write = _by_flush  # its being there keeps paho from writing inside publish()
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        return client

    def _readable(self) -> bool:
        sock = self._socket
        if sock is None:
            return False
        pending = getattr(sock, "pending", None)  # what TLS has decrypted already, select does not see
        return bool(self._poll.poll(0)) or bool(pending and pending())

    def _fail(self, code: str, what: str) -> None:
        """The connection is of no use. Inside a callback paho holds a lock that its own methods want: only noted."""
        self._up = False
        self._ended = self._ended or LinkDown(code, what)

    def _settle(self) -> None:
        ended, self._ended = self._ended, None
        if ended is not None and self._client is not None:
            self._drop()
            self._post(ended)

    def _drop(self) -> None:
        client, self._client, self._up = self._client, None, False
        if client is not None:
            client.on_disconnect = None
            client.disconnect()
            client.loop_write()
        sock, self._socket = self._socket, None
        if sock is not None:
            self._forget(sock)
            sock.close()

    def _forget(self, sock: Any) -> None:
        if sock.fileno() >= 0:
            self._selector.unregister(sock)
            self._poll.unregister(sock)

    def _on_open(self, client: paho.Client, data: Any, sock: Any) -> None:
        no_delay(client, data, sock)
        self._socket = self._last_socket = sock
        self._selector.register(sock, selectors.EVENT_READ, self)
        self._poll.register(sock, select.POLLIN | select.POLLHUP | select.POLLERR)

    def _on_close(self, _client: paho.Client, _data: Any, sock: Any) -> None:
        if sock is self._socket:
            self._socket = None
            self._forget(sock)

    def _on_connect(self, client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _props: Any) -> None:
        self._answered = True
        if reason.is_failure:
            self._fail(*refused(self._endpoint, reason))
            return
        client.subscribe([(name, SubscribeOptions(qos=1)) for name in filters(self._site, "agent")])

    def _on_subscribe(
        self, _client: paho.Client, _data: Any, _mid: int, reasons: list[ReasonCode], _props: Any
    ) -> None:
        failed = [reason for reason in reasons if reason.is_failure]
        if failed:
            self._fail("LINK_NOT_AUTHORISED", refused(self._endpoint, failed[0], "our topics")[1])
            return
        self._up = True
        self._post(LinkUp())

    def _on_publish(self, _client: paho.Client, _data: Any, _mid: int, reason: ReasonCode, _props: Any) -> None:
        if reason.value not in NOT_AUTHORISED:
            self._accepted = True
        elif self._accepted:
            self._post(Unheard("PUBLISH_NOT_AUTHORISED"))
        else:  # our own state, the first of all
            self._fail(*refused(self._endpoint, reason, "what we publish"))

    def _on_disconnect(self, client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _props: Any) -> None:
        if client is self._client:
            self._fail(*ended(self._endpoint, reason, self._last_socket, answered=self._answered))

    def _on_message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        size = len(message.payload)
        self._turn_messages += 1
        self._turn_bytes += size
        self.bytes_in += size
        try:
            heard = read_message(message, 0)
        except RemoteError as error:
            self._post(Unheard(error.code))
        except Exception:  # noqa: BLE001 - bytes from outside must not end the loop, whatever they are
            self._post(Unheard("MESSAGE_MALFORMED"))
        else:
            self._post(Heard(heard.agent, heard.kind, heard.message, heard.retained))


def _by_flush(_client: paho.Client, _data: Any, _sock: Any) -> None:
    """Writing is done by :meth:`SelectorLink.flush`."""


def _unsent(client: paho.Client) -> bool:
    """Whether paho still holds packets or unanswered QoS 1 messages of ours."""
    return bool(client.want_write() or client._out_messages)  # noqa: SLF001 - paho offers no public question for it
