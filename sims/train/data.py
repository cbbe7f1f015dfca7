"""Pictures to learn from: rendered frames under changing light, cut around the part, with labels for the model's grid.

What the network must find and what it may find are kept apart: a defect well above the reject limit's neighbourhood is
a target, everything weaker is *ignored* (no answer there is wrong), and what is left is background. So the network is
never punished for missing what nobody can see.
"""

from __future__ import annotations

from dataclasses import dataclass
from multiprocessing import get_context

import cv2
import numpy as np
from numpy.typing import NDArray

from sims.parts import LENGTH_MM, REJECT_SIZE_MM, Part, make_parts, visible_size_mm
from sims.scene import Light, PartAt, Scene

WIDTH_PX, HEIGHT_PX = 320, 240
"""The model's input; frames are twice as large."""

CROP_W_PX, CROP_H_PX = 224, 160
CELL = 4
"""Frame pixels a side of one cell of the answer."""

IGNORE = 255
TARGET_SHARE = 0.6
"""Defects of at least this share of the reject size are targets."""

_COVERED = 0.25  # a cell belongs to a defect that covers at least this share of it
_SCENE_PARTS = 250  # parts drawn from one sheet of metal before the next is made


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """``grey`` uint8 (n, CROP_H_PX, CROP_W_PX); ``cells`` uint8 (n, CROP_H_PX/2, CROP_W_PX/2): 0 background, 1 + index
    of the kind, or IGNORE.
    """

    grey: NDArray[np.uint8]
    cells: NDArray[np.uint8]


def random_light(rng: np.random.Generator, *, wide: bool = True) -> Light:
    """A lamp as a line may have it; ``wide`` goes beyond what a set-up line shows, to learn from."""
    reach = 1.0 if wide else 0.6
    return Light(
        gain=float(rng.uniform(1.0 - 0.35 * reach, 1.0 + 0.3 * reach)),
        gradient=float(rng.uniform(0.0, 0.35 * reach)),
        angle_rad=float(rng.uniform(-np.pi, np.pi)),
        drift=float(rng.uniform(0.0, 1.0)),
        blur_px=float(rng.uniform(0.3, 0.9 * reach)) if rng.random() < 0.4 * reach else 0.0,
    )


def to_grey(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A camera frame as the model gets it: half the size, grey; the same two steps as the agent's preprocessing."""
    small = cv2.resize(frame, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_LINEAR)
    return cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)


def cells_of(scene: Scene, parts: list[PartAt]) -> NDArray[np.uint8]:
    """What the model should answer, uint8 (HEIGHT_PX/2, WIDTH_PX/2)."""
    rows, cols = scene.height_px // CELL, scene.width_px // CELL
    cells = np.zeros((rows, cols), np.uint8)
    labels = scene.mask(parts)
    for part, x_center_mm in parts:
        numbers = scene.defect_map(part, x_center_mm)
        for number, defect in enumerate(part.defects, 1):
            here = (numbers == number).astype(np.float32)
            cover = cv2.resize(here, (cols, rows), interpolation=cv2.INTER_AREA)
            target = visible_size_mm(defect) >= TARGET_SHARE * REJECT_SIZE_MM[defect.kind]
            # a target ends where it ends, so that areas come out right; a faint one has no border to speak of
            touched = cover > 0.0 if target else cv2.dilate(cover, np.ones((3, 3), np.uint8)) > 0.0
            cells[touched & (cells == 0)] = IGNORE
            if target:
                kind = int(labels[numbers == number].max(initial=0))
                cells[cover >= _COVERED] = kind
    return cells


def draw(scene: Scene, part: Part, neighbour: Part | None, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One cut-out of a random frame that shows ``part``: grey and cells."""
    x_mm = float(rng.uniform(46.0, 114.0)) if rng.random() < 0.8 else float(rng.uniform(-10.0, 170.0))
    parts: list[PartAt] = [(part, x_mm)]
    if neighbour is not None:
        parts.append((neighbour, x_mm + float(rng.choice([-1.0, 1.0])) * float(rng.uniform(LENGTH_MM + 8, 150.0))))
    frame = scene.render(parts, random_light(rng), int(rng.integers(2**31)), float(rng.uniform(0.0, 300.0)))
    if rng.random() < 0.6:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(75, 97))]
        frame = cv2.imdecode(cv2.imencode(".jpg", frame, quality)[1], cv2.IMREAD_COLOR)
    grey, cells = to_grey(frame), cells_of(scene, parts)
    # cut around the part, to the answer's grid
    middle_x = x_mm / scene.mm_per_px / 2 + float(rng.uniform(-40, 40))
    middle_y = HEIGHT_PX / 2 + part.y_offset_mm / scene.mm_per_px / 2 + float(rng.uniform(-30, 30))
    left = 2 * int(np.clip(middle_x - CROP_W_PX / 2, 0, WIDTH_PX - CROP_W_PX) / 2)
    top = 2 * int(np.clip(middle_y - CROP_H_PX / 2, 0, HEIGHT_PX - CROP_H_PX) / 2)
    return (
        grey[top : top + CROP_H_PX, left : left + CROP_W_PX],
        cells[top // 2 : (top + CROP_H_PX) // 2, left // 2 : (left + CROP_W_PX) // 2],
    )


def _chunk(job: tuple[int, int, float]) -> tuple[np.ndarray, np.ndarray]:
    seed, n, defect_rate = job
    cv2.setNumThreads(1)
    rng = np.random.default_rng([0xDA7A, seed])
    scene = Scene(
        seed=seed,
        noise=float(rng.uniform(1.0, 4.5)),
        defocus_px=float(rng.uniform(0.4, 0.9)),
        motion_px=float(rng.choice([1.0, 2.0])),
    )
    parts = make_parts(n, seed, defect_rate, severity=float(rng.uniform(0.8, 1.3)))
    grey = np.empty((n, CROP_H_PX, CROP_W_PX), np.uint8)
    cells = np.empty((n, CROP_H_PX // 2, CROP_W_PX // 2), np.uint8)
    for i, part in enumerate(parts):
        neighbour = parts[i - 1] if i and rng.random() < 0.4 else None
        grey[i], cells[i] = draw(scene, part, neighbour, rng)
    return grey, cells


def make_samples(n: int, seed: int, defect_rate: float = 0.8, processes: int = 2) -> Samples:
    """``n`` samples, the same for the same ``n`` and ``seed`` whatever ``processes`` is."""
    jobs = [(seed + i, min(_SCENE_PARTS, n - start), defect_rate) for i, start in enumerate(range(0, n, _SCENE_PARTS))]
    with get_context("spawn").Pool(processes) as pool:
        chunks = pool.map(_chunk, jobs, chunksize=1)
    return Samples(np.concatenate([c[0] for c in chunks]), np.concatenate([c[1] for c in chunks]))
