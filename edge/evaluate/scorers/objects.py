"""Objects: boxes, outlines (instances) and key points, by COCO's rules, and at the working thresholds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.evaluate.inspection import bad_score, rows_that_count, truth_is_bad
from edge.evaluate.metrics import coco
from edge.evaluate.metrics.confusion import figures as class_figures
from edge.evaluate.metrics.overlap import box_overlap, oks, over
from edge.evaluate.names import Names
from edge.evaluate.results import Figure, Matrix, Plot, Record, Scored, Table
from edge.evaluate.scorers.base import Seen, recall_by_size
from edge.evaluate.shapes import Truth, found_patches, shared, truth_of
from edge.vision.prediction import Prediction

_HALF = np.array([0.5])
_SHOWN_CURVES = 5
_NOTHING = "nothing"


@dataclass(slots=True)
class _Working:
    """Counts at the working thresholds, a true object being found at overlap 0.5."""

    there: Counter[int]
    said: Counter[int]
    right: Counter[int]
    sides_px: list[float]
    found: list[bool]


class ObjectScorer:
    """Detections, and masks or points where model and data set both have them."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._boxes: list[coco.Pairing] = []
        self._masks: list[coco.Pairing] = []
        self._points: list[coco.Pairing] = []
        self._plain = self._outlined = self._pointed = True
        self._working = _Working(Counter(), Counter(), Counter(), [], [])
        n = len(names.labels)
        self._matrix = np.zeros((n + 1, n + 1), np.int64)

    def take(self, seen: Seen) -> Record:
        names = self._names
        truth = truth_of(seen.sample, seen.height, seen.width, seen.sample.label or names.labels[0])
        true_ids = np.array([names.number(label) for label in truth.labels], np.int64)
        top = seen.low.take(np.arange(min(len(seen.low), 300)))
        boxes = _pairing(top, truth, true_ids, names, box_overlap(top.boxes, truth.boxes, truth.crowd))
        self._boxes.append(boxes)
        self._take_masks(top, truth, true_ids, boxes)
        self._take_points(top, truth, true_ids)
        missed, false = self._take_working(seen.found, truth, true_ids)
        rejects = bool(rows_that_count(seen.found, names))
        bad = truth_is_bad(seen.sample, names, marked=bool((~truth.crowd).any()))
        counts = Counter(truth.labels[i] for i in np.flatnonzero(~truth.crowd).tolist())
        words = [f"{n} {name}" for name, n in counts.most_common(4)]
        note = f"has {', '.join(words) or _NOTHING}; {missed} missed, {false} wrong"
        return Record(
            seen.index,
            seen.sample.name,
            bad,
            bad_score(seen.low, names, seen.again),
            rejects,
            missed + 0.9 * false,
            note,
        )

    def _take_masks(self, top: Prediction, truth: Truth, true_ids: NDArray[np.int64], boxes: coco.Pairing) -> None:
        if len(top) and not (top.instances or top.task == "segment"):
            self._outlined = False
        if truth.patches is None and len(truth.labels):
            self._outlined = False
        if not self._outlined:
            return
        found = found_patches(top) if len(top) else ()
        true = truth.patches or ()
        inside = shared(found, true, boxes.overlaps > 0)
        areas = np.array([p.area for p in found], np.float64), np.array([p.area for p in true], np.float64)
        pairing = _pairing(top, truth, true_ids, self._names, over(inside, *areas, truth.crowd))
        self._masks.append(pairing)

    def _take_points(self, top: Prediction, truth: Truth, true_ids: NDArray[np.int64]) -> None:
        points = top.keypoints
        fits = points is not None and (truth.points is None or truth.points.shape[1] == points.shape[1])
        if (len(top) and not fits) or (len(truth.labels) and truth.points is None):
            self._pointed = False
        if not self._pointed:
            return
        overlaps = np.zeros((len(top), len(truth.labels)))
        crowd = truth.crowd
        if points is not None and truth.points is not None:
            overlaps = oks(points, truth.points, truth.areas_px, truth.boxes)
            crowd = crowd | ~(truth.points[:, :, 2] > 0).any(axis=1)  # an object without a marked point is not judged
        hidden = Truth(truth.labels, truth.boxes, truth.areas_px, crowd)
        self._points.append(_pairing(top, hidden, true_ids, self._names, overlaps))

    def _take_working(self, found: Prediction, truth: Truth, true_ids: NDArray[np.int64]) -> tuple[int, int]:
        """Counts; returns how many were missed and how many are wrong."""
        overlaps = box_overlap(found.boxes, truth.boxes, truth.crowd)
        said_ids = np.array([self._names.number(name) for name in found.names], np.int64)
        same = said_ids[:, None] == true_ids[None, :]
        taken = coco.match(np.where(same, overlaps, -1.0), truth.crowd, truth.crowd, _HALF)[0]
        in_crowd = np.where(taken >= 0, truth.crowd[taken] if len(truth.labels) else False, False)
        hits = (taken >= 0) & ~in_crowd
        work = self._working
        counted = np.flatnonzero(~truth.crowd)
        work.there.update(true_ids[counted].tolist())
        work.said.update(said_ids[~in_crowd].tolist())
        work.right.update(said_ids[hits].tolist())
        got = set(taken[hits].tolist())
        work.sides_px += np.sqrt(np.maximum(truth.areas_px[counted], 0)).tolist()
        work.found += [i in got for i in counted.tolist()]
        self._take_matrix(overlaps, said_ids, true_ids, truth.crowd)
        return len(counted) - len(got), int((~hits & ~in_crowd).sum())

    def _take_matrix(
        self, overlaps: NDArray[np.float64], said: NDArray[np.int64], true: NDArray[np.int64], crowd: NDArray[np.bool_]
    ) -> None:
        """What was taken for what: pairs by overlap alone, the right class first."""
        nothing = len(self._names.labels)
        worth = overlaps + np.where(said[:, None] == true[None, :], 1e-6, 0.0)
        taken = coco.match(worth, crowd, crowd, _HALF)[0]
        for row, at in enumerate(taken.tolist()):
            if at < 0:
                self._matrix[nothing, said[row]] += 1
            elif not crowd[at]:
                self._matrix[true[at], said[row]] += 1
        for at in sorted(set(np.flatnonzero(~crowd).tolist()) - set(taken.tolist())):
            self._matrix[true[at], nothing] += 1

    def scored(self) -> Scored:
        out = Scored()
        all_sizes = coco.curves(self._boxes)
        ap, ap50 = coco.mean_ap(all_sizes)
        out.figures += [
            Figure("map50", "mAP at overlap 0.5", ap50, "boxes, COCO's rules"),
            Figure("map", "mAP at 0.5 to 0.95", ap, "boxes, COCO's rules"),
        ]
        for size in ("small", "medium", "large"):
            value, _ = coco.mean_ap(coco.curves(self._boxes, size))
            out.figures.append(
                Figure(f"map_{size}", f"mAP of {size} objects", value, "area below 32², below 96², above")
            )
        kinds: list[tuple[str, bool, list[coco.Pairing], int]] = [
            ("mask", self._outlined, self._masks, coco.MAX_DETECTIONS),
            ("points", self._pointed, self._points, 20),
        ]
        for what, there, images, most in kinds:
            if there and any(len(image.true_ids) for image in images):
                value, half = coco.mean_ap(coco.curves(images, max_detections=most))
                out.figures.append(Figure(f"{what}_map50", f"mAP of {what} at 0.5", half))
                out.figures.append(Figure(f"{what}_map", f"mAP of {what} at 0.5 to 0.95", value))
        self._add_working(out, all_sizes)
        out.plots.append(self._pr_plot(all_sizes))
        used = [
            *np.flatnonzero(self._matrix[:-1].sum(axis=1) + self._matrix[:, :-1].sum(axis=0)),
            len(self._names.labels),
        ]
        labels = (*self._names.labels, _NOTHING)
        out.matrix = Matrix(tuple(labels[i] for i in used), self._matrix[np.ix_(used, used)])
        return out

    def _add_working(self, out: Scored, curves: dict[int, coco.ClassCurve]) -> None:
        work, labels = self._working, self._names.labels
        total = class_figures("all", work.there.total(), work.said.total(), work.right.total())
        about = "at the working thresholds, overlap 0.5 and more"
        out.figures.append(Figure("precision", "precision", total.precision, about))
        out.figures.append(Figure("recall", "recall", total.recall, about))
        rows = []
        for number in sorted(set(work.there) | set(work.said)):
            one = class_figures(labels[number], work.there[number], work.said[number], work.right[number])
            curve = curves.get(number)
            aps = (None, None) if curve is None else (curve.ap50, curve.ap)
            rows.append((one.label, one.support, one.found, one.precision, one.recall, one.f1, *aps))
        columns = ("class", "there", "found", "precision", "recall", "F1", "AP at 0.5", "AP")
        out.tables.append(Table("classes", "Classes", f"precision and recall {about}", columns, tuple(rows)))
        sizes = recall_by_size(work.sides_px, work.found, f"true objects found, {about}")
        out.tables += [sizes] if sizes else []

    def _pr_plot(self, curves: dict[int, coco.ClassCurve]) -> Plot:
        recalls = tuple(coco.RECALLS.tolist())
        series = []
        if curves:
            series.append(("mean", recalls, tuple(np.mean([c.precision[0] for c in curves.values()], axis=0).tolist())))
        if len(curves) > 1:
            worst = sorted(curves, key=lambda n: curves[n].ap50)[:_SHOWN_CURVES]
            series += [(self._names.labels[n], recalls, tuple(curves[n].precision[0].tolist())) for n in worst]
        about = "at overlap 0.5: the mean of classes, and the weakest classes"
        return Plot("Precision over recall", about, "recall", "precision", tuple(series))


def _pairing(
    top: Prediction, truth: Truth, true_ids: NDArray[np.int64], names: Names, overlaps: NDArray[np.float64]
) -> coco.Pairing:
    sides = top.boxes[:, 2:] - top.boxes[:, :2]
    areas = top.areas_px if top.instances or top.task == "segment" else sides.prod(axis=1)
    found_ids = np.array([names.number(name) for name in top.names], np.int64)
    scores = top.scores.astype(np.float64)
    return coco.Pairing(
        scores, found_ids, np.asarray(areas, np.float64), true_ids, truth.crowd, truth.areas_px, overlaps
    )


Overlap = Callable[[Prediction, Truth], NDArray[np.float64]]
