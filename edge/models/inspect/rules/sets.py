"""Detectors that answer in several tensors, one for boxes, one for scores: finished lists, priors, queries, faces."""

from __future__ import annotations

from edge.models.inspect.facts import Facts
from edge.models.inspect.rules.base import FAIR, LIKELY, POOR, SURE, Guess, shown
from edge.models.inspect.rules.faces import SQUARE_STRIDES, SQUARES, squares
from edge.vision.conventions import (
    DetrHead,
    IndexedHead,
    ListedHead,
    ListedMasksHead,
    ListedPointsHead,
    RawHead,
    SsdHead,
)

_MOST_QUERIES = 1000
_STRIDES = (8, 16, 32, 64, 128)
_COCO_91 = 91
_OFFSETS_BELOW = -2.0
"""Finished boxes leave the picture by a part of it at most, as fractions or as pixels that reach far to its other side."""
_LEAST_MASK = 14
"""Side of the smallest mask there is (Mask R-CNN's are 28)."""

Shapes = dict[str, tuple[int, ...]]


def _seen(shapes: Shapes) -> str:
    return "outputs " + ", ".join(f"{name[:32]} {shown(shape)}" for name, shape in list(shapes.items())[:6])


def _named(shapes: Shapes, *words: str) -> str:
    """The first output with one of these words in its name."""
    return next((name for name in shapes if any(word in name.lower() for word in words)), "")


def queries(facts: Facts) -> Guess | None:
    """DETR and its kind: class scores and boxes of at most some hundred queries; finished lists excluded."""
    shapes = {name: s for name, s in facts.shapes.items() if len(s) == 3}  # noqa: PLR2004  (rank)
    boxes = next((n for n, s in shapes.items() if s[2] == 4 and ("box" in n.lower() or len(shapes) == 2)), "")  # noqa: PLR2004
    if not boxes or shapes[boxes][1] > _MOST_QUERIES:
        return None
    n = shapes[boxes][1]
    scores = next((k for k, s in shapes.items() if k != boxes and s[1] == n and s[2] > 1), "")
    if not scores or "NonMaxSuppression" in facts.ops:
        return None
    tensor = next(o for o in facts.outputs if o.name == scores)
    box = next(o for o in facts.outputs if o.name == boxes)
    if box.high > 1.5 or not (tensor.low < 0 or facts.applied(scores)):  # noqa: PLR2004  (normalised boxes)
        return None
    columns = shapes[scores][2]
    evidence = [_seen(facts.shapes), f"{n} queries with normalised boxes: DETR's kind"]
    if facts.applied(scores):
        return Guess(DetrHead(activation="none"), columns, FAIR, tuple(evidence), "rtdetr")
    if columns in {_COCO_91 + 1, 21 + 1, 80 + 1} or n == 100:  # noqa: PLR2004  (DETR has a hundred queries)
        evidence.append(f"{columns} scores: the last class is 'no object', softmax")
        return Guess(DetrHead(), columns - 1, FAIR, tuple(evidence), "detr", size_px=(800, 800))
    evidence.append("scores go below 0: logits for a sigmoid")
    unsure = (
        "whether a softmax with a class for 'no object' is meant (DETR) or a sigmoid (RT-DETR) was taken by counts",
    )
    head = DetrHead(activation="sigmoid")
    return Guess(head, columns, FAIR, tuple(evidence), "rtdetr", unsure=unsure, size_px=(640, 640))


def tf_detection(facts: Facts) -> Guess | None:
    """TensorFlow's object detection API: ``detection_boxes`` and its fellows, whatever stands before or after."""
    shapes = facts.shapes
    boxes, scores = _named(shapes, "detection_boxes"), _named(shapes, "detection_scores")
    labels = _named(shapes, "detection_classes")
    if not (boxes and scores and labels):
        return None
    count = _named(shapes, "num_detections")
    head = ListedHead(
        boxes_output=boxes,
        scores_output=scores,
        labels_output=labels,
        count_output=count,
        boxes="yxyx",
        unit="normalised",
        first_label=1,
    )
    evidence = (
        "outputs are called as TensorFlow's object detection API calls them: normalised y, x, y, x; classes from 1",
    )
    return Guess(head, 90, SURE, evidence, "tf-detection", label_set="coco-90", size_px=(300, 300))


def listed(facts: Facts) -> Guess | None:
    """Boxes ``(N, 4)``, scores ``(N)``, class numbers ``(N)``: suppressed in the graph."""
    shapes = facts.shapes
    boxes = next((n for n, s in shapes.items() if s[-1:] in {(4,), (5,)} and len(s) in {2, 3}), "")
    kinds = {o.name: o.type for o in facts.outputs}
    vectors = {n for n, s in shapes.items() if n != boxes and len(s) in {1, 2} and (len(s) == 1 or s[0] == 1)}
    whole = [n for n in vectors if "int" in kinds[n]] or [
        n for n in vectors if "label" in n.lower() or "class" in n.lower()
    ]
    labels = next((n for n in whole if "num" not in n.lower()), "")
    scores = next((n for n in vectors if n not in whole and "num" not in n.lower()), "")
    if not boxes or not labels or not (scores or shapes[boxes][-1] == 5):  # noqa: PLR2004  (the fifth is the score)
        return None
    second = {i.name.lower() for i in facts.others}
    tensor = next(o for o in facts.outputs if o.name == boxes)
    evidence: tuple[str, ...] = (_seen(shapes), "finished boxes, scores and class numbers: suppressed in the graph")
    if "orig_target_sizes" in second:
        size = next(i.name for i in facts.others if i.name.lower() == "orig_target_sizes")
        changes = {"extra": {size: "input_size_wh"}}
        return Guess(ListedHead(), 80, LIKELY, evidence, "rtdetr", input_changes=changes, size_px=(640, 640))
    normalised = 0 < tensor.high <= 1.5  # noqa: PLR2004  (boxes in pixels are larger)
    torchvision = "pytorch" in facts.producer and not normalised and shapes[boxes][-1] == 4  # noqa: PLR2004
    head = ListedHead(unit="normalised" if normalised else "input", first_label=1 if torchvision or normalised else 0)
    n = 90 if head.first_label else 80
    if facts.pair_of and head.first_label:
        n = facts.pair_of - 1
        evidence = (
            *evidence,
            f"its last layers give {facts.pair_of} scores and as many boxes: {n} classes and background",
        )
    richer, read = _with_more(facts, head)
    unsure: tuple[str, ...] = (
        ("classes are counted from 1, 0 being background, as torchvision and SSD have it",) if head.first_label else ()
    )
    unread = [n for n in shapes if n not in {boxes, scores, labels, *read} and "num" not in n.lower()]
    if unread:
        unsure = (*unsure, f"not read: {', '.join(name[:24] for name in unread[:4])}")
    prior = "ssd-zoo" if normalised else "torchvision-detection" if torchvision else "mmdetection"
    person = isinstance(richer, ListedPointsHead) and n == 1 and facts.shapes[richer.points_output][-2] == 17  # noqa: PLR2004
    return Guess(
        richer, n, LIKELY if second == set() else FAIR, evidence, prior, ("person",) if person else (), unsure=unsure,
        labels_why="17 points, COCO's, are of persons" if person else "",
    )  # fmt: skip


def _with_more(facts: Facts, head: ListedHead) -> tuple[ListedHead | ListedMasksHead | ListedPointsHead, set[str]]:
    """The same with masks or points, where there are such for each row, and which outputs these are."""
    for name, shape in facts.shapes.items():
        word = name.lower()
        if len(shape) in {3, 4} and min(shape[-2:]) >= _LEAST_MASK and ("mask" in word or shape[1] == 1):
            whole = shape[-2:] == (facts.height, facts.width)
            masks = ListedMasksHead(masks_output=name, unit=head.unit, first_label=head.first_label, whole=whole)
            return masks, {name}
        if len(shape) in {3, 4} and shape[-1] in {2, 3} and shape[-2] > 1 and ("keypoint" in word or "point" in word):
            points = ListedPointsHead(points_output=name, unit=head.unit, first_label=head.first_label)
            return points, {name, *(n for n in facts.shapes if "keypoints_scores" in n.lower())}
    return head, set()


def yolov3(facts: Facts) -> Guess | None:
    """YOLOv3 of the ONNX zoo: boxes, scores, and what NonMaxSuppression chose."""
    shapes = facts.shapes
    boxes = next((n for n, s in shapes.items() if len(s) == 3 and s[2] == 4), "")  # noqa: PLR2004  (rank, box)
    indices = next((o.name for o in facts.outputs if o.shape[-1:] == (3,) and "int" in o.type), "")
    scores = next((n for n, s in shapes.items() if len(s) == 3 and n not in {boxes, indices}), "")  # noqa: PLR2004
    if not (boxes and indices and scores):
        return None
    extra = {i.name: "input_size_hw" for i in facts.others if "shape" in i.name.lower()}
    evidence = (_seen(shapes), "the last holds picture, class and box: chosen by NonMaxSuppression")
    changes = {"extra": extra} if extra else {}
    return Guess(IndexedHead(), shapes[scores][1], LIKELY, evidence, "yolo", input_changes=changes, size_px=(416, 416))


def pairs(facts: Facts) -> Guess | None:
    """Scores ``(1, N, C)`` and boxes ``(1, N, 4)``: decoded SSD (UltraFace, pytorch-ssd), YOLO-NAS, YOLOv4."""
    shapes = facts.shapes
    if len(shapes) != 2:  # noqa: PLR2004  (a pair)
        return None
    boxes = next((n for n, s in shapes.items() if s[-1:] == (4,) and len(s) in {3, 4}), "")
    scores = next((n for n, s in shapes.items() if n != boxes and len(s) == 3), "")  # noqa: PLR2004  (rank)
    if not boxes or not scores:
        return None
    n = shapes[boxes][1]
    turned = shapes[scores][2] == n and shapes[scores][1] != n
    columns = shapes[scores][1] if turned else shapes[scores][2]
    if n not in shapes[scores][1:] or columns < 1:
        return None
    box, score = (next(o for o in facts.outputs if o.name == name) for name in (boxes, scores))
    if box.low < _OFFSETS_BELOW and box.high < facts.width / 4 and shapes[boxes][-1] == 4:  # noqa: PLR2004  (a box)
        return _offsets(facts, n, columns, scores)
    normalised = box.high <= 2.0  # noqa: PLR2004  (boxes in pixels are larger)
    applied = facts.applied(scores)
    evidence = (_seen(shapes), "boxes are fractions of the input" if normalised else "boxes are input pixels")
    softmax = applied == "softmax" or (columns == 2 and normalised)  # noqa: PLR2004  (background and one class)
    if not normalised:
        head = SsdHead(unit="input", background=None, activation="none" if applied or score.low >= 0 else "sigmoid")
        return Guess(head, columns, LIKELY, evidence, "yolo-nas", size_px=(640, 640))
    if softmax or (columns in {21, 91} and score.low >= 0):
        head = SsdHead(activation="none" if applied or score.low >= 0 else "softmax")
        return Guess(head, columns - 1, LIKELY, evidence, "ssd", label_set="face" if columns == 2 else "")  # noqa: PLR2004
    background = None if columns in {80, 20} else 0
    head = SsdHead(background=background, activation="none" if applied or score.low >= 0 else "softmax")
    unsure = ("whether class 0 means background was taken from the number of classes",)
    return Guess(head, columns - (background is not None), FAIR, evidence, "yolo", unsure=unsure)


def _offsets(facts: Facts, n: int, columns: int, scores: str) -> Guess:
    """Offsets to priors: these are not in the file, and only well-known ones can be told by their number."""
    applied = facts.applied(scores)
    score = next(o for o in facts.outputs if o.name == scores)
    ups = [up for up in (True, False) if squares(facts, up=up) == n]
    seen = (_seen(facts.shapes), "box numbers are small and go below 0: offsets to priors")
    if not ups or not ups[0] or columns < 2:  # noqa: PLR2004  (background and a class)
        unsure = ('which priors is not in the file: set output.head = "ssd" with its priors, strides and variances',)
        return Guess(RawHead(), 0, POOR, seen, "ssd", unsure=unsure)
    head = SsdHead(
        priors=SQUARES, strides=SQUARE_STRIDES, activation="none" if applied or score.low >= 0 else "softmax"
    )
    evidence = (*seen, f"{n} are the priors of UltraFace for strides {', '.join(map(str, SQUARE_STRIDES))}")
    return Guess(head, columns - 1, LIKELY, evidence, "ssd", label_set="face" if columns == 2 else "")  # noqa: PLR2004
