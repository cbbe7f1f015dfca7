"""COCO JSON (cocodataset.org, 'Data format'): boxes, polygons, run lengths, key points."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from edge.errors import InputError
from edge.evaluate.datasets.files import MAX_CLASSES, MAX_SAMPLES, inside, subfolders
from edge.evaluate.truth import Dataset, Outline, Rle, Sample, Thing, invalid, too_large
from edge.models.files import read_bounded

MAX_JSON_BYTES = 256 * 1024**2
MAX_OBJECTS = 2_000_000
MAX_POINTS = 20_000
MAX_RUNS = 2_000_000
MAX_MASK_PIXELS = 64_000_000
_TRIED = 20


class _Image(Struct):
    id: int | str
    file_name: str
    width: int = 0
    height: int = 0


class _Category(Struct):
    id: int
    name: str


class _Object(Struct):
    image_id: int | str
    category_id: int
    bbox: list[float] = []
    area: float | None = None
    iscrowd: int = 0
    segmentation: Any = None
    keypoints: list[float] = []
    num_keypoints: int | None = None


class _File(Struct):
    images: list[_Image]
    categories: list[_Category]
    annotations: list[_Object] = []


def read_coco(file: Path) -> Dataset:
    """Raises InputError: DATASET_INVALID with the entry, DATASET_TOO_LARGE, DATASET_EMPTY."""
    data = read_bounded(file, MAX_JSON_BYTES, "FILE")
    try:
        content = msgspec.json.decode(data, type=_File)
    except msgspec.ValidationError as error:
        why, _, where = str(error).partition(" - at ")
        raise invalid(file, where.strip("`").removeprefix("$."), why, "see COCO's data format") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise invalid(file, _line(data, str(error)), f"it is not JSON: {error}") from error
    _check_sizes(file, content)
    names = {category.id: category.name for category in content.categories}
    by_image: dict[int | str, list[Thing]] = defaultdict(list)
    images = {image.id: image for image in content.images}
    for number, entry in enumerate(content.annotations):
        at = _at(file, number)
        if entry.image_id not in images:
            raise at(f"image_id {entry.image_id!r} is no image's id")
        if entry.category_id not in names:
            raise at(f"category_id {entry.category_id} is no category's id")
        by_image[entry.image_id].append(_thing(entry, names[entry.category_id], images[entry.image_id], at))
    folder = _pictures(file, content.images)
    samples = tuple(
        Sample(inside(folder, i.file_name, file, f"images[{n}]"), i.file_name, things=tuple(by_image.get(i.id, ())))
        for n, i in enumerate(content.images)
    )
    shapes = sum(entry.segmentation is not None and entry.segmentation != [] for entry in content.annotations)
    points = sum(bool(entry.keypoints) for entry in content.annotations)
    parts = [f"{len(content.annotations)} objects of {len(names)} classes"]
    parts += [f"{shapes} with outlines"] * bool(shapes) + [f"{points} with points"] * bool(points)
    said = f"COCO JSON {file.name}: {len(samples)} pictures, {', '.join(parts)}; pictures in {folder}"
    return Dataset("coco", file.parent, samples, tuple(c.name for c in content.categories), (said,))


def _check_sizes(file: Path, content: _File) -> None:
    for what, n, limit in (
        ("images", len(content.images), MAX_SAMPLES),
        ("categories", len(content.categories), MAX_CLASSES),
        ("annotations", len(content.annotations), MAX_OBJECTS),
    ):
        if n > limit:
            raise too_large(file, what, limit)
    if not content.images:
        raise InputError("DATASET_EMPTY", f"{file} names no images")


def _at(file: Path, number: int) -> Callable[[str], InputError]:
    def wrong(why: str) -> InputError:
        return invalid(file, f"annotations[{number}]", why)

    return wrong


def _thing(entry: _Object, label: str, image: _Image, at: Callable[[str], InputError]) -> Thing:
    shape = None if entry.segmentation in (None, []) else _shape(entry.segmentation, image, at)
    if len(entry.bbox) not in {0, 4} or not np.isfinite(entry.bbox).all():
        raise at(f"bbox has {len(entry.bbox)} numbers; x, y, width, height are needed")
    if entry.bbox:
        x, y, width, height = entry.bbox
        box = (x, y, x + width, y + height)
    elif isinstance(shape, Outline):
        corners = np.concatenate(shape.polygons)
        box = (*corners.min(axis=0).tolist(), *corners.max(axis=0).tolist())
    else:
        raise at("it has no bbox")
    if len(entry.keypoints) % 3 or len(entry.keypoints) > 3 * MAX_POINTS:
        raise at(f"keypoints has {len(entry.keypoints)} numbers; x, y, visibility for each point are needed")
    points = np.array(entry.keypoints, np.float32).reshape(-1, 3) if entry.keypoints else None
    return Thing(label, box, False, entry.area, bool(entry.iscrowd), shape, points)


def _shape(given: Any, image: _Image, at: Callable[[str], InputError]) -> Rle | Outline:
    if isinstance(given, dict):
        return _rle(given, image, at)
    if not isinstance(given, list) or not all(isinstance(one, list) for one in given):
        raise at("segmentation is neither a list of polygons nor run lengths")
    if sum(map(len, given)) > 2 * MAX_POINTS:
        raise at(f"segmentation has more than {MAX_POINTS} points")
    polygons = []
    for flat in given:
        if len(flat) % 2 or len(flat) < 6 or not all(isinstance(v, int | float) for v in flat):  # noqa: PLR2004
            raise at("a polygon needs at least three pairs of numbers")
        polygons.append(np.array(flat, np.float32).reshape(-1, 2))
    return Outline(tuple(polygons))


def _rle(given: dict[str, Any], image: _Image, at: Callable[[str], InputError]) -> Rle:
    size, counts = given.get("size"), given.get("counts")
    if not isinstance(size, list) or len(size) != 2 or not all(isinstance(v, int) and v > 0 for v in size):  # noqa: PLR2004
        raise at("segmentation.size is not [height, width]")
    height, width = size
    if height * width > MAX_MASK_PIXELS:
        raise at(f"segmentation.size is {height} x {width}, more than {MAX_MASK_PIXELS} pixels")
    if image.height and (height, width) != (image.height, image.width):
        raise at(f"segmentation.size is {height} x {width}, the image {image.height} x {image.width}")
    if isinstance(counts, str):
        runs = decode_counts(counts)
    elif isinstance(counts, list) and all(isinstance(v, int) and v >= 0 for v in counts):
        runs = counts
    else:
        raise at("segmentation.counts is neither a text nor a list of lengths")
    if runs is None or len(runs) > MAX_RUNS or any(v < 0 for v in runs) or sum(runs) != height * width:
        raise at(f"segmentation.counts do not add up to {height} x {width} pixels")
    return Rle(np.array(runs, np.int64), height, width)


def decode_counts(text: str) -> list[int] | None:
    """Run lengths from COCO's short form (pycocotools, maskApi.c, rleFrString): five bits a character, from '0' on,
    the lowest first, with a bit that says 'more'; from the fourth on differences to the last but one. None: damaged.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text[: 8 * MAX_RUNS]:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:  # noqa: PLR2004  (six bits; no run has more)
            return None
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))  # noqa: PLR2004  (from the fourth on)
        value = shift = 0
    return None if shift else counts


def _pictures(file: Path, images: list[_Image]) -> Path:
    """The folder that has the pictures: beside the file, in ``images``, or named like a split in the file's name."""
    near = [file.parent, file.parent.parent]
    split = [word for word in file.stem.replace("-", "_").split("_") if word]
    wanted = [d / word for d in near for word in ("images", *split)]
    wanted += [d / "images" / word for d in near for word in split]
    candidates = [*near[:1], *wanted, near[1], *subfolders(file.parent)]
    step = max(1, len(images) // _TRIED)
    names = [image.file_name for image in images[::step]]
    safe = [name for n, name in enumerate(names) if inside(file.parent, name, file, f"images[{n * step}]")]
    best = max(candidates, key=lambda d: sum((d / name).is_file() for name in safe))
    if not any((best / name).is_file() for name in safe):
        why = f"{safe[0]!r} is neither beside it nor in images/"
        raise InputError("DATASET_INVALID", f"the pictures of {file} are not there", why, "put them beside the file")
    return best


def _line(data: bytes, said: str) -> int | str:
    """The line of a syntax error, of which msgspec says the byte."""
    word = said.rpartition("byte ")[2].strip(")")
    return data[: int(word)].count(b"\n") + 1 if word.isdigit() else ""
