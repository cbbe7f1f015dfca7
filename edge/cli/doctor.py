"""``jidoka doctor``: check this machine, and with a settings file its devices, and say what to do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from edge.cli import doctor_checks as look
from edge.cli.common import say, say_json
from edge.cli.doctor_checks import Finding
from edge.config import Loaded, load_agent
from edge.errors import Exit

MARKS = {"ok": "ok  ", "info": "    ", "warn": "warn", "mend": "MEND"}
COLOURS = {"ok": "32", "info": "0", "warn": "33", "mend": "31"}
DEFAULT_PORT = 1883

app = typer.Typer(add_completion=False)


@app.command()
def doctor(
    settings: Annotated[Path | None, typer.Argument(metavar="[AGENT.toml]", help="Also try its devices.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="All findings as one JSON document.")] = False,
) -> None:
    """Check this machine and say what to do. Status 1 when something must be mended.

    With a settings file its cameras and PLCs are opened and read once; nothing is written to them and nothing moves.
    """
    loaded = load_agent(settings) if settings else None
    found: list[Finding] = []
    for finding in findings(loaded):
        found.append(finding)
        if not as_json:
            say(_line(finding))
    mend = [one for one in found if one.state == "mend"]
    if as_json:
        say_json({"ok": not mend, "findings": found})
    else:
        say(f"\n{len(mend)} to mend" if mend else "\nnothing to mend")
    if mend:
        raise typer.Exit(Exit.MISSED)


def findings(loaded: Loaded | None) -> Iterator[Finding]:
    """Everything that is looked at, in order, as it is found."""
    yield from look.versions()
    yield from look.libraries()
    yield from look.brokers()
    yield from look.clock()
    link = loaded.config.link if loaded else None
    yield from look.disk(loaded.path(loaded.config.agent.data_dir) if loaded else Path(), look.min_free_mb(loaded))
    if loaded is None:
        yield look.port(DEFAULT_PORT, "a broker of ours")
        return
    if link is not None:
        yield look.broker_reachable(link.host, link.port, wanted=True)
    if loaded.config.page.enabled and loaded.config.page.port:
        yield look.port(loaded.config.page.port, "the agent's page")
    yield from look.devices(loaded)


def _line(finding: Finding) -> str:
    mark = MARKS[finding.state]
    if sys.stdout.isatty():
        mark = f"\x1b[{COLOURS[finding.state]}m{mark}\x1b[0m"
    do = f"  -> {finding.do}" if finding.do else ""
    return f"{mark}  {finding.check:<20} {finding.what}{do}"
