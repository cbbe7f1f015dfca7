"""``jidoka watch``: the live messages of a broker, decoded and filtered."""

from __future__ import annotations

import queue
import time
import uuid
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

import paho.mqtt.client as paho
import typer
from msgspec import Struct

from edge.cli.common import note, read_password, say, say_json
from edge.cli.describe import clock, lines_of, plain
from edge.domain import is_id
from edge.errors import ConfigError, LinkError, RemoteError
from edge.shell.endpoint import Endpoint, Tls, explain, new_client, no_delay, tls_context
from edge.shell.wire import CONNECT_TIMEOUT_S
from edge.topics import BY_KIND, ROOT, decode, parse

KEEPALIVE_S = 10
MAX_WAITING = 10_000
"""Messages between the network and the terminal; more are dropped and counted: watching never holds up a broker."""

app = typer.Typer(add_completion=False)
Kind = StrEnum("Kind", {kind.upper(): kind for kind in BY_KIND})  # type: ignore[misc]


class Arrived(Struct, frozen=True):
    """One message as it came, before anything looked into it."""

    topic: str
    payload: bytes
    retained: bool
    utc_ms: int


class Filter(Struct, frozen=True):
    """Which messages are shown; empty is all."""

    site: str = ""
    agent: str = ""
    kinds: tuple[str, ...] = ()

    def topics(self) -> list[str]:
        """The topic filters that take in exactly these."""
        kinds = self.kinds or ("+",)
        return [f"{ROOT}/{self.site or '+'}/{self.agent or '+'}/{kind}" for kind in kinds]


@app.command()
def watch(
    broker: Annotated[str, typer.Option(help="mqtt://host:port, or mqtts:// for TLS.")] = "mqtt://127.0.0.1:1883",
    site: Annotated[str, typer.Option(help="Only this site.")] = "",
    agent: Annotated[str, typer.Option(help="Only this agent.")] = "",
    kind: Annotated[list[Kind] | None, typer.Option(help="Only this kind; may be given several times.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document a line.")] = False,
    count: Annotated[int, typer.Option(min=0, help="End after so many messages; 0 is never.")] = 0,
    seconds: Annotated[float, typer.Option(min=0, help="End after so long; 0 is never.")] = 0,
    username: Annotated[str, typer.Option(help="Name at the broker.")] = "",
    password_file: Annotated[Path | None, typer.Option(help="File with the password.")] = None,
    ca: Annotated[Path | None, typer.Option(help="CA certificate (PEM), with mqtts://.")] = None,
    cert: Annotated[Path | None, typer.Option(help="Client certificate (PEM).")] = None,
    key: Annotated[Path | None, typer.Option(help="Key of the client certificate (PEM).")] = None,
) -> None:
    """Show the live messages of a broker, decoded. It only listens. Ctrl-C ends it."""
    for option, value in (("--site", site), ("--agent", agent)):
        if value and not is_id(value):
            raise ConfigError("ID_WRONG", f"{option} {value!r}", "an id has letters, digits, '.', '_', '-', at most 64")
    password = read_password(password_file)
    endpoint = endpoint_of(broker, Tls(ca, cert, key) if ca else None, username or None, password)
    wanted = Filter(site, agent, tuple(str(one) for one in kind or ()))
    with Watcher(endpoint, wanted) as watcher:
        note(f"listening at {endpoint} to {', '.join(wanted.topics())}")
        end = time.monotonic() + seconds if seconds else None
        shown = 0
        while (not count or shown < count) and (arrived := watcher.next(end)) is not None:
            shown += 1
            show(arrived, as_json=as_json)
        if watcher.dropped:
            note(f"{watcher.dropped} messages came faster than they could be shown and were left out")


def endpoint_of(url: str, tls: Tls | None, username: str | None, password: str | None) -> Endpoint:
    """A broker's address as people write it. Raises ConfigError BROKER_URL_WRONG."""
    parts = urlsplit(url if "://" in url else f"mqtt://{url}")
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in {"mqtt", "mqtts"} or not parts.hostname or port == -1 or parts.path.strip("/"):
        raise ConfigError("BROKER_URL_WRONG", f"{url!r} is not a broker", hint="write mqtt://host:1883")
    if (parts.scheme == "mqtts") != (tls is not None):
        raise ConfigError("BROKER_URL_WRONG", "mqtts:// and a CA certificate go together", hint="give both or neither")
    return Endpoint(parts.hostname, port or (8883 if tls else 1883), KEEPALIVE_S, tls, username, password)


def show(arrived: Arrived, *, as_json: bool) -> None:
    """Print one message, or why it is none of ours."""
    try:
        address = parse(arrived.topic)
        message = decode(address.kind, arrived.payload)
    except RemoteError as error:
        if as_json:
            fault = {"code": error.code, "what": error.what, "why": error.why}
            say_json({"topic": arrived.topic, "utc_ms": arrived.utc_ms, "error": fault}, indent=0)
        else:
            say(f"{clock(arrived.utc_ms)} {arrived.topic} {error}")
        return
    if as_json:
        where = {"topic": arrived.topic, "site": address.site, "agent": address.agent, "kind": address.kind}
        about = {"retained": arrived.retained, "utc_ms": arrived.utc_ms, "message": plain(message)}
        say_json(where | about, indent=0)
        return
    kept = " (retained)" if arrived.retained else ""
    for line in lines_of(message):
        say(f"{clock(arrived.utc_ms)} {address.site}/{address.agent} {address.kind:<8} {line}{kept}")


class Watcher:
    """A listening connection as a context; ``next`` gives messages in order. paho reconnects by itself here: what a
    person misses while away is not lost, as agents keep their records until they are acknowledged.
    """

    def __init__(self, endpoint: Endpoint, wanted: Filter) -> None:
        self.dropped = 0
        self._endpoint = endpoint
        self._topics = [(name, 1) for name in wanted.topics()]
        self._queue: queue.Queue[Arrived | LinkError] = queue.Queue(MAX_WAITING)
        context = tls_context(endpoint.tls) if endpoint.tls else None
        name = f"jidoka-watch-{uuid.uuid4().hex[:12]}"
        client = new_client(endpoint, name, context, CONNECT_TIMEOUT_S, reconnects=True)
        client.reconnect_delay_set(1, 10)
        client.on_socket_open = no_delay
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        self._client = client

    def __enter__(self) -> Self:
        try:
            self._client.connect(self._endpoint.host, self._endpoint.port, KEEPALIVE_S)
        except (OSError, ValueError) as error:
            code, what = explain(error, self._endpoint, CONNECT_TIMEOUT_S)
            raise LinkError(code, what, hint="start a broker with `jidoka broker run`, or give --broker") from error
        self._client.loop_start()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def next(self, end: float | None) -> Arrived | None:
        """The next message; None when ``end`` (monotonic seconds) has come. Raises LinkError when we are refused."""
        while True:
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                return None
            try:
                # In slices, so that Ctrl-C is heard on every system.
                got = self._queue.get(timeout=1.0 if left is None else min(left, 1.0))
            except queue.Empty:
                continue
            if isinstance(got, LinkError):
                raise got
            return got

    def _put(self, item: Arrived | LinkError) -> None:
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            self.dropped += 1

    def _on_connect(self, client: paho.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            what = f"the broker at {self._endpoint} says: {reason}"
            self._put(LinkError("LINK_REFUSED", what, hint="check --username, --password-file and the certificates"))
            return
        client.subscribe(self._topics)

    def _on_disconnect(self, _client: paho.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            note(f"the connection to {self._endpoint} ended ({reason}); trying again")

    def _on_message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        # paho decodes the topic when asked, and an exception here would silently end its thread.
        try:
            name = message.topic
        except UnicodeDecodeError:
            name = "(a topic that is not UTF-8)"
        self._put(Arrived(name, bytes(message.payload), bool(message.retain), time.time_ns() // 1_000_000))
