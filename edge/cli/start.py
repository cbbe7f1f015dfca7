"""``jidoka run FILE`` without any option: straight to the daemon. With options it is ``edge.cli.run``."""

from __future__ import annotations

import os
from pathlib import Path

from edge.cli.common import end_on_sigterm, note


def start(file: str, *, forget_remote: bool = False) -> int:
    """Run the agent until it is told to stop; its exit status. Raises JidokaError for what cannot start."""
    end_on_sigterm()  # until the daemon hears signals itself, which is when there is something to close
    # numpy's algebra library would start a thread a core; we need none of it, and its threads only cost start-up.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from edge.shell.daemon import run_agent

    return run_agent(Path(file), forget_remote=forget_remote, note=note)
