"""The service manager's side of a daemon: READY, STATUS, STOPPING, and a watchdog fed only while it works.

Protocol: sd_notify(3): datagrams of ``KEY=value`` lines to the Unix socket named by ``NOTIFY_SOCKET`` (a leading ``@``
stands for the abstract namespace, a NUL byte on the wire). ``WATCHDOG_USEC`` says how often it wants to hear of us, and
``WATCHDOG_PID``, where set, for which process that is meant.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping

from edge.shell.worker import OnCrash, Worker

US_PER_S = 1e6
DEFAULT_EVERY_S = 5.0
"""How often liveness is looked at where nobody asks for it: it still shows in ``Watchdog.healthy``."""


class Notifier:
    """Tells systemd; without ``NOTIFY_SOCKET`` every call does nothing. Never raises: the manager may be gone."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog_s = _watchdog_s(environ)

    @property
    def wanted(self) -> bool:
        """True when somebody listens."""
        return self._address[:1] in {"/", "\0"}

    def ready(self) -> bool:
        """The daemon does its work now. True if the datagram left."""
        return self.send("READY=1")

    def stopping(self) -> bool:
        return self.send("STOPPING=1")

    def feed(self) -> bool:
        return self.send("WATCHDOG=1")

    def status(self, text: str) -> bool:
        """One line for ``systemctl status``."""
        return self.send("STATUS=" + " ".join(text.split()))

    def send(self, message: str) -> bool:
        """One datagram. False where nobody listens."""
        if not self.wanted:
            return False
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as line:
                line.sendto(message.encode(), self._address)
        except OSError:
            return False
        return True


class Watchdog(Worker):
    """Thread ``watchdog``: feeds the manager while ``alive(within_s)`` says that the core and the models live.

    It feeds at half the interval asked for, and looks at exactly that interval: a cell that hangs is not fed again, and
    the manager starts it anew. ``feed`` is never sent on hope.
    """

    def __init__(
        self,
        notifier: Notifier,
        alive: Callable[[float], bool],
        on_crash: OnCrash = lambda _error: None,
    ) -> None:
        super().__init__("watchdog", on_crash)
        self._notifier = notifier
        self._alive = alive
        self._within_s = notifier.watchdog_s or 2 * DEFAULT_EVERY_S
        self.healthy = False
        self.fed = 0

    def stop(self) -> None:
        """End and wait for the end."""
        super().stop()
        self.join()

    def work(self) -> None:
        while True:
            self.healthy = self._alive(self._within_s)
            if self.healthy and self._notifier.watchdog_s:
                self.fed += self._notifier.feed()
            if self.pause_s(self._within_s / 2):
                return


def _watchdog_s(environ: Mapping[str, str]) -> float:
    """The interval in seconds; 0 where no watchdog is wanted of this process."""
    usec, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not usec.isdecimal() or (pid and pid != str(os.getpid())):
        return 0.0
    return int(usec) / US_PER_S
