"""``jidoka model pack``: a bundle from an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge.cli.common import note, say, say_json
from edge.errors import InputError

if TYPE_CHECKING:
    from edge.models.packing import Packed


def pack(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="An .onnx file; a text detector, a recogniser and, if there is one, an orientation classifier are packed "
            "as one reader of text, in any order.",
            metavar="FILE...",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The bundle's folder.", metavar="DIR")],
    labels: Annotated[
        Path | None,
        typer.Option(
            help="Names of the classes, one a line, in class order; of a reader of text its characters, where its metadata "
            "has none.",
            metavar="FILE",
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="A key of model.toml, as input.color=bgr. May be repeated.", metavar="KEY=VALUE"),
    ] = None,
    golden: Annotated[
        list[Path] | None,
        typer.Option(help="A picture to keep with what the model gives on it here. May be repeated.", metavar="IMAGE"),
    ] = None,
    probe: Annotated[
        Path | None, typer.Option(help="Try ways of feeding on this picture, as inspect does.", metavar="IMAGE")
    ] = None,
    force: Annotated[bool, typer.Option(help="Write over a bundle that is there.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Make a bundle of an ONNX file: a folder that says all there is between a picture and findings.

    What `jidoka model inspect` proposes is written down; --labels and --set correct it. Afterwards `model.toml` may be
    edited by hand: docs/model.schema.json describes it. Several files make one reader of text:

    jidoka model pack det.onnx rec.onnx cls.onnx -o reader
    """
    from edge.models.bundle import MANIFEST_FILE
    from edge.models.inspect.source import read_file
    from edge.models.packing import Wishes, pack_any, pack_reader, read_labels

    if (output / MANIFEST_FILE).exists() and not force:
        raise InputError("PACK_EXISTS", f"{output} is a bundle already", "", "name another folder, or add --force")
    said = tuple(set_ or ()), tuple(golden or ()), probe
    if len(files) > 1:
        packed = pack_reader(files, output, Wishes(None, *said), dictionary=labels)
    else:
        packed = pack_any(read_file(files[0]), output, Wishes(None if labels is None else read_labels(labels), *said))
    _tell(packed, output, as_json=json)


def _tell(packed: Packed, output: Path, *, as_json: bool) -> None:
    about = packed.manifest["model"]
    if as_json:
        say_json(
            {
                "bundle": str(output),
                "task": about["task"],
                "manifest": packed.manifest,
                "unsure": packed.unsure,
                "licence": packed.licence,
                "warnings": packed.warnings,
            }
        )
        return
    say(f"{output}: {about['name']}, task {about['task']}, licence {packed.licence}")
    for sentence in packed.unsure:
        note(f"unsure: {sentence}")
    for sentence in packed.warnings:
        note(f"warning: {sentence}")
