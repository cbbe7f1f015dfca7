"""``jidoka model bank``: an anomaly model from good pictures and any network's features, without training."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge.cli.common import note, progress, say, say_json
from edge.errors import InputError

if TYPE_CHECKING:
    from edge.ports import Image


def bank(
    extractor: Annotated[
        Path, typer.Argument(help="An .onnx file or bundle trained for anything.", metavar="EXTRACTOR")
    ],
    folder: Annotated[Path, typer.Argument(help="A folder of pictures of good parts only.", metavar="FOLDER")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The bundle's folder.", metavar="DIR")],
    tensor: Annotated[
        list[str] | None,
        typer.Option(help="An inner tensor to use, by name; the finest first. May be repeated.", metavar="NAME"),
    ] = None,
    places: Annotated[int, typer.Option(help="So many places are remembered.", min=10, max=20_000)] = 1000,
    tile: Annotated[
        int | None, typer.Option(help="Look in tiles of so many px a side, for large pictures.", min=32, max=8192)
    ] = None,
    force: Annotated[bool, typer.Option(help="Write over a bundle that is there.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Make an anomaly bundle that remembers what good parts look like, after PatchCore. Nothing is trained.

    The network is cut at --tensor (Netron shows the names; without the option, outputs that are feature maps are taken,
    and where there are none, tensors that would do are named). Calibrate it then with other good pictures:
    `jidoka model calibrate DIR OTHER_FOLDER`.
    """
    from edge.cli import media
    from edge.cli.model.calibrate import pictures
    from edge.models.bank import bank_of, extractor_of, rows_of, write_bank
    from edge.models.bundle import MANIFEST_FILE, read_any
    from edge.vision.spec import Tiling

    if (output / MANIFEST_FILE).exists() and not force:
        raise InputError("PACK_EXISTS", f"{output} is a bundle already", "", "name another folder, or add --force")
    tiling = None if tile is None else Tiling(width_px=tile, height_px=tile)
    made = extractor_of(read_any(extractor), tuple(tensor or ()), tiling=tiling)
    for sentence in made.assumed:
        note(f"assumed: {sentence}")
    digests: list[str] = []

    def images() -> Iterator[Image]:
        for _, digest, image in pictures(folder, "look"):
            digests.append(digest)
            yield image

    rows = rows_of(made, images(), media.count([folder], 1) if folder.is_dir() else 0, lambda: None)
    with progress("remember") as bar:
        task = bar.add_task("places", total=places)
        arrays = bank_of(rows, places, lambda: bar.advance(task))
    found = write_bank(output, made, arrays, digests)
    kept, depth = arrays["bank"].shape
    if json:
        document = {"bundle": str(output), "pictures": len(digests), "places": kept, "of": len(rows), "features": depth}
        say_json(document | {"tensors": list(made.head.features), "licence": found.manifest.model.licence})
        return
    say(f"{output}: {kept} of {len(rows)} places of {len(digests)} good pictures, {depth} features each")
    note(f"next: jidoka model calibrate {output} FOLDER, with other good pictures")
