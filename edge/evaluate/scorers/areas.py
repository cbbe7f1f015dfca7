"""Areas: semantic segmentation and anomaly maps, by pixel, by region and by picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.evaluate.inspection import bad_score, rows_that_count, truth_is_bad
from edge.evaluate.metrics.confusion import mean
from edge.evaluate.metrics.heat import HeatCounts
from edge.evaluate.metrics.intervals import share_of
from edge.evaluate.metrics.pixels import IGNORE, Region, false_regions, iou_and_dice, pixel_counts, regions_of
from edge.evaluate.names import Names
from edge.evaluate.results import Figure, Matrix, Record, Scored, Table
from edge.evaluate.scorers.base import Seen, recall_by_size
from edge.evaluate.shapes import found_mask, mask_of

_OWN_SCALE = (0.55, 0.67)
"""Where the highest value of a map is that is drawn on its own scale (two thirds, less what resampling takes off): if
all maps' are there, they have no scale in common and cannot be put together.
"""


class AreaScorer:
    """``classes`` are the data set's, in the order of its masks' numbers. ``pixels`` is false where no truth has any."""

    def __init__(self, names: Names, classes: tuple[str, ...], confidence: float) -> None:
        self._names = names
        self._classes = classes
        self._confidence = confidence
        n = len(names.labels)
        self._counts = np.zeros((n + 1, n + 1), np.int64)
        self._regions: list[Region] = []
        self._heat = HeatCounts()
        self._own_scales = True
        self._anomaly = False
        self._marked = 0
        self._false = 0
        self._judged = 0
        self._numbers = {} if names.agnostic else {name: number + 1 for name, number in names.numbers.items()}

    def take(self, seen: Seen) -> Record:
        sample, names = seen.sample, self._names
        known = sample.has_mask or sample.things is not None
        numbers = self._numbers
        if names.agnostic:
            numbers = dict.fromkeys(self._classes, 1) | {thing.label: 1 for thing in sample.things or ()}
        marked, note, fault = None, f"is {sample.label}", 0.0
        if known:
            true = mask_of(sample, seen.height, seen.width, numbers, self._classes)
            # A picture with nothing but what nobody can judge is neither good nor bad.
            marked = True if (true > 0).any() else None if (true == IGNORE).any() else False
            note, fault = self._take_pixels(true, found_mask(seen.found, {} if names.agnostic else self._numbers))
            self._take_heat(seen, true)
        bad = truth_is_bad(sample, names, marked)
        anomaly = seen.found.anomaly
        self._marked += len(seen.found)
        if anomaly is not None:
            self._anomaly = True
            known_limit = anomaly.threshold != float("inf")
            rejected = anomaly.score >= anomaly.threshold if known_limit else None
            if not known_limit and not len(seen.found):
                # Nothing could be marked: what the pixels say is not the model's fault.
                note, fault = f"is {sample.label or ('bad' if bad else 'good')}", 0.0
            note = f"{note}; score {anomaly.score:.4g}"
            return Record(seen.index, sample.name, bad, float(anomaly.score), rejected, fault, note)
        rejected = bool(rows_that_count(seen.found, names))
        return Record(seen.index, sample.name, bad, bad_score(seen.low, names, seen.again), rejected, fault, note)

    def _take_heat(self, seen: Seen, true: NDArray[np.int16]) -> None:
        anomaly = seen.found.anomaly
        if anomaly is not None and anomaly.heat is not None:
            self._own_scales &= _OWN_SCALE[0] < float(anomaly.heat.max()) < _OWN_SCALE[1]
            heat = cv2.resize(anomaly.heat, (seen.width, seen.height), interpolation=cv2.INTER_LINEAR)
            self._heat.add(np.asarray(heat, np.float32), true)

    def _take_pixels(self, true: NDArray[np.int16], found: NDArray[np.int16]) -> tuple[str, float]:
        """Counts; words and how wrong it is: 1 - Dice of what is marked, in any class."""
        self._counts += pixel_counts(true, found, len(self._names.labels))
        regions = regions_of(true, found)
        false = false_regions(true, found)
        self._regions += regions
        self._false += false
        self._judged += 1
        counted = true != IGNORE
        both = int(((true > 0) & (found == np.maximum(true, 0))).sum())
        sizes = int((true > 0).sum()) + int(((found > 0) & counted).sum())
        missed = sum(region.covered == 0 for region in regions)
        note = f"{len(regions)} regions, {missed} missed, {false} false"
        if not regions:
            # Without a true region Dice is 0 for a single pixel too many: only whole false regions count.
            return note, 1.0 if false else 0.0
        dice = 2 * both / sizes
        return f"{note}; Dice {dice:.2f}", 1.0 - dice

    def _add_heat(self, out: Scored) -> None:
        pixel_auroc = self._heat.pixel_auroc()
        if pixel_auroc is None:
            return
        if self._own_scales:
            out.notes.append("maps are left out: without a threshold each is on a scale of its own")
            return
        about = "the map's value of a bad pixel above that of a good one"
        out.figures.append(Figure("pixel_auroc", "AUROC of pixels", pixel_auroc, about, percent=False))
        about = "mean overlap of true regions over good pixels marked, area up to 30 % of them"
        out.figures.append(Figure("aupro", "AUPRO at 0.3", self._heat.region_overlap(), about, percent=False))

    def scored(self) -> Scored:
        out = Scored()
        if not self._judged:
            return out
        self._add_heat(out)
        if self._anomaly and not self._marked:
            out.notes.append(
                "no place was marked in any picture: figures by pixel are left out (see thresholds.anomaly_map)"
            )
            return out
        ious, dices = iou_and_dice(self._counts)
        labels = self._names.labels
        there = [n for n in range(1, len(labels) + 1) if self._counts[n].sum()]
        agree = int(np.trace(self._counts))
        hit = [region.covered > 0 for region in self._regions]
        recall = share_of(sum(hit), len(hit), self._confidence)
        out.figures += [
            Figure("mean_iou", "mean IoU of classes", mean([ious[n] for n in there]), "pixels, classes that are there"),
            Figure("mean_dice", "mean Dice of classes", mean([dices[n] for n in there])),
            Figure("pixel_accuracy", "pixels right", agree / max(int(self._counts.sum()), 1), "background included"),
            Figure(
                "region_recall", "regions found", recall.share, "true regions that a mark touches, any class", recall
            ),
            Figure(
                "region_overlap",
                "per-region overlap",
                mean([region.covered for region in self._regions]),
                "mean over true regions of the share that is marked, whatever their size",
            ),
            Figure("false_regions", "false regions a picture", self._false / self._judged, percent=False),
        ]
        rows = []
        for n in sorted({*there, *np.flatnonzero(self._counts.sum(axis=0))} - {0}):
            own = [region for region in self._regions if region.class_no == n]
            found = sum(region.covered > 0 for region in own)
            share = found / len(own) if own else None
            rows.append((labels[n - 1], ious[n], dices[n], len(own), found, share))
        columns = ("class", "IoU", "Dice", "regions", "touched", "recall")
        out.tables.append(
            Table("classes", "Classes", "by pixel, and by connected region of the truth", columns, tuple(rows))
        )
        sizes = recall_by_size([r.side_px for r in self._regions], hit, "true regions that a mark touches")
        out.tables += [sizes] if sizes else []
        used = [0, *sorted({*there, *np.flatnonzero(self._counts.sum(axis=0)).tolist()} - {0})]
        if len(labels) > 1:
            out.matrix = Matrix(tuple(["nothing", *labels][i] for i in used), self._counts[np.ix_(used, used)])
        return out
