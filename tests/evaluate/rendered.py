"""A data set of rendered parts: pictures with indexed masks, as a user would bring it.

``python -m tests.evaluate.rendered FOLDER [N]`` writes one to try `jidoka model eval` on.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

from sims.parts import KINDS, LENGTH_MM, REJECT_SIZE_MM, make_parts, visible_size_mm
from sims.scene import Scene
from sims.train.data import random_light

UNSURE = 255
FAINT_SHARE = 1.0
"""Flaws below the reject limit are neither good nor bad: their pixels cannot be judged."""


def write_parts(folder: Path, n: int, seed: int = 77, defect_share: float = 0.5) -> None:
    """``images/``, ``masks/`` and ``classes.txt``: n parts, each in the middle of the frame."""
    rng = np.random.default_rng(seed)
    scene = Scene(seed=seed)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "classes.txt").write_text("\n".join(KINDS) + "\n")
    middle_mm = scene.width_px * scene.mm_per_px / 2
    for number, part in enumerate(make_parts(n, seed, defect_rate=defect_share)):
        placed = [(part, middle_mm + float(rng.uniform(-0.1, 0.1)) * LENGTH_MM)]
        mask = scene.mask(placed)
        numbers = scene.defect_map(*placed[0])
        for index, defect in enumerate(part.defects, 1):
            if visible_size_mm(defect) < FAINT_SHARE * REJECT_SIZE_MM[defect.kind]:
                mask[numbers == index] = UNSURE
        cv2.imwrite(str(folder / "images" / f"part_{number:04d}.jpg"), scene.render(placed, random_light(rng), number))
        cv2.imwrite(str(folder / "masks" / f"part_{number:04d}.png"), mask)


if __name__ == "__main__":
    write_parts(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 200)
