"""Where a broker is and how we come in; and, when we do not, which code and sentence say why."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from msgspec import Struct
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from edge.errors import ConfigError

TAKEN_OVER = 0x8E
NOT_AUTHORISED = {0x86, 0x87, 0x8C}
"""MQTT 5.0, 3.2.2.2: bad user name or password, not authorized, bad authentication method."""


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


class TidySocket(ssl.SSLSocket):
    """Closes itself when the handshake fails, which paho leaves to the garbage collector; and remembers what TLS said.

    With TLS 1.3 a broker refuses our certificate after the handshake, with an alert that paho takes for any end.
    """

    trouble = ""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        try:
            return super().recv(buflen, flags)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            self.trouble = error.reason or str(error)
            raise


def new_client(
    endpoint: Endpoint,
    client_id: str,
    context: ssl.SSLContext | None,
    connect_timeout_s: float,
    *,
    reconnects: bool = False,
) -> paho.Client:
    """A paho client that speaks MQTT 5 and knows how to come in. Its callbacks are the caller's; nothing is connected."""
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        protocol=MQTTProtocolVersion.MQTTv5,
        reconnect_on_failure=reconnects,
    )
    client.connect_timeout = connect_timeout_s
    if context is not None:
        client.tls_set_context(context)
    if endpoint.username is not None:
        client.username_pw_set(endpoint.username, endpoint.password)
    return client


def tls_context(tls: Tls) -> ssl.SSLContext:
    """TLS 1.2 or newer, the broker's certificate and name checked. Raises ConfigError TLS_FILE_UNUSABLE."""
    files = [str(file) for file in (tls.ca, tls.cert, tls.key) if file]
    for file in files:
        if not Path(file).is_file():
            raise ConfigError("TLS_FILE_UNUSABLE", f"there is no file {file}", hint="check the path")
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(tls.ca))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.sslsocket_class = TidySocket
        if tls.cert:
            context.load_cert_chain(str(tls.cert), str(tls.key) if tls.key else None)
    except (OSError, ssl.SSLError) as error:
        what = f"a certificate or key cannot be used: {', '.join(files)}"
        raise ConfigError("TLS_FILE_UNUSABLE", what, str(error)) from error
    return context


def no_delay(_client: object, _data: Any, sock: Any) -> None:
    """Send small packets at once."""
    real = sock if isinstance(sock, socket.socket) else getattr(sock, "_sock", sock)
    real.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def explain(error: Exception, endpoint: Endpoint, timeout_s: float) -> tuple[str, str]:
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
        return silent(endpoint, timeout_s)
    return "LINK_FAILED", f"{endpoint} cannot be reached: {error}"


def silent(endpoint: Endpoint, timeout_s: float) -> tuple[str, str]:
    """Code and sentence for a broker that takes a connection and says nothing."""
    return "LINK_TIMEOUT", f"{endpoint} did not answer within {timeout_s:g} s"


def refused(endpoint: Endpoint, reason: ReasonCode, what: str = "us") -> tuple[str, str]:
    """Code and sentence for a broker that says no."""
    code = "LINK_NOT_AUTHORISED" if reason.value in NOT_AUTHORISED else "LINK_REFUSED"
    return code, f"the broker at {endpoint} refuses {what}: {reason}"


def ended(endpoint: Endpoint, reason: ReasonCode, sock: object, *, answered: bool) -> tuple[str, str]:
    """Code and sentence for a connection that ended. ``answered``: the broker had spoken MQTT on it before."""
    trouble = getattr(sock, "trouble", "")
    if trouble:
        return "LINK_TLS", f"{endpoint} ended TLS: {trouble}"
    if answered:
        code = "LINK_TAKEN_OVER" if reason.value == TAKEN_OVER else "LINK_LOST"
        return code, f"the connection to {endpoint} ended: {reason}"
    guess = "does it want TLS?"
    if endpoint.tls is not None:
        guess = (
            "does it want another client certificate?" if endpoint.tls.cert else "does it want a client certificate?"
        )
    return "LINK_LOST", f"{endpoint} hung up without an answer; {guess}"
