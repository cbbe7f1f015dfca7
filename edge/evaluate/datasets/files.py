"""Finding and reading a data set's files, within limits."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from edge.errors import InputError
from edge.evaluate.truth import invalid, too_large
from edge.models.files import read_bounded
from edge.series.spec import TABLE_SUFFIXES

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".pgm", ".ppm"})
MAX_SAMPLES = 200_000
MAX_TEXT_BYTES = 64 * 1024**2
MAX_CLASSES = 10_000


def is_picture(path: Path) -> bool:
    """By its name's ending."""
    return path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".")


def entries(folder: Path) -> list[Path]:
    """What is in a folder, by name, hidden files left out. Raises InputError DATASET_UNREADABLE, DATASET_TOO_LARGE."""
    found = []
    try:
        with os.scandir(folder) as listed:
            for entry in listed:
                if not entry.name.startswith("."):
                    found.append(entry.name)
                if len(found) > 2 * MAX_SAMPLES:
                    raise too_large(folder, "files", 2 * MAX_SAMPLES)
    except OSError as error:
        raise InputError("DATASET_UNREADABLE", f"{folder} cannot be read", error.strerror or "") from error
    return [folder / name for name in sorted(found)]


def pictures(folder: Path) -> list[Path]:
    """Pictures directly in a folder, by name."""
    return [path for path in entries(folder) if is_picture(path)]


def subfolders(folder: Path) -> list[Path]:
    """Folders in a folder, by name."""
    return [path for path in entries(folder) if path.is_dir()]


def is_table(path: Path) -> bool:
    """Samples of sensors, by its name's ending."""
    return path.suffix.lower() in TABLE_SUFFIXES and not path.name.startswith(".")


def under(folder: Path, depth: int = 4, wanted: Callable[[Path], bool] = is_picture) -> Iterator[Path]:
    """Pictures in a folder and the folders in it, a few levels down, links to folders not followed."""
    for path in entries(folder):
        if wanted(path) and not path.is_dir():
            yield path
        elif depth and path.is_dir() and not path.is_symlink():
            yield from under(path, depth - 1, wanted)


def read_text(file: Path, max_bytes: int = MAX_TEXT_BYTES) -> str:
    """A text file as a whole. Raises InputError FILE_…, DATASET_INVALID where it is no UTF-8."""
    try:
        return read_bounded(file, max_bytes, "FILE").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise invalid(file, f"byte {error.start}", "it is not UTF-8 text") from error


def inside(folder: Path, name: str, file: Path, where: str | int) -> Path:
    """The file that a data set names, which must be under its folder: what a data set says is not to be trusted, and
    a report shows pictures.
    """
    path = PurePosixPath(name.replace("\\", "/"))
    if not name.strip() or "\0" in name or path.is_absolute() or ".." in path.parts or len(name) > 1000:  # noqa: PLR2004
        raise invalid(file, where, f"it names {name[:80]!r}, which is not inside the data set's folder")
    return folder / path


def name_of(path: Path, root: Path) -> str:
    """How a picture is called in results."""
    try:
        return path.relative_to(root).as_posix()
    except ValueError:
        return path.name
