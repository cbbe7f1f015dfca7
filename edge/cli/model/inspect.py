"""``jidoka model inspect``: what an ONNX file is and how to feed it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge.cli.common import note, say, say_json, say_table

if TYPE_CHECKING:
    from edge.models.inspect.bare import Examined


def inspect(
    file: Annotated[Path, typer.Argument(help="An .onnx file.", metavar="FILE")],
    probe: Annotated[
        Path | None,
        typer.Option(help="A picture that shows what the model is for: it is tried on it.", metavar="IMAGE"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Say what an ONNX file is and how to feed it, with reasons, and what cannot be told from it.

    The file is tried in a child process first. With --probe, colours, scale and fit are tried on a picture, and the way
    that makes most sense is taken, if it is clear. Nothing is written; `jidoka model pack` makes a bundle of what is said
    here.
    """
    from edge.models.inspect.looking import look
    from edge.models.inspect.source import read_file

    looked = look(read_file(file), str(file), probe)
    document = looked.document
    if json:
        say_json(document)
        return
    _table(document, {} if looked.pictures is None else spoken_of(looked.pictures))
    for sentence in document["unsure"]:
        note(f"unsure: {sentence}")
    for sentence in document["warnings"]:
        note(f"warning: {sentence}")


def spoken_of(found: Examined) -> dict[str, str]:
    """The proposal in a few words."""
    from edge.models.inspect.words import spoken

    return spoken(found.proposal.manifest)


def _table(document: dict[str, Any], words: dict[str, str]) -> None:
    said = words or {"task": f"{document['task']}, head {document['head']}"}
    rows = [
        (part, said.get(part, ""), f"{row['confidence']:.0%}", "; ".join(row["evidence"]))
        for part, row in document["proposals"].items()
    ]
    say_table(("what", "proposed", "sure", "because"), rows)
    say(f"licence: {document['licence']}; made by: {document['producer'] or 'unknown'}")
