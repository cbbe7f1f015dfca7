"""How far two models agree: what one finds, does the other find it, too?

A variant's raw numbers always differ; what counts is what is made of them. Each tally takes pairs of predictions of the
same picture and gives one number, 1 where nothing differs, the same whichever of the two comes first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.vision.conventions import HEAD_TASK, HeadSpec
from edge.vision.prediction import Prediction

SAME_IOU = 0.5
"""Boxes of one label with this overlap are the same thing."""
SCORE_MARGIN = 0.1
"""A thing counts as found by the other model down to so much below the threshold: a score of 0.26 against 0.24 beside
a threshold of 0.25 is no disagreement anybody can act on."""
SAME_POINTS = 0.1
"""Points of one object lie on average no further apart than this share of its box's diagonal."""
_RASTER_PX = 512
_FEW_SCORES = 3


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What one model said of a picture: at its thresholds, and at thresholds lower by :data:`SCORE_MARGIN`."""

    found: Prediction
    low: Prediction


class Tally(Protocol):
    """Pairs in, one number out."""

    figure: str

    def add(self, one: Seen, other: Seen) -> None:
        """Compare what the two said of one picture."""

    @property
    def value(self) -> float | None:
        """0..1; None where there was nothing to compare."""
        ...

    @property
    def score_error(self) -> float:
        """The largest difference of two scores of the same thing."""
        ...


def tally_for(head: HeadSpec, found: Prediction) -> Tally:
    """The one for a head; ``found`` is any prediction it made."""
    task = HEAD_TASK.get(type(head), found.task)
    if found.anomaly is not None:
        return Scores()
    if task in {"classify", "series"}:
        return Tops()
    if task == "segment" and not found.instances:
        return Regions()
    if task == "ocr" and found.texts:
        return Texts()
    return Things()


@dataclass(slots=True)
class _Counted:
    score_error: float = 0.0
    agreed: float = 0.0
    total: float = 0.0

    @property
    def value(self) -> float | None:
        return self.agreed / self.total if self.total else None


@dataclass(slots=True)
class Things(_Counted):
    """Objects, points, lines of text, codes: the share of all that either found which the other found as well."""

    figure: str = f"share of detections that both find (same label, IoU {SAME_IOU:g}, score within {SCORE_MARGIN:g})"

    def add(self, one: Seen, other: Seen) -> None:
        for mine, yours in ((one.found, other.low), (other.found, one.low)):
            pairs = matched(mine, yours)
            self.total += len(mine)
            self.agreed += len(pairs)
            for i, j in pairs:
                self.score_error = max(self.score_error, abs(float(mine.scores[i]) - float(yours.scores[j])))


@dataclass(slots=True)
class Tops(_Counted):
    """Classes: the share of pictures of which both say the same first."""

    figure: str = "share of pictures with the same class"

    def add(self, one: Seen, other: Seen) -> None:
        a, b = (_top(seen) for seen in (one, other))
        if a is None and b is None:
            return
        self.total += 1
        if a is not None and b is not None and a[0] == b[0]:
            self.agreed += 1
            self.score_error = max(self.score_error, abs(a[1] - b[1]))


@dataclass(slots=True)
class Texts(_Counted):
    """The share of pictures in which both read the same, lines in any order."""

    figure: str = "share of pictures with the same text"

    def add(self, one: Seen, other: Seen) -> None:
        if one.found.texts or other.found.texts:
            self.total += 1
            self.agreed += sorted(one.found.texts) == sorted(other.found.texts)


@dataclass(slots=True)
class Regions(_Counted):
    """Regions of labels: what both cover over what either covers, summed over all pictures and labels."""

    figure: str = "overlap of regions (IoU) over all pictures"

    def add(self, one: Seen, other: Seen) -> None:
        for label in {*one.found.label_ids.tolist(), *other.found.label_ids.tolist()}:
            a, b = raster(one.found, label), raster(other.found, label)
            self.agreed += float(np.count_nonzero(a & b))
            self.total += float(np.count_nonzero(a | b))


@dataclass(slots=True)
class Scores:
    """Anomalies: how the scores go together, and the share of pictures on the same side of the threshold."""

    figure: str = "correlation of scores, or share of the same verdicts where that is lower"
    score_error: float = 0.0
    pairs: list[tuple[float, float]] = field(default_factory=list)
    same: int = 0
    judged: int = 0

    def add(self, one: Seen, other: Seen) -> None:
        a, b = one.found.anomaly, other.found.anomaly
        if a is None or b is None:
            return
        self.pairs.append((a.score, b.score))
        largest = max(abs(a.score), abs(b.score))
        self.score_error = max(self.score_error, abs(a.score - b.score) / largest if largest else 0.0)
        if np.isfinite(a.threshold):
            self.judged += 1
            self.same += (a.score >= a.threshold) == (b.score >= a.threshold)

    @property
    def value(self) -> float | None:
        """None for fewer than three pictures, or where one's scores never move."""
        if len(self.pairs) < _FEW_SCORES:
            return None
        a, b = np.array(self.pairs).T
        if not np.ptp(a) or not np.ptp(b):
            return None
        correlation = float(np.clip(np.corrcoef(a, b)[0, 1], 0.0, 1.0))
        return min(correlation, self.same / self.judged) if self.judged else correlation


def matched(mine: Prediction, yours: Prediction) -> list[tuple[int, int]]:
    """Which rows are the same thing, each at most once: of one label, overlapping, the best overlaps first."""
    if not len(mine) or not len(yours):
        return []
    overlap = iou(mine.boxes, yours.boxes)
    overlap[mine.label_ids[:, None] != yours.label_ids[None, :]] = 0.0
    if mine.keypoints is not None and yours.keypoints is not None:
        overlap[_points_apart(mine, yours) > SAME_POINTS] = 0.0
    rows, columns = np.nonzero(overlap >= SAME_IOU)
    taken: tuple[set[int], set[int]] = (set(), set())
    pairs = []
    for k in np.argsort(-overlap[rows, columns], kind="stable").tolist():
        i, j = int(rows[k]), int(columns[k])
        if i not in taken[0] and j not in taken[1]:
            taken[0].add(i)
            taken[1].add(j)
            pairs.append((i, j))
    return pairs


def iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    """Intersection over union of boxes ``(n, 4)`` and ``(m, 4)``, left, top, right, bottom: float64 ``(n, m)``."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    corner = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    both = np.prod(np.maximum(corner, 0.0), axis=2)
    areas = [np.prod(np.maximum(box[:, 2:] - box[:, :2], 0.0), axis=1) for box in (a, b)]
    either = areas[0][:, None] + areas[1][None, :] - both
    overlap: NDArray[np.float64] = np.divide(both, either, out=np.zeros_like(both), where=either > 0)
    return overlap


def raster(found: Prediction, label: int) -> NDArray[np.bool_]:
    """Where a label's regions are, on a raster of the frame of at most 512 cells a side."""
    scale = min(1.0, _RASTER_PX / max(found.frame_width_px, found.frame_height_px, 1))
    size = (max(1, round(found.frame_height_px * scale)), max(1, round(found.frame_width_px * scale)))
    mask = np.zeros(size, np.uint8)
    own = [p for p, i in zip(found.polygons, found.label_ids.tolist(), strict=False) if i == label]
    for polygon in own:
        cv2.fillPoly(mask, [np.round(polygon * scale).astype(np.int32)], 1)
    return mask.astype(np.bool_)


def _top(seen: Seen) -> tuple[int, float] | None:
    low = seen.low
    return (int(low.label_ids[0]), float(low.scores[0])) if len(low) else None


def _points_apart(mine: Prediction, yours: Prediction) -> NDArray[np.float64]:
    """Mean distance of points as a share of the larger diagonal of the two boxes: float64 ``(n, m)``."""
    assert mine.keypoints is not None
    assert yours.keypoints is not None
    apart = np.linalg.norm(mine.keypoints[:, None, :, :2] - yours.keypoints[None, :, :, :2], axis=3).mean(axis=2)
    sides = [np.linalg.norm(p.boxes[:, 2:] - p.boxes[:, :2], axis=1).astype(np.float64) for p in (mine, yours)]
    return np.asarray(apart / np.maximum(np.maximum(sides[0][:, None], sides[1][None, :]), 1e-9), np.float64)
