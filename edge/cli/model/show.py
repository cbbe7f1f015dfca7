"""``jidoka model show``: a bundle's manifest, or what is proposed for a bare file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge.cli.common import note, say, say_json


def show(
    model: Annotated[Path, typer.Argument(help="A bundle folder or an .onnx file.", metavar="MODEL")],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Print what a bundle says of itself, or what would be proposed for a bare file."""
    import msgspec

    from edge.models.loading import load
    from edge.models.toml import dump_toml

    found = load(model)
    manifest = msgspec.to_builtins(found.manifest)
    if json:
        say_json(manifest | {"assumed": list(found.assumed)})
        return
    for sentence in found.assumed:
        note(f"assumed: {sentence}")
    say(dump_toml(manifest).rstrip())
