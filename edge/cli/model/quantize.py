"""``jidoka model quantize``: a faster form of a model that agrees with it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge.cli.common import note, progress, say, say_json, say_table
from edge.errors import InputError, ModelError

if TYPE_CHECKING:
    from edge.models.bundle import Bundle
    from edge.models.series.manifest import SeriesBundle
    from edge.models.tuning.machine import Machine
    from edge.models.variants.making import Material, Search, Tried
    from edge.models.variants.table import Variant
    from edge.ports import Image


class Mode(StrEnum):
    """What becomes small."""

    AUTO = "auto"
    CONV = "conv"
    FULL = "full"
    DYNAMIC = "dynamic"
    FP16 = "fp16"


class Method(StrEnum):
    """How ranges are taken from the pictures."""

    AUTO = "auto"
    MINMAX = "minmax"
    PERCENTILE = "percentile"
    ENTROPY = "entropy"


def quantize(
    bundle: Annotated[Path, typer.Argument(help="A bundle folder.", metavar="BUNDLE")],
    calibration: Annotated[
        Path,
        typer.Option(
            help="Pictures as the machine takes them, some 20 to 200; of a series model a table, or a folder of some.",
            metavar="FOLDER|TABLE",
        ),
    ],
    mode: Annotated[
        Mode,
        typer.Option(
            help="conv: convolutions; full: all layers; dynamic: products of matrices and LSTM, no convolutions."
        ),
    ] = Mode.AUTO,
    method: Annotated[Method, typer.Option(help="How ranges are taken from pictures or windows.")] = Method.AUTO,
    max_drop: Annotated[float, typer.Option(help="The agreement may be so much below 1.", min=0.0, max=1.0)] = 0.05,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write into a copy of the bundle.", metavar="DIR")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Make an int8 (or float16) variant of a model, check that it agrees with the original, and put it into the bundle.

    Several ways are tried. Each is held against the original on the pictures or windows, every fourth of which is kept
    back: the share of detections that both find, of pictures or windows with the same class, the overlap of regions, how
    anomaly scores go together, how far values differ beside what they move by. The fastest that agrees is written as variants/int8.onnx with a [[variant]] table; where none does, nothing
    is written, and one line says why. What comes after the last layers (boxes, scores, suppression) is never made small.
    `jidoka model bench` then finds out whether it is worth while on a machine. Needs `pip install "jidoka-edge[quantize]"`.
    """
    from edge.models.tuning.machine import this_machine
    from edge.models.variants.making import Search, put, row_for
    from edge.models.variants.recipes import imported

    imported()
    found = _bundle(bundle)
    if output is not None and (output / "model.toml").exists():
        raise InputError("PACK_EXISTS", f"{output} is a bundle already", "", "name another folder")
    machine = this_machine()
    search = Search(found, _material(found, bundle, calibration), machine, round(1.0 - max_drop, 9))
    _run(search, mode, method)
    best = search.best()
    if not json:
        _table(search, best)
    if best is None:
        raise search.refusal()
    row = row_for(found, best, search.least, machine, best.recipe.name, search.engines(best))
    folder = put(found, row, best.data, output)
    if json:
        say_json({"bundle": str(folder), "variant": row, "tried": [_plain(one) for one in search.tried]})
    else:
        _say(folder, row, machine, search.material.what)


def _bundle(path: Path) -> Bundle | SeriesBundle:
    """Raises ModelError, InputError BUNDLE_NEEDED."""
    from edge.models.bundle import BareFile
    from edge.models.series.manifest import read_model

    found = read_model(path)
    if isinstance(found, BareFile):
        hint = f"jidoka model pack {path} -o DIR"
        raise InputError("BUNDLE_NEEDED", f"{path} is a bare file", "a variant lies in a bundle beside it", hint)
    return found


def _material(found: Bundle | SeriesBundle, place: Path, calibration: Path) -> Material:
    """What the model takes, out of what the user names. Raises InputError."""
    from edge.models.bundle import Bundle

    return _pictures(calibration) if isinstance(found, Bundle) else _windows(found, place, calibration)


def _windows(found: SeriesBundle, place: Path, calibration: Path) -> Material:
    """Windows of recordings, spread over them. Raises InputError, ModelError for a bundle that cannot be run."""
    from edge.models.series.loading import predictor_of
    from edge.models.series.recordings import windows_in
    from edge.models.variants.making import MAX_PICTURES, Material

    try:
        predictor = predictor_of(found)
    except ModelError as error:
        what = error.what if str(place) in error.what else f"{place}: {error.what}"
        raise ModelError(error.code, what, error.why, error.hint) from error
    windows = windows_in(predictor, calibration, MAX_PICTURES, note)
    return Material(windows.__getitem__, len(windows), "windows")


def _pictures(folder: Path) -> Material:
    """The folder's pictures, those that cannot be read left out and said. Raises InputError."""
    from edge.cli import media
    from edge.models.variants.making import MAX_PICTURES, Material

    if not folder.is_dir():
        raise InputError("FOLDER_ABSENT", f"{folder} is not a folder", "", "name a folder of pictures")
    media.quiet_decoders()
    paths = []
    for item in media.items([folder], 1):
        if item.error is None:
            paths.append(Path(item.source))
        else:
            note(f"left out: {item.source}: {item.error}")
        if len(paths) == MAX_PICTURES:
            note(f"the first {MAX_PICTURES} pictures are taken")
            break

    def load(i: int) -> Image:
        (item,) = media.items([paths[i]], 1)
        if item.error is not None:
            raise item.error
        assert item.image is not None
        return item.image

    return Material(load, len(paths))


def _run(search: Search, mode: Mode, method: Method) -> None:
    groups = search.recipes(mode, method)
    with progress("quantize") as bar:
        task = bar.add_task("", total=sum(map(len, groups)))
        for group in groups:
            for recipe in group:
                bar.update(task, description=recipe.how)
                search.run(recipe)
                bar.advance(task)
            if search.best() is not None:
                break


def _table(search: Search, best: Tried | None) -> None:
    columns = ("", "how", "agreement", "kept back", "score", "raw", "x as fast", "remark")
    rows = []
    for one in search.tried:
        c = one.compared
        remark = one.error or ("" if one.agrees(search.least) else f"below {search.least:g}")
        cells = (
            ("", "", "", "") if c is None else (_n(c.value), _n(c.held_out_value), _n(c.score_error), _n(c.raw_error))
        )
        speed = f"{one.speed:.2f}" if one.speed else ""
        rows.append(("->" if one is best else "", one.recipe.how, *cells, speed, remark))
    say_table(columns, rows)


def _n(value: float | None) -> str:
    return "?" if value is None else f"{value:.3f}"


def _plain(one: Tried) -> dict[str, Any]:
    from dataclasses import asdict

    compared = None if one.compared is None else asdict(one.compared)
    return {"how": one.recipe.how, "compared": compared, "speed": one.speed, "error": one.error}


def _say(folder: Path, row: Variant, machine: Machine, what: str) -> None:
    agreed = row.agreement
    say(f"{folder / row.file}: {row.how}; {row.speed:g} x as fast as the original here, one thread each")
    say(f"agreement {agreed.value:.3f} ({agreed.figure}) on {agreed.pictures} {what}, {agreed.held_out} kept back")
    if machine.openvino and "openvino" not in row.engines:
        note("with OpenVINO it does not agree, and is not run by it")
    if (row.speed or 0) < 1.05:  # noqa: PLR2004 - less than what a measurement of a second can tell
        reason = "" if machine.multiplies_int8 else ": this CPU has no instructions for sums of int8 products"
        note(f"not worth while on this machine{reason}; it may be on another one")
    note(f"next: jidoka model bench {folder} {'IMAGE' if what == 'pictures' else 'TABLE'}, on the machine it is for")
