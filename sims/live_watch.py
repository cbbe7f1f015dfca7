"""Watching daemons from outside: the agent's own page, the coordinator's health, free ports."""

from __future__ import annotations

import json
import socket
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

from edge.errors import DeviceError
from sims.live_process import Daemon

_PAUSE = threading.Event()
"""Never set: a wait that Ctrl-C interrupts."""
_ASK_S = 1.0
_MOST_BYTES = 4 << 20


def pause(seconds: float) -> None:
    """Wait on the main thread."""
    _PAUSE.wait(seconds)


def free_port() -> int:
    """A port of loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def fetch_json(url: str) -> Any:
    """The document at ``url``; None when there is none."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=_ASK_S) as answer:
            return json.loads(answer.read(_MOST_BYTES))
    except (OSError, ValueError):
        return None


def answers(url: str) -> bool:
    """True when something answers with success."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=_ASK_S) as answer:
            return bool(answer.status == 200)
    except (OSError, ValueError):
        return False


def agent_status(data_dir: Path) -> dict[str, Any] | None:
    """The agent's own status document, from its page on loopback; None while there is none."""
    try:
        port = int(json.loads((data_dir / "page.json").read_bytes())["port"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    document = fetch_json(f"http://127.0.0.1:{port}/status.json")
    return document if isinstance(document, dict) else None


def backlog(status: dict[str, Any] | None) -> int | None:
    """Records the agent has not been acknowledged yet; None when it cannot be asked."""
    gauges = (status or {}).get("gauges")
    if not isinstance(gauges, dict):
        return None
    return int(sum(value for name, value in gauges.items() if name.startswith("backlog_")))


def wait_for(ready: Any, daemon: Daemon, timeout_s: float, what: str) -> None:
    """Wait until ``ready()``. Raises DeviceError SIM_DAEMON_ENDED, or SIM_NOT_READY after ``timeout_s``."""
    end = time.monotonic() + timeout_s
    while not ready():
        if daemon.pid is None:
            raise daemon.gone()
        if time.monotonic() > end:
            why = f"its last words: {daemon.last_line()}"
            raise DeviceError("SIM_NOT_READY", f"{what} within {timeout_s:g} s", why, "is the machine overloaded?")
        pause(0.05)
