"""What a model said about one frame, as arrays: the one value that findings, overlays and JSON are made from."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edge.vision.spec import Task

Polygon = NDArray[np.float32]
"""float32 ``(k, 2)``: the outer outline of a region as x, y in frame pixels, at least three points."""


class Timings(Struct, frozen=True):
    """Wall time of the steps, in milliseconds."""

    preprocess_ms: float = 0.0
    infer_ms: float = 0.0
    postprocess_ms: float = 0.0


_UNTIMED = Timings()


def _no_floats() -> NDArray[np.float32]:
    return np.empty(0, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """n things that were found, highest score first.

    ``task`` says what a row is: ``detect`` an object, ``segment`` a connected region, ``classify`` a class of the
    whole frame (then ``boxes`` are all the frame and all classes above the threshold are rows).

    ``boxes`` float32 ``(n, 4)``: left, top, right, bottom in frame pixels, inside the frame.
    ``scores`` float32 ``(n,)``, 0..1. ``label_ids`` int64 ``(n,)``, indices of ``labels``.
    ``areas_px`` float32 ``(n,)``: pixels of the frame a region covers, else the area of the box.
    ``polygons``: one outline a row with ``segment``, else empty.
    ``mm_per_px``: of the frame, where the source knows it.
    """

    task: Task
    labels: tuple[str, ...]
    frame_width_px: int
    frame_height_px: int
    boxes: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 4), np.float32))
    scores: NDArray[np.float32] = field(default_factory=_no_floats)
    label_ids: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    areas_px: NDArray[np.float32] = field(default_factory=_no_floats)
    polygons: tuple[Polygon, ...] = ()
    dropped: int = 0
    """How many more were above the threshold than ``max_detections`` lets through."""
    mm_per_px: float | None = None
    timings: Timings = _UNTIMED

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def areas_mm2(self) -> NDArray[np.float32] | None:
        """``areas_px`` in mm², where ``mm_per_px`` is known."""
        return None if self.mm_per_px is None else self.areas_px * np.float32(self.mm_per_px**2)

    @property
    def names(self) -> list[str]:
        """The label of each row."""
        return [self.labels[i] for i in self.label_ids.tolist()]
