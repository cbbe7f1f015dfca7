"""Rotated boxes against matrices, clipped polygons and a double loop."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.vision import heads
from edge.vision.conventions import YoloObbHead
from edge.vision.rotated import suppress_rotated
from edge.vision.spec import Thresholds
from tests.vision.plain import context, labels_of, random_boxes, same

SEEDS = st.integers(0, 10_000)
T = Thresholds(score=0.3, iou=0.45, labels={"label0": 0.4})


def corners(cx, cy, w, h, angle):
    """Each corner turned about the centre, clockwise as y goes down."""
    found = []
    for dx, dy in ((-w / 2, -h / 2), (w / 2, -h / 2), (w / 2, h / 2), (-w / 2, h / 2)):
        x = cx + dx * math.cos(angle) - dy * math.sin(angle)
        found.append((x, cy + dx * math.sin(angle) + dy * math.cos(angle)))
    return found


def clip(subject, window):
    """Sutherland and Hodgman: the part of a convex polygon inside another, both clockwise as y goes down."""
    for (ax, ay), (bx, by) in zip(window, window[1:] + window[:1], strict=True):
        side = [(bx - ax) * (y - ay) - (by - ay) * (x - ax) for x, y in subject]
        kept = []
        for i, (x, y) in enumerate(subject):
            px, py = subject[i - 1]
            if (side[i] >= 0) != (side[i - 1] >= 0):
                t = side[i - 1] / (side[i - 1] - side[i])
                kept.append((px + t * (x - px), py + t * (y - py)))
            if side[i] >= 0:
                kept.append((x, y))
        subject = kept
        if not subject:
            return []
    return subject


def area(polygon):
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(polygon, polygon[1:] + polygon[:1], strict=True))) / 2


def polygon_overlap(a, b):
    both = area(clip(corners(*a), corners(*b))) if clip(corners(*a), corners(*b)) else 0.0
    return both / (a[2] * a[3] + b[2] * b[3] - both)


def gaussian_overlap(a, b):
    """1 less the Hellinger distance of two Gaussians, straight from matrices."""
    matrices, means = [], []
    for cx, cy, w, h, angle in (a, b):
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        matrices.append(turn @ np.diag([w * w / 12, h * h / 12]) @ turn.T)
        means.append(np.array([cx, cy]))
    mean = (matrices[0] + matrices[1]) / 2
    step = means[0] - means[1]
    distance = step @ np.linalg.inv(mean) @ step / 8
    distance += math.log(np.linalg.det(mean) / math.sqrt(np.linalg.det(matrices[0]) * np.linalg.det(matrices[1]))) / 2
    return 1 - math.sqrt(max(0.0, 1 - math.exp(-distance)))


def plain_rotated(boxes, scores, labels, iou, overlap):
    kept = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        if all(labels[i] != labels[j] or overlap(boxes[i], boxes[j]) <= iou for j in kept):
            kept.append(i)
    return kept


@settings(max_examples=60)
@given(SEEDS, st.integers(0, 25), st.booleans())
def test_rotated_suppression(seed, n, exact):
    rng = np.random.default_rng(seed)
    boxes = np.concatenate([random_boxes(rng, n), rng.uniform(-2, 2, (n, 1))], axis=1).astype(np.float32)
    scores, labels = rng.permutation(n).astype(np.float32) / max(n, 1), rng.integers(0, 2, n)
    overlap = polygon_overlap if exact else gaussian_overlap
    expected = plain_rotated(boxes.astype(float).tolist(), scores.tolist(), labels.tolist(), 0.4, overlap)
    assert suppress_rotated(boxes, scores, labels, 0.4, exact=exact).tolist() == expected


@settings(max_examples=60)
@given(SEEDS, st.integers(1, 4), st.sampled_from(["v8", "end2end"]))
def test_rotated_boxes(seed, classes, layout):
    rng = np.random.default_rng(seed)
    n = 40
    five = np.concatenate([random_boxes(rng, n), rng.uniform(-1, 2, (n, 1))], axis=1).astype(np.float32)
    raw = rng.uniform(0, 0.7, (n, classes)).astype(np.float32)
    best, top = raw.argmax(axis=1), raw.max(axis=1)
    if layout == "v8":
        output = np.concatenate([five[:, :4], raw, five[:, 4:]], axis=1).T[None]
    else:
        output = np.concatenate([five[:, :4], top[:, None], best[:, None], five[:, 4:]], axis=1)[None]
    found = heads.decode(YoloObbHead(layout=layout), {"o": output.astype(np.float32)}, context(classes, T))

    limit = [np.float32(T.labels.get(label, T.score)) for label in labels_of(classes)]
    strong = [i for i in range(n) if top[i] >= limit[best[i]]]
    order = sorted(strong, key=lambda i: -top[i])
    if layout == "v8":
        boxes = [five[i].tolist() for i in strong]
        kept = plain_rotated(boxes, top[strong].tolist(), best[strong].tolist(), T.iou, gaussian_overlap)
        order = [strong[k] for k in kept]
    rows = []
    for i in order:
        quad = [((x - 0) / 0.32, (y - 16) / 0.32) for x, y in corners(*five[i].tolist())]
        xs = [min(max(x, 0), 200) for x, _ in quad]
        ys = [min(max(y, 0), 100) for _, y in quad]
        if max(xs) > min(xs) and max(ys) > min(ys):
            rows.append((f"label{best[i]}", top[i], (min(xs), min(ys), max(xs), max(ys)), quad))
    same(found, rows)
    np.testing.assert_allclose(found.quads, np.array([r[3] for r in rows]).reshape(-1, 4, 2), atol=0.01)
    np.testing.assert_allclose(found.areas_px, [area(r[3]) for r in rows], rtol=1e-4)
