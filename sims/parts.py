"""Parts and their defects: the truth that the camera looks at and the score judges by.

A defect has a size and a contrast, drawn from a continuum that runs from invisible to gross. What an inspection is
asked to find is stated here, in one rule, so that scene, score, training and model card cannot disagree:

* ``visible_size_mm`` weighs the size by the contrast: 0 at or below the kind's *faint* contrast, the whole size at or
  above its *clear* contrast, linear between;
* a defect is a **reject** when its visible size reaches ``REJECT_SIZE_MM`` of its kind;
* any smaller one is **borderline**: real, perhaps seen, perhaps not, and neither finding nor missing it is an error.

So a part is ``good`` (no defect at all), ``borderline`` (defects, none of them a reject) or ``reject``. Escapes are
counted on rejects, overkill on good parts, and borderline parts count in neither.

Part coordinates: origin in the plate's middle, x along its length (and along the brush marks), y across it, in mm;
angles in radians from x towards y.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from msgspec import Struct

DefectKind = Literal["scratch", "pit", "stain", "chip"]
Grade = Literal["good", "borderline", "reject"]

KINDS: tuple[DefectKind, ...] = ("scratch", "pit", "stain", "chip")
"""In label order: a label map says 0 for background and 1 + index here for a defect."""


class _Range(NamedTuple):
    """What one kind looks like, and from where on it counts."""

    reject_size_mm: float
    largest_size_mm: float
    faint_contrast: float
    clear_contrast: float
    largest_contrast: float


# Size means: length of a scratch, diameter of a pit or stain, width of a chip along the edge. Contrast is the relative
# change of reflectance at the core; for a chip, how much of the material is gone.
_RANGES: dict[DefectKind, _Range] = {
    "scratch": _Range(6.0, 38.0, 0.10, 0.35, 0.80),
    "pit": _Range(1.8, 6.0, 0.15, 0.45, 0.85),
    "stain": _Range(6.0, 24.0, 0.06, 0.18, 0.40),
    "chip": _Range(3.0, 12.0, 0.25, 0.60, 1.00),
}

REJECT_SIZE_MM: dict[DefectKind, float] = {kind: r.reject_size_mm for kind, r in _RANGES.items()}
"""Visible size in mm from which on a defect of this kind must be found."""

LENGTH_MM = 80.0
WIDTH_MM = 60.0
CORNER_RADIUS_MM = 4.0

_SMALLEST_OF_LIMIT = 0.25  # the smallest defect, as a share of the reject size of its kind
_EDGE_MARGIN_MM = 2.5  # no scratch, pit or stain nearer to the edge: its size would not be all on the plate
_GAP_MM = 4.0  # between two defects of a part, so that each can be found or missed for itself
_PLACE_TRIES = 24
_COUNT_SHARE = (0.70, 0.22, 0.08)  # of defective parts: with one, two, three defects


class Defect(Struct, frozen=True):
    """One flaw. ``x_mm, y_mm`` is its middle (for a chip, the point on the edge); ``angle_rad`` its direction (for a
    chip, the outward normal); ``seed`` fixes its exact outline.
    """

    kind: DefectKind
    size_mm: float
    contrast: float
    x_mm: float
    y_mm: float
    angle_rad: float
    seed: int


class Part(Struct, frozen=True):
    """One plate. ``y_offset_mm`` and ``angle_rad`` say how it lies on the belt (0, 0: centred and straight)."""

    part_id: int
    seed: int
    length_mm: float
    width_mm: float
    defects: tuple[Defect, ...] = ()
    y_offset_mm: float = 0.0
    angle_rad: float = 0.0
    finish: float = 1.0
    """How rough the surface is brushed, beside the usual."""


def visible_size_mm(defect: Defect) -> float:
    """Size weighed by contrast, in mm; 0 for what nobody can see."""
    kind = _RANGES[defect.kind]
    weight = (defect.contrast - kind.faint_contrast) / (kind.clear_contrast - kind.faint_contrast)
    return defect.size_mm * min(1.0, max(0.0, weight))


def is_reject(defect: Defect) -> bool:
    """True if the defect must be found: its visible size is at or above the limit of its kind."""
    return visible_size_mm(defect) >= REJECT_SIZE_MM[defect.kind]


def grade(part: Part) -> Grade:
    """What the part truly is: ``reject`` counts for escapes, ``good`` for overkill, ``borderline`` for neither."""
    if not part.defects:
        return "good"
    return "reject" if any(is_reject(d) for d in part.defects) else "borderline"


def make_parts(
    n: int,
    seed: int,
    defect_rate: float = 0.5,
    *,
    kinds: Sequence[DefectKind] = KINDS,
    severity: float = 1.0,
    first_id: int = 1,
) -> tuple[Part, ...]:
    """``n`` parts, of which about ``defect_rate`` (0 to 1) have one to three defects of ``kinds``.

    Sizes are log-uniform from a quarter of the kind's reject size to its largest, times ``severity`` (> 0; more than
    1 makes more rejects), and never beyond the largest; contrasts run from none to the kind's largest, higher ones
    being likelier (linear density). With the defaults nearly half of all defects are rejects. Part ``i`` depends on ``seed`` and ``i`` only, so a longer list begins with the
    shorter one.
    """
    if n < 0 or not 0.0 <= defect_rate <= 1.0 or severity <= 0.0 or not kinds:
        raise ValueError(f"make_parts: n={n}, defect_rate={defect_rate}, severity={severity}, kinds={list(kinds)}")
    return tuple(_make_part(first_id + i, (seed, i), defect_rate, kinds, severity) for i in range(n))


def _make_part(
    part_id: int, key: tuple[int, int], defect_rate: float, kinds: Sequence[DefectKind], severity: float
) -> Part:
    rng = np.random.default_rng([0x9A27, *key])
    length_mm = LENGTH_MM + float(rng.uniform(-0.4, 0.4))
    width_mm = WIDTH_MM + float(rng.uniform(-0.4, 0.4))
    y_offset_mm = float(rng.uniform(-6.0, 6.0))
    angle_rad = math.radians(float(np.clip(rng.normal(0.0, 1.2), -3.0, 3.0)))
    part_seed = int(rng.integers(2**31))
    count = 0
    if rng.random() < defect_rate:
        count = 1 + int(rng.choice(len(_COUNT_SHARE), p=_COUNT_SHARE))
    defects: list[Defect] = []
    for _ in range(count):
        kind = kinds[int(rng.integers(len(kinds)))]
        placed = _place(rng, kind, severity, (length_mm, width_mm), defects)
        if placed is not None:
            defects.append(placed)
    return Part(part_id, part_seed, length_mm, width_mm, tuple(defects), y_offset_mm, angle_rad)


def _place(
    rng: np.random.Generator, kind: DefectKind, severity: float, plate_mm: tuple[float, float], others: list[Defect]
) -> Defect | None:
    """A defect that lies wholly on the plate and clear of the others; None if no place was found for it."""
    ranges = _RANGES[kind]
    low, high = _SMALLEST_OF_LIMIT * ranges.reject_size_mm, ranges.largest_size_mm
    size_mm = min(high, severity * math.exp(float(rng.uniform(math.log(low), math.log(high)))))
    contrast = ranges.largest_contrast * math.sqrt(float(rng.uniform()))
    for _ in range(_PLACE_TRIES):
        x_mm, y_mm, angle_rad = _position(rng, kind, size_mm, plate_mm)
        if all(math.hypot(x_mm - o.x_mm, y_mm - o.y_mm) > (size_mm + o.size_mm) / 2 + _GAP_MM for o in others):
            return Defect(kind, size_mm, contrast, x_mm, y_mm, angle_rad, int(rng.integers(2**31)))
    return None


def _position(
    rng: np.random.Generator, kind: DefectKind, size_mm: float, plate_mm: tuple[float, float]
) -> tuple[float, float, float]:
    half_x, half_y = plate_mm[0] / 2, plate_mm[1] / 2
    if kind == "chip":
        side = int(rng.integers(4))
        keep = CORNER_RADIUS_MM + size_mm / 2 + 1.0
        along = float(rng.uniform(-1.0, 1.0))
        if side % 2 == 0:
            sign = 1.0 - side
            return sign * half_x, along * (half_y - keep), 0.0 if sign > 0 else math.pi
        sign = 2.0 - side
        return along * (half_x - keep), sign * half_y, sign * math.pi / 2
    angle_rad = float(rng.uniform(0.0, math.pi))
    reach_x = reach_y = size_mm / 2
    if kind == "scratch":
        # a bow of an eighth of the length is left room for (sims/defects.py draws it)
        reach_x = size_mm * (abs(math.cos(angle_rad)) / 2 + 0.13)
        reach_y = size_mm * (abs(math.sin(angle_rad)) / 2 + 0.13)
    free_x = max(0.0, half_x - _EDGE_MARGIN_MM - reach_x)
    free_y = max(0.0, half_y - _EDGE_MARGIN_MM - reach_y)
    return float(rng.uniform(-free_x, free_x)), float(rng.uniform(-free_y, free_y)), angle_rad
