"""YOLO's text files (docs.ultralytics.com, 'Datasets'): one row an object, in shares of the frame.

``class cx cy w h`` is a box, ``class x1 y1 x2 y2 …`` a polygon with at least three corners, ``class cx cy w h px py v …``
an object with points (``kpt_shape`` in ``data.yaml`` says how many). An empty or absent file: nothing in the picture.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.errors import InputError
from edge.evaluate.datasets.files import MAX_CLASSES, MAX_SAMPLES, inside, is_picture, name_of, read_text, under
from edge.evaluate.truth import Dataset, Outline, Sample, Thing, invalid, too_large

MAX_LABEL_BYTES = 4 * 1024**2
MAX_ROWS = 20_000
_SPLITS = ("test", "val", "valid", "train")
_CORNERS = 6
_SLACK = 0.01  # rounding, and labels drawn over the edge by a hair


@dataclass(slots=True)
class _Yaml:
    """What of ``data.yaml`` matters."""

    names: dict[int, str]
    values: dict[str, str]


def is_yolo(root: Path) -> bool:
    """A ``data.yaml`` with names, or ``images`` and ``labels`` with text files."""
    if _yaml_of(root) is not None:
        return True
    labels = root / "labels"
    return (root / "images").is_dir() and labels.is_dir() and next(labels.rglob("*.txt"), None) is not None


def read_yolo(root: Path) -> Dataset:
    """``root``: the folder, or its ``data.yaml``. ``test`` is taken before ``val`` before ``train``."""
    file = root if root.is_file() else _yaml_of(root)
    folder = root.parent if root.is_file() else root
    yaml = _parse(file) if file is not None else _Yaml(_listed(folder), {})
    photos, split = _photos(folder, file, yaml.values)
    shape = [int(word) for word in re.findall(r"\d+", yaml.values.get("kpt_shape", ""))][:2]
    points = (shape[0], shape[1]) if len(shape) == 2 else None  # noqa: PLR2004  (how many, numbers each)
    samples = []
    for path in photos:
        labels = _label_file(path)
        things = _things(labels, yaml.names, points) if labels.is_file() else ()
        samples.append(Sample(path, name_of(path, folder), things=things))
        if len(samples) > MAX_SAMPLES:
            raise too_large(folder, "pictures", MAX_SAMPLES)
    if not samples:
        raise InputError("DATASET_EMPTY", f"{folder} has no pictures where its labels say")
    objects = [thing for sample in samples for thing in sample.things or ()]
    classes = tuple(yaml.names[n] for n in sorted(yaml.names)) or tuple(sorted({t.label for t in objects}))
    outlines = sum(thing.shape is not None for thing in objects)
    more = f", {outlines} as polygons" if outlines else ""
    said = f"YOLO text files{split}: {len(samples)} pictures, {len(objects)} objects of {len(classes)} classes{more}"
    return Dataset("yolo", folder, tuple(samples), classes, (said,))


def _yaml_of(root: Path) -> Path | None:
    files = [root / "data.yaml", *sorted(root.glob("*.yaml")), *sorted(root.glob("*.yml"))]
    return next((f for f in files if f.is_file() and re.search(r"^names\s*:", read_text(f, 2**20), re.MULTILINE)), None)


def _listed(folder: Path) -> dict[int, str]:
    file = next((f for f in (folder / "classes.txt", folder / "labels" / "classes.txt") if f.is_file()), None)
    return (
        {} if file is None else dict(enumerate(line.strip() for line in read_text(file).splitlines() if line.strip()))
    )


def _parse(file: Path) -> _Yaml:
    """The few forms of YAML that these files have: plain keys, lists in brackets or with dashes, numbered names."""
    values: dict[str, str] = {}
    names: dict[int, str] = {}
    key = ""
    for number, raw in enumerate(read_text(file, 2**20).splitlines(), 1):
        line = re.sub(r"(^|\s)#.*", "", raw).rstrip()
        if not line:
            continue
        top = re.match(r"([A-Za-z_][\w-]*)\s*:\s*(.*)$", line)
        if top and not line[0].isspace():
            key, values[top[1]] = top[1], _unquoted(top[2])
            if key == "names" and top[2]:
                names = _inline(file, number, top[2])
        elif key == "names":
            item = re.match(r"\s*(?:-\s*|(\d+)\s*:\s*)(.+)$", line)
            if item is None:
                raise invalid(
                    file, number, f"{line.strip()[:60]!r} is no name of a class", "write '0: name' or '- name'"
                )
            names[int(item[1]) if item[1] else len(names)] = _unquoted(item[2])
        if len(names) > MAX_CLASSES:
            raise too_large(file, "names", MAX_CLASSES)
    return _Yaml(names, values)


def _inline(file: Path, number: int, text: str) -> dict[int, str]:
    """``[first, second]`` or ``{0: first, 1: second}``."""
    text = text.strip()
    if text[:1] + text[-1:] not in {"[]", "{}"}:
        raise invalid(file, number, "names is neither a list nor a table", "write names: [first, second]")
    inner = text[1:-1]
    if text[0] == "[":
        words = [word for word in re.findall(r"\"[^\"]*\"|'[^']*'|[^,]+", inner) if word.strip()]
        return {n: _unquoted(word) for n, word in enumerate(words)}
    items = re.findall(r"(\d+)\s*:\s*(\"[^\"]*\"|'[^']*'|[^,]+)", inner)
    return {int(n): _unquoted(word) for n, word in items}


def _unquoted(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def _photos(folder: Path, file: Path | None, values: dict[str, str]) -> tuple[list[Path], str]:
    """The pictures of the best split, and its words."""
    for split in _SPLITS:
        named = values.get(split, "")
        places = [folder / "images" / split, folder / split / "images"]
        if named and not named.startswith("["):
            # Exports say ../valid/images and mean the folder beside the file.
            inner = named.removeprefix("./").lstrip("/") if not named.startswith("..") else named.lstrip("./")
            assert file is not None
            places.insert(0, inside(folder, inner, file, split))
            if "path" in values and not values["path"].startswith(("/", "..")):
                places.insert(0, inside(folder, f"{values['path']}/{inner}", file, "path"))
        for place in places:
            if place.is_dir():
                return list(under(place)), f", split {split}"
            if place.is_file() and place.suffix == ".txt" and file is not None:
                lines = [line.strip() for line in read_text(place).splitlines()]
                return [
                    inside(folder, n.removeprefix("./"), place, i) for i, n in enumerate(lines, 1) if n
                ], f", {split}"
    images = folder / "images"
    return list(under(images if images.is_dir() else folder)), ""


def _label_file(picture: Path) -> Path:
    """``…/images/a.jpg`` has its truth in ``…/labels/a.txt``: the last folder of that name counts; else beside it."""
    parts = list(picture.parts)
    for at in range(len(parts) - 2, -1, -1):
        if parts[at] == "images":
            parts[at] = "labels"
            return Path(*parts).with_suffix(".txt")
    return picture.with_suffix(".txt")


def _things(file: Path, names: dict[int, str], points: tuple[int, int] | None) -> tuple[Thing, ...]:
    things = []
    for number, line in enumerate(read_text(file, MAX_LABEL_BYTES).splitlines(), 1):
        if number > MAX_ROWS:
            raise too_large(file, "rows", MAX_ROWS)
        if line.strip():
            things.append(_thing(file, number, line.split(), names, points))
    return tuple(things)


def _thing(file: Path, number: int, words: list[str], names: dict[int, str], points: tuple[int, int] | None) -> Thing:
    try:
        numbers = np.array([float(word) for word in words[1:]], np.float32)
        class_no = int(words[0])
    except ValueError:
        raise invalid(file, number, f"{' '.join(words)[:60]!r} is not a class number and shares of the frame") from None
    if not np.isfinite(numbers).all() or (
        points is None and (numbers.min(initial=0) < -_SLACK or numbers.max(initial=0) > 1 + _SLACK)
    ):
        raise invalid(file, number, "coordinates must be shares of the frame, 0 to 1", "divide them by its size")
    if names and class_no not in names:
        raise invalid(file, number, f"class {class_no} has no name", f"there are names for 0 to {max(names)}")
    label = names.get(class_no, str(class_no))
    if points is not None and len(numbers) == 4 + points[0] * points[1]:
        spots = numbers[4:].reshape(points)
        seen = spots[:, 2:3] if points[1] == 3 else np.where(spots.any(axis=1, keepdims=True), 2.0, 0.0)  # noqa: PLR2004
        return Thing(label, _box(numbers), True, points=np.concatenate([spots[:, :2], seen], axis=1).astype(np.float32))
    if len(numbers) == 4:  # noqa: PLR2004  (a box)
        return Thing(label, _box(numbers), relative=True)
    if len(numbers) >= _CORNERS and len(numbers) % 2 == 0:
        corners = numbers.reshape(-1, 2)
        box = (*corners.min(axis=0).tolist(), *corners.max(axis=0).tolist())
        return Thing(label, box, relative=True, shape=Outline((corners,), relative=True))
    raise invalid(file, number, f"it has {len(words)} numbers", "a box has 5, a polygon 7 or more, always odd")


def _box(numbers: np.ndarray) -> tuple[float, float, float, float]:
    x, y, w, h = numbers[:4].tolist()
    return (x - w / 2, y - h / 2, x + w / 2, y + h / 2)


__all__ = ["is_picture", "is_yolo", "read_yolo"]
