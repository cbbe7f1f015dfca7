"""What is known about the pictures of a data set, whatever files it came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import InputError

Xyxy = tuple[float, float, float, float]
"""Left, top, right, bottom in frame pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class Rle:
    """A mask as lengths of runs, first of nothing, column by column (COCO's order), over ``(height, width)``."""

    counts: NDArray[np.int64]
    height: int
    width: int


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """Polygons, float32 ``(k, 2)`` x, y in frame pixels (``relative``: in shares of the frame), filled together."""

    polygons: tuple[NDArray[np.float32], ...]
    relative: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Thing:
    """One object in a picture.

    ``box`` in frame pixels, or in shares of the frame with ``relative``. ``area_px`` as the data set states it.
    ``crowd``: several that nobody told apart; neither found nor missed. ``points`` float32 ``(k, 3)``: x, y and
    visibility (0 not marked, 1 hidden, 2 seen).
    """

    label: str
    box: Xyxy
    relative: bool = False
    area_px: float | None = None
    crowd: bool = False
    shape: Rle | Outline | None = None
    points: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One input with its truth. What a data set does not say is None.

    ``file``: the picture; ``name``: what it is called in results. ``label``: the class of the whole frame. ``things``:
    objects. ``mask``: a picture of the frame's size, 0 where there is nothing; ``indexed`` masks hold class numbers
    from 1 (255: cannot be judged). ``empty_mask``: there is nothing in it, without a file. ``texts``: what is written; with ``partial`` there is more
    around them.
    ``values``: named numbers.
    """

    file: Path
    name: str
    label: str | None = None
    things: tuple[Thing, ...] | None = None
    mask: Path | None = None
    indexed: bool = False
    empty_mask: bool = False
    texts: tuple[str, ...] | None = None
    partial: bool = False
    values: dict[str, float] = field(default_factory=dict)

    @property
    def has_mask(self) -> bool:
        """Pixels are known."""
        return self.mask is not None or self.empty_mask


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Pictures with their truth. ``kind``: folders, coco, yolo, masks or csv. ``classes``: in the order of the data
    set's numbers, nothing and 'good' included where it names them. ``said``: what was understood, in sentences.
    """

    kind: str
    root: Path
    samples: tuple[Sample, ...]
    classes: tuple[str, ...]
    said: tuple[str, ...] = ()


GOOD_WORDS = frozenset({"good", "ok", "normal", "pass", "passed", "free", "defect_free", "no_defect", "nodefect"})
"""Names of classes that mean that nothing is wrong: folder names of MVTec, of casting and tile data sets, plain words."""


def is_good(label: str, good: frozenset[str] = frozenset()) -> bool:
    """True for a class that means that nothing is wrong: those the user named, else by its name (``MT_Free``)."""
    if good:
        return label in good
    word = plain(label)
    return word in GOOD_WORDS or word.rpartition("_")[2] in {"free", "good", "ok"}


def plain(label: str) -> str:
    """For comparing names of classes: lower case, one kind of gap."""
    return "_".join(label.lower().replace("-", " ").replace("_", " ").split())


def invalid(file: Path, where: str | int, why: str, hint: str = "") -> InputError:
    """What is wrong with a data set, and where: a line number or the way to an entry."""
    place = f"line {where}" if isinstance(where, int) else where
    return InputError("DATASET_INVALID", f"{file}{', ' if place else ''}{place}", why, hint)


def too_large(file: Path, what: str, limit: int) -> InputError:
    """More than is read."""
    return InputError("DATASET_TOO_LARGE", f"{file} has too many {what}", f"at most {limit} are read", "name a part")
