"""A CSV file: one row a picture, or several where each names a box or a text."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge.errors import InputError
from edge.evaluate.datasets.files import MAX_SAMPLES, inside, read_text
from edge.evaluate.truth import Dataset, Sample, Thing, invalid, too_large

MAX_ROWS = 2_000_000
_FILE = ("file", "filename", "image", "path", "picture", "image_path", "file_name")
_LABEL = ("label", "class", "class_name", "category", "target")
_PART = "must_contain"
_TEXT = ("text", _PART, "truth", "transcription")
_MASK = ("mask", "mask_path")
_CORNERS = (("x0", "y0", "x1", "y1"), ("xmin", "ymin", "xmax", "ymax"), ("x1", "y1", "x2", "y2"))
_SIZED = (("x", "y", "w", "h"), ("x", "y", "width", "height"))
_QUIET = frozenset({"note", "notes", "kind", "format", "split", "width", "height", "source", "licence", "license"})


@dataclass(slots=True)
class _Columns:
    """Which column is what."""

    file: str
    label: str | None
    text: str | None
    mask: str | None
    box: tuple[str, ...] | None
    sized: bool
    values: tuple[str, ...]


def read_csv(file: Path) -> Dataset:
    """``file,label``; ``file,label,x0,y0,x1,y1``; ``file,text``; ``file,mask``; ``file`` and columns of numbers."""
    text = read_text(file)
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        columns = _columns(file, list(reader.fieldnames or ()))
        rows = _rows(file, reader)
        samples, classes = _grouped(file, columns, rows)
    except csv.Error as error:
        raise invalid(file, reader.line_num, str(error)) from error
    if not samples:
        raise InputError("DATASET_EMPTY", f"{file} has no rows below its header")
    said = [f"CSV, pictures in column {columns.file!r}: {len(samples)}"]
    named = (("classes", columns.label), ("texts", columns.text), ("masks", columns.mask))
    said += [f"{what} in column {column!r}" for what, column in named if column]
    if columns.box:
        said.append(f"boxes in columns {', '.join(columns.box)}")
    if columns.values:
        said.append(f"numbers in columns {', '.join(columns.values)}")
    return Dataset("csv", file.parent, tuple(samples), tuple(classes), ("; ".join(said),))


def _columns(file: Path, header: list[str]) -> _Columns:
    names = {(name or "").strip().lower(): name for name in header}

    def first(words: tuple[str, ...]) -> str | None:
        return next((names[word] for word in words if word in names), None)

    path = first(_FILE)
    if path is None:
        raise invalid(file, 1, f"no column is called {', '.join(_FILE[:4])}", "name the columns in the first line")
    label, text, mask = first(_LABEL), first(_TEXT), first(_MASK)
    corners = next((c for c in _CORNERS if all(n in names for n in c)), None)
    sized = None if corners else next((c for c in _SIZED if all(n in names for n in c)), None)
    box = corners or sized
    used = {path, label, text, mask, *(names[n] for n in box or ())}
    values = tuple(n for n in header if n and n not in used and n.strip().lower() not in _QUIET)
    if label or text or mask or box:
        values = ()
    if not (label or text or mask or box or values):
        raise invalid(file, 1, "it has no column with the truth", "name one label, text, mask, or x0,y0,x1,y1")
    return _Columns(path, label, text, mask, None if box is None else tuple(names[n] for n in box), bool(sized), values)


def _rows(file: Path, reader: csv.DictReader[str]) -> Iterator[tuple[int, dict[str, str]]]:
    for number, row in enumerate(reader):
        if number >= MAX_ROWS:
            raise too_large(file, "rows", MAX_ROWS)
        if None in row:
            raise invalid(file, reader.line_num, "it has more cells than the first line has columns")
        yield reader.line_num, {name: (cell or "").strip() for name, cell in row.items()}


def _grouped(
    file: Path, columns: _Columns, rows: Iterator[tuple[int, dict[str, str]]]
) -> tuple[list[Sample], list[str]]:
    by_file: dict[str, list[tuple[int, dict[str, str]]]] = {}
    for line, row in rows:
        by_file.setdefault(row[columns.file], []).append((line, row))
        if len(by_file) > MAX_SAMPLES:
            raise too_large(file, "pictures", MAX_SAMPLES)
    partial = (columns.text or "").strip().lower() == _PART
    classes: dict[str, None] = {}
    samples = []
    for name, own in by_file.items():
        line, row = own[0]
        path = inside(file.parent, name, file, line)
        things = None
        if columns.box is not None:
            things = tuple(thing for at, one in own if (thing := _thing(file, columns, at, one)) is not None)
            classes.update(dict.fromkeys(thing.label for thing in things))
        label = row[columns.label] or None if columns.label and things is None else None
        if label:
            classes[label] = None
        mask = inside(file.parent, row[columns.mask], file, line) if columns.mask and row[columns.mask] else None
        texts = tuple(one[columns.text] for _, one in own) if columns.text else None
        values = {column: _number(file, line, row[column], column) for column in columns.values}
        empty = bool(columns.mask) and mask is None
        samples.append(
            Sample(
                path,
                name,
                label=label,
                things=things,
                mask=mask,
                empty_mask=empty,
                texts=texts,
                partial=partial,
                values=values,
            )
        )
    return samples, list(classes)


def _thing(file: Path, columns: _Columns, line: int, row: dict[str, str]) -> Thing | None:
    """The box of a row; None where all its cells are empty (a picture with nothing in it)."""
    assert columns.box is not None
    cells = [row[name] for name in columns.box]
    if not any(cells):
        return None
    x, y, right, bottom = (_number(file, line, cell, name) for cell, name in zip(cells, columns.box, strict=True))
    if columns.sized:
        right, bottom = x + right, y + bottom
    if right <= x or bottom <= y:
        raise invalid(file, line, f"the box {cells} has no area", "right and bottom must be larger")
    return Thing((row[columns.label] if columns.label else "") or "object", (x, y, right, bottom))


def _number(file: Path, line: int, cell: str, column: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise invalid(file, line, f"{column} is {cell[:40]!r}, which is no number")
    return value
