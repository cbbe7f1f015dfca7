"""Rotated boxes: corners, overlaps, suppression.

Boxes are float32 ``(n, 5)``: cx, cy, w, h, angle in radians, clockwise as seen in a picture whose y goes down.
``cv2.dnn.NMSBoxesRotated`` of OpenCV 5.0 is not used: it drops boxes that overlap none.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge.vision.nms import MAX_CANDIDATES

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

_TINY = 1e-7


def quads_of(boxes: NDArray[np.floating]) -> Floats:
    """Corners ``(n, 4, 2)``, clockwise from the upright box's left top."""
    return _quads(boxes).astype(np.float32)


def _quads(boxes: NDArray[np.floating]) -> NDArray[np.floating]:
    angle = boxes[:, 4]
    along = np.stack([np.cos(angle), np.sin(angle)], axis=1) * boxes[:, 2:3] / 2
    down = np.stack([-np.sin(angle), np.cos(angle)], axis=1) * boxes[:, 3:4] / 2
    centre = boxes[:, :2]
    corners = [centre - along - down, centre + along - down, centre + along + down, centre - along + down]
    return np.stack(corners, axis=1)


def suppress_rotated(
    boxes: Floats, scores: Floats, label_ids: NDArray[np.int64], iou: float, *, exact: bool = False
) -> NDArray[np.int64]:
    """As :func:`edge.vision.nms.suppress`, for rotated boxes. The overlap is the probabilistic one (:func:`probiou`),
    or with ``exact`` that of the polygons.
    """
    order = np.argsort(-scores, kind="stable")[:MAX_CANDIDATES]
    wide = boxes.astype(np.float64)
    kept = []
    while len(order):
        first, rest = order[0], order[1:]
        kept.append(first)
        alike = label_ids[rest] == label_ids[first]
        rivals = wide[rest[alike]]
        over = polygon_iou(wide[first], rivals) if exact else probiou(wide[first], rivals)
        gone = np.zeros(len(rest), bool)
        gone[alike] = over > iou
        order = rest[~gone]
    return np.array(kept, np.int64)


def probiou(one: Doubles, others: Doubles) -> Doubles:
    """Probabilistic overlap 0..1 of a box ``(5,)`` with others: 1 less the Hellinger distance of the Gaussians that
    stand for them ("Gaussian Bounding Boxes and Probabilistic Intersection-over-Union", Llerena et al. 2021).
    """
    ours, theirs = _covariance(one[None]), _covariance(others)
    a, b, c = (ours + theirs).T
    dx, dy = (others[:, :2] - one[:2]).T
    both = a * b - c**2
    mahalanobis = (a * dy**2 + b * dx**2 - 2 * c * dx * dy) / (both + _TINY) / 4
    determinants = [np.maximum(s[:, 0] * s[:, 1] - s[:, 2] ** 2, 0) for s in (ours, theirs)]
    shape = np.log(both / (4 * np.sqrt(determinants[0] * determinants[1]) + _TINY) + _TINY) / 2
    bhattacharyya = np.clip(mahalanobis + shape, _TINY, 100.0)
    return np.asarray(1 - np.sqrt(1 - np.exp(-bhattacharyya) + _TINY))


def _covariance(boxes: Doubles) -> Doubles:
    """a, b, c ``(n, 3)`` of the matrices ``[[a, c], [c, b]]``: a uniform box has a twelfth of its sides' squares."""
    w2, h2 = boxes[:, 2] ** 2 / 12, boxes[:, 3] ** 2 / 12
    cos, sin = np.cos(boxes[:, 4]), np.sin(boxes[:, 4])
    return np.stack([w2 * cos**2 + h2 * sin**2, w2 * sin**2 + h2 * cos**2, (w2 - h2) * cos * sin], axis=1)


def polygon_iou(one: Doubles, others: Doubles) -> Doubles:
    """Intersection over union of a box ``(5,)`` with others, exactly.

    The corners of what two boxes share are corners of one inside the other, and crossings of their sides.
    """
    if not len(others):
        return np.empty(0)
    ours = np.broadcast_to(_quads(one[None]) - one[:2], (len(others), 4, 2))  # about our centre, to lose no digits
    theirs = _quads(others) - one[:2]
    crossings, crossed = _crossings(ours, theirs)
    points = np.concatenate([ours, theirs, crossings], axis=1)
    valid = np.concatenate([_inside(ours, theirs), _inside(theirs, ours), crossed], axis=1)
    count = np.maximum(valid.sum(axis=1), 1)
    centre = (points * valid[..., None]).sum(axis=1) / count[:, None]
    spokes = points - centre[:, None]
    angle = np.where(valid, np.arctan2(spokes[..., 1], spokes[..., 0]), np.inf)
    order = angle.argsort(axis=1)
    ring = np.take_along_axis(spokes, order[..., None], axis=1)
    # What is no corner comes last and is made the first corner once more, which encloses nothing.
    ring = np.where(np.take_along_axis(valid, order, axis=1)[..., None], ring, ring[:, :1])
    following = np.roll(ring, -1, axis=1)
    both = np.abs((ring[..., 0] * following[..., 1] - ring[..., 1] * following[..., 0]).sum(axis=1)) / 2
    both[~valid.any(axis=1)] = 0
    areas = one[2] * one[3] + others[:, 2] * others[:, 3]
    return np.asarray(both / np.maximum(areas - both, _TINY))


def _crossings(ours: Doubles, theirs: Doubles) -> tuple[Doubles, NDArray[np.bool_]]:
    """Where sides cross: ``(n, 16, 2)``, and which of them do."""
    start, side = ours[:, :, None], (np.roll(ours, -1, axis=1) - ours)[:, :, None]
    other, other_side = theirs[:, None], (np.roll(theirs, -1, axis=1) - theirs)[:, None]
    slant = _cross(side, other_side)
    apart = other - start
    level = np.abs(slant) < _TINY  # such sides end in corners that are looked at anyway
    safe = np.where(level, 1.0, slant)
    t, u = _cross(apart, other_side) / safe, _cross(apart, side) / safe
    crossed = ~level & (t >= 0) & (t <= 1) & (u >= 0) & (u <= 1)
    points = start + t[..., None] * side
    n = len(ours)
    return points.reshape(n, 16, 2), crossed.reshape(n, 16)


def _inside(points: Doubles, quads: Doubles) -> NDArray[np.bool_]:
    """Which of the points ``(n, 4, 2)`` are in the quads ``(n, 4, 2)``, their border included."""
    side = np.roll(quads, -1, axis=1) - quads
    return np.asarray((_cross(side[:, None], points[:, :, None] - quads[:, None]) >= -_TINY).all(axis=2))


def _cross(a: Doubles, b: Doubles) -> Doubles:
    return np.asarray(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0])
