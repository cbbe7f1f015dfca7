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
Json = Annotated[bool, typer.Option("--json", help="With --check: one JSON document.")]


@app.command()
def run(file: File, check: Check = False, forget_remote: Forget = False, json: Json = False) -> None:
    """Inspect parts: read cameras, run the model, tell the PLC, report by MQTT.

    Runs until Ctrl-C, SIGTERM, or until the last frame of a file or folder. With `Type=notify` under systemd it is
    READY when the model has answered a warm-up frame.
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
    raise typer.Exit(start(str(file), forget_remote=forget_remote))


if __name__ == "__main__":
    app()
