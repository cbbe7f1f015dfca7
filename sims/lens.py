"""What stands between the line and the sensor: a dirty lens, a camera that was bumped. Pure, the same every time."""

from __future__ import annotations

from functools import lru_cache
from typing import cast

import cv2
import numpy as np

from sims.texture import F32, U8

_SMEARS = 5
_DARKEST = 0.55
"""What a smear takes of the light at its thickest."""
_HAZE_PX = 2.2


def dirty(image: U8, share: float) -> U8:
    """Seen through a lens with ``share`` (0 to 1) of a good thumb's grease and dust: smears that darken and soften."""
    if share <= 0.0:
        return image
    smear = _smears(image.shape[0], image.shape[1])[..., None] * np.float32(share)
    soft = cv2.GaussianBlur(image, (0, 0), _HAZE_PX)
    seen = image + (soft.astype(np.float32) - image) * np.minimum(1.0, 1.5 * smear)
    return np.clip(seen * (1.0 - _DARKEST * smear), 0, 255).astype(np.uint8)


def bumped(image: U8, across_px: float) -> U8:
    """From a camera that was pushed ``across_px`` across the belt; what comes into view is more of the same belt."""
    if not across_px:
        return image
    shift = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, across_px]], np.float32)
    size = (image.shape[1], image.shape[0])
    return cast("U8", cv2.warpAffine(image, shift, size, borderMode=cv2.BORDER_REFLECT_101))


@lru_cache(maxsize=4)
def _smears(height_px: int, width_px: int) -> F32:
    """Thickness 0 to 1, float32 (h, w)."""
    rng = np.random.default_rng(0x1E45)
    y, x = np.mgrid[0:height_px, 0:width_px].astype(np.float32)
    thick = np.zeros((height_px, width_px), np.float32)
    for _ in range(_SMEARS):
        at_x, at_y = rng.uniform(0.25, 0.75) * width_px, rng.uniform(0.25, 0.75) * height_px
        turn = rng.uniform(0.0, np.pi)
        u = (x - at_x) * np.cos(turn) + (y - at_y) * np.sin(turn)
        v = (y - at_y) * np.cos(turn) - (x - at_x) * np.sin(turn)
        long, wide = rng.uniform(0.10, 0.22) * width_px, rng.uniform(0.02, 0.05) * width_px
        thick += np.exp(-((u / long) ** 2) - (v / wide) ** 2).astype(np.float32)
    return np.minimum(1.0, thick)
