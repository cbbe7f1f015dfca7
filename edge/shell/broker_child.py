"""A broker's process: started tied to ours, listened to, asked whether it answers."""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
from collections import deque
from time import monotonic
from typing import Final

from edge.errors import LinkError

START_S: Final = 10.0
STOP_S: Final = 5.0

# Ends the child with the thread that started it (Linux), then becomes the broker. Doing this in a fresh interpreter
# instead of between fork and exec is safe however many threads this process has.
TIED: Final = """\
import ctypes, os, signal, sys
try:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
except (OSError, AttributeError):
    pass
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
"""

# MQTT 5 CONNECT: clean start, keep alive 10 s, no properties, client id "jidoka-probe"; then DISCONNECT.
_CONNECT = b"\x10\x19\x00\x04MQTT\x05\x02\x00\x0a\x00\x00\x0cjidoka-probe"
_DISCONNECT = b"\xe0\x00"
_CONNACK = 0x20


class Child:
    """The process, and the thread that started it and hears what it says.

    The tie to the parent is to the thread that started the child, so that thread lives as long as the child does.
    """

    def __init__(self, command: list[str], host: str, port: int) -> None:
        self.ended = threading.Event()
        self.pid = 0
        self._host, self._port = host, port
        self._lines: deque[str] = deque(maxlen=20)
        self._started = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._run, args=(command,), name=f"broker-{port}", daemon=True)
        self._thread.start()
        self._started.wait()

    def _run(self, command: list[str]) -> None:
        try:
            with subprocess.Popen(  # noqa: S603 - our own command line, no shell
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd="/",
                start_new_session=True,  # Ctrl-C is for us, who then end it in good order
            ) as process:
                self._process, self.pid = process, process.pid
                self._started.set()
                for line in process.stdout or ():
                    self._lines.append(line.decode(errors="replace").strip())
                process.wait()
        except OSError as error:
            self._error = error
        finally:
            self.ended.set()
            self._started.set()

    @property
    def last_line(self) -> str:
        lines = list(self._lines)
        # "Error: …" says more than the farewell that may follow it.
        return next((line for line in reversed(lines) if "rror" in line), lines[-1] if lines else "")

    def wait_ready(self) -> None:
        until = monotonic() + START_S
        while not answers(self._host, self._port):
            if self.ended.wait(0.01):
                raise self._failure(str(self._error or "") or self.last_line or "it ended without a word")
            if monotonic() > until:
                raise self._failure(f"no answer within {START_S:.0f} s; it said: {self.last_line or 'nothing'}")

    def _failure(self, why: str) -> LinkError:
        if "in use" in why:
            return taken(self._host, self._port, why)
        return LinkError("BROKER_FAILED", f"the broker on {self._host}:{self._port} did not start", why)

    def end(self, how: signal.Signals) -> None:
        process = self._process
        if process is None:
            return
        # Popen checks that the process was not reaped, so that a pid used again by another is never hit.
        process.send_signal(how)
        if not self.ended.wait(STOP_S):
            process.kill()
            self.ended.wait(STOP_S)

    def join(self) -> None:
        if self.ended.is_set():
            self._thread.join(STOP_S)


def taken(host: str, port: int, why: str) -> LinkError:
    """The error for a port that somebody else listens on: often the broker that Debian started when it was installed."""
    hint = "stop what listens there, or use another port"
    if answers(host, port):
        why, hint = "an MQTT broker listens there already", "use that one, stop it, or use another port"
    return LinkError("PORT_TAKEN", f"cannot listen on {host}:{port}", why, hint)


def answers(host: str, port: int) -> bool:
    """True if an MQTT 5 broker accepts a connection there."""
    try:
        with socket.create_connection((host, port), timeout=1.0) as link:
            link.sendall(_CONNECT)
            answer = link.recv(4)
            link.sendall(_DISCONNECT)
    except OSError:
        return False
    return len(answer) == 4 and answer[0] == _CONNACK and answer[3] == 0  # noqa: PLR2004 - type, length, flags, reason
