"""How well a model finds what it must: counts by kind and size, from findings laid over the truth. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import cv2
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edge.vision.prediction import Prediction
from sims.parts import KINDS, REJECT_SIZE_MM, Grade, Part, grade, visible_size_mm

BINS: tuple[tuple[float, float], ...] = (
    (0.0, 0.25),
    (0.25, 0.5),
    (0.5, 0.75),
    (0.75, 1.0),
    (1.0, 1.25),
    (1.25, 1.5),
    (1.5, 2.0),
    (2.0, 3.0),
    (3.0, 99.0),
)
"""Visible size as a share of the kind's reject size; from 1 on a defect must be found."""

_NEAR_PX = 4  # 1 mm: a finding so near to a defect is taken for it


class Row(Struct, frozen=True):
    """Defects of one kind whose visible size is ``from_share`` to ``to_share`` of the reject size."""

    kind: str
    from_share: float
    to_share: float
    defects: int
    found: int
    right_kind: int


class Report(Struct, frozen=True):
    """Rates are shares, 0 to 1. ``ms_*`` are of one frame on one thread: preprocessing, network, regions."""

    parts: int
    good_parts: int
    reject_parts: int
    borderline_parts: int
    borderline_failed: int
    escapes: int
    overkill: int
    reject_defects: int
    missed_defects: int
    false_findings: int
    part_recall: float
    defect_recall: float
    overkill_rate: float
    kind_right: float
    ms_p50: float
    ms_p99: float
    infer_ms_p50: float
    recall_by_kind: dict[str, float]
    rows: list[Row]


@dataclass(slots=True)
class Tally:
    """Counts as they come in; :meth:`report` sums up."""

    grades: Counter[Grade] = field(default_factory=Counter)
    failed: Counter[Grade] = field(default_factory=Counter)
    defects: Counter[tuple[str, int]] = field(default_factory=Counter)
    found: Counter[tuple[str, int]] = field(default_factory=Counter)
    right: Counter[tuple[str, int]] = field(default_factory=Counter)
    false_findings: int = 0
    total_ms: list[float] = field(default_factory=list)
    infer_ms: list[float] = field(default_factory=list)

    def add(self, part: Part, numbers: NDArray[np.uint8], prediction: Prediction, *, failed: bool) -> None:
        """One part, seen in one frame. ``numbers`` is :meth:`sims.scene.Scene.defect_map` of it."""
        truth = grade(part)
        self.grades[truth] += 1
        self.failed[truth] += failed
        timings = prediction.timings
        self.total_ms.append(timings.preprocess_ms + timings.infer_ms + timings.postprocess_ms)
        self.infer_ms.append(timings.infer_ms)
        hits = touched(numbers, prediction)
        self.false_findings += sum(not numbers_hit for numbers_hit in hits)
        for number, defect in enumerate(part.defects, 1):
            key = (defect.kind, bin_of(visible_size_mm(defect) / REJECT_SIZE_MM[defect.kind]))
            names = [name for name, hit in zip(prediction.names, hits, strict=True) if number in hit]
            self.defects[key] += 1
            self.found[key] += bool(names)
            self.right[key] += defect.kind in names

    def report(self) -> Report:
        """The figures of all parts so far."""
        must = range(next(i for i, (low, _) in enumerate(BINS) if low >= 1.0), len(BINS))
        count = {kind: sum(self.defects[kind, b] for b in must) for kind in KINDS}
        found = {kind: sum(self.found[kind, b] for b in must) for kind in KINDS}
        right = sum(self.right[kind, b] for kind in KINDS for b in must)
        rejects, good = self.grades["reject"], self.grades["good"]
        return Report(
            parts=self.grades.total(),
            good_parts=good,
            reject_parts=rejects,
            borderline_parts=self.grades["borderline"],
            borderline_failed=self.failed["borderline"],
            escapes=rejects - self.failed["reject"],
            overkill=self.failed["good"],
            reject_defects=sum(count.values()),
            missed_defects=sum(count.values()) - sum(found.values()),
            false_findings=self.false_findings,
            part_recall=_share(self.failed["reject"], rejects),
            defect_recall=_share(sum(found.values()), sum(count.values())),
            overkill_rate=_share(self.failed["good"], good),
            kind_right=_share(right, sum(found.values())),
            ms_p50=_percentile(self.total_ms, 50),
            ms_p99=_percentile(self.total_ms, 99),
            infer_ms_p50=_percentile(self.infer_ms, 50),
            recall_by_kind={kind: _share(found[kind], count[kind]) for kind in KINDS},
            rows=[
                Row(kind, *BINS[b], self.defects[kind, b], self.found[kind, b], self.right[kind, b])
                for kind in KINDS
                for b in range(len(BINS))
            ],
        )


def bin_of(share: float) -> int:
    """Index in BINS of a visible size given as a share of the reject size."""
    return next(i for i, (low, high) in enumerate(BINS) if low <= share < high or i == len(BINS) - 1)


def touched(numbers: NDArray[np.uint8], prediction: Prediction) -> list[set[int]]:
    """For each finding the numbers of the defects it lies on, or nearer to than a millimetre."""
    hits: list[set[int]] = []
    for polygon in prediction.polygons:
        points = np.rint(polygon).astype(np.int32)
        left, top, width, height = cv2.boundingRect(points)
        x0, y0 = max(0, left - _NEAR_PX), max(0, top - _NEAR_PX)
        window = numbers[y0 : top + height + _NEAR_PX, x0 : left + width + _NEAR_PX]
        inside = np.zeros(window.shape, np.uint8)
        cv2.fillPoly(inside, [points - np.array([x0, y0], np.int32)], 1)
        inside = cv2.dilate(inside, np.ones((2 * _NEAR_PX + 1,) * 2, np.uint8))
        hits.append({int(n) for n in np.unique(window[inside > 0]) if n})
    return hits


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


def _percentile(values: list[float], percent: float) -> float:
    return float(np.percentile(values, percent)) if values else 0.0
