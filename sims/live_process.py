"""Our own daemons as child processes: started, listened to in a log file, killed, and never left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from edge.errors import DeviceError
from edge.shell.broker_child import TIED

STOP_S = 15.0
_RUN = TIED + "sys.argv[:2] = ['jidoka']\nfrom edge.cli.main import main\nsys.exit(main())\n"


class Daemon:
    """``jidoka ARGS…`` as a child. It dies with the thread that started it (Linux), so start it from the main one."""

    def __init__(self, name: str, args: list[str], log_file: Path, cwd: Path) -> None:
        self.name = name
        self.starts = 0
        self._args = args
        self._log_file = log_file
        self._cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def status(self) -> int | None:
        """Its exit status once it has ended."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start it, once more if it has ended."""
        if self.pid is not None:
            return
        command = [sys.executable, "-P", "-c", _RUN, str(os.getpid()), *self._args]
        with self._log_file.open("ab") as log:
            # a session of its own: Ctrl-C is for us, and we stop our children in good order
            self._process = subprocess.Popen(  # noqa: S603 - our own command line, no shell
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._cwd, start_new_session=True
            )
        self.starts += 1

    def kill(self) -> None:
        """``kill -9``."""
        self._signal(signal.SIGKILL)
        self._wait(STOP_S)

    def stop(self) -> int | None:
        """SIGTERM and wait; after 15 s, ``kill -9``. Returns its exit status. May be called twice."""
        self._signal(signal.SIGTERM)
        if not self._wait(STOP_S):
            self.kill()
        return self.status

    def last_line(self) -> str:
        """The last thing it said."""
        try:
            lines = self._log_file.read_text(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1][:500] if lines else ""

    def gone(self) -> DeviceError:
        """The error to raise when it ended and should not have."""
        return DeviceError(
            "SIM_DAEMON_ENDED",
            f"{self.name} ended with status {self.status}",
            self.last_line(),
            f"see {self._log_file}",
        )

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    def _wait(self, timeout_s: float) -> bool:
        if self._process is None:
            return True
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True
