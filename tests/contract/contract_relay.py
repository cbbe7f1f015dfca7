"""A TCP relay between a driver and its device, with a switch: pass, freeze, vanish, babble."""

from __future__ import annotations

import random
import select
import socket
import threading
from contextlib import suppress
from typing import Literal, Self

Mode = Literal["pass", "frozen", "gone", "babble"]

TURN_S = 0.01
PIECE_BYTES = 65_536


class Relay:
    """Listens on ``port``, the same over ``gone`` and back; connects each client to ``upstream_port``."""

    def __init__(self, upstream_port: int) -> None:
        self._upstream_port = upstream_port
        self._mode: Mode = "pass"
        self._random = random.Random(0)
        self._changed = threading.Condition()
        self._done: Mode | None = None
        self._leaving = False
        self._listener: socket.socket | None = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._clients: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._run, name="relay")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving = True
        self._thread.join(10)
        assert not self._thread.is_alive()

    def switch(self, mode: Mode, seed: int = 0) -> None:
        """Returns when it is so."""
        with self._changed:
            self._random = random.Random(seed)
            self._mode, self._done = mode, None
            assert self._changed.wait_for(lambda: self._done == mode, 10)

    def _run(self) -> None:
        while not self._leaving:
            with self._changed:
                mode = self._mode
                if self._done != mode:
                    self._enter(mode)
                    self._done = mode
                    self._changed.notify_all()
            self._turn(mode)
        self._cut()
        self._listen(on=False)

    def _enter(self, mode: Mode) -> None:
        if mode == "gone":
            self._cut()
        if mode == "pass" and self._done != "pass":
            self._cut()  # what was frozen or garbled is of no use to anybody any more
        self._listen(on=mode != "gone")

    def _listen(self, *, on: bool) -> None:
        if on and self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self.port))
        elif not on and self._listener is not None:
            self._listener.close()
            self._listener = None

    def _turn(self, mode: Mode) -> None:
        # Frozen: the kernel still takes connections and bytes, and nobody looks at them.
        watched = [] if mode in {"frozen", "gone"} else [*self._pairs]
        if self._listener is not None and mode != "frozen":
            watched.append(self._listener)
        for ready in select.select(watched, [], [], TURN_S)[0] if watched else ():
            if ready is self._listener:
                self._accept()
            elif ready in self._pairs:
                self._carry(ready, mode)
        if not watched:
            with self._changed:
                self._changed.wait(TURN_S)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        device = socket.create_connection(("127.0.0.1", self._upstream_port))
        for one in (client, device):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._pairs[client], self._pairs[device] = device, client
        self._clients.add(client)

    def _carry(self, source: socket.socket, mode: Mode) -> None:
        target = self._pairs[source]
        try:
            data = source.recv(PIECE_BYTES)
            if not data:
                raise ConnectionResetError
            if mode == "babble":
                target = source if source in self._clients else target
                data = self._random.randbytes(self._random.randint(1, 300))
            target.sendall(data)
        except OSError:
            self._drop(source)

    def _drop(self, one: socket.socket) -> None:
        other = self._pairs.pop(one)
        del self._pairs[other]
        for end in (one, other):
            self._clients.discard(end)
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _cut(self) -> None:
        for one in list(self._clients):
            self._drop(one)
