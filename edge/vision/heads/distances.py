"""Cells with distances to the sides of their object: NanoDet, PicoDet, RTMDet and their kin."""

from __future__ import annotations

import numpy as np

from edge.vision.conventions.yolo_maps import DistanceHead
from edge.vision.heads.base import Context, Floats, Head, Outputs, Shapes, activate
from edge.vision.heads.boxes import Cells, Chosen, Rows, best_class, cells_of, cells_unfit, survivors
from edge.vision.heads.found import levels, parts
from edge.vision.prediction import Prediction


def decode_distances(head: DistanceHead, outputs: Outputs, context: Context) -> Prediction:
    """Map after map: classes, then distances of what they leave; one suppression over all."""
    widths = _widths(head, len(context.labels))
    found = levels({name: array.shape for name, array in outputs.items()}, widths)
    grid = cells_of(head.strides, context.geometry, head.per_cell)
    seen = tuple(level[0].n for level in found)
    if seen not in {grid.counts, (sum(grid.counts),)}:
        raise cells_unfit(sum(grid.counts), sum(seen), head.strides)
    boxes, chosen, start = [], [], 0
    classes_at = 0 if head.joined_order == "classes_first" else 1
    for level in found:
        tables = parts(level, outputs, widths)
        best = best_class(tables[classes_at], context, head.activation)
        rows = start + best.rows
        distances = expected(tables[1 - classes_at][best.rows], head.bins)
        boxes.append(around(grid, rows, distances, head.offset, in_pixels=head.in_pixels))
        chosen.append(best)
        start += level[0].n
    return survivors(np.concatenate(boxes), Chosen.joined(chosen), context)[0]


def expected(raw: Floats, bins: int) -> Floats:
    """Distances ``(n, 4)``: as they are, or the expectation of four distributions of ``bins`` logits."""
    if bins == 1:
        return raw
    shares = activate(raw.reshape(-1, 4, bins), "softmax", axis=2)
    return np.asarray(shares @ np.arange(bins, dtype=np.float32), np.float32)


def around(grid: Cells, rows: Rows, distances: Floats, offset: float, *, in_pixels: bool = False) -> Floats:
    """Boxes in input pixels around the points of these cells."""
    stride = grid.stride[rows]
    point = (grid.xy[rows] + np.float32(offset)) * stride
    reach = distances if in_pixels else distances * stride
    return np.concatenate([point - reach[:, :2], point + reach[:, 2:]], axis=1)


def _widths(head: DistanceHead, n_labels: int) -> list[int]:
    widths = [n_labels, 4 * head.bins]
    return widths if head.joined_order == "classes_first" else widths[::-1]


def _wants(head: DistanceHead, shapes: Shapes, n_labels: int) -> str:
    found = levels(shapes, _widths(head, n_labels))
    maps = len(head.strides)
    if len(found) in {1, maps}:
        return ""
    return f"for each of {maps} strides [1, n, {n_labels}] and [1, n, {4 * head.bins}], or all of them in one"


DISTANCES = Head(decode_distances, _wants)
