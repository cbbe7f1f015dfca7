"""``jidoka status``: what the agent on this machine is doing, from its own page on loopback."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from msgspec import Struct

from edge.cli.common import say, say_json
from edge.errors import LinkError

TIMEOUT_S = 3.0
MAX_BYTES = 4 * 1024 * 1024
WHOLE_FROM = 10_000
"""Larger numbers are shown without decimals."""
PAGE_FILE = "page.json"

app = typer.Typer(add_completion=False)


class PageFile(Struct, frozen=True):
    """``page.json``, which a running agent keeps in its data folder."""

    port: int
    pid: int


@app.command()
def status(
    url: Annotated[str, typer.Option(help="Address of the agent's page, as http://127.0.0.1:8301.")] = "",
    data_dir: Annotated[Path, typer.Option(help="The agent's data folder, where it says which port it has.")] = Path(
        "data"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="The whole status as one JSON document.")] = False,
) -> None:
    """Show what the agent on this machine is doing, and why it is not ready.

    Works without a broker and without a coordinator. Run it in the folder of agent.toml, or name the data folder.
    """
    document = fetch(f"{url.rstrip('/') or address(data_dir)}/status.json")
    if as_json:
        say_json(document)
        return
    for line in lines(document):
        say(line)


def address(data_dir: Path) -> str:
    """Where the agent's page is. Raises LinkError AGENT_ABSENT, AGENT_NOT_RUNNING."""
    file = data_dir / PAGE_FILE
    try:
        page = msgspec.json.decode(file.read_bytes(), type=PageFile)
    except (OSError, msgspec.MsgspecError) as error:
        raise LinkError(
            "AGENT_ABSENT",
            f"no agent keeps its data in {data_dir}",
            f"there is no readable {file}",
            "start it with `jidoka run agent.toml`, or give --data-dir or --url",
        ) from error
    if not _alive(page.pid):
        raise LinkError(
            "AGENT_NOT_RUNNING",
            f"the agent that kept its data in {data_dir} does not run any more",
            f"process {page.pid} is gone",
            "start it with `jidoka run agent.toml`",
        )
    return f"http://127.0.0.1:{page.port}"


def _alive(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def fetch(url: str) -> Any:
    """The JSON document at ``url``. Raises LinkError AGENT_UNREACHABLE, AGENT_MALFORMED."""
    # A proxy for the outside world has no business with loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=TIMEOUT_S) as answer:
            return msgspec.json.decode(answer.read(MAX_BYTES))
    except msgspec.MsgspecError as error:
        raise LinkError("AGENT_MALFORMED", f"what answers at {url} is not an agent", str(error)) from error
    except (OSError, ValueError) as error:
        why = str(error.reason if isinstance(error, urllib.error.URLError) else error)
        raise LinkError("AGENT_UNREACHABLE", f"no agent answers at {url}", why, "is it running?") from error


def lines(document: Any, indent: int = 0) -> Iterator[str]:
    """Nested values as lines for a person: scalars beside their name, lists and tables indented below it."""
    pad = "  " * indent
    if not isinstance(document, dict):
        yield f"{pad}{_shown(document)}"
        return
    width = max((len(str(key)) for key in document), default=0)
    for key, value in document.items():
        if isinstance(value, dict) and value:
            yield f"{pad}{key}"
            yield from lines(value, indent + 1)
        elif isinstance(value, list) and value and any(isinstance(one, dict | list) for one in value):
            yield f"{pad}{key}"
            for one in value:
                first, *rest = lines(one, indent + 2)
                yield f"{pad}  - {first.lstrip()}"
                yield from rest
        else:
            yield f"{pad}{key:<{width}}  {_shown(value)}"


def _shown(value: Any) -> str:
    match value:
        case True:
            return "yes"
        case False:
            return "no"
        case None | [] | {} | "":
            return "-"
        case float():
            return f"{value:.0f}" if abs(value) >= WHOLE_FROM else f"{value:.4g}"
        case list():
            return "; ".join(_shown(one) for one in value)
        case _:
            return str(value)
