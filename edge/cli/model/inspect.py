"""``jidoka model inspect``: what an ONNX file is and how to feed it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge.cli.common import note, say, say_json, say_table

if TYPE_CHECKING:
    from edge.models.inspect.bare import Examined


def inspect(
    file: Annotated[Path, typer.Argument(help="An .onnx file.", metavar="FILE")],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Say what an ONNX file is and how to feed it, with reasons, and what cannot be told from it.

    The file is tried in a child process first. Nothing is written; `jidoka model pack` makes a bundle of what is said
    here.
    """
    from edge.models.inspect.bare import examine
    from edge.models.inspect.document import to_document
    from edge.models.inspect.source import read_file

    bare = read_file(file)
    found = examine(bare)
    if json:
        say_json(to_document(found, str(file), bare.sha256))
        return
    _table(found)
    for sentence in found.proposal.assumed:
        note(f"unsure: {sentence}")
    for sentence in found.proposal.warnings:
        note(f"warning: {sentence}")


def _table(found: Examined) -> None:
    from edge.models.inspect.licence import licence_of
    from edge.models.inspect.words import spoken

    proposal, facts = found.proposal, found.facts
    said = spoken(proposal.manifest)
    rows = [
        (part, said[part], f"{proposal.confidence[part]:.0%}", "; ".join(proposal.evidence[part]))
        for part in ("task", "head", "preprocess", "labels")
    ]
    say_table(("what", "proposed", "sure", "because"), rows)
    say(f"licence: {licence_of(facts.metadata)}; made by: {facts.producer or 'unknown'}")
