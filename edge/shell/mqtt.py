"""The link: one paho client a connection, its callbacks put events in the mailbox and return.

::

    core ── Connect ──▶ thread "link" (blocking connect) ──▶ paho's network thread
    core ◀─ Connected | Received | Refused | Disconnected ── callbacks

A fresh client is made for each attempt, so that nothing is left in paho's own queue: what must not be lost is in the
journal. Reconnecting is the core's business (``core/backoff.py``). TCP_NODELAY is set, as a QoS 1 round trip takes
tens of milliseconds without it.
"""

from __future__ import annotations

import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from msgspec import Struct
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge.errors import ConfigError, RemoteError
from edge.events import AgentEvent, Connected, Disconnected, Received, Refused
from edge.topics import BY_KIND, COORDINATOR, MAX_PACKET_BYTES, WINDOW_RECORDS, TopicKind, decode, parse, topic

CONNECT_TIMEOUT_S = 5.0
TAKEN_OVER = 0x8E
NOT_AUTHORISED = {0x86, 0x87, 0x8C}
INFLIGHT = 4 * WINDOW_RECORDS


class Tls(Struct, frozen=True):
    """PEM files; ``cert`` and ``key`` for a client certificate."""

    ca: Path
    cert: Path | None = None
    key: Path | None = None


class Endpoint(Struct, frozen=True):
    """Where the broker is and how we come in."""

    host: str
    port: int
    keepalive_s: int = 5
    tls: Tls | None = None
    username: str | None = None
    password: str | None = None

    def __str__(self) -> str:
        return f"{'mqtts' if self.tls else 'mqtt'}://{self.host}:{self.port}"


def tls_context(tls: Tls) -> ssl.SSLContext:
    """TLS 1.2 or newer, the broker's certificate and name checked. Raises ConfigError TLS_FILE_UNUSABLE."""
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(tls.ca))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.sslsocket_class = TidySocket
        if tls.cert:
            context.load_cert_chain(str(tls.cert), str(tls.key) if tls.key else None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError("TLS_FILE_UNUSABLE", "a certificate or key cannot be used", str(error)) from error
    return context


class TidySocket(ssl.SSLSocket):
    """Closes itself when the handshake fails; paho leaves it to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


class MqttLink:
    """An agent's connection. ``conn_no`` bumps the persisted counter; ``post`` never blocks."""

    def __init__(
        self,
        endpoint: Endpoint,
        site: str,
        agent: str,
        post: Callable[[AgentEvent], None],
        conn_no: Callable[[], int],
    ) -> None:
        self._endpoint = endpoint
        self._site = site
        self._agent = agent
        self._post = post
        self._conn_no = conn_no
        self._context = tls_context(endpoint.tls) if endpoint.tls else None
        self._client: paho.Client | None = None
        self._orders: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._up = False
        self._subscribed = 0
        self._thread = threading.Thread(target=self._run, name="link", daemon=True)
        self._thread.start()

    def connect(self, will: bytes) -> None:
        """Try once, in the background; the outcome comes as Connected or Disconnected."""
        self._orders.put(will)

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

    def disconnect(self, linger_s: float = 2.0) -> None:
        """Leave in good order: what was handed over goes out first, as far as ``linger_s`` allows."""
        client, self._up = self._client, False
        if client is not None:
            deadline = time.monotonic() + linger_s
            done = threading.Event()
            while client.is_connected() and _unsent(client) and time.monotonic() < deadline:
                done.wait(0.01)
            client.disconnect()

    def close(self) -> None:
        """End the thread and the connection."""
        self._up = False
        self._orders.put(None)
        self._thread.join(CONNECT_TIMEOUT_S + 5.0)

    def _run(self) -> None:
        while (will := self._orders.get()) is not None:
            self._drop()
            # Known before it connects: it may be lost again within `connect`, and that must be heard.
            client = self._client = self._make(will)
            try:
                client.connect(self._endpoint.host, self._endpoint.port, self._endpoint.keepalive_s, **self._session())
            except (OSError, ValueError) as error:
                self._client = None
                self._post(Disconnected(*explain(error, self._endpoint)))
                continue
            client.loop_start()
        self._drop()

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.on_disconnect = None
            client.disconnect()
            client.loop_stop()

    def _session(self) -> dict[str, Any]:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.MaximumPacketSize = MAX_PACKET_BYTES
        return {"clean_start": True, "properties": properties}

    def _make(self, will: bytes) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._agent,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.max_inflight_messages_set(INFLIGHT)
        client.will_set(topic(self._site, self._agent, "state"), will, qos=1, retain=True)
        if self._context is not None:
            client.tls_set_context(self._context)
        if self._endpoint.username is not None:
            client.username_pw_set(self._endpoint.username, self._endpoint.password)
        client.on_socket_open = no_delay
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        return client

    def _on_connect(self, client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _props: Any) -> None:
        if reason.is_failure:
            code = "LINK_NOT_AUTHORISED" if reason.value in NOT_AUTHORISED else "LINK_REFUSED"
            client.on_disconnect = None
            self._post(Disconnected(code, f"the broker at {self._endpoint} says: {reason}"))
            client.disconnect()
            return
        # Our own state alone first: by the time the second subscription stands, we know who was here before us.
        client.subscribe(topic(self._site, self._agent, "state"), options=SubscribeOptions(qos=1))
        self._subscribed = 0

    def _on_subscribe(self, client: paho.Client, _data: Any, _mid: int, reasons: list[ReasonCode], _props: Any) -> None:
        if any(reason.is_failure for reason in reasons):
            what = f"the broker at {self._endpoint} refuses our own topics: {reasons[0]}"
            client.on_disconnect = None
            self._post(Disconnected("LINK_NOT_AUTHORISED", what))
            client.disconnect()
            return
        self._subscribed += 1
        if self._subscribed == 1:
            rest = [topic(self._site, self._agent, kind) for kind in ("desired", "ask", "ack")]
            client.subscribe([(name, SubscribeOptions(qos=1)) for name in rest])
            return
        self._up = True
        self._post(Connected(self._conn_no()))

    def _on_disconnect(self, client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _props: Any) -> None:
        if client is not self._client:
            return
        client.on_disconnect = None  # paho calls twice when the keep-alive ran out
        self._up = False
        code = "LINK_TAKEN_OVER" if reason.value == TAKEN_OVER else "LINK_LOST"
        self._post(Disconnected(code, f"the connection to {self._endpoint} ended: {reason}"))

    def _on_message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        received_ns = time.monotonic_ns()
        try:
            event = read_message(message, received_ns)
        except RemoteError as error:
            self._post(Refused(error.code))
        except Exception:  # noqa: BLE001 - an exception here would silently end paho's thread
            self._post(Refused("MESSAGE_MALFORMED"))
        else:
            self._post(event)


def read_message(message: paho.MQTTMessage, received_ns: int) -> Received:
    """Decode one message from outside, with its remaining time to live. Raises RemoteError."""
    address = parse(message.topic)
    if address.agent == COORDINATOR and address.kind != "state":
        raise RemoteError("TOPIC_FOREIGN", "the coordinator has no such topic")
    body = decode(address.kind, bytes(message.payload))
    expiry_s = getattr(message.properties, "MessageExpiryInterval", None)
    expiry_ns = None if expiry_s is None else received_ns + int(expiry_s) * 1_000_000_000
    return Received(address.agent, address.kind, body, received_ns, expiry_ns, bool(message.retain))


def no_delay(_client: paho.Client, _data: Any, sock: Any) -> None:
    """Send small packets at once."""
    real = sock if isinstance(sock, socket.socket) else getattr(sock, "_sock", sock)
    real.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def explain(error: Exception, endpoint: Endpoint) -> tuple[str, str]:
    """Code and sentence for a connection that did not come about."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "LINK_TLS", f"the certificate of {endpoint} is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return "LINK_TLS", f"no TLS with {endpoint}: {error.reason or error}"
    if isinstance(error, ConnectionRefusedError):
        return "LINK_REFUSED", f"nothing listens at {endpoint}"
    if isinstance(error, socket.gaierror):
        return "LINK_HOST_UNKNOWN", f"the host name of {endpoint} is not known"
    if isinstance(error, TimeoutError):
        return "LINK_TIMEOUT", f"{endpoint} did not answer within {CONNECT_TIMEOUT_S:g} s"
    return "LINK_FAILED", f"{endpoint} cannot be reached: {error}"


def _unsent(client: paho.Client) -> bool:
    """Whether paho still holds packets or unanswered QoS 1 messages of ours."""
    return bool(client.want_write() or client._out_messages)  # noqa: SLF001 - paho offers no public question for it
