"""Detectors that answer with a tensor a stride: distances to the sides, raw maps with anchors."""

from __future__ import annotations

from collections import Counter

from edge.models.inspect.facts import Facts
from edge.models.inspect.rules.base import FAIR, LIKELY, Guess, shown
from edge.vision.conventions import DistanceHead, YoloFastestHead, YoloMapsHead

_STRIDES = ((8, 16, 32), (8, 16, 32, 64), (4, 8, 16, 32), (8, 16, 32, 64, 128), (16, 32), (8, 16))
_RANK_MAPS, _RANK_FIVE = 4, 5
_BINS = (8, 16, 32, 7)
_ANCHORS = 3
Anchors = tuple[tuple[float, ...], ...]
# Anchors of the published models: yolov5/models/yolov5s.yaml is the head's default;
# yolov3.cfg of darknet; tiny ones of yolov3-tiny.cfg.
_YOLOV3: Anchors = (
    (10.0, 13.0, 16.0, 30.0, 33.0, 23.0),
    (30.0, 61.0, 62.0, 45.0, 59.0, 119.0),
    (116.0, 90.0, 156.0, 198.0, 373.0, 326.0),
)
_YOLOV3_TINY: Anchors = ((10.0, 14.0, 23.0, 27.0, 37.0, 58.0), (81.0, 82.0, 135.0, 169.0, 344.0, 319.0))
_YOLOV2_VOC: Anchors = ((42.31, 55.41, 102.17, 128.3, 161.79, 259.17, 303.09, 154.9, 359.56, 320.23),)


def distances(facts: Facts) -> Guess | None:
    """Class scores and distances a stride, separate or joined, as rows or maps; or all in one tensor."""
    shapes = {name: _rows_of(shape, facts) for name, shape in facts.shapes.items()}
    if not facts.height or any(s is None for s in shapes.values()):
        return None
    sizes = {name: s for name, s in shapes.items() if s}
    if len(sizes) == 1:
        return _joined(facts, *next(iter(sizes.values())))
    for strides in _STRIDES:
        cells = [facts.cells(s) for s in strides]
        by_cells: dict[int, list[int]] = {c: sorted(k for n, k in sizes.values() if n == c) for c in cells}
        if sum(map(len, by_cells.values())) != len(sizes) or len({tuple(v) for v in by_cells.values()}) != 1:
            continue
        widths = by_cells[cells[0]]
        if len(widths) != 2:  # noqa: PLR2004  (classes and distances)
            continue
        return _two(facts, strides, sizes, widths)
    return None


def _two(facts: Facts, strides: tuple[int, ...], sizes: dict[str, tuple[int, int]], widths: list[int]) -> Guess | None:
    """Which of two widths the distances have: by name, then by being 4 times a usual number of bins."""
    box_words, class_words = ("dis", "reg", "box", "bbox"), ("cls", "class", "score", "conf")
    by_box = {k for name, (_, k) in sizes.items() if any(w in name.lower() for w in box_words)}
    by_class = {k for name, (_, k) in sizes.items() if any(w in name.lower() for w in class_words)}
    if len(by_box) == 1 and by_box != by_class:
        distance = next(iter(by_box))
    elif len(by_class) == 1:
        distance = next(iter(set(widths) - by_class), widths[0])
    else:
        distance = next((w for w in widths if w == 4 or w // 4 in _BINS), 0)  # noqa: PLR2004  (four sides)
    classes = widths[0] if widths[1] == distance else widths[1]
    if distance % 4 or not distance:
        return None
    bins = distance // 4
    names = [name for name, (_, k) in sizes.items() if k == classes]
    applied = all(facts.applied(name) for name in names)
    picodet = "paddle" in facts.producer
    # Four numbers a cell are RTMDet's: they start at the cell's corner and are in input pixels, stride multiplied.
    corner = bins == 1
    head = DistanceHead(
        strides=strides,
        bins=bins,
        offset=0.0 if corner else 0.5,
        activation="none" if applied else "sigmoid",
        in_pixels=corner,
    )
    kind = "RTMDet" if corner else "PicoDet" if picodet else "NanoDet"
    evidence = (
        f"{classes} class scores and 4 x {bins} distances for strides {', '.join(map(str, strides))}: {kind}'s kind",
        "scores are 0..1 already" if applied else "scores are logits",
    )
    prior = "rtmdet" if corner else "picodet" if picodet else "nanodet"
    sure = FAIR if corner else LIKELY
    return Guess(head, classes, sure, evidence, prior, size_px=(640, 640) if corner else (320, 320))


def _joined(facts: Facts, cells: int, columns: int) -> Guess | None:
    """NanoDet-Plus: all strides in one tensor, C classes and then 4 x 8 distances."""
    output = facts.outputs[0]
    for strides in _STRIDES[:2][::-1]:
        if facts.cells(*strides) != cells or len(output.shape) != 3:  # noqa: PLR2004  (rank)
            continue
        for bins in (8, 16):
            classes = columns - 4 * bins
            # 85 columns are YOLOX or v5 with 80 classes; as 53 classes and 32 distances nobody would train them.
            if classes in {1, 2, 20, 80} or (len(strides) == 4 and classes > 0 and columns != 85):  # noqa: PLR2004
                applied = facts.ends.get(output.name) == "mixed" and "Sigmoid" in facts.ops
                head = DistanceHead(strides=strides, bins=bins, offset=0.0, activation="none" if applied else "sigmoid")
                text = f"{cells} cells of strides {', '.join(map(str, strides))}, {columns} = {classes} + 4 x {bins}"
                return Guess(head, classes, FAIR, (f"{text}: NanoDet-Plus",), "nanodet", size_px=(416, 416))
    return None


def _rows_of(shape: tuple[int, ...], facts: Facts) -> tuple[int, int] | None:
    """Cells and columns of one output; maps are counted as rows. None where it is neither."""
    if len(shape) == 3 and shape[0] == 1:  # noqa: PLR2004  (rank)
        known = {facts.cells(s) for s in (4, 8, 16, 32, 64, 128)}
        return (shape[2], shape[1]) if shape[2] in known and shape[1] not in known else (shape[1], shape[2])
    if len(shape) == _RANK_MAPS and shape[0] == 1:
        return shape[2] * shape[3], shape[1]
    return None


def anchored(facts: Facts) -> Guess | None:
    """Raw maps with anchors: ``(1, A * (5 + C), h, w)``, ``(1, A, h, w, 5 + C)`` and their turned forms."""
    shapes = list(facts.shapes.values())
    if not facts.height or not 1 <= len(shapes) <= _ANCHORS + 1:
        return None
    columns = [_columns(s, facts) for s in shapes]
    if None in columns or len(set(columns)) != 1 or not columns[0]:
        return None
    k, anchors = columns[0]
    if k <= 5:  # noqa: PLR2004  (a box, objectness, a class)
        return None
    name = facts.outputs[0].name
    activated = facts.applied(name) == "sigmoid"
    seen = ", ".join(map(shown, shapes))
    pytorch = "pytorch" in facts.producer
    if len(shapes) == 1 and anchors == len(_YOLOV2_VOC[0]) // 2:
        head = YoloMapsHead(anchors=_YOLOV2_VOC, form="v3", classes="softmax")
        what = "YOLOv2 with the anchors of its tiny model for VOC"
    elif len(shapes) == 2:  # noqa: PLR2004  (tiny ones have two scales)
        head = YoloMapsHead(anchors=_YOLOV3_TINY, form="v3", activated=activated)
        what = "tiny YOLOv3, v4 with their published anchors"
    elif pytorch:
        head = YoloMapsHead(form="v5", activated=activated)
        what = "YOLOv5 with its published anchors"
    else:
        head = YoloMapsHead(anchors=_YOLOV3, form="v3", activated=activated)
        what = "YOLOv3 with its published anchors"
    others = "if it was trained with others (as YOLOv7 is), set output.anchors"
    unsure = (f"anchors are not in the file: the published ones are taken; {others}",)
    evidence = (f"maps {seen}: {anchors} anchors of {k} numbers each", what)
    return Guess(head, k - 5, FAIR, evidence, "yolo", unsure=unsure, size_px=(640, 640))


def _columns(shape: tuple[int, ...], facts: Facts) -> tuple[int, int] | None:
    """Numbers an anchor, and anchors, of one raw map."""
    grids = {(-(-facts.height // s), -(-facts.width // s)) for s in (8, 16, 32, 64)}
    if len(shape) == _RANK_FIVE:
        if shape[2:4] in grids:
            return shape[4], shape[1]
        return (shape[2], shape[1]) if shape[3:] in grids else None
    if len(shape) != _RANK_MAPS:
        return None
    channels = shape[1] if shape[2:] in grids else shape[3] if shape[1:3] in grids else 0
    # 3 anchors (all but YOLOv2, which has 5) of a box, objectness and classes: counts that people train.
    for anchors in (_ANCHORS, 5):
        if channels and channels % anchors == 0 and channels // anchors in {6, 7, 8, 25, 85}:
            return channels // anchors, anchors
    return None


def yolo_fastest(facts: Facts) -> Guess | None:
    """YOLO-FastestV2: for two scales 12 box numbers, 3 objectnesses and C classes, apart or joined."""
    shapes = facts.shapes
    grids = {(-(-facts.height // s), -(-facts.width // s)): s for s in (16, 32)}
    if not facts.height or len(shapes) not in {2, 6} or any(len(s) != _RANK_MAPS for s in shapes.values()):
        return None
    found = [(s[1], s[2:]) if s[2:] in grids else (s[3], s[1:3]) for s in shapes.values()]
    if any(grid not in grids for _, grid in found):
        return None
    counts = Counter(c for c, _ in found)
    if len(shapes) == 2:  # noqa: PLR2004  (joined)
        classes = found[0][0] - 15 if len(counts) == 1 else 0
    else:
        rest = [c for c in counts if c not in {12, 3}]
        classes = rest[0] if {12, 3} <= set(counts) and len(rest) == 1 else 0
    # Three anchors of 85 are tiny YOLOv3's.
    if classes < 1 or (len(shapes) == 2 and found[0][0] % 85 == 0):  # noqa: PLR2004  (joined)
        return None
    evidence = (f"for strides 16 and 32: 12 box numbers, 3 objectnesses, {classes} classes: YOLO-FastestV2",)
    return Guess(YoloFastestHead(), classes, LIKELY, evidence, "fastestdet", size_px=(352, 352))
