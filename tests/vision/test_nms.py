"""Suppression against a plain double loop."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.vision.nms import MAX_CANDIDATES, suppress


def overlap(a: list[float], b: list[float]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def plain(boxes, scores, labels, iou):
    kept = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        if all(labels[i] != labels[j] or overlap(boxes[i], boxes[j]) <= iou for j in kept):
            kept.append(i)
    return kept


@settings(max_examples=150)
@given(st.integers(0, 60), st.integers(1, 4), st.sampled_from([0.0, 0.3, 0.45, 0.5, 0.7, 1.0]), st.integers(0, 10_000))
def test_keeps_what_the_double_loop_keeps(n, classes, iou, seed):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(-20, 100, (n, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(1, 60, (n, 2))], axis=1).astype(np.float32)
    scores, labels = rng.permutation(n).astype(np.float32) / max(n, 1), rng.integers(0, classes, n)
    kept = suppress(np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1), scores, labels, iou)
    assert kept.tolist() == plain(boxes.astype(float).tolist(), scores.tolist(), labels.tolist(), iou)


def test_of_endless_candidates_the_likeliest_are_looked_at():
    n = MAX_CANDIDATES + 500
    corner = np.arange(n, dtype=np.float32)[:, None] * np.array([[10, 0]], np.float32)
    boxes = np.concatenate([corner, np.full_like(corner, 5)], axis=1)
    kept = suppress(boxes, np.linspace(0, 1, n, dtype=np.float32), np.zeros(n, np.int64), 0.5)
    assert kept.tolist() == list(range(n - 1, 499, -1))
