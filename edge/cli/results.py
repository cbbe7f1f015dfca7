"""``jidoka results``: verdicts out of the ledger, for a spreadsheet or a script."""

from __future__ import annotations

import contextlib
import csv
import itertools
import json
import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from edge.cli.common import note, progress, say_json
from edge.cli.http_client import DEFAULT_URL, Client
from edge.errors import ConfigError, StoreError

app = typer.Typer(no_args_is_help=True, help="Verdicts out of the ledger.")

COLUMNS = (
    "site",
    "agent",
    "log",
    "seq",
    "utc_ms",
    "decision",
    "source",
    "part_no",
    "part_id",
    "boot_no",
    "frame_no",
    "encoder",
    "recipe",
    "model_name",
    "model_version",
    "model_sha256",
    "settings_rev",
    "clock_trusted",
    "received_utc_ms",
    "latency_total_ms",
    "labels",
    "findings",
    "reasons",
    "values",
    "views",
)
"""The last four are JSON; ``labels`` are the findings' labels, highest score first."""


class Decision(StrEnum):
    """What was decided."""

    PASS = "pass"  # noqa: S105 - a verdict, no password
    FAIL = "fail"
    UNSURE = "unsure"
    NONE = "none"


@app.callback()
def results() -> None:
    """Verdicts out of the ledger."""


@app.command()
def export(
    file: Annotated[str, typer.Option("--csv", help="CSV file to write, - for stdout.")] = "-",
    url: Annotated[str, typer.Option("--url", help="The coordinator's HTTP API.", envvar="JIDOKA_URL")] = DEFAULT_URL,
    agent: Annotated[str, typer.Option(help="Only this agent.")] = "",
    decision: Annotated[Decision | None, typer.Option(help="Only this decision.")] = None,
    source: Annotated[str, typer.Option(help="Only this camera.")] = "",
    part_no: Annotated[int | None, typer.Option(min=0, help="Only this part number.")] = None,
    since: Annotated[str, typer.Option(help="From this time on: UTC ms, or 2026-11-24T08:00 (UTC).")] = "",
    until: Annotated[str, typer.Option(help="Before this time.")] = "",
    most: Annotated[int, typer.Option("--limit", min=0, help="At most so many; 0 is all.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document a line instead of CSV.")] = False,
) -> None:
    """Write results, oldest first, as CSV or as lines of JSON."""
    query = {"agent": agent, "decision": decision, "source": source, "part_no": part_no, "since": since, "until": until}
    with contextlib.closing(Client(url)) as client:
        rows = client.pages("/v1/results", "results", most, order="oldest", **query)
        if as_json:
            for row in rows:
                say_json(row, indent=0)
        elif file == "-":
            _write_csv(sys.stdout, rows)
        else:
            _write_file(Path(file), rows)


def _write_file(file: Path, rows: Iterator[dict[str, Any]]) -> None:
    """Write beside it first: a file of that name is whole or absent."""
    part = file.with_name(file.name + ".part")
    try:
        with part.open("w", encoding="utf-8", newline="") as stream:
            count = _write_csv(stream, rows)
        part.replace(file)
    except OSError as error:
        code, what = ("FILE_UNWRITABLE", f"cannot write {file}")
        raise (ConfigError if not file.parent.is_dir() else StoreError)(
            code, what, error.strerror or str(error)
        ) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    note(f"{count} results in {file}")


def _write_csv(stream: IO[str], rows: Iterator[dict[str, Any]]) -> int:
    writer = csv.writer(stream)
    first = list(itertools.islice(rows, 1))  # a refused question leaves no header behind
    writer.writerow(COLUMNS)
    count = 0
    with progress("exporting") as bar:
        task = bar.add_task("results", total=None)
        for row in itertools.chain(first, rows):
            writer.writerow([_cell(row, name) for name in COLUMNS])
            count += 1
            bar.advance(task)
    return count


def _cell(row: dict[str, Any], name: str) -> object:
    """A value as a spreadsheet takes it. Texts that a spreadsheet would run as a formula get a leading apostrophe."""
    if name == "latency_total_ms":
        return row["latency_ms"].get("total", "")
    if name == "labels":
        value: object = " ".join(finding["label"] for finding in row["findings"])
    elif name in {"findings", "reasons", "values", "views"}:
        return json.dumps(row[name])
    else:
        value = row[name]
    if isinstance(value, str) and value[:1] in {"=", "+", "-", "@"}:
        return f"'{value}"
    return value
