"""Detectors whose answer is one table: rows or columns of candidates, or finished rows.

``[1, N, 6]`` is finished rows or a grid of one class: N against the cells of the strides, and what the trial's values
were, decide. Where each convention comes from stands at its struct in :mod:`edge.vision.conventions`.
"""

from __future__ import annotations

from edge.models.guard import Tensor
from edge.models.inspect.facts import Facts
from edge.models.inspect.rules.base import FAIR, LIKELY, POOR, Guess, shown
from edge.vision.conventions import (
    End2EndHead,
    FastestDetHead,
    HeadSpec,
    YoloObbHead,
    YoloPoseHead,
    YoloSegHead,
    YoloV5Head,
    YoloV8Head,
    YoloXHead,
)

_MAX_COLUMNS = 2000
_STRIDES = ((8, 16, 32), (8, 16, 32, 64), (16, 32), (16, 32, 64), (4, 8, 16, 32))
_ANCHORED = 3
_MOST_ROWS = 1000
_RANK_TABLE, _RANK_MAPS, _RANK_RAW = 3, 4, 5
_BOX = 4


def tables(facts: Facts) -> Guess | None:
    """The first output of three dimensions that is a grid of candidates, or finished rows."""
    if not facts.height or not facts.outputs:
        return None
    first = facts.outputs[0]
    shape = tuple(d or 0 for d in first.shape)
    instances = _instances(facts)
    if instances is not None:
        return instances
    if len(facts.outputs) > 1 and not _also_raw(facts):
        return None
    if len(shape) == 2:  # noqa: PLR2004  (rows without a leading 1)
        return _flat(facts, first, shape[1])
    if len(shape) != _RANK_TABLE or shape[0] != 1 or 0 in shape:
        return None
    return _columns(facts, shape) or _rows(facts, first, shape)


def _also_raw(facts: Facts) -> bool:
    """YOLOv5 and v7 may give their raw maps beside the table: ``[1, N, 5 + C]`` and three of ``[1, 3, h, w, 5 + C]``.
    The same of YOLOv8 with its maps ``[1, 64 + C, h, w]``.
    """
    return all(len(o.shape) in {_RANK_MAPS, _RANK_RAW} for o in facts.outputs[1:]) and len(facts.outputs) == _BOX


def _grid(facts: Facts, candidates: int) -> tuple[tuple[int, ...], int] | None:
    """Strides and anchors a cell whose number of candidates this is."""
    for anchors in (1, _ANCHORED):
        for strides in _STRIDES:
            if facts.cells(*strides) * anchors == candidates:
                return strides, anchors
    return None


def _cells_of(strides: tuple[int, ...], candidates: int) -> str:
    return f"{candidates} are the cells of strides {', '.join(map(str, strides))}"


def _columns(facts: Facts, shape: tuple[int, ...]) -> Guess | None:
    """``[1, 4 + C, N]``."""
    _, rows, columns = shape
    grid = _grid(facts, columns)
    if grid is None or grid[1] != 1 or not _BOX < rows <= _MAX_COLUMNS or rows > columns:
        return None
    output = facts.outputs[0]
    logits = _logits(facts, output)
    evidence = [f"the output is {shown(shape)}, and {_cells_of(grid[0], columns)}: candidates as columns"]
    evidence.append("scores go below 0: logits" if logits else "scores are 0..1 already")
    small = output.high <= 2.0 and facts.width > 8  # noqa: PLR2004  (boxes in pixels are larger)
    head = YoloV8Head(activation="sigmoid" if logits else "none", unit="normalised" if small else "input")
    unsure: tuple[str, ...] = ()
    if rows > _BOX + 1:
        unsure = ("the last column may be an angle (rotated boxes) or the columns may hold points: a picture shows it",)
    rivals: tuple[HeadSpec, ...] = ()
    if rows > _BOX + 1 and not logits:
        points, rest = divmod(rows - _BOX - 1, 3)
        rivals = (*((YoloPoseHead(points=points),) if not rest else ()), YoloObbHead())
    return Guess(head, rows - _BOX, LIKELY, tuple(evidence), "yolo", unsure=unsure, rivals=rivals, size_px=(640, 640))


def _logits(facts: Facts, output: Tensor) -> bool:
    """No sigmoid among the last operations, and values well below zero: boxes have none, scores of 0..1 neither."""
    return facts.ends.get(output.name) not in {"sigmoid", "mixed"} and output.low < -1.0


def _rows(facts: Facts, output: Tensor, shape: tuple[int, ...]) -> Guess | None:
    """``[1, N, k]``."""
    _, n, k = shape
    grid = _grid(facts, n)
    if grid is None:
        return _finished(shape)
    strides, anchors = grid
    cells = f"the output is {shown(shape)}, and {_cells_of(strides, n)}"
    if not _BOX < k <= _MAX_COLUMNS:
        return None
    if anchors == _ANCHORED:
        head = YoloV5Head(activation="sigmoid" if _logits(facts, output) else "none")
        return Guess(head, k - 5, LIKELY, (f"{cells}, three anchors each: YOLOv5, v7",), "yolo", size_px=(640, 640))
    if k == _BOX + 1:
        return Guess(YoloV8Head(rows=True), 1, FAIR, (f"{cells}: a box and one score a row",), "yolo")
    # A raw grid holds offsets of a few cells; boxes in pixels reach the picture's size.
    decoded = output.high > facts.width / 2
    said = "values reach the picture's size: boxes are decoded" if decoded else "values are small: offsets in cells"
    one = "; so one class, not finished rows" if k == _BOX + 2 else ""
    head_x = YoloXHead(strides=strides, decoded=decoded)
    evidence = (f"{cells}, one candidate each{one}", said)
    # YOLOv6 and DAMO-YOLO have the same rows, decoded, and no Focus that slices the picture.
    prior = "yolo" if decoded and "Slice" not in facts.ops else "yolox"
    rivals = (End2EndHead(),) if k == _BOX + 2 else ()
    return Guess(head_x, k - 5, LIKELY, evidence, prior, size_px=(640, 640), rivals=rivals)


def _finished(shape: tuple[int, ...]) -> Guess | None:
    _, n, k = shape
    if k == _BOX + 2 and n > k:
        evidence = (f"the output is {shown(shape)}, and {n} is no grid of this input: finished rows",)
        unsure = ("box, score and class stand in the order of YOLOv10 and YOLO26: try a picture you know",)
        sure = LIKELY if n <= _MOST_ROWS else POOR
        rivals = (End2EndHead(unit="normalised"),)
        head = End2EndHead()
        return Guess(head, 80, sure, evidence, "yolo", unsure=unsure, size_px=(640, 640), rivals=rivals)
    if k == _BOX + 3 and n > k:
        head = End2EndHead(columns=("image", "y1", "x1", "y2", "x2", "score", "label"), first_label=1)
        return Guess(head, 90, FAIR, (f"rows of seven, {shown(shape)}: EfficientDet of automl",), "tf-detection")
    return None


def _flat(facts: Facts, output: Tensor, columns: int) -> Guess | None:
    if columns == _BOX + 3:
        head = End2EndHead(columns=("image", "x1", "y1", "x2", "y2", "label", "score"))
        evidence = ("rows of seven with the picture's number first: YOLOv7 with suppression in the graph",)
        sure = LIKELY if "NonMaxSuppression" in facts.ops else POOR
        return Guess(head, 80, sure, evidence, "yolo")
    if columns == _BOX + 2 and ("paddle" in facts.producer or "nms" in output.name.lower()):
        head = End2EndHead(columns=("label", "score", "x1", "y1", "x2", "y2"))
        return Guess(head, 80, LIKELY, ("rows of six from Paddle: label, score, box",), "paddle-detection")
    return None


def _instances(facts: Facts) -> Guess | None:
    """``[1, 4 + C + M, N]`` and prototypes ``[1, M, h, w]``, without metadata."""
    shapes = list(facts.shapes.values())
    table = next((s for s in shapes if len(s) == _RANK_TABLE), ())
    prototypes = next((s for s in shapes if len(s) == _RANK_MAPS and s[1] >= 8), ())  # noqa: PLR2004  (fewer: not masks)
    if len(shapes) != 2 or not table or not prototypes or 0 in table:  # noqa: PLR2004  (these two)
        return None
    m = prototypes[1]
    evidence = (f"candidates {shown(table)} and prototypes {shown(prototypes)}",)
    grid = _grid(facts, table[2])
    if grid and grid[1] == 1 and table[1] > _BOX + m:
        return Guess(YoloSegHead(), table[1] - _BOX - m, LIKELY, evidence, "yolo", size_px=(640, 640))
    grid = _grid(facts, table[1])
    if grid and grid[1] == _ANCHORED and table[2] > 5 + m:
        return Guess(YoloSegHead(layout="v5"), table[2] - 5 - m, LIKELY, evidence, "yolo", size_px=(640, 640))
    return Guess(YoloSegHead(layout="end2end"), 80, LIKELY, evidence, "yolo") if table[2] == 6 + m else None


def fastestdet(facts: Facts) -> Guess | None:
    """One map ``[1, 5 + C, h/16, w/16]`` with a sigmoid for objectness and a softmax over classes in the graph."""
    shape = facts.only
    if len(shape) != _RANK_MAPS or not facts.height or shape[2:] != (-(-facts.height // 16), -(-facts.width // 16)):
        return None
    name = facts.outputs[0].name
    if shape[1] <= 5 or not {"Softmax", "Sigmoid"} <= facts.ops or facts.ends.get(name) in {"sigmoid", "softmax"}:  # noqa: PLR2004
        return None
    evidence = (f"one map {shown(shape)} at a sixteenth of the input, classes through a softmax: FastestDet",)
    return Guess(FastestDetHead(), shape[1] - 5, FAIR, evidence, "fastestdet")
