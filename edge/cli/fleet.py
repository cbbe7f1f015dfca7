"""``jidoka fleet``: who is there, what runs, and changing it."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Annotated, Any
from urllib.parse import quote

import typer

from edge.cli.common import note, say, say_json, say_table
from edge.cli.http_client import DEFAULT_URL, TIMEOUT_S, Client, refused
from edge.errors import ConfigError

app = typer.Typer(no_args_is_help=True, help="Who is there, what runs, and changing it.")
POLL_S = 0.2
OPS = "ping, snapshot, pause, resume, restart"

Url = Annotated[str, typer.Option("--url", help="The coordinator's HTTP API.", envvar="JIDOKA_URL")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AgentId = Annotated[str, typer.Argument(help="The agent's id.")]


@app.callback()
def fleet() -> None:
    """Who is there, what runs, and changing it."""


@app.command("ls")
def list_agents(url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """List every agent the coordinator ever heard of."""
    with contextlib.closing(Client(url)) as client:
        whole = client.get("/v1/fleet")
    if as_json:
        say_json(whole)
        return
    columns = ("agent", "status", "ready", "since", "seen", "version", "model", "recipe", "settings", "differs")
    say_table(columns, [_row(agent, whole["utc_ms"]) for agent in whole["agents"]], f"site {whole['site']}")
    for reason in whole["why_not"]:
        note(f"the coordinator takes no results: {reason}")


def _row(agent: dict[str, Any], now_utc_ms: int) -> tuple[object, ...]:
    model = agent["model"] or {}
    named = f"{model['name']} {model['version']}" if model else ""
    ready = "paused" if agent["paused"] else "yes" if agent["ready"] else "; ".join(agent["why_not"]) or "no"
    return (
        agent["agent"],
        agent["status"],
        ready,
        ago(now_utc_ms - agent["since_utc_ms"]) if agent["since_utc_ms"] else "",
        ago(now_utc_ms - agent["seen_utc_ms"]) if agent["seen_utc_ms"] else "",
        agent["versions"].get("jidoka", ""),
        named,
        agent["recipe"],
        agent["settings"],
        ", ".join(difference["name"] for difference in agent["differs"]),
    )


def ago(ms: int) -> str:
    """A span in the one unit that says most: 4 s, 12 min, 3 h, 9 d."""
    seconds = max(0, ms) // 1000
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


@app.command()
def show(agent: AgentId, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Show all that is known of one agent."""
    with contextlib.closing(Client(url)) as client:
        found = client.get(_path(agent))
    if as_json:
        say_json(found)
        return
    rows = []
    for name, value in found.items():
        if isinstance(value, dict):
            rows += [(f"{name}.{key}", inner) for key, inner in value.items()]
        elif name == "differs":
            rows += [(f"differs.{one['name']}", f"wanted {one['wanted']}, has {one['has']}") for one in value]
        elif value not in ("", [], None):
            rows.append((name, "; ".join(map(str, value)) if isinstance(value, list) else value))
    say_table(("what", "value"), rows, agent)


@app.command("set")
def set_settings(
    agent: AgentId,
    settings: Annotated[list[str], typer.Argument(help="name=value; an empty value removes it: name=")],
    url: Url = DEFAULT_URL,
    replace: Annotated[bool, typer.Option(help="Drop all other settings wanted so far.")] = False,
    wait_s: Annotated[float, typer.Option("--wait", min=0, max=600, help="Seconds to wait until it is applied.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Change an agent's settings, and wait until it applied or refused them."""
    wanted = dict(_setting(text) for text in settings)
    with contextlib.closing(Client(url)) as client:
        answer = client.send("PUT" if replace else "PATCH", f"{_path(agent)}/settings", {"settings": wanted})
        found = _wait_applied(client, agent, answer["rev"], wait_s)
    status = found["settings"] if found["desired_rev"] == answer["rev"] else "superseded"
    if as_json:
        say_json(answer | {"settings": status, "code": found["code"], "what": found["what"]})
    else:
        say(f"revision {answer['rev']}: {status}" + (f" ({found['code']}: {found['what']})" if found["code"] else ""))
    if status == "refused":
        what = f"{agent} refused revision {answer['rev']}"
        # Its own words name the setting, which may be one of an earlier revision that it refused as well.
        hint = f"it stays wanted until `jidoka fleet set {agent} NAME=` takes it back"
        raise refused(found["code"], "SETTINGS_REFUSED", what, found["what"], hint)


def _wait_applied(client: Client, agent: str, rev: int, wait_s: float) -> dict[str, Any]:
    end = time.monotonic() + wait_s
    while True:
        found: dict[str, Any] = client.get(_path(agent))
        if found["settings"] != "waiting" or found["desired_rev"] != rev or time.monotonic() >= end:
            return found
        time.sleep(POLL_S)


@app.command()
def ask(
    agent: AgentId,
    op: Annotated[str, typer.Argument(help=OPS)],
    args: Annotated[list[str] | None, typer.Argument(help="name=value")] = None,
    ttl_s: Annotated[float, typer.Option("--ttl", min=0.1, max=300, help="Seconds until it is refused.")] = 10,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Have an agent do something once, and print its reply."""
    body = {"op": op, "args": dict(_setting(text) for text in args or ()), "ttl_s": ttl_s}
    began = time.monotonic()
    with contextlib.closing(Client(url, TIMEOUT_S + ttl_s)) as client:
        reply = client.send("POST", f"{_path(agent)}/asks", body)
    took_ms = (time.monotonic() - began) * 1000
    if as_json:
        say_json(reply)
    elif reply["ok"]:
        told = ", ".join(f"{name} {value}" for name, value in reply["body"].items())
        say(f"{agent} did {op} in {took_ms:.0f} ms" + (f": {told}" if told else ""))
    if not reply["ok"]:
        hint = f"it knows {OPS}" if reply["code"] == "CMD_UNKNOWN" else ""
        why = reply["what"] if reply["what"] != op else ""
        raise refused(reply["code"], "ASK_REFUSED", f"{agent} refused {op}", why, hint)


def _path(agent: str) -> str:
    return f"/v1/fleet/{quote(agent, safe='')}"


def _setting(text: str) -> tuple[str, Any]:
    """``name=value`` with JSON's numbers, true and false; anything else is a text. Raises ConfigError."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ConfigError("SETTING_WRONG", f"{text!r} is not a setting", hint="write name=value")
    if not value:
        return name, None
    try:
        read = json.loads(value)
    except ValueError:
        return name, value
    return name, read if isinstance(read, bool | int | float | str) else value
