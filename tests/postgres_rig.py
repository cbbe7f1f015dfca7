"""A PostgreSQL of our own: made by ``initdb`` in a temporary folder, on loopback, as a child process, gone afterwards.

The distribution's cluster, where there is one, is left alone: only its programs are used. PostgreSQL refuses to run as
root, so a root that runs the tests hands the folder and the process to the user ``postgres`` (or ``nobody``).
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

START_S = 60.0
STOP_S = 30.0
USER, PASSWORD = "jidoka", "not a secret"
POLL = threading.Event()


def programs() -> Path | None:
    """Where ``initdb`` and ``postgres`` are: the newest of Debian's versions, else what is on the PATH."""
    debian = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    found = shutil.which("initdb")
    return max(debian, key=lambda path: int(path.parent.name)) if debian else found and Path(found).resolve().parent


def _unprivileged() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    pytest.skip("PostgreSQL does not run as root, and there is no user postgres or nobody to run it as")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class PostgresServer:
    """One server. It may be stopped and started again on the same port with the same data."""

    def __init__(self, folder: Path, *settings: str) -> None:
        found = programs()
        if found is None:
            pytest.skip("needs PostgreSQL's programs: apt-get install postgresql")
        self._bin = found
        self._folder = folder
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = iter(range(1, 1_000_000))
        self.port = _free_port()
        user = _unprivileged()
        self._run_as: dict[str, Any] = {}
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
            self._run_as = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        password = folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        command = [str(self._bin / "initdb"), "-D", str(folder / "data"), "-U", USER, f"--pwfile={password}"]
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, **self._run_as)
        assert done.returncode == 0, f"initdb failed: {done.stdout}{done.stderr}"

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        pid_file = self._folder / "data" / "postmaster.pid"
        command = [str(self._bin / "postgres"), "-D", str(self._folder / "data"), "-p", str(self.port)]
        command += ["-k", str(self._folder), "-c", "listen_addresses=127.0.0.1", "-c", "shared_buffers=32MB"]
        command += [word for setting in self._settings for word in ("-c", setting)]
        log = self._folder / "log"
        with log.open("ab") as stream:
            self._process = subprocess.Popen(
                command, cwd=self._folder, stdout=stream, stderr=stream, stdin=subprocess.DEVNULL, **self._run_as
            )
        end = time.monotonic() + START_S
        while not self._says_ready(pid_file):
            ended = self._process.poll() is not None or time.monotonic() > end
            assert not ended, f"PostgreSQL did not start: {log.read_text()[-2000:]}"
            POLL.wait(0.02)

    @property
    def pid(self) -> int:
        """Of the running server."""
        assert self._process is not None
        return self._process.pid

    def _says_ready(self, pid_file: Path) -> bool:
        # The eighth line is its state; the first, its process id: a file that a crash left behind has another.
        with suppress(OSError):
            lines = pid_file.read_text().splitlines()
            return len(lines) > 7 and lines[0] == str(self.pid) and lines[7].strip() == "ready"
        return False

    def stop(self, number: int = signal.SIGINT) -> None:
        """Shut down: SIGINT in order ("fast"), SIGQUIT as a crash ("immediate"). May be called twice."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.wait(STOP_S)

    def url(self, database: str, *, user: str = USER, password: str = PASSWORD) -> str:
        """For SQLAlchemy."""
        return f"postgresql://{user}:{password.replace(' ', '%20')}@127.0.0.1:{self.port}/{database}"

    def execute(self, *statements: str, database: str = "postgres") -> None:
        """As the superuser, each in a transaction of its own."""
        where = {"host": "127.0.0.1", "port": self.port, "user": USER, "password": PASSWORD, "dbname": database}
        with psycopg.connect(**where, autocommit=True) as connection:  # type: ignore[arg-type]
            for statement in statements:
                connection.execute(statement)  # type: ignore[call-overload]

    def new_database(self) -> str:
        """A fresh empty database; its name."""
        name = f"ledger_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return name


@contextmanager
def postgres_server(*settings: str) -> Iterator[PostgresServer]:
    """A running server. Skips the test where there are no programs. Not in pytest's folder: only its owner may enter."""
    folder = Path(tempfile.mkdtemp(prefix="jidoka-pg-"))
    server = None
    try:
        server = PostgresServer(folder, *settings)
        server.start()
        yield server
    finally:
        if server is not None:
            server.stop(signal.SIGQUIT)  # nothing of it is needed any more
        shutil.rmtree(folder, ignore_errors=True)
