"""``jidoka run``: the agent daemon."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge.cli.common import say, say_json
from edge.cli.start import start

app = typer.Typer(add_completion=False)

File = Annotated[Path, typer.Argument(metavar="AGENT.toml", help="The settings file; `jidoka init` writes a starter.")]
Check = Annotated[
    bool, typer.Option("--check", help="Check everything that can be checked without moving anything, and end.")
]
Forget = Annotated[bool, typer.Option("--forget-remote", help="Go back to the file's own settings.")]
Record = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Keep a trace of all that the agent decides from, for `jidoka sim replay`; no pictures."
    ),
]
RecordMb = Annotated[
    int,
    typer.Option(
        min=1, max=1_000_000, help="The trace ends when it is so large; a part a second fills some 4 MB an hour."
    ),
]
Anonymous = Annotated[
    bool, typer.Option("--anonymous", help="With --record: pseudonyms for site, agent, hosts, URLs, and texts read.")
]
Json = Annotated[bool, typer.Option("--json", help="With --check: one JSON document.")]


@app.command()
def run(
    file: File,
    check: Check = False,
    forget_remote: Forget = False,
    record: Record = None,
    record_mb: RecordMb = 256,
    anonymous: Anonymous = False,
    json: Json = False,
) -> None:
    """Inspect parts: read cameras, run the model, tell the PLC, report by MQTT.

    Runs until Ctrl-C, SIGTERM, or until the last frame of a file or folder. With `Type=notify` under systemd it is
    READY when the model has answered a warm-up frame. With --record an earlier trace of that name becomes FILE.before.
    """
    if check:
        from edge.shell.check import check_agent

        report = check_agent(file)
        if json:
            say_json(report)
        else:
            for line in report.lines():
                say(line)
        raise typer.Exit(0)
    if anonymous and record is None:
        raise typer.BadParameter("it is of --record FILE", param_hint="--anonymous")
    asked = None
    if record is not None:
        from edge.shell.record import RecordAsked

        asked = RecordAsked(record, record_mb, anonymous)
    raise typer.Exit(start(str(file), forget_remote=forget_remote, record=asked))


if __name__ == "__main__":
    app()
