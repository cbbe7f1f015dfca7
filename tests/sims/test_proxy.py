"""The relay between agent and broker: what each way of breaking it does to real sockets."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from edge.errors import LinkError
from sims.proxy import Proxy

WAIT_S = 3.0
QUIET_S = 0.15


class Echo:
    """A server that sends back what it hears."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.heard = b""
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self._main = threading.Thread(target=self._run)
        self._main.start()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                one, _ = self._listener.accept()
                self._open.append(one)
                self._threads.append(threading.Thread(target=self._serve, args=(one,)))
                self._threads[-1].start()

    def _serve(self, one: socket.socket) -> None:
        with contextlib.suppress(OSError), one:
            while data := one.recv(65536):
                self.heard += data
                one.sendall(data)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._main.join()
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    relay = Proxy(("127.0.0.1", echo.port))
    relay.start()
    yield relay
    relay.stop()


@contextlib.contextmanager
def client(proxy: Proxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=WAIT_S) as sock:
        yield sock


def take(sock: socket.socket, n: int) -> bytes:
    data = b""
    while len(data) < n and (more := sock.recv(n - len(data))):
        data += more
    return data


def is_quiet(sock: socket.socket) -> bool:
    sock.settimeout(QUIET_S)
    try:
        sock.recv(1)
    except TimeoutError:
        return True
    finally:
        sock.settimeout(WAIT_S)
    return False


def test_everything_passes_whole_and_in_order(proxy: Proxy):
    payload = bytes(range(256)) * 8000
    with client(proxy) as sock:
        sender = threading.Thread(target=sock.sendall, args=(payload,))
        sender.start()
        assert take(sock, len(payload)) == payload
        sender.join()


def test_a_cut_line_says_nothing_and_delivers_when_it_is_mended(proxy: Proxy, echo: Echo):
    with client(proxy) as sock:
        sock.sendall(b"a")
        assert take(sock, 1) == b"a"
        proxy.set_mode("cut")
        sock.sendall(b"b")
        assert is_quiet(sock)
        assert echo.heard == b"a"
        proxy.set_mode("ok")
        assert take(sock, 1) == b"b"


def test_deaf_is_heard_and_does_not_hear(proxy: Proxy, echo: Echo):
    with client(proxy) as sock:
        proxy.set_mode("deaf")
        sock.sendall(b"x")
        assert is_quiet(sock)
        assert echo.heard == b"x"
        proxy.set_mode("ok")
        assert take(sock, 1) == b"x"


def test_refuse_resets_and_refuses_then_listens_on_the_same_port(proxy: Proxy):
    port = proxy.port
    with client(proxy) as sock:
        sock.sendall(b"x")
        take(sock, 1)
        proxy.set_mode("refuse")
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
        with pytest.raises(ConnectionRefusedError), client(proxy):
            pass
    proxy.set_mode("ok")
    assert proxy.port == port
    with client(proxy) as sock:
        sock.sendall(b"y")
        assert take(sock, 1) == b"y"


def test_slow_is_late_both_ways(proxy: Proxy):
    with client(proxy) as sock:
        proxy.set_mode("slow", delay_s=0.1)
        start = time.monotonic()
        sock.sendall(b"x")
        assert take(sock, 1) == b"x"
        assert time.monotonic() - start >= 0.2


def test_an_end_on_one_side_ends_the_other(proxy: Proxy, echo: Echo):
    with client(proxy) as sock:
        sock.sendall(b"last words")
        assert take(sock, 10) == b"last words"
    assert echo.heard == b"last words"
    assert proxy.accepted == 1


def test_a_dead_target_is_a_reset():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    relay = Proxy(("127.0.0.1", port))
    relay.start()
    try:
        # The reset may come while we still connect, or with the first read.
        with pytest.raises(ConnectionResetError), client(relay) as sock:
            sock.recv(1)
    finally:
        relay.stop()


def test_port_taken_is_said(proxy: Proxy):
    second = Proxy(("127.0.0.1", 9), port=proxy.port)
    with pytest.raises(LinkError, match="PORT_TAKEN"):
        second.start()
    second.stop()
