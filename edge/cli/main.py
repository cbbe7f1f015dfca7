"""The root command: ``jidoka COMMAND …``.

Commands are entry points of the group ``jidoka.commands``: ``run = "edge.cli.run:app"``, a typer app. Their one-line
helps are entry points too, of the group ``jidoka.helps``, whose name is ``run: what it does`` and whose value is the
same object. So names and helps of everybody's commands are read from metadata, and a command's modules (and typer
itself) are imported only when it is called. A third party's package adds commands by registering in both groups.

Statuses and error lines are those of :mod:`edge.errors`, whatever the command was.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edge.errors import ConfigError, Exit, JidokaError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

DISTRIBUTION = "jidoka-edge"
COMMANDS = "jidoka.commands"
HELPS = "jidoka.helps"
OUR_PACKAGES = {"edge", "drivers", "sims"}
VERBOSE = ("-v", "--verbose")
DEBIAN_LIBS = "apt-get install libgl1 libglib2.0-0"

ABOUT = "Inspect parts beside the machine: ONNX models, cameras, PLCs and MQTT."
OPTIONS = (
    ("-v, --verbose", "Show the cause and traceback of an error (anywhere on the line)."),
    ("--version", "Show the version."),
    ("--help", "Show this text; after a command, that command's."),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status. ``argv`` is without the program's name."""
    args = list(sys.argv[1:] if argv is None else argv)
    if args in (["--version"], ["version"]):
        from importlib.metadata import version

        sys.stdout.write(f"jidoka {version(DISTRIBUTION)}\n")
        return Exit.OK
    args = _take_verbose(args)
    try:
        status = _run(args)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        return _reader_left()
    except SystemExit as left:
        if isinstance(left.__context__, BrokenPipeError):
            return _reader_left()
        return left.code if isinstance(left.code, int) else Exit.OK if left.code is None else Exit.MISSED
    except Exception as error:  # noqa: BLE001 - the outermost frame: a user never meets a traceback unasked
        from edge.cli.common import report

        return report(as_ours(error))
    return status


def _reader_left() -> int:
    """``jidoka … | head``: whoever read our output has enough. Not an error; say nothing, at exit neither."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno() if sys.__stdout__ else 1)
    return Exit.OK


def _take_verbose(args: list[str]) -> list[str]:
    """``-v`` may stand anywhere before ``--``, because people append it to the line that just failed."""
    end = args.index("--") if "--" in args else len(args)
    if not any(arg in VERBOSE for arg in args[:end]):
        return args
    from edge.cli.common import VERBOSE_ENV

    os.environ[VERBOSE_ENV] = "1"
    return [arg for arg in args[:end] if arg not in VERBOSE] + args[end:]


def _run(args: list[str]) -> int:
    if len(args) == 2 and args[0] == "run" and not args[1].startswith("-"):  # noqa: PLR2004 - `run FILE`
        # How services start us: a daemon that begins at once needs neither typer nor everybody's metadata for it.
        from edge.cli.start import start

        return start(args[1])
    points = commands()
    if not args or args[0] in {"--help", "-h", "help"}:
        sys.stdout.write(_help(points))
        return Exit.OK if args else Exit.USAGE
    name, *rest = args
    point = points.get(name)
    if point is None:
        return _usage_error(f"there is no command {name!r}", _likely(name, points), "jidoka")
    return _call(point.load(), f"jidoka {name}", rest)


def _call(app: Any, prog: str, args: list[str]) -> int:
    """Run a typer app with our own error handling instead of typer's."""
    import typer

    command = typer.main.get_command(app)
    # Completion would be installed for `jidoka NAME`, which no shell looks up.
    command.params = [one for one in command.params if one.name not in {"install_completion", "show_completion"}]
    try:
        result = command(args=args, prog_name=prog, standalone_mode=False)
    except typer.Abort:
        return Exit.INTERRUPTED
    except Exception as error:
        # Click's own errors, wherever typer keeps its copy of click: all have these two.
        if not (hasattr(error, "format_message") and hasattr(error, "exit_code")):
            raise
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else prog
        if not error.format_message():  # a group without a command: the help text was already shown
            return Exit.USAGE
        return _usage_error(error.format_message(), "", path)
    return result if isinstance(result, int) and not isinstance(result, bool) else Exit.OK


def _usage_error(what: str, why: str, path: str) -> int:
    sys.stdout.flush()
    text = " ".join(what.split()).rstrip(".")
    sys.stderr.write("; ".join(part for part in (f"USAGE_WRONG: {text}", why, f"see `{path} --help`") if part) + "\n")
    return Exit.USAGE


def _likely(name: str, points: dict[str, EntryPoint]) -> str:
    near = difflib.get_close_matches(name, points, n=1)
    return f"did you mean {near[0]!r}?" if near else ""


def commands() -> dict[str, EntryPoint]:
    """Every registered command by name, sorted; where two packages claim a name, ours has it."""
    from importlib.metadata import entry_points

    points = sorted(entry_points(group=COMMANDS), key=_is_ours)
    return dict(sorted({point.name: point for point in points}.items()))


def helps() -> dict[str, str]:
    """One line of help for each command, from metadata alone."""
    from importlib.metadata import entry_points

    points = sorted(entry_points(group=HELPS), key=_is_ours)
    split = (point.name.partition(":") for point in points)
    return {name.strip(): text.strip() for name, _, text in split}


def _is_ours(point: EntryPoint) -> bool:
    return point.dist is not None and point.dist.name == DISTRIBUTION


def _help(points: dict[str, EntryPoint]) -> str:
    texts = helps()
    rows = [(name, texts.get(name, "")) for name in points]
    rows = sorted([*rows, ("version", "Show the version.")])
    wide = max(len(left) for left, _ in (*rows, *OPTIONS)) + 2
    lines = ["Usage: jidoka [OPTIONS] COMMAND [ARGS]...", "", f"  {ABOUT}", "", "Commands:"]
    lines += [f"  {left:<{wide}}{right}".rstrip() for left, right in rows]
    lines += ["", "Options:"]
    lines += [f"  {left:<{wide}}{right}" for left, right in OPTIONS]
    return "\n".join(lines) + "\n"


def as_ours(error: Exception) -> JidokaError:
    """Any exception as one of ours: our own as they are, a missing extra or library explained, the rest as a bug."""
    if isinstance(error, JidokaError):
        return error
    if isinstance(error, ImportError):
        known = _missing(error)
        if known is not None:
            known.__cause__ = error
            return known
    bug = JidokaError(
        "BUG_UNEXPECTED",
        f"{type(error).__name__}: {error}".rstrip(": "),
        "this is a defect of jidoka, not of your input",
        "run it again with -v and report what it prints",
    )
    bug.__cause__ = error
    return bug


def _missing(error: ImportError) -> JidokaError | None:
    """The line for a library that is not there; None where the missing module is our own."""
    if ".so" in str(error) and not isinstance(error, ModuleNotFoundError):
        return ConfigError("LIB_MISSING", "a system library is missing", str(error), f"on Debian: {DEBIAN_LIBS}")
    module = (error.name or "").partition(".")[0]
    if not isinstance(error, ModuleNotFoundError) or not module or module in OUR_PACKAGES:
        return None
    return ConfigError(
        "EXTRA_MISSING",
        f"this needs the Python package {module!r}, which is not installed",
        hint=f'pip install "{DISTRIBUTION}[{_extra_of(module)}]"',
    )


def _extra_of(module: str) -> str:
    """The smallest extra of our own metadata that brings ``module``; the module's name is the package's for all."""
    import re
    from importlib.metadata import requires

    extras: list[str] = []
    for line in requires(DISTRIBUTION) or []:
        name = re.match(r"[\w.-]+", line)
        extra = re.search(r"extra == ['\"]([\w-]+)['\"]", line)
        if name and extra and name[0].lower().replace("-", "_") == module.lower():
            extras.append(extra[1])
    chosen = [one for one in extras if one not in {"all", "dev"}] or extras or ["all"]
    return chosen[0]


if __name__ == "__main__":
    sys.exit(main())
