"""``jidoka run`` from the outside: signals, the service manager, the status page, exit statuses."""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from edge.config import Read, complete, read_agent
from edge.errors import Exit, JidokaError, ModelError
from edge.models.stages import place_of
from edge.shell.early import EarlyModel

# Nearly everything else is imported where it is first needed: while the model's session is being made, see `_run`.
if TYPE_CHECKING:
    from edge.shell.agent import Agent
    from edge.shell.notify import Notifier
    from edge.shell.page import Page
    from edge.shell.record import RecordAsked

SIGNALS = (signal.SIGTERM, signal.SIGINT)
WARM_S = 60.0
SWITCH_S = 0.0005
WARM_HINT = "try it on a picture with `jidoka infer`"


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


def run_agent(
    file: Path, *, forget_remote: bool, note: Callable[[str], None], record: RecordAsked | None = None
) -> int:
    """Run until told to stop; returns the exit status. Raises JidokaError for what cannot start."""
    read = read_agent(file)
    status: int = Exit.BUG
    before = set(threading.enumerate())
    try:
        status = _run(read, forget_remote=forget_remote, note=note, record=record)
    except JidokaError as error:
        status = error.exit_status
        raise
    except KeyboardInterrupt:
        status = Exit.INTERRUPTED
        raise
    finally:
        _leave_hanging(status, set(threading.enumerate()) - before)
    return status


def _run(read: Read, *, forget_remote: bool, note: Callable[[str], None], record: RecordAsked | None) -> int:
    model = read.config.model
    path = place_of(model.path, read.path(model.path))
    early = EarlyModel(path, model, read.config.guard)
    # The runtime makes its session without the interpreter lock; meanwhile the rest of the house is read.
    import cv2

    cv2.setNumThreads(1)  # the threads of this house are named; OpenCV's own pool only adds context switches
    # A thread that has work waits at most so long for one that computes in Python; the default of 5 ms is most of a
    # part's time, and an overlay being drawn cost a verdict two of them.
    sys.setswitchinterval(SWITCH_S)
    loaded = complete(read)
    from edge.shell.agent import Agent
    from edge.shell.assemble import check_labels, load_models, notes_of
    from edge.shell.logs import make_logger
    from edge.shell.memory import keep_large_blocks_apart

    models = load_models(loaded, early)
    keep_large_blocks_apart()  # now: a session in the making takes and gives back much, and was 20 ms slower with it
    # Until here a signal ends us at once; from here on there is something to close in good order.
    signals = Signals()
    try:
        log = make_logger()
        agent = Agent(loaded, models, log, forget_remote=forget_remote, record=record)
        for sentence in check_labels(loaded, agent.models):
            log("warning", "RULE_SILENT", sentence, {})
        for sentence in notes_of(agent.models):
            log("warning", "PROFILE_VOID", sentence, {})
        try:
            return _serve(agent, signals, note)
        finally:
            agent.close()
    finally:
        signals.close()


def _leave_hanging(status: int, left: set[threading.Thread]) -> None:
    """A thread that hangs in a foreign library aborts the process when the interpreter ends: end it without that."""
    if left:
        atexit.register(_end_now, status)  # what is still to be said, is said before


def _end_now(status: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _serve(agent: Agent, signals: Signals, note: Callable[[str], None]) -> int:
    """Warm up, then run the core until it leaves. Ctrl-C ends with its own status, SIGTERM with 0."""
    from edge.shell.notify import Notifier

    notifier = Notifier()
    page = _open_page(agent)
    try:
        asked: list[str] = []
        if agent.start(WARM_S, enough=lambda: _asked(signals, asked)):
            if page:
                note(f"agent {agent.settings.agent} runs; its page: {page.url}")
            status = _run_core(agent, signals, notifier, asked)
        elif asked:
            notifier.stopping()
            status = Exit.OK
        else:
            why = agent.shells.infer.last_error or f"it has not answered within {WARM_S:g} s"
            raise ModelError("MODEL_SILENT", "the model gives no answer to its warm-up frame", why, WARM_HINT)
    finally:
        if page:
            page.close()
            (agent.data_dir / "page.json").unlink(missing_ok=True)
    return Exit.INTERRUPTED if status == Exit.OK and "SIGINT" in asked else status


def _run_core(agent: Agent, signals: Signals, notifier: Notifier, asked: list[str]) -> int:
    from edge.shell.infer import WARM_EVERY_S
    from edge.shell.notify import Watchdog

    # An idle model is asked every WARM_EVERY_S: a shorter silence says nothing, whatever the manager's interval.
    watchdog = Watchdog(notifier, lambda within_s: agent.alive(max(within_s, 2 * WARM_EVERY_S)))
    outcome: list[int | BaseException] = []
    core = threading.Thread(target=_core, args=(agent, outcome), name="core")
    core.start()
    notifier.ready()
    watchdog.start()
    from edge.shell.engine import give_back_memory

    trimmed = False
    try:
        while core.is_alive():
            if _asked(signals, asked, 0.2):
                notifier.stopping()
                agent.stop(asked[-1])
            elif not trimmed:  # it takes a while, and the first parts do not wait for it
                give_back_memory()
                trimmed = True
        core.join()
    finally:
        watchdog.stop()
    result = outcome[0]
    if isinstance(result, BaseException):
        raise result
    return result


def _asked(signals: Signals, asked: list[str], wait_s: float = 0.0) -> bool:
    """Whether a signal came now; ``asked`` keeps their names."""
    name = signals.wait(wait_s)
    if name:
        asked.append(name)
    return bool(name)


def _core(agent: Agent, outcome: list[int | BaseException]) -> None:
    try:
        outcome.append(agent.run())
    except BaseException as error:  # noqa: BLE001 - raised again on the main thread
        outcome.append(error)


def _open_page(agent: Agent) -> Page | None:
    config = agent.page_config
    if not config.enabled:
        return None
    from edge.shell.page import Page

    page = Page(agent.snapshot, agent.shells.evidence.pictures, port=config.port)
    page.start()
    where = {"port": page.port, "pid": os.getpid(), "url": page.url}
    (agent.data_dir / "page.json").write_text(json.dumps(where))
    return page


def _noted(_number: int, _frame: FrameType | None) -> None:
    """The byte on the wake-up pipe is all that is needed."""
