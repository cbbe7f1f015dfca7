"""Where a frame is unlike good ones, as colour over the picture: nothing where all is well, yellow near the limit, red
beyond it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.ports import Image

_BEGIN, _FULL = 0.4, 0.56  # of the heat, 0.5 being the limit: transparent below the first, no denser above the second
_RED = 0.75  # three times the limit, as v / (v + limit) has it
_MOST_ALPHA = 0.55


def lay_heat(picture: Image, heat: NDArray[np.float32]) -> None:
    """Blend ``heat`` (0..1, stretched over the picture) into a BGR picture, in place. What lies under it stays visible."""
    if not (heat >= _BEGIN).any():
        return
    height, width = picture.shape[:2]
    full = np.asarray(cv2.resize(heat, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    left, top, w, h = cv2.boundingRect((full >= _BEGIN).astype(np.uint8))
    window = picture[top : top + h, left : left + w]
    values = full[top : top + h, left : left + w]
    alpha = np.clip((values - _BEGIN) / (_FULL - _BEGIN), 0, 1)[:, :, None] * np.float32(_MOST_ALPHA)
    # Autumn runs from red to yellow; other maps begin dark, which on dark metal cannot be told from shadow.
    shade = np.clip((values - _BEGIN) / (_RED - _BEGIN), 0, 1)
    colors = cv2.applyColorMap((255 - 255 * shade).astype(np.uint8), cv2.COLORMAP_AUTUMN)
    window[...] = window + (colors - window.astype(np.float32)) * alpha
