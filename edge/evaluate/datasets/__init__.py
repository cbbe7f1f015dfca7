"""Data sets from their folders and files: looked at, told apart, read within limits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edge.errors import InputError, JidokaError
from edge.evaluate.datasets.coco import read_coco
from edge.evaluate.datasets.files import entries, is_picture, is_table, subfolders, under
from edge.evaluate.datasets.folders import pairs, read_folders
from edge.evaluate.datasets.masks import folders_of, read_masks
from edge.evaluate.datasets.table import read_csv
from edge.evaluate.datasets.yolo import is_yolo, read_yolo
from edge.evaluate.truth import Dataset
from edge.models.files import read_bounded

READERS: dict[str, Callable[[Path], Dataset]] = {
    "folders": read_folders,
    "coco": read_coco,
    "yolo": read_yolo,
    "masks": read_masks,
    "csv": read_csv,
}
_FILES = {".json": "coco", ".csv": "csv", ".yaml": "yolo", ".yml": "yolo"}
_HEAD_BYTES = 65536
_LATE = ("test", "val")


def read_dataset(path: Path, kind: str | None = None) -> Dataset:
    """Read a data set of this kind, or of the one it looks like.

    Raises InputError: DATASET_ABSENT, DATASET_UNKNOWN, DATASET_INVALID with file and line, DATASET_EMPTY,
    DATASET_TOO_LARGE, and what reading files raises.
    """
    if not path.exists():
        raise InputError("DATASET_ABSENT", f"{path} does not exist", "", "check the path")
    found, file = recognise(path) if kind is None else (kind, _file_for(path, kind))
    return READERS[found](file)


def recognise(path: Path) -> tuple[str, Path]:
    """Which kind it looks like, and the file or folder to read. Raises InputError DATASET_UNKNOWN."""
    if not path.is_dir():
        kind = _FILES.get(path.suffix.lower())
        if kind is None:
            raise _unknown(path, f"a file that ends in {path.suffix or 'nothing'} is no data set")
        return kind, path
    if is_yolo(path):
        return "yolo", path
    json = _coco_file(path)
    if json is not None:
        return "coco", json
    if folders_of(path) is not None:
        return "masks", path
    tables = [p for p in entries(path) if p.suffix.lower() == ".csv"]
    if len(tables) == 1:
        return "csv", tables[0]
    if _classes(path, is_picture):
        return "folders", path
    if any(mask is not None for _, mask in pairs([p for p in entries(path) if is_picture(p)])):
        return "masks", path
    if _classes(path, is_table):
        return "folders", path
    raise _unknown(path, "it has neither folders of pictures or tables nor labels beside them")


def _classes(path: Path, wanted: Callable[[Path], bool]) -> bool:
    return any(next(under(folder, wanted=wanted), None) is not None for folder in subfolders(path))


def _file_for(path: Path, kind: str) -> Path:
    if kind == "coco" and path.is_dir():
        file = _coco_file(path)
        if file is None:
            raise InputError("DATASET_UNKNOWN", f"{path} has no COCO JSON", "", "name the file")
        return file
    if kind == "csv" and path.is_dir():
        tables = [p for p in entries(path) if p.suffix.lower() == ".csv"]
        if len(tables) != 1:
            raise InputError("DATASET_UNKNOWN", f"{path} has {len(tables)} CSV files", "", "name the file")
        return tables[0]
    return path


def _coco_file(path: Path) -> Path | None:
    """A JSON file here, in ``annotations`` or in ``test`` or ``val``; of several the one named after a late split."""
    places = [p for p in (path, path / "annotations", path / "test", path / "valid", path / "val") if p.is_dir()]
    for place in places:
        files = [p for p in entries(place) if p.suffix.lower() == ".json" and _smells(p)]
        late = [p for p in files if any(word in p.stem for word in _LATE)]
        if len(files) == 1 or late:
            return (late or files)[0]
        if files:
            raise _unknown(path, f"it has several JSON files: {', '.join(p.name for p in files[:4])}")
    return None


def _smells(file: Path) -> bool:
    """Its first bytes name one of the three lists: anything else beside pictures is not for us."""
    try:
        head = read_bounded(file, _HEAD_BYTES, "FILE", head=_HEAD_BYTES)
    except JidokaError:
        return False
    return any(word in head for word in (b'"images"', b'"annotations"', b'"categories"'))


def _unknown(path: Path, why: str) -> InputError:
    return InputError(
        "DATASET_UNKNOWN",
        f"{path} is not a data set that is understood",
        why,
        f"see --help for layouts, or name one: --format {' | '.join(READERS)}",
    )
