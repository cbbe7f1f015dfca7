"""What a model said about one frame, as arrays: the one value that findings, overlays and JSON are made from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edge.vision.spec import Task

Polygon = NDArray[np.float32]
"""float32 ``(k, 2)``: the outer outline of a region as x, y in frame pixels, at least three points."""


class Timings(Struct, frozen=True):
    """Wall time of the steps, in milliseconds. ``stages``: of a cascade, what each model took in all, by name in order;
    ``first`` is the one that all others follow.
    """

    preprocess_ms: float = 0.0
    infer_ms: float = 0.0
    postprocess_ms: float = 0.0
    stages: tuple[tuple[str, float], ...] = ()


_UNTIMED = Timings()


def _no_floats() -> NDArray[np.float32]:
    return np.empty(0, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Anomaly:
    """How unlike good pictures a frame is. ``score`` and ``threshold`` are in the model's own unit; at or above the
    threshold it is anomalous (``inf``: none is known yet, see `jidoka model calibrate`). ``map_max`` is the maximum of
    its map in the model's unit. ``heat`` is that map for overlays, float32 ``(h, w)`` of any resolution, stretched over
    the frame, or over ``heat_xyxy`` of it: 0..1, one half where the map's threshold is (where none is known: half of the map's own maximum).
    """

    score: float
    threshold: float
    map_max: float | None = None
    heat: NDArray[np.float32] | None = None
    heat_xyxy: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """n things that were found, highest score first.

    ``task`` says what a row is: ``detect`` an object, ``segment`` a connected region or (``instances``) an object with
    its outline, ``classify`` a class of the whole frame (then ``boxes`` are all the frame and all classes above the
    threshold are rows), ``keypoints`` an object with points, ``anomaly`` a region above the threshold, ``ocr`` a line
    of text, ``codes`` a code, ``series`` a class of the window, ``raw`` nothing (the numbers are in ``values``).

    ``boxes`` float32 ``(n, 4)``: left, top, right, bottom in frame pixels, inside the frame.
    ``scores`` float32 ``(n,)``, 0..1. ``label_ids`` int64 ``(n,)``, indices of ``labels``.
    ``areas_px`` float32 ``(n,)``: pixels of the frame a region covers, else the area of the box.
    ``polygons``: one outline a row with ``segment``, else empty.
    ``mm_per_px``: of the frame, where the source knows it.
    ``quads`` float32 ``(n, 4, 2)``: corners of rotated boxes, lines of text and codes, clockwise as seen from the
    upright thing's top left, in frame pixels. ``keypoints`` float32 ``(n, k, 3)``: x, y in frame pixels and score 0..1.
    ``texts`` and ``formats`` (of codes): one a row. ``values``: named numbers of the whole frame or window.
    ``steps`` float32 ``(T, k)``: with ``series``, scores or values of each step of the window, where the model has them.
    ``nested``: with a cascade, one prediction a row, of what the next stage saw in it, in frame pixels (task ``raw`` and
    no rows where no stage looked). ``beside``: what further models saw in the same picture.
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
    instances: bool = False
    quads: NDArray[np.float32] | None = None
    keypoints: NDArray[np.float32] | None = None
    texts: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    anomaly: Anomaly | None = None
    values: dict[str, float] = field(default_factory=dict)
    nested: tuple[Prediction, ...] = ()
    steps: NDArray[np.float32] | None = None
    beside: tuple[Prediction, ...] = ()
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

    def take(self, rows: NDArray[np.int64]) -> Prediction:
        """The same with these rows only, in this order: a sub-set, or another order. Shape ``(m,)``."""
        picked = rows.tolist()
        return replace(
            self,
            boxes=self.boxes[rows],
            scores=self.scores[rows],
            label_ids=self.label_ids[rows],
            areas_px=self.areas_px[rows],
            polygons=tuple(self.polygons[i] for i in picked) if self.polygons else (),
            quads=None if self.quads is None else self.quads[rows],
            keypoints=None if self.keypoints is None else self.keypoints[rows],
            texts=tuple(self.texts[i] for i in picked) if self.texts else (),
            formats=tuple(self.formats[i] for i in picked) if self.formats else (),
            nested=tuple(self.nested[i] for i in picked) if self.nested else (),
        )
