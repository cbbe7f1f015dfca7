"""From a 1280 x 720 frame to detections around the model: preprocess, decode and suppression of a 640 px `[1, 84, 8400]`.

Ours beside hand-written ways with OpenCV and numpy, of which the fastest is the measure, and beside the ways that
tutorials show, of which the slowest is. All give the same boxes; that is checked before anything is measured.

Usage: python bench/heads.py [--json] [--rounds 5]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import figures
import numpy as np
from figures import Row
from numpy.typing import NDArray

from edge.vision import heads
from edge.vision.conventions import YoloV8Head
from edge.vision.geometry import fit
from edge.vision.preprocess import Preprocessor
from edge.vision.spec import InputSpec, Thresholds

WIDTH_PX, HEIGHT_PX, SIDE_PX = 1280, 720, 640
LABELS, CELLS = 80, 8400
SCORE, IOU = 0.25, 0.5
RATIO = SIDE_PX / WIDTH_PX
TOP = (SIDE_PX - HEIGHT_PX * SIDE_PX // WIDTH_PX) // 2
USUAL = 60
"""Candidates above the threshold: a dozen objects, several cells each."""
TURN_MS = 3.0
COUNTS = (0, 10, 60, 200, 1000, 3000)

Found = list[tuple[int, float, tuple[float, ...]]]
Floats = NDArray[np.float32]


def output(candidates: int, seed: int = 5) -> Floats:
    """What a detector says: noise below the threshold, and so many candidates, five around each object."""
    rng = np.random.default_rng(seed)
    made = np.empty((1, 4 + LABELS, CELLS), np.float32)
    made[0, :2] = rng.uniform(0, SIDE_PX, (2, CELLS))
    made[0, 2:4] = rng.uniform(8, 120, (2, CELLS))
    made[0, 4:] = rng.uniform(0, 0.05, (LABELS, CELLS))
    columns = rng.permutation(CELLS)[:candidates]
    objects = max(1, candidates // 5)
    centre = np.stack([rng.uniform(40, 600, objects), rng.uniform(TOP + 20, SIDE_PX - TOP - 20, objects)])
    size, label = rng.uniform(20, 120, (2, objects)), rng.integers(0, LABELS, objects)
    which = np.arange(candidates) % objects
    made[0, :2, columns] = (centre[:, which] + rng.normal(0, 1.5, (2, candidates))).T
    made[0, 2:4, columns] = (size[:, which] * rng.uniform(0.95, 1.05, (2, candidates))).T
    made[0, 4 + label[which], columns] = rng.permutation(np.linspace(0.3, 0.95, candidates))
    return made


# Ways in. Each returns the blob.


def in_fresh(frame: NDArray[np.uint8]) -> Floats:
    """The tutorial's: fresh arrays all along."""
    small = cv2.resize(frame, (SIDE_PX, HEIGHT_PX * SIDE_PX // WIDTH_PX))
    padded = np.full((SIDE_PX, SIDE_PX, 3), 114, np.uint8)
    padded[TOP : TOP + small.shape[0]] = small
    return np.ascontiguousarray(padded[:, :, ::-1].transpose(2, 0, 1)[None], np.float32) / 255


def in_blob(frame: NDArray[np.uint8]) -> Floats:
    """``blobFromImage`` after a letterbox."""
    small = cv2.resize(frame, (SIDE_PX, HEIGHT_PX * SIDE_PX // WIDTH_PX))
    padded = cv2.copyMakeBorder(small, TOP, TOP, 0, 0, cv2.BORDER_CONSTANT, value=(114, 114, 114))
    return np.asarray(cv2.dnn.blobFromImage(padded, 1 / 255, swapRB=True))


class Kept:
    """By hand, with memory that is there already: resize into it, split into planes, one pass each."""

    def __init__(self, *, add: bool) -> None:
        self.add = add
        self.small = np.empty((HEIGHT_PX * SIDE_PX // WIDTH_PX, SIDE_PX, 3), np.uint8)
        self.planes = [np.empty(self.small.shape[:2], np.uint8) for _ in range(3)]
        self.blob = np.full((1, 3, SIDE_PX, SIDE_PX), 114 / 255, np.float32)
        self.inner = self.blob[0, :, TOP : TOP + self.small.shape[0]]

    def __call__(self, frame: NDArray[np.uint8]) -> Floats:
        cv2.resize(frame, (SIDE_PX, self.small.shape[0]), dst=self.small)
        cv2.split(self.small, self.planes)
        for channel, plane in enumerate(reversed(self.planes)):
            if self.add:
                cv2.addWeighted(plane, 1 / 255, plane, 0.0, 0.0, dst=self.inner[channel], dtype=cv2.CV_32F)
            else:
                np.multiply(plane, np.float32(1 / 255), out=self.inner[channel])
        return self.blob


# Ways out. Each returns label, score and box in frame pixels, likeliest first.


def out_rows(raw: Floats) -> Found:
    """The tutorial's: a Python loop over transposed rows, ``minMaxLoc``, lists, ``NMSBoxes``."""
    boxes: list[list[float]] = []
    scores, labels = [], []
    for row in raw[0].T:
        classes = row[4:]
        _, score, _, where = cv2.minMaxLoc(classes)
        if score >= SCORE:
            cx, cy, w, h = row[:4]
            boxes.append([cx - w / 2, cy - h / 2, w, h])
            scores.append(score)
            labels.append(max(where))  # a row or a column, as the version has it
    if not boxes:
        return []
    moved = [[b[0] + 4096 * k, b[1], b[2], b[3]] for b, k in zip(boxes, labels, strict=True)]
    kept = np.array(cv2.dnn.NMSBoxes(moved, scores, SCORE, IOU)).reshape(-1)
    return [(labels[i], float(scores[i]), to_frame(*boxes[i])) for i in kept]


def out_numpy(raw: Floats) -> Found:
    """Vectorised as most write it: transpose, ``max`` and ``argmax`` over all, then the rest."""
    rows = raw[0].T
    scores, labels = rows[:, 4:].max(axis=1), rows[:, 4:].argmax(axis=1)
    keep = scores >= SCORE
    return _suppressed(rows[keep, :4], scores[keep], labels[keep])


def out_columns(raw: Floats) -> Found:
    """The maximum along columns first, by OpenCV, everything else for what is left."""
    best = np.asarray(cv2.reduce(raw[0, 4:], 0, cv2.REDUCE_MAX))[0]
    keep = np.flatnonzero(best >= SCORE)
    picked = raw[0].take(keep, axis=1)
    return _suppressed(picked[:4].T, best[keep], picked[4:].argmax(axis=0))


def out_columns_numpy(raw: Floats) -> Found:
    """The same with numpy's maximum and a mask."""
    best = raw[0, 4:].max(axis=0)
    keep = np.flatnonzero(best >= SCORE)
    picked = raw[0][:, keep]
    return _suppressed(picked[:4].T, best[keep], picked[4:].argmax(axis=0))


def _suppressed(xywh: Floats, scores: Floats, labels: NDArray[Any]) -> Found:
    if not len(scores):
        return []
    boxes = xywh.astype(np.float64)
    boxes[:, :2] -= boxes[:, 2:] / 2
    kept = np.asarray(cv2.dnn.NMSBoxesBatched(boxes, scores, labels.astype(np.int32), SCORE - 1e-6, IOU))
    chosen = boxes[kept]
    chosen[:, 2:] += chosen[:, :2]
    chosen[:, 1::2] -= TOP
    chosen /= RATIO
    np.clip(chosen, 0, [WIDTH_PX, HEIGHT_PX] * 2, out=chosen)
    return list(zip(labels[kept].tolist(), scores[kept].tolist(), map(tuple, chosen.tolist()), strict=True))


def to_frame(left: float, top: float, width: float, height: float) -> tuple[float, ...]:
    """Out of the letterbox, inside the frame."""
    box = (left, top - TOP, left + width, top + height - TOP)
    return tuple(min(max(v / RATIO, 0), s) for v, s in zip(box, (WIDTH_PX, HEIGHT_PX) * 2, strict=True))


class Ours:
    """What a predictor does around the run."""

    def __init__(self) -> None:
        spec = InputSpec(width_px=SIDE_PX, height_px=SIDE_PX)
        labels = tuple(map(str, range(LABELS)))
        thresholds = Thresholds(score=SCORE, iou=IOU)
        self.preprocessor, self.geometry = Preprocessor(spec), fit(spec, WIDTH_PX, HEIGHT_PX)
        self.workspace, self.head = self.preprocessor.workspace(), YoloV8Head()
        self.context = heads.Context(self.geometry, labels, thresholds, heads.limits_of(labels, thresholds))

    def way_in(self, frame: NDArray[np.uint8]) -> Floats:
        self.preprocessor(frame, self.workspace)
        return self.workspace.blob

    def way_out(self, raw: Floats) -> Any:
        return heads.decode(self.head, {"output0": raw}, self.context)

    def found(self, raw: Floats) -> Found:
        p = self.way_out(raw)
        return list(zip(p.label_ids.tolist(), p.scores.tolist(), map(tuple, p.boxes.tolist()), strict=True))


def ms(ways: dict[str, Callable[[], Any]], seconds: float = 0.8) -> dict[str, float]:
    """Milliseconds a call, the lowest tenth, taken in turns of some calls each: in turns, so that what else happens
    happens to all, and of some calls, so that none pays for what another left in the caches.
    """
    took: dict[str, list[float]] = {name: [] for name in ways}
    calls = {name: max(1, round(TURN_MS / _once_ms(call))) for name, call in ways.items()}
    end = time.perf_counter() + seconds * len(ways)
    while time.perf_counter() < end or min(map(len, took.values())) < 10:
        for name, call in ways.items():
            call()
            began = time.perf_counter()
            for _ in range(calls[name]):
                call()
            took[name].append(1e3 * (time.perf_counter() - began) / calls[name])
    return {name: float(np.quantile(values, 0.1)) for name, values in took.items()}


def _once_ms(call: Callable[[], Any]) -> float:
    call()
    began = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - began)


def check(ours: Ours, frame: NDArray[np.uint8]) -> None:
    """Nothing is compared that does not give the same."""
    for way in (in_fresh, in_blob, Kept(add=True), Kept(add=False)):
        np.testing.assert_allclose(way(frame), ours.way_in(frame), atol=2e-6)
    for candidates in COUNTS[:-2]:  # more than 300 are counted and not given
        raw = output(candidates)
        wanted = ours.found(raw)
        for out in (out_rows, out_numpy, out_columns, out_columns_numpy):
            found = out(raw)
            assert [f[0] for f in found] == [w[0] for w in wanted], (out.__name__, candidates)
            for f, w in zip(found, wanted, strict=True):
                np.testing.assert_allclose(f[2], w[2], atol=0.02)


def measure(args: argparse.Namespace, _folder: Path) -> list[Row]:
    frame = np.random.default_rng(1).integers(0, 255, (HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    ours = Ours()
    check(ours, frame)
    raw = output(USUAL)
    ins: dict[str, Callable[[Any], Any]] = {
        "kept memory, OpenCV": Kept(add=True),
        "kept memory, numpy": Kept(add=False),
        "blobFromImage": in_blob,
        "fresh numpy": in_fresh,
        "ours": ours.way_in,
    }
    outs: dict[str, Callable[[Any], Any]] = {
        "columns, OpenCV": out_columns,
        "columns, numpy": out_columns_numpy,
        "transposed, numpy": out_numpy,
        "row loop": out_rows,
        "ours": ours.way_out,
    }
    rounds = []
    for _ in range(args.rounds):
        took_in = ms({name: lambda way=way: way(frame) for name, way in ins.items()})
        took_out = ms({name: lambda way=way: way(raw) for name, way in outs.items()})
        rounds.append((took_in, took_out))
    rows = [Row(f"in: {name}", figures.median([r[0][name] for r in rounds]), unit="ms") for name in ins]
    rows += [Row(f"out: {name}", figures.median([r[1][name] for r in rounds]), unit="ms") for name in outs]
    totals = [
        (i["ours"] + o["ours"], _without(i, min) + _without(o, min), _without(i, max) + _without(o, max))
        for i, o in rounds
    ]
    rows += [
        Row("both: ours", figures.median([t[0] for t in totals]), unit="ms"),
        Row("both: best by hand", figures.median([t[1] for t in totals]), unit="ms"),
        Row("ours to the best by hand", figures.median([t[0] / t[1] for t in totals]), 1.1, unit="times"),
        Row("slowest common way to ours", figures.median([t[2] / t[0] for t in totals]), 3.0, least=True, unit="times"),
    ]
    raws = {candidates: output(candidates) for candidates in COUNTS}
    grown = ms({str(n): lambda raw=raw: ours.way_out(raw) for n, raw in raws.items()}, 0.3)
    return rows + [Row(f"out: ours with {n} candidates", took, unit="ms") for n, took in grown.items()]


def _without(took: dict[str, float], of: Callable[[list[float]], float]) -> float:
    return of([value for name, value in took.items() if name != "ours"])


if __name__ == "__main__":
    figures.main(measure, figures.parser(__doc__).parse_args())
