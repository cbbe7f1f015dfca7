"""What every command says in the same way: results on stdout, everything else on stderr, one line for an error.

Only this module prints. A script reads stdout; a person reads both.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.errors import ConfigError, Exit, JidokaError

if TYPE_CHECKING:
    from rich.progress import Progress

VERBOSE_ENV = "JIDOKA_VERBOSE"
"""Set to 1 by ``-v``, and inherited by the processes we start."""


def is_verbose() -> bool:
    """True after ``-v``: causes and tracebacks are wanted."""
    return os.environ.get(VERBOSE_ENV) == "1"


def say(text: str = "") -> None:
    """One line of a result, on stdout, at once: a script waits for a daemon's line, and a pipe would keep it back."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """One line for the person who watches, on stderr, so that stdout stays clean for scripts."""
    sys.stdout.flush()
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def say_json(data: Any, *, indent: int = 2) -> None:
    """One JSON document on stdout: structs, dictionaries, lists. ``indent`` 0 gives one line (for streams)."""
    import msgspec

    text = msgspec.json.encode(data)
    say((msgspec.json.format(text, indent=indent) if indent else text).decode())


def say_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
    """A table: drawn on a terminal, tab-separated with a header line where stdout is a pipe or file."""
    if not sys.stdout.isatty():
        say("\t".join(columns))
        for row in rows:
            say("\t".join("" if cell is None else " ".join(str(cell).split()) for cell in row))
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, box=SIMPLE_HEAD, title_justify="left")
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    Console().print(table)


@contextmanager
def progress(what: str) -> Iterator[Progress]:
    """A progress bar on stderr for long work; invisible where stderr is not a terminal.

    Inside, ``bar.add_task(name, total=n)`` and ``bar.advance(task)``.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn(f"{what} {{task.description}}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        yield bar


def report(error: JidokaError) -> Exit:
    """Say an error as the last line on stderr, with its cause before it after ``-v``; return the exit status."""
    if is_verbose():
        import traceback

        note("".join(traceback.format_exception(error)).rstrip())
    note(str(error))
    return error.exit_status


def end_on_sigterm() -> Any:
    """For a daemon that has nothing to end in good order yet: SIGTERM unwinds it as Ctrl-C does, and is no failure.

    Returns the handler before this one.
    """
    return signal.signal(signal.SIGTERM, _end)


def _end(_signal: int, _frame: object) -> None:
    raise SystemExit(Exit.OK)


def read_password(file: Path | None) -> str | None:
    """What a ``--password-file`` holds, without the white space around it. Raises ConfigError PASSWORD_UNREADABLE."""
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("PASSWORD_UNREADABLE", f"{file} cannot be read", str(error)) from error
