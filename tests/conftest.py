"""What holds for every test: nothing is left running, and test data that is not in the repository may be absent."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# Machines are noisy: how long an example takes says nothing about the code.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")

# Processes that tests start shall meet what a user's do, not what this shell or CI happens to hand down: output that
# nobody flushes stays in a pipe, and Ctrl-C is not ignored (it is for what a script starts in the background).
os.environ.pop("PYTHONUNBUFFERED", None)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parents[1]

# What a developer measured with `jidoka model bench` must not change what is run here. The guard's results are kept from
# run to run and shared by all workers, for a trial takes a second; where pytest keeps its own, so that `--cache-clear`
# forgets them. Profiles are not: a test that means one makes it.
CACHE = ROOT / ".pytest_cache" / "d" / "jidoka"
os.environ["JIDOKA_CACHE_DIR"] = str(CACHE)
shutil.rmtree(CACHE / "profiles", ignore_errors=True)

GRACE_S = 3.0
POLL = threading.Event()

# Started once a process by libraries and kept on purpose; nobody can join them.
LASTING = ("pydevd", "tqdm_monitor", "asyncio_", "AnyIO worker thread", "ThreadPoolExecutor")
lasting_children: set[int] = set()
"""Process ids that fixtures of wider scope keep; they may come up in the middle of a test, when it asks for one."""


def _threads() -> set[threading.Thread]:
    return {one for one in threading.enumerate() if one.is_alive() and not one.name.startswith(LASTING)}


def _children() -> dict[int, str]:
    """Child processes of this one, zombies excepted: pid -> name. Linux only; elsewhere nothing is seen."""
    found: dict[int, str] = {}
    tracker = getattr(resource_tracker._resource_tracker, "_pid", None)  # one a process, kept by multiprocessing itself
    for task in Path(f"/proc/{os.getpid()}/task").glob("*/children"):
        try:
            pids = task.read_text().split()
        except OSError:
            continue  # the thread ended while we looked
        for pid in pids:
            try:
                name, _, rest = Path(f"/proc/{pid}/stat").read_text().partition("(")[2].rpartition(")")
            except OSError:
                continue
            if rest.split()[0] != "Z" and int(pid) != tracker:
                found[int(pid)] = name
    return found


def _left(look: Callable[[], set[str]]) -> set[str]:
    """What is still there after a grace period: a joined thread or reaped child may take a moment to vanish."""
    end = time.monotonic() + GRACE_S
    while (left := look()) and time.monotonic() < end:
        POLL.wait(0.02)
    return left


@pytest.fixture(autouse=True)
def nothing_left_running() -> Iterator[None]:
    """Fails a test that leaves threads or child processes behind. Fixtures of wider scope are not counted."""
    threads, children = _threads(), set(_children())
    yield
    left = _left(lambda: {one.name for one in _threads() - threads})
    assert not left, f"threads left running: {', '.join(sorted(left))}"
    left = _left(
        lambda: {f"{name} ({pid})" for pid, name in _children().items() if pid not in children | lasting_children}
    )
    assert not left, f"child processes left running: {', '.join(sorted(left))}"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """A PostgreSQL server that the tests of a run share; skips where its programs are not installed."""
    from tests.postgres_rig import postgres_server

    # Power cuts are not what these tests are about.
    with postgres_server("fsync=off") as server:
        lasting_children.add(server.pid)
        yield server


@pytest.fixture
def postgres_url(postgres: Any) -> str:
    """A fresh empty database there, as SQLAlchemy's URL."""
    return postgres.url(postgres.new_database())


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Public pictures, videos and models, which are too large for the repository: $JIDOKA_TEST_DATA or ../shared/data."""
    folder = Path(os.environ.get("JIDOKA_TEST_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"needs test data, and there is no folder {folder} (JIDOKA_TEST_DATA names another)")
    return folder
