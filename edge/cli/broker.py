"""``jidoka broker``: a broker for this machine."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from edge.cli.common import end_on_sigterm, note, say, say_json
from edge.errors import LinkError
from edge.shell.broker import Broker

app = typer.Typer(no_args_is_help=True, help="A broker for this machine.")


class Kind(StrEnum):
    """Which broker to start."""

    AUTO = "auto"
    MOSQUITTO = "mosquitto"
    IOTCORE = "iotcore"


@app.callback()
def broker() -> None:
    """A broker for this machine."""


@app.command()
def run(
    kind: Annotated[Kind, typer.Option(help="auto takes Mosquitto where it is installed, else iotcore.")] = Kind.AUTO,
    host: Annotated[str, typer.Option(help="Loopback address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 1883,
    data_dir: Annotated[Path | None, typer.Option(help="Keep retained messages and sessions here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Say where it listens as one JSON document.")] = False,
) -> None:
    """Start a broker on loopback, say where, and run it until Ctrl-C."""
    end_on_sigterm()
    with Broker(kind.value, host, port, data_dir) as child:
        for line in child.notes:
            note(line)
        if as_json:
            say_json({"kind": child.kind, "host": child.host, "port": child.port, "pid": child.pid}, indent=0)
        else:
            say(f"{child.kind} listens on mqtt://{child.host}:{child.port} (MQTT 5, no password; Ctrl-C ends it)")
        child.wait()
        raise LinkError("BROKER_FAILED", f"the broker on {child.host}:{child.port} ended", child.last_line)
