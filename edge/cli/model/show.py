"""``jidoka model show``: a bundle's manifest, or what is proposed for a bare file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge.cli.common import note, say, say_json


def show(
    model: Annotated[Path, typer.Argument(help="A bundle folder or an .onnx file.", metavar="MODEL")],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document, with every default.")] = False,
) -> None:
    """Print what a bundle says of itself, or what would be proposed for a bare file, as model.toml has it.

    Of a bundle the files are compared with their list; nothing is run.
    """
    import msgspec

    from edge.models.showing import look
    from edge.models.toml import dump_toml, lean

    manifest, assumed = look(model)
    if json:
        say_json(msgspec.to_builtins(manifest) | {"assumed": list(assumed)})
        return
    for sentence in assumed:
        note(f"assumed: {sentence}")
    say(dump_toml(lean(manifest)).rstrip())
