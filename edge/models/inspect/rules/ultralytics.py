"""Exports of Ultralytics say task, names and picture size in their metadata (``Exporter``, ultralytics/engine/exporter.py)."""

from __future__ import annotations

from edge.models.bundle import MAX_LABELS
from edge.models.inspect.facts import Facts
from edge.models.inspect.named import distinct, literal
from edge.models.inspect.rules.base import SURE, Guess, shown
from edge.vision.conventions import (
    ClassifyHead,
    DetrHead,
    End2EndHead,
    HeadSpec,
    YoloObbHead,
    YoloPoseHead,
    YoloSegHead,
    YoloV5Head,
    YoloV8Head,
)
from edge.vision.spec import MAX_SIDE_PX

_MIN_PROTOTYPES = 8
_MOST_ROWS = 1000
"""Finished rows and queries are at most so many; grids of candidates are larger."""


def ultralytics(facts: Facts) -> Guess | None:
    """By the metadata ``task`` and ``names``."""
    names = literal(facts.metadata.get("names", ""))
    task = facts.metadata.get("task", "")
    if not task or not isinstance(names, dict) or not 0 < len(names) <= MAX_LABELS or not facts.outputs:
        return None
    labels = distinct(tuple(str(names[k])[:64] or str(k) for k in sorted(names, key=_number)))
    shapes = [tuple(d or 0 for d in o.shape) for o in facts.outputs]
    head = _head(task, len(labels), shapes, facts)
    if head is None:
        return None
    version = facts.metadata.get("version", "")[:20]
    said = f"the metadata say task {task!r} and {len(labels)} names" + (f", Ultralytics {version}" if version else "")
    prior = "ultralytics-classify" if task == "classify" else "ultralytics"
    if isinstance(head, DetrHead):
        prior = "ultralytics-rtdetr"
    evidence = (said, f"the output is {shown(shapes[0])}")
    # RT-DETR's finished rows are fractions of the input, those of YOLO are pixels.
    rivals = (End2EndHead(unit="normalised"),) if isinstance(head, End2EndHead) else ()
    size_px = metadata_size_px(facts.metadata)
    return Guess(head, len(labels), SURE, evidence, prior, labels, size_px=size_px, rivals=rivals)


def _head(task: str, n: int, shapes: list[tuple[int, ...]], facts: Facts) -> HeadSpec | None:
    """What stands in ``ultralytics/nn/modules/head.py`` for a task; finished rows since YOLOv10 and YOLO26."""
    match task, shapes[0]:
        case "detect", (_, rows, _) if rows == n + 4:
            return YoloV8Head()
        case "detect", (_, rows, 6) if rows <= _MOST_ROWS:
            return End2EndHead()
        case "detect", (_, rows, columns) if columns == n + 4 and rows <= _MOST_ROWS:
            return DetrHead(activation="none")
        case "detect", (_, _, columns) if columns == n + 5:
            return YoloV5Head()
        case "segment", (_, rows, columns):
            return _segment(n, rows, columns, shapes)
        case "pose", (_, rows, columns):
            return _pose(n, rows, columns, facts)
        case "obb", (_, rows, columns):
            if rows == 4 + n + 1:
                return YoloObbHead()
            return YoloObbHead(layout="end2end") if columns == 7 else None  # noqa: PLR2004  (six and an angle)
        case "classify", (_, columns) if columns == n:
            # Its exports end in a softmax.
            return ClassifyHead(activation="none")
        case _:
            return None


def _segment(n: int, rows: int, columns: int, shapes: list[tuple[int, ...]]) -> HeadSpec | None:
    prototypes = next((s[1] for s in shapes[1:] if len(s) == 4), 0)  # noqa: PLR2004  (rank of maps)
    if prototypes < _MIN_PROTOTYPES:
        return None
    if rows == 4 + n + prototypes:
        return YoloSegHead()
    if columns == 6 + prototypes:
        return YoloSegHead(layout="end2end")
    return YoloSegHead(layout="v5") if columns == 5 + n + prototypes else None


def _pose(n: int, rows: int, columns: int, facts: Facts) -> HeadSpec | None:
    match literal(facts.metadata.get("kpt_shape", "")):
        case [int(points), 2 | 3 as values] if points > 0:
            if rows == 4 + n + points * values:
                return YoloPoseHead(points=points, values=values)
            if columns == 6 + points * values:
                return YoloPoseHead(layout="end2end", points=points, values=values)
    if rows > 4 + n and (rows - 4 - n) % 3 == 0:
        return YoloPoseHead(points=(rows - 4 - n) // 3)
    return None


def metadata_size_px(metadata: dict[str, str]) -> tuple[int, int] | None:
    """``imgsz`` of Ultralytics metadata, which is ``[height, width]``, as width, height."""
    value = literal(metadata.get("imgsz", ""))
    match value:
        case [int(height), int(width)] if 0 < height <= MAX_SIDE_PX and 0 < width <= MAX_SIDE_PX:
            return width, height
        case _:
            return None


def _number(key: object) -> int:
    return key if isinstance(key, int) else 0
