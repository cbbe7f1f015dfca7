"""``jidoka run FILE`` without any option: straight to the daemon. With options it is ``edge.cli.run``."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from edge.cli.common import note
from edge.errors import Exit

if TYPE_CHECKING:
    from edge.shell.record import RecordAsked


def start(file: str, *, forget_remote: bool = False, record: RecordAsked | None = None) -> int:
    """Run the agent until it is told to stop; its exit status. Raises JidokaError for what cannot start."""
    # Until the daemon hears them itself, which is when there is something to close.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end_at_once)
    # numpy's algebra library would start a thread a core; we need none of it, and its threads only cost start-up.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from edge.shell.daemon import run_agent

    return run_agent(Path(file), forget_remote=forget_remote, note=note, record=record)


def _end_at_once(number: int, _frame: object) -> None:
    """Nothing is open yet. Unwinding would take modules away from under the thread that loads the model, which crashes
    it; a model on trial goes with us.
    """
    os._exit(Exit.INTERRUPTED if number == signal.SIGINT else Exit.OK)
