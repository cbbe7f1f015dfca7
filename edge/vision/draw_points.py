"""Points and limbs on a picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.ports import Image
from edge.vision.prediction import Prediction
from edge.vision.text import Typeface

Bgr = tuple[int, int, int]

COCO_LIMBS: tuple[tuple[int, int], ...] = (
    *((0, 1), (0, 2), (1, 3), (2, 4)),  # head
    *((5, 7), (7, 9), (6, 8), (8, 10)),  # arms
    *((5, 6), (5, 11), (6, 12), (11, 12)),  # trunk
    *((11, 13), (13, 15), (12, 14), (14, 16)),  # legs
)
"""Which of COCO's 17 points of a person belong together (annotations/person_keypoints_*.json, ``skeleton``)."""

LIMBS = {17: COCO_LIMBS}
"""By number of points; others are drawn without limbs."""

SURE = 0.5
"""Points below this score are hidden or guessed, and not drawn."""

_LIGHT: Bgr = (255, 255, 255)
_DARK: Bgr = (40, 40, 40)
_SHARE = 0.02  # of a thing's size is a point's radius at most, so that small ones stay visible under their points


def draw_points(picture: Image, prediction: Prediction, color_of: Callable[[str], Bgr], face: Typeface) -> None:
    """Draw ``prediction.keypoints`` into ``picture``, the likeliest thing on top."""
    if prediction.keypoints is None:
        return
    rows = list(zip(prediction.keypoints, prediction.boxes, prediction.names, strict=True))
    for points, box, name in reversed(rows):
        size = float(np.sqrt(max((box[2] - box[0]) * (box[3] - box[1]), 1.0)))
        radius = max(1, min(round(face.line_px * 1.5), round(size * _SHARE)))
        spots = np.round(points[:, :2] - 0.5).astype(int).tolist()
        _limbs(picture, spots, points[:, 2] >= SURE, color_of(name), max(1, min(face.line_px, radius)))
        for spot, score in zip(spots, points[:, 2], strict=True):
            if score >= SURE:
                if radius > 1:
                    rim = _LIGHT if sum(color_of(name)) < 420 else _DARK  # noqa: PLR2004  (of 765)
                    cv2.circle(picture, spot, radius + max(1, radius // 2), rim, cv2.FILLED, cv2.LINE_AA)
                cv2.circle(picture, spot, radius, color_of(name), cv2.FILLED, cv2.LINE_AA)


def _limbs(picture: Image, spots: Sequence[Sequence[int]], seen: NDArray[np.bool_], color: Bgr, width_px: int) -> None:
    for start, end in LIMBS.get(len(spots), ()):
        if seen[start] and seen[end]:
            cv2.line(picture, spots[start], spots[end], color, width_px, cv2.LINE_AA)
