"""A TCP server of raw bytes: silent, babbling, trickling or hanging up, as a test likes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable
from typing import Self

Answer = Callable[[bytes], Iterable[bytes]]


def silent(_request: bytes) -> Iterable[bytes]:
    return ()


class RawPeer:
    """Answers each piece received with the pieces that ``answer`` gives, ``pause_s`` apart; b'' hangs up."""

    def __init__(self, answer: Answer = silent, *, port: int = 0, pause_s: float = 0.0) -> None:
        self._answer = answer
        self._pause_s = pause_s
        self._leaving = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", port))
        self._listener.settimeout(0.02)
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, name="raw-peer")]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._leaving.set()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()
        self._listener.close()

    def _accept(self) -> None:
        while not self._leaving.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            served = threading.Thread(target=self._serve, args=(connection,), name="raw-peer-connection")
            self._threads.append(served)
            served.start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(0.02)
        with connection:
            while not self._leaving.is_set():
                try:
                    request = connection.recv(65536)
                    if not request or not self._send(connection, request):
                        return
                except TimeoutError:
                    continue
                except OSError:
                    return

    def _send(self, connection: socket.socket, request: bytes) -> bool:
        for piece in self._answer(request):
            if not piece or self._leaving.wait(self._pause_s):
                return False
            connection.sendall(piece)
        return True
