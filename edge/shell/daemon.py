"""``jidoka run`` from the outside: signals, the service manager, the status page, exit statuses."""

from __future__ import annotations

import json
import os
import select
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import cv2

from edge.config import load_agent
from edge.shell.assemble import check_labels, load_models
from edge.shell.logs import make_logger
from edge.shell.notify import Notifier, Watchdog

if TYPE_CHECKING:
    from edge.shell.agent import Agent
    from edge.shell.page import Page

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """Signals as bytes on a pipe: the main thread waits on it, so that no lock is ever taken in a handler."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._before = signal.set_wakeup_fd(self._write)
        self._handlers = {number: signal.signal(number, _noted) for number in SIGNALS}

    def wait(self, timeout_s: float) -> str:
        """The name of a signal that came, or an empty string."""
        ready, _, _ = select.select([self._read], [], [], timeout_s)
        return signal.Signals(os.read(self._read, 1)[0]).name if ready else ""

    def close(self) -> None:
        signal.set_wakeup_fd(self._before)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        os.close(self._read)
        os.close(self._write)


def run_agent(file: Path, *, forget_remote: bool, note: Callable[[str], None]) -> int:
    """Run until told to stop; returns the exit status. Raises JidokaError for what cannot start."""
    cv2.setNumThreads(1)  # the threads of this house are named; OpenCV's own pool only adds context switches
    loaded = load_agent(file)
    signals = Signals()
    try:
        log = make_logger()
        with ThreadPoolExecutor(1, "load") as pool:
            loading = pool.submit(load_models, loaded)
            # The runtime loads without the interpreter lock; meanwhile the rest of the house is read.
            from edge.shell.agent import Agent

            agent = Agent(loaded, loading.result(), log, forget_remote=forget_remote)
        for sentence in check_labels(loaded, agent.models):
            log("warning", "RULE_SILENT", sentence, {})
        try:
            return _serve(agent, signals, note)
        finally:
            agent.close()
    finally:
        signals.close()


def _serve(agent: Agent, signals: Signals, note: Callable[[str], None]) -> int:
    notifier = Notifier()
    page = _open_page(agent)
    watchdog = Watchdog(notifier, agent.alive)
    outcome: list[int | BaseException] = []
    core = threading.Thread(target=_core, args=(agent, outcome), name="core")
    try:
        if not agent.start():
            note("the model has not answered its warm-up frame yet")
        core.start()
        notifier.ready()
        watchdog.start()
        if page:
            note(f"agent {agent.settings.agent} runs; its page: {page.url}")
        while core.is_alive():
            name = signals.wait(0.2)
            if name:
                notifier.stopping()
                agent.stop(name)
        core.join()
    finally:
        watchdog.stop()
        if page:
            page.close()
            (agent.data_dir / "page.json").unlink(missing_ok=True)
    result = outcome[0]
    if isinstance(result, BaseException):
        raise result
    return result


def _core(agent: Agent, outcome: list[int | BaseException]) -> None:
    try:
        outcome.append(agent.run())
    except BaseException as error:  # noqa: BLE001 - raised again on the main thread
        outcome.append(error)


def _open_page(agent: Agent) -> Page | None:
    from edge.shell.page import Page

    config = agent.page_config
    if not config.enabled:
        return None
    page = Page(agent.snapshot, agent.shells.evidence.pictures, port=config.port)
    page.start()
    where = {"port": page.port, "pid": os.getpid(), "url": page.url}
    (agent.data_dir / "page.json").write_text(json.dumps(where))
    return page


def _noted(_number: int, _frame: FrameType | None) -> None:
    """The byte on the wake-up pipe is all that is needed."""
