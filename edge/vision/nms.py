"""Non-maximum suppression: of boxes of one label that overlap too much, only the likeliest stays."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

MAX_CANDIDATES = 3000
"""More candidates than this enter no suppression, its cost being quadratic; the least likely are left out."""


def suppress(
    xywh: NDArray[Any], scores: NDArray[np.float32], label_ids: NDArray[np.int64], iou: float
) -> NDArray[np.int64]:
    """Indices of the rows that stay, highest score first.

    ``xywh`` float ``(n, 4)``: left, top, width, height; ``scores`` ``(n,)``, ``label_ids`` ``(n,)``. Greedy, per
    label: a box goes when its intersection over union with a likelier one that stays is above ``iou``.
    """
    if len(scores) < 2:  # noqa: PLR2004  (nothing to compare)
        return np.arange(len(scores))
    if len(scores) > MAX_CANDIDATES:
        best = np.argsort(-scores, kind="stable")[:MAX_CANDIDATES]
        return best[suppress(xywh[best], scores[best], label_ids[best], iou)]
    # Its own score threshold is strict and would drop a score of 0; ours was applied before.
    # The stubs want lists; arrays are taken as they are and cost a fifth.
    batched: Any = cv2.dnn.NMSBoxesBatched
    kept = batched(xywh.astype(np.float64), scores, label_ids.astype(np.int32), -1.0, iou)
    return np.asarray(kept, np.int64)
