"""A broker of our own for one machine: a child process on loopback, started when no other broker is wanted.

``auto`` takes Mosquitto where it is installed, else ``iotcore`` from its wheel. Both speak MQTT 5 on one port, without
passwords, and so only on a loopback address. The child gets a generated config, ends when this process ends (also
when it is killed), and is ready when it has answered a CONNECT.
"""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal, Self

from edge.errors import LinkError
from edge.shell.broker_child import TIED, Child, taken

BrokerKind = Literal["auto", "mosquitto", "iotcore"]

_PORT_ATTEMPTS: Final = 5
_MOSQUITTO_PLACES: Final = ("/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto", "/opt/homebrew/sbin/mosquitto")

IOTCORE_NOTES: Final = (
    "the broker is iotcore, from its wheel: for one machine and a handful of agents; Mosquitto is better",
    "iotcore keeps nothing across a restart, and its memory grows with the bytes that pass",
    "iotcore gives a new subscriber at most 100 retained messages, and knows no users or access rules",
    "iotcore does not tell two agents with one id of each other: they push each other off for ever",
)
"""What iotcore cannot do; to be said when it starts."""

# Everything acknowledged must really be queued: with its defaults Mosquitto drops silently beyond 1000 messages.
_MOSQUITTO_CONF = """\
listener {port} {host}
allow_anonymous true
{user}set_tcp_nodelay true
max_queued_messages 1000000
max_inflight_messages 0
persistence {persistence}
persistence_location {folder}/
autosave_interval 1
log_dest stderr
log_type error
log_type warning
log_type notice
"""

_IOTCORE_CONF = """\
id = 0
[router]
id = 0
max_connections = 1000
max_outgoing_packet_count = 10000
max_segment_size = 10485760
max_segment_count = 10
[v5.1]
name = "jidoka"
listen = "{address}"
next_connection_delay_ms = 1
[v5.1.connections]
connection_timeout_ms = 60000
max_payload_size = 33554432
max_inflight_count = 10000
dynamic_filters = true
"""

_RUN_MOSQUITTO = TIED + "os.execv(sys.argv[2], sys.argv[2:])\n"
# The serving module exits when its standard input closes: a second tie, for systems without prctl.
_RUN_IOTCORE = TIED + "sys.argv[1:] = sys.argv[2:]\nfrom iotcore._serve import main\nmain()\n"


def find_mosquitto() -> str | None:
    """The Mosquitto program, also where an ordinary user's PATH does not look."""
    return shutil.which("mosquitto") or next((p for p in _MOSQUITTO_PLACES if os.access(p, os.X_OK)), None)


class Broker:
    """One broker as a child process. ``start`` it, or use it in a ``with`` statement, which starts and stops it.

    ``port`` 0 takes a free one and keeps it for restarts. With ``data_dir`` Mosquitto keeps retained messages and
    sessions there; without, nothing is kept. Raises LinkError: BROKER_ABSENT and BROKER_NOT_LOOPBACK when made,
    PORT_TAKEN and BROKER_FAILED (with the last line the broker said) when started.
    """

    def __init__(
        self, kind: BrokerKind = "auto", host: str = "127.0.0.1", port: int = 0, data_dir: Path | str | None = None
    ) -> None:
        self.kind: Literal["mosquitto", "iotcore"] = _resolve(kind)
        self.host = _loopback(host)
        self.port = port
        self.notes: tuple[str, ...] = IOTCORE_NOTES if self.kind == "iotcore" else ()
        self._data_dir = None if data_dir is None else Path(data_dir)
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._child: Child | None = None

    @property
    def pid(self) -> int | None:
        """The broker's process id; None when it does not run."""
        return self._child.pid if self.is_running and self._child is not None else None

    @property
    def is_running(self) -> bool:
        return self._child is not None and not self._child.ended.is_set()

    def start(self) -> Self:
        """Start and wait until it answers; nothing if it runs already. Raises LinkError."""
        if self.is_running:
            return self
        self._reap()
        if self.port:
            self._start_on(self.port)
            return self
        for attempt in range(_PORT_ATTEMPTS):
            port = _free_port(self.host)
            try:
                self._start_on(port)
            except LinkError as error:
                # Somebody may take a free port between our looking and the broker's listening.
                if error.code != "PORT_TAKEN" or attempt == _PORT_ATTEMPTS - 1:
                    raise
            else:
                self.port = port
                break
        return self

    def _start_on(self, port: int) -> None:
        _refuse_taken(self.host, port)
        self._child = Child(self._command(self._folder(), port), self.host, port)
        try:
            self._child.wait_ready()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """End it in good order (a kill after 5 s). May be called twice, and before start. Never raises."""
        if self._child is not None:
            self._child.end(signal.SIGTERM)
        self._reap()
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None

    def kill(self) -> None:
        """End it at once, as a power cut would; ``start`` or ``restart`` brings it back on the same port."""
        if self._child is not None:
            self._child.end(signal.SIGKILL)
        self._reap()

    def restart(self) -> Self:
        """Stop if it runs, and start on the same port with the same data. Raises LinkError."""
        if self._child is not None:
            self._child.end(signal.SIGTERM)
        return self.start()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until it ends by itself; False if it still runs after ``timeout_s``."""
        return self._child is None or self._child.ended.wait(timeout_s)

    @property
    def last_line(self) -> str:
        """The last thing the broker said, empty if nothing."""
        return self._child.last_line if self._child is not None else ""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _reap(self) -> None:
        if self._child is not None:
            self._child.join()

    def _folder(self) -> Path:
        if self._data_dir is not None:
            try:
                self._data_dir.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise LinkError("BROKER_FAILED", f"cannot use {self._data_dir}", error.strerror or "") from error
            return self._data_dir.resolve()
        if self._temporary is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="jidoka-broker-")
        return Path(self._temporary.name)

    def _command(self, folder: Path, port: int) -> list[str]:
        python = [sys.executable, "-P", "-c"]
        conf = folder / f"{self.kind}.conf"
        if self.kind == "mosquitto":
            text = _MOSQUITTO_CONF.format(
                port=port,
                host=self.host,
                # As root it would become user "mosquitto" and could not write its own folder; and a process that
                # changes its user is no longer ended with its parent.
                user="user root\n" if os.geteuid() == 0 else "",
                persistence="false" if self._data_dir is None else "true",
                folder=folder,
            )
            command = [*python, _RUN_MOSQUITTO, str(os.getpid()), find_mosquitto() or "mosquitto", "-c", str(conf)]
        else:
            address = f"[{self.host}]:{port}" if ":" in self.host else f"{self.host}:{port}"
            text = _IOTCORE_CONF.format(address=address)
            # TOML's config reader goes by the suffix.
            conf = conf.with_suffix(".toml")
            command = [*python, _RUN_IOTCORE, str(os.getpid()), json.dumps({"config_path": str(conf)})]
        try:
            conf.write_text(text)
        except OSError as error:
            raise LinkError("BROKER_FAILED", f"cannot write {conf}", error.strerror or "") from error
        return command


def _resolve(kind: BrokerKind) -> Literal["mosquitto", "iotcore"]:
    if kind in {"auto", "mosquitto"} and find_mosquitto():
        return "mosquitto"
    if kind in {"auto", "iotcore"} and find_spec("iotcore"):
        return "iotcore"
    install = {
        "mosquitto": "apt-get install mosquitto",
        "iotcore": "pip install iotcore",
        "auto": "apt-get install mosquitto, or pip install iotcore",
    }
    wanted = "broker" if kind == "auto" else kind
    raise LinkError("BROKER_ABSENT", f"no {wanted} is installed here", hint=install.get(kind, "use auto"))


def _loopback(host: str) -> str:
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        address = None
    if address is None or not address.is_loopback:
        what = f"a broker without passwords is not started on {host}"
        raise LinkError("BROKER_NOT_LOOPBACK", what, hint="use 127.0.0.1, or a broker of its own with TLS and users")
    return str(address)


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _free_port(host: str) -> int:
    with socket.socket(_family(host)) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _refuse_taken(host: str, port: int) -> None:
    with socket.socket(_family(host)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise taken(host, port, error.strerror or "") from error
