"""A bundle's thresholds from pictures of good parts: scores in, a manifest with the line and where it is from out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import asdict, replace

from edge.errors import InputError, ModelError
from edge.models.bundle import MANIFEST_FILE, Manifest, parse
from edge.models.calibrate import Line, line_of
from edge.models.predictor import Predictor
from edge.models.toml import dump_toml, lean, with_table
from edge.ports import Image
from edge.vision.spec import Calibration


@dataclass(frozen=True, slots=True)
class Seen:
    """What the model said of one good picture; ``sha256`` is the file's."""

    source: str
    sha256: str
    score: float
    map_max: float | None


@dataclass(frozen=True, slots=True)
class Calibrated:
    """``highest``: the pictures with the highest scores, which are worth a look: a bad one among the good spoils it."""

    manifest: Manifest
    line: Line
    map_line: Line | None
    highest: tuple[Seen, ...]


def check_task(manifest: Manifest) -> None:
    """Raises ModelError MODEL_TASK_UNFIT unless the model says how unlike good pictures a frame is."""
    if manifest.model.task != "anomaly":
        what = f"the model's task is {manifest.model.task!r}"
        raise ModelError("MODEL_TASK_UNFIT", what, "only the threshold of task 'anomaly' comes from good pictures")


def look(predictor: Predictor, image: Image, source: str, sha256: str) -> Seen:
    """Score one good picture."""
    anomaly = predictor(image).anomaly
    assert anomaly is not None, "task anomaly gives one"
    return Seen(source, sha256, anomaly.score, anomaly.map_max)


def remembered(predictor: Predictor) -> frozenset[str]:
    """The sha256 of pictures that a memory bank was made from: their own distance is 0 and says nothing."""
    pictures = predictor.data.get("pictures")
    return frozenset() if pictures is None else frozenset(map(str, pictures.ravel().tolist()))


def calibrated(manifest: Manifest, seen: Sequence[Seen], false_alarms: float) -> Calibrated:
    """The same manifest with ``[thresholds] anomaly`` (and ``anomaly_map``, where the model's map is of another scale
    than its score) and ``[calibration]``. A picture that is there twice counts once.

    Raises InputError CALIBRATION_TOO_FEW or CALIBRATION_CONSTANT.
    """
    once = list({one.sha256: one for one in seen}.values())
    line = line_of([one.score for one in once], false_alarms)
    maps = [one.map_max for one in once if one.map_max is not None]
    map_line = None
    if len(maps) == len(once) and maps != [one.score for one in once]:
        try:
            map_line = line_of(maps, false_alarms)
        except InputError:  # constant maps (clipped ones are): no line of their own
            map_line = None
    thresholds = replace(
        manifest.thresholds, anomaly=line.threshold, anomaly_map=map_line.threshold if map_line else None
    )
    together = hashlib.sha256("\n".join(sorted(one.sha256 for one in once)).encode()).hexdigest()
    calibration = Calibration(
        pictures=len(once),
        false_alarms=false_alarms,
        expected=_four_digits(line.expected),
        low=_four_digits(line.low),
        high=_four_digits(line.high),
        method=line.method,
        pictures_sha256=together,
    )
    highest = tuple(sorted(once, key=lambda one: -one.score)[:3])
    return Calibrated(replace(manifest, thresholds=thresholds, calibration=calibration), line, map_line, highest)


def _four_digits(rate: float) -> float:
    """More would say what nobody knows."""
    return float(f"{rate:.4g}")


def rewrite(folder: Path, manifest: Manifest) -> None:
    """Put another ``[thresholds]`` and ``[calibration]`` into a bundle whose files stay as they are; whole or not at all.
    What a person wrote, comments too, is kept where that gives the manifest wanted; else it is written anew.

    Raises ModelError MODEL_MANIFEST_INVALID, and OSError where the folder cannot be written to.
    """
    text = (folder / MANIFEST_FILE).read_text(encoding="utf-8")
    limits, found = manifest.thresholds, manifest.calibration
    text = with_table(text, "thresholds", {"anomaly": limits.anomaly, "anomaly_map": limits.anomaly_map})
    text = with_table(text, "calibration", {} if found is None else asdict(found))
    try:
        kept = parse(text.encode()) == manifest
    except ModelError:
        kept = False
    if not kept:
        text = dump_toml(lean(manifest))
        parse(text.encode())
    part = folder / f".{MANIFEST_FILE}.part"
    part.write_text(text, encoding="utf-8")
    part.replace(folder / MANIFEST_FILE)
