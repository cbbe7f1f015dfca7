"""What tests of heads share: the dull way from candidates to detections, one row after the other."""

from __future__ import annotations

import math

import numpy as np

from edge.vision import heads
from edge.vision.geometry import fit
from edge.vision.spec import InputSpec, Thresholds
from tests.vision.test_nms import overlap
from tests.vision.test_nms import plain as plain_nms

FRAME = (200, 100)
SIDE = 64


def sigmoid(x):
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def softmax(values):
    peak = max(values)
    powers = [math.exp(v - peak) for v in values]
    return [p / sum(powers) for p in powers]


def labels_of(n):
    return tuple(f"label{i}" for i in range(n))


def context(n_labels, thresholds=None, frame=FRAME, side=SIDE):
    labels, thresholds = labels_of(n_labels), thresholds or Thresholds()
    geometry = fit(InputSpec(width_px=side, height_px=side), *frame)
    return heads.Context(geometry, labels, thresholds, heads.limits_of(labels, thresholds))


def to_frame(x, y, frame=FRAME, side=SIDE):
    """One ratio and one padding: a letterbox."""
    ratio = min(side / frame[0], side / frame[1])
    left, top = (side - int(frame[0] * ratio + 0.5)) // 2, (side - int(frame[1] * ratio + 0.5)) // 2
    return min(max((x - left) / ratio, 0), frame[0]), min(max((y - top) / ratio, 0), frame[1])


def detections(candidates, thresholds, n_labels, *, suppress=True):
    """``candidates``: rows of (x1, y1, x2, y2 in input pixels), score, label number. The rows that are found, as label,
    score, box in frame pixels, and the number of the candidate.
    """
    labels = labels_of(n_labels)
    strong = [
        (number, *row)
        for number, row in enumerate(candidates)
        if row[1] >= np.float32(thresholds.labels.get(labels[row[2]], thresholds.score))
    ]
    order = sorted(range(len(strong)), key=lambda i: -strong[i][2])
    if suppress:
        order = plain_nms([list(s[1]) for s in strong], [s[2] for s in strong], [s[3] for s in strong], thresholds.iou)
    rows = []
    for number, box, score, label in (strong[i] for i in order):
        x0, y0 = to_frame(box[0], box[1])
        x1, y1 = to_frame(box[2], box[3])
        if x1 > x0 and y1 > y0:
            rows.append((labels[label], score, (x0, y0, x1, y1), number))
    return rows


def same(found, expected):
    """Boxes to a thousandth of overlap, scores to a thousandth; stricter than the promise, as rounding allows it."""
    assert found.names == [e[0] for e in expected]
    np.testing.assert_allclose(found.scores, [e[1] for e in expected], atol=1e-3)
    for box, row in zip(found.boxes.tolist(), expected, strict=True):
        close = np.allclose(box, row[2], atol=5e-3)  # a sliver at the border has no overlap worth the name
        assert close or overlap(box, list(row[2])) > 0.999
    assert (np.diff(found.scores) <= 1e-6).all()


def centred(cx, cy, w, h):
    return (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)


def random_boxes(rng, n, side=SIDE):
    """``cx, cy, w, h`` ``(n, 4)``."""
    return np.concatenate([rng.uniform(0, side, (n, 2)), rng.uniform(4, side * 0.6, (n, 2))], axis=1)
