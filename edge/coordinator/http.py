"""Serving the API: a socket of our own (so that a taken port is our error), and uvicorn in a thread."""

from __future__ import annotations

import errno
import ipaddress
import socket
import threading
from typing import Any, Final

import uvicorn

from edge.errors import ConfigError, LinkError

START_S: Final = 10.0
STOP_S: Final = 5.0
MAX_PORT: Final = 65_535
LOOPBACK_HOSTS: Final = ["localhost", "127.0.0.1", "[::1]", "["]
"""``[`` is what starlette makes of an IPv6 literal; no name in the DNS begins with it."""


def parse_bind(text: str, *, insecure: bool) -> tuple[str, int]:
    """Host and port of ``127.0.0.1:8080``, ``[::1]:0`` or ``:8080``.

    Raises ConfigError HTTP_BIND_WRONG, and HTTP_NOT_LOOPBACK unless ``insecure``: there are no users and no TLS yet.
    """
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or "127.0.0.1"
    if not colon or not port.isascii() or not port.isdigit() or int(port) > MAX_PORT:
        raise ConfigError("HTTP_BIND_WRONG", f"{text!r} is not an address", hint="write 127.0.0.1:8080")
    if not insecure and not _is_loopback(host):
        hint = "bind to 127.0.0.1 and use a tunnel, or give --insecure-bind"
        raise ConfigError("HTTP_NOT_LOOPBACK", f"{host} can be reached by others", "the API has no users yet", hint)
    return host, int(port)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address("127.0.0.1" if host == "localhost" else host).is_loopback
    except ValueError:
        return False


def _bind_error(host: str, port: int, error: OSError) -> LinkError:
    if error.errno == errno.EADDRINUSE:
        hint = "stop whatever listens there, or name another port with --http"
        return LinkError("PORT_TAKEN", f"{host}:{port} is taken", hint=hint)
    return LinkError("HTTP_BIND_FAILED", f"cannot listen at {host}:{port}", error.strerror or "")


class HttpServer:
    """Binds when made (raises LinkError PORT_TAKEN or HTTP_BIND_FAILED), serves between start and stop."""

    def __init__(self, host: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.bind((host, port))
        except OSError as error:
            self._socket.close()
            raise _bind_error(host, port, error) from error
        bound = self._socket.getsockname()
        self.url = f"http://[{bound[0]}]:{bound[1]}" if family == socket.AF_INET6 else f"http://{bound[0]}:{bound[1]}"
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def start(self, app: Any) -> None:
        """Serve ``app`` in a thread. Until then connections are refused. Raises LinkError."""
        try:
            self._socket.listen(128)
        except OSError as error:
            host, port = self._socket.getsockname()[:2]
            raise _bind_error(host, port, error) from error
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=2, server_header=False
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="http", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End and join. May be called twice, and without start."""
        if self._server is not None:
            self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(STOP_S)
        self._socket.close()
