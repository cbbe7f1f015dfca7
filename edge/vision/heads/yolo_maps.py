"""YOLO exports that are maps with anchors, and FastestDet's one map without."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edge.vision.conventions.yolo_maps import FastestDetHead, YoloFastestHead, YoloMapsHead
from edge.vision.heads.base import Context, Floats, Head, Outputs, Shapes, activate, floats, pick
from edge.vision.heads.boxes import Chosen, best_class, corners, strong, survivors, to_input
from edge.vision.prediction import Prediction

_RANK_MAP = 4
_RANK_ANCHORED = 5


class _Picked(NamedTuple):
    """Candidates of one map: column and row of the cell ``(n, 2)``, anchor number ``(n,)``, raw numbers ``(n, k)``."""

    cell: Floats
    anchor: np.ndarray[tuple[int], np.dtype[np.int64]]
    raw: Floats


def decode_yolo_maps(head: YoloMapsHead, outputs: Outputs, context: Context) -> Prediction:
    """Objectness over all cells, everything else for those that it leaves."""
    boxes, chosen = [], []
    for anchors, view in zip(head.anchors, _views(head, outputs, len(context.labels)), strict=True):
        rows, columns, number = np.nonzero(strong(view[..., 4], context.lowest, activated=head.activated))
        raw = view[rows, columns, number]
        cell = np.stack([columns, rows], axis=1).astype(np.float32)
        objectness = raw[:, 4] if head.activated else activate(raw[:, 4], "sigmoid", axis=0)
        best = best_class(raw[:, 5:], context, "none" if head.activated else head.classes, objectness)
        picked = _Picked(cell[best.rows], number[best.rows], raw[best.rows])
        boxes.append(_anchored(head, picked, anchors, view.shape[:2], context))
        chosen.append(best)
    return survivors(np.concatenate(boxes), Chosen.joined(chosen), context)[0]


def _anchored(
    head: YoloMapsHead | YoloFastestHead,
    picked: _Picked,
    anchors: tuple[float, ...],
    size: tuple[int, ...],
    context: Context,
) -> Floats:
    """Boxes in input pixels of the first four raw numbers, see the conventions."""
    geometry = context.geometry
    stride = np.array([geometry.input_width_px / size[1], geometry.input_height_px / size[0]], np.float32)
    xy, wh = picked.raw[:, :2], picked.raw[:, 2:4]
    anchor = np.array(anchors, np.float32).reshape(-1, 2)[picked.anchor]
    if not head.activated:
        xy = activate(xy, "sigmoid", axis=0)
    if isinstance(head, YoloMapsHead) and head.form == "v3":
        gain = np.float32(head.scale_xy)
        centre = (xy * gain - (gain - 1) / 2 + picked.cell) * stride
        with np.errstate(over="ignore"):  # what is not finite is dropped
            size_px = np.exp(wh) * anchor
    else:
        if not head.activated:
            wh = activate(wh, "sigmoid", axis=0)
        centre = (2 * xy - np.float32(0.5) + picked.cell) * stride
        size_px = (2 * wh) ** 2 * anchor
    return corners(np.concatenate([centre, size_px], axis=1), "cxcywh")


def _views(head: YoloMapsHead, outputs: Outputs, n_labels: int) -> list[Floats]:
    """Each map as ``(h, w, A, 5 + C)``, the finest first."""
    views = []
    per_cell = [len(row) // 2 for row in head.anchors]
    for array in outputs.values():
        axes = next(
            (a for n in dict.fromkeys(per_cell) if (a := _axes(array.shape, n, 5 + n_labels)) is not None), None
        )
        if axes is not None:
            views.append(_view(np.asarray(array, np.float32), axes))
    return sorted(views, key=lambda view: -view.shape[0] * view.shape[1])


def _view(array: Floats, axes: tuple[str, int, int]) -> Floats:
    """``axes`` as :func:`_axes` gives them; the result is a view ``(h, w, n, k)``."""
    kind, n, k = axes
    height, width = array.shape[1:3] if kind.startswith("hw") else array.shape[-2:]
    match kind:
        case "nhwk":
            return np.transpose(array[0], (1, 2, 0, 3))
        case "nkhw" | "chw":
            return array.reshape(n, k, height, width).transpose(2, 3, 0, 1)
        case _:
            return array.reshape(height, width, n, k)


def _axes(shape: tuple[int, ...], n: int, k: int) -> tuple[str, int, int] | None:
    """What the axes of a map of ``n`` anchors of ``k`` numbers are, with n and k; None if it is no such map."""
    kinds = {
        "nhwk": len(shape) == _RANK_ANCHORED and (shape[1], shape[-1]) == (n, k),
        "nkhw": len(shape) == _RANK_ANCHORED and shape[1:3] == (n, k),
        "hwnk": len(shape) == _RANK_ANCHORED and shape[3:] == (n, k),
        "chw": len(shape) == _RANK_MAP and shape[1] == n * k,
        "hwc": len(shape) == _RANK_MAP and shape[-1] == n * k,
    }
    kind = next((kind for kind, fits in kinds.items() if fits and shape[0] == 1), "")
    return (kind, n, k) if kind else None


def _wants_yolo_maps(head: YoloMapsHead, shapes: Shapes, n_labels: int) -> str:
    per_cell = {len(row) // 2 for row in head.anchors}
    maps = [s for s in shapes.values() if any(_axes(s, n, 5 + n_labels) for n in per_cell)]
    n = len(head.anchors)
    return "" if len(maps) == n else f"{n} maps [1, {'/'.join(map(str, sorted(per_cell)))}, h, w, {5 + n_labels}]"


def decode_yolo_fastest(head: YoloFastestHead, outputs: Outputs, context: Context) -> Prediction:
    """Two maps (or as many as rows of anchors), classes shared by the anchors of a cell."""
    shapes = {name: array.shape for name, array in outputs.items()}
    boxes, chosen = [], []
    widths = _fastest_widths(head, len(context.labels))
    for anchors, (names, channels_last) in zip(
        head.anchors, _grouped(shapes, widths, len(head.anchors)).items(), strict=True
    ):
        tensors = [np.asarray(outputs[name], np.float32)[0] for name in names]
        maps = [t if channels_last else t.transpose(1, 2, 0) for t in tensors]
        full = maps[0] if len(maps) == 1 else np.concatenate(maps, axis=2)
        n = len(anchors) // 2
        rows, columns, number = np.nonzero(strong(full[..., 4 * n : 5 * n], context.lowest, activated=head.activated))
        raw = full[rows, columns]
        at = np.arange(len(raw))
        objectness = raw[at, 4 * n + number]
        if not head.activated:
            objectness = activate(objectness, "sigmoid", axis=0)
        best = best_class(raw[:, 5 * n :], context, "none" if head.activated else "softmax", objectness)
        four = raw[:, : 4 * n].reshape(-1, n, 4)[at, number]
        cell = np.stack([columns, rows], axis=1).astype(np.float32)
        picked = _Picked(cell[best.rows], number[best.rows], four[best.rows])
        boxes.append(_anchored(head, picked, anchors, full.shape[:2], context))
        chosen.append(best)
    return survivors(np.concatenate(boxes), Chosen.joined(chosen), context)[0]


def _fastest_widths(head: YoloFastestHead, n_labels: int) -> tuple[int, int, int]:
    n = len(head.anchors[0]) // 2
    return 4 * n, n, n_labels


def _grouped(shapes: Shapes, widths: tuple[int, int, int], n_maps: int) -> dict[tuple[str, ...], bool]:
    """Names of the tensors of each map, the finest first, and whether channels are last; empty if they do not fit."""
    for channels_last in (False, True):
        groups: dict[tuple[int, int], list[tuple[str, int]]] = {}
        for name, shape in shapes.items():
            if len(shape) != _RANK_MAP or shape[0] != 1:
                return {}
            size = (shape[1], shape[2]) if channels_last else (shape[2], shape[3])
            groups.setdefault(size, []).append((name, shape[3] if channels_last else shape[1]))
        made: dict[tuple[str, ...], bool] = {}
        for size in sorted(groups, key=lambda size: -size[0] * size[1]):
            names = _matched(groups[size], widths)
            if names:
                made[names] = channels_last
        if len(made) == len(groups) == n_maps:
            return made
    return {}


def _matched(group: list[tuple[str, int]], widths: tuple[int, int, int]) -> tuple[str, ...]:
    if [w for _, w in group] == [sum(widths)]:
        return (group[0][0],)
    if sorted(w for _, w in group) != sorted(widths):
        return ()
    left = list(group)
    names = []
    for width in widths:
        one = next(entry for entry in left if entry[1] == width)
        left.remove(one)
        names.append(one[0])
    return tuple(names)


def _wants_yolo_fastest(head: YoloFastestHead, shapes: Shapes, n_labels: int) -> str:
    widths = _fastest_widths(head, n_labels)
    if _grouped(shapes, widths, len(head.anchors)):
        return ""
    return f"{len(head.anchors)} maps of {sum(widths)} channels, or of {', '.join(map(str, widths))}"


def decode_fastestdet(head: FastestDetHead, outputs: Outputs, context: Context) -> Prediction:
    """``(1, 5 + C, h, w)`` as columns, one a cell."""
    array = floats(outputs, head.output)[0]
    height, width = array.shape[1:]
    columns = array.reshape(len(array), -1)
    objectness = columns[0] if head.activation == "none" else activate(columns[0], "sigmoid", axis=0)
    weights = np.clip(objectness, 0, 1) ** np.float32(0.6)
    chosen = best_class(columns[5:].T, context, head.activation, weights, power=0.4)
    raw = columns[1:5, chosen.rows].T
    cell = np.stack([chosen.rows % width, chosen.rows // width], axis=1)
    centre = (np.tanh(raw[:, :2]) + cell) / np.array([width, height], np.float32)
    size = activate(raw[:, 2:], "sigmoid", axis=0)
    boxes = np.concatenate([centre, size], axis=1).astype(np.float32)
    return survivors(to_input(corners(boxes, "cxcywh"), "normalised", context.geometry), chosen, context)[0]


def _wants_fastestdet(head: FastestDetHead, shapes: Shapes, n_labels: int) -> str:
    shape, wanted = pick(shapes, head.output), 5 + n_labels
    return "" if len(shape) == _RANK_MAP and shape[:2] == (1, wanted) else f"[1, {wanted}, h, w]"


YOLO_MAPS = Head(decode_yolo_maps, _wants_yolo_maps)
YOLO_FASTEST = Head(decode_yolo_fastest, _wants_yolo_fastest)
FASTESTDET = Head(decode_fastestdet, _wants_fastestdet)
