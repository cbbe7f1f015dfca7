"""Looking at a part of the frame only: cut it out before the model, move what was found back after it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edge.errors import ImageError
from edge.ports import Image
from edge.vision.prediction import Anomaly, Prediction

Region = tuple[int, int, int, int]
"""Left, top, right, bottom in frame pixels; right and bottom are the first column and row outside."""


def cut(image: Image, region: Region) -> tuple[Image, tuple[int, int]]:
    """A view (no copy) of ``region``, clipped to the frame, and its left top corner.

    Raises ImageError REGION_OUTSIDE when nothing of it is inside the frame.
    """
    height, width = image.shape[:2]
    left, top = max(0, region[0]), max(0, region[1])
    right, bottom = min(width, region[2]), min(height, region[3])
    if left >= right or top >= bottom:
        raise ImageError(
            "REGION_OUTSIDE",
            f"region_px {list(region)} shows nothing of the frame",
            f"the frame is {width} x {height} px; region_px is [left, top, right, bottom]",
        )
    return image[top:bottom, left:right], (left, top)


def move_back(prediction: Prediction, corner: tuple[int, int], frame_shape: tuple[int, ...]) -> Prediction:
    """What was found in a region, in pixels of the whole frame (``frame_shape`` is its height and width)."""
    by = np.array(corner, np.float32)
    return replace(
        prediction,
        boxes=prediction.boxes + np.tile(by, 2),
        polygons=tuple(polygon + by for polygon in prediction.polygons),
        quads=None if prediction.quads is None else prediction.quads + by,
        keypoints=None if prediction.keypoints is None else prediction.keypoints + np.append(by, np.float32(0)),
        nested=tuple(move_back(inner, corner, frame_shape) for inner in prediction.nested),
        beside=tuple(move_back(other, corner, frame_shape) for other in prediction.beside),
        anomaly=None if prediction.anomaly is None else _moved(prediction, prediction.anomaly, corner),
        frame_width_px=frame_shape[1],
        frame_height_px=frame_shape[0],
    )


def _moved(prediction: Prediction, anomaly: Anomaly, corner: tuple[int, int]) -> Anomaly:
    """Its heat covers what was looked at."""
    left, top, right, bottom = anomaly.heat_xyxy or (0, 0, prediction.frame_width_px, prediction.frame_height_px)
    x, y = corner
    return replace(anomaly, heat_xyxy=(left + x, top + y, right + x, bottom + y))
