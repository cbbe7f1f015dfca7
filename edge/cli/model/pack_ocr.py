"""``jidoka model pack-ocr``: a reader of text out of a detector, a recogniser and an orientation classifier."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge.cli.common import note, say, say_json


def pack_ocr(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="A text detector, a recogniser, if there is one an orientation classifier.", metavar="ONNX..."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The bundle to write.", metavar="DIR")],
    dictionary: Annotated[
        Path | None,
        typer.Option(help="The recogniser's characters, one a line, where its metadata has none.", metavar="FILE"),
    ] = None,
    force: Annotated[bool, typer.Option(help="Write over a bundle that is there.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Pack models that find and read text as one bundle: a cascade that `infer` and `run` use like any other.

    For PP-OCR and its kin: a detector with a probability map (DB), a recogniser with one class a character (CTC), and
    a classifier 0/180. Their order does not matter. Example:

    jidoka model pack-ocr det.onnx rec.onnx cls.onnx -o reader

    jidoka infer reader label.jpg
    """
    from edge.models.loading import load
    from edge.models.ocr import pack

    pack(files, output, dictionary=dictionary, force=force)
    found = load(output)
    stages = [stage.name for stage in found.manifest.stage]
    if json:
        say_json({"bundle": str(output), "name": found.ref.name, "sha256": found.ref.sha256, "stages": stages})
        return
    note(f"packed: find lines, then {', then '.join(stages)}")
    say(str(output))
