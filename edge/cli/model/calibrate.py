"""``jidoka model calibrate``: an anomaly threshold from pictures of good parts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge.cli.common import note, progress, say, say_json
from edge.errors import InputError, StoreError

if TYPE_CHECKING:
    from edge.models.calibrate import Line
    from edge.models.calibration import Calibrated, Seen
    from edge.models.predictor import Predictor


def calibrate(
    bundle: Annotated[Path, typer.Argument(help="A bundle folder of task anomaly.", metavar="BUNDLE")],
    folder: Annotated[Path, typer.Argument(help="A folder of pictures of good parts only.", metavar="FOLDER")],
    false_alarms: Annotated[
        float, typer.Option(help="The share of good parts that may be called anomalous.", min=1e-6, max=0.5)
    ] = 0.01,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Find the threshold that good parts exceed at a stated rate, and write it into the bundle.

    Use pictures the model was not made from, as the machine will take them: other light or another camera is another
    threshold. With fewer pictures than 1/rate the tail is extrapolated, and the command says so.
    """
    from edge.models.bundle import read
    from edge.models.calibration import calibrated, check_task, rewrite
    from edge.models.loading import load

    found = read(bundle)
    check_task(found.manifest)
    seen, left_out = _scores(load(bundle), folder)
    result = calibrated(found.manifest, seen, false_alarms)
    try:
        rewrite(bundle, result.manifest)
    except OSError as error:
        raise StoreError("BUNDLE_UNWRITABLE", f"{bundle} cannot be written to", str(error)) from error
    if json:
        say_json(_document(bundle, result, left_out))
    else:
        _say(bundle, result, left_out)


def _scores(predictor: Predictor, folder: Path) -> tuple[list[Seen], int]:
    """Scores of the folder's pictures, without those that are in the model's memory. A picture that cannot be read
    stops it: the rate is a promise about all of them.
    """
    from edge.models.calibration import look, remembered

    known = remembered(predictor)
    seen: list[Seen] = []
    left_out = 0
    for source, digest, image in pictures(folder, "calibrate"):
        if digest in known:
            left_out += 1
        else:
            seen.append(look(predictor, image, source, digest))
    if not seen and left_out:
        why = "a picture has no distance to itself"
        raise InputError("CALIBRATION_TOO_FEW", "all pictures are in the memory bank", why, "use other good pictures")
    return seen, left_out


def pictures(folder: Path, what: str) -> Iterator[tuple[str, str, Any]]:
    """Source, sha256 of the file, and pixels of every picture of a folder, with a progress bar. Raises InputError."""
    from edge.cli import media
    from edge.models.bundle import sha256_of
    from edge.models.files import read_bounded
    from edge.vision.imageio import DEFAULT_LIMITS

    if not folder.is_dir():
        raise InputError("FOLDER_ABSENT", f"{folder} is not a folder", "", "name a folder of pictures of good parts")
    media.quiet_decoders()
    with progress(what) as bar:
        task = bar.add_task(folder.name, total=media.count([folder], 1))
        for item in media.items([folder], 1):
            if item.error is not None:
                raise item.error
            assert item.image is not None
            yield item.source, sha256_of(read_bounded(Path(item.source), DEFAULT_LIMITS.max_bytes, "IMAGE")), item.image
            bar.advance(task)


def _document(bundle: Path, result: Calibrated, left_out: int) -> dict[str, Any]:
    from edge.models.calibrate import pictures_needed

    line, calibration = result.line, result.manifest.calibration
    assert calibration is not None
    on_average, surely = pictures_needed(calibration.false_alarms)
    return {
        "bundle": str(bundle),
        "threshold": line.threshold,
        "map_threshold": result.map_line.threshold if result.map_line else None,
        "pictures": calibration.pictures,
        "left_out": left_out,
        "false_alarms": {
            "wished": calibration.false_alarms,
            "expected": line.expected,
            "low": line.low,
            "high": line.high,
            "confidence": 0.95,
        },
        "method": line.method,
        "pictures_needed": {"on_average": on_average, "with_95_percent": surely},
        "outlying": line.outlying,
        "highest": [{"source": one.source, "score": one.score} for one in result.highest],
    }


def _say(bundle: Path, result: Calibrated, left_out: int) -> None:
    from edge.models.calibrate import pictures_needed

    line, calibration = result.line, result.manifest.calibration
    assert calibration is not None
    rate, n = calibration.false_alarms, calibration.pictures
    if left_out:
        note(f"left out: {left_out} pictures that the memory bank was made from")
    say(f"{bundle}: anomalous from {line.threshold:.6g} on, from {n} good pictures")
    if result.map_line is not None:
        say(f"places of the map from {result.map_line.threshold:.6g} on")
    say(f"false alarms: {line.expected:.2%} expected, with 95 % confidence between {line.low:.2%} and {line.high:.2%}")
    for sentence in _doubts(line, rate, n, pictures_needed(rate)):
        note(sentence)
    note("highest scores: " + ", ".join(f"{one.source} {one.score:.4g}" for one in result.highest))


def _doubts(line: Line, rate: float, n: int, needed: tuple[int, int]) -> Iterator[str]:
    on_average, surely = needed
    if n < on_average:
        yield f"{rate:.2%} needs {on_average} pictures; with {n} the tail is extrapolated ({line.method})"
    if n < surely:
        yield f"to be sure of at most {rate:.2%} (95 % confidence) it takes {surely} pictures"
    if line.outlying:
        yield "the highest score does not fit the others: look at that picture, and calibrate again if it is not good"
