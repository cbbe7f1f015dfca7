"""Detectors of one kind of thing with points: faces, palms, persons."""

from __future__ import annotations

from typing import Any

from edge.models.inspect.facts import Facts
from edge.models.inspect.rules.base import LIKELY, SURE, Guess, shown
from edge.vision.conventions import MediaPipeHead, RetinaFaceHead, ScrfdHead, YuNetHead
from edge.vision.conventions.terms import Score

Shapes = dict[str, tuple[int, ...]]

SQUARES = (
    (10.0, 10.0, 16.0, 16.0, 24.0, 24.0),
    (32.0, 32.0, 48.0, 48.0),
    (64.0, 64.0, 96.0, 96.0),
    (128.0, 128.0, 192.0, 192.0, 256.0, 256.0),
)
"""Priors of libfacedetection and of UltraFace for strides 8, 16, 32, 64 (``min_boxes`` in vision/ssd/config/fd_config.py
of Ultra-Light-Fast-Generic-Face-Detector-1MB)."""
SQUARE_STRIDES = (8, 16, 32, 64)


def squares(facts: Facts, *, up: bool) -> int:
    """How many such priors this input has, maps rounded up or down."""
    return sum(
        ((facts.height + (s - 1) * up) // s) * ((facts.width + (s - 1) * up) // s) * (len(row) // 2)
        for s, row in zip(SQUARE_STRIDES, SQUARES, strict=True)
    )


def _seen(shapes: Shapes) -> str:
    return "outputs " + ", ".join(f"{name[:32]} {shown(shape)}" for name, shape in list(shapes.items())[:6])


def yunet(facts: Facts) -> Guess | None:
    """``cls``, ``obj``, ``bbox`` and ``kps`` for three strides."""
    shapes = facts.shapes
    lasts = sorted(s[-1] for s in shapes.values() if s)
    if len(shapes) != 12 or lasts != [1] * 6 + [4] * 3 + [10] * 3:  # noqa: PLR2004  (four kinds for three strides)
        return None
    evidence = ("twelve outputs: class, objectness, box and five points for three strides: YuNet", _seen(shapes))
    return Guess(YuNetHead(), 1, SURE, evidence, "yunet", label_set="face", size_px=(320, 320))


def scrfd(facts: Facts) -> Guess | None:
    """Scores, distances and points ``(n, 1)``, ``(n, 4)``, ``(n, 10)`` for three strides."""
    shapes = facts.shapes
    lasts = [s[-1] for s in shapes.values() if s]
    kinds = sorted(lasts)
    if len(shapes) != 9 or kinds != [1] * 3 + [4] * 3 + [10] * 3 or not facts.height:  # noqa: PLR2004  (as above)
        return None
    finest = max(s[-2] for s in shapes.values())
    per_cell, rest = divmod(finest, facts.cells(8))
    if rest or not per_cell:
        return None
    evidence = (f"nine outputs: score, box and five points for three strides, {per_cell} a cell: SCRFD", _seen(shapes))
    return Guess(ScrfdHead(per_cell=per_cell), 1, SURE, evidence, "scrfd", label_set="face", size_px=(640, 640))


def retinaface(facts: Facts) -> Guess | None:
    """Boxes, two scores and ten point coordinates a prior."""
    shapes = facts.shapes
    if sorted(s[-1] for s in shapes.values() if len(s) == 3) != [2, 4, 10] or len(shapes) != 3:  # noqa: PLR2004
        return None
    n = next(iter(shapes.values()))[1]
    if n != 2 * facts.cells(8, 16, 32):
        return None
    evidence = (f"boxes, two scores and five points for {n} priors, two a cell of strides 8, 16, 32: RetinaFace",)
    scores = next(o for o in facts.outputs if o.shape[-1] == 2)  # noqa: PLR2004  (background, face)
    activation: Score = "none" if facts.applied(scores.name) else "softmax"
    return Guess(RetinaFaceHead(activation=activation), 1, LIKELY, evidence, "retinaface", label_set="face")


def yunet_of_priors(facts: Facts) -> Guess | None:
    """YuNet before 2023: box and points ``(N, 14)``, two scores and the expected overlap a prior."""
    shapes = facts.shapes
    if sorted(s[-1] for s in shapes.values() if s) != [1, 2, 14] or not facts.height:
        return None
    n = {s[-2] if len(s) > 1 else 0 for s in shapes.values()}
    ups = [up for up in (False, True) if n == {squares(facts, up=up)}]
    if not ups:
        return None
    head = RetinaFaceHead(strides=SQUARE_STRIDES, priors=SQUARES, rounded="up" if ups[0] else "down")
    evidence = (
        f"box with five points, two scores and one overlap for {n.pop()} priors: YuNet before 2023",
        _seen(shapes),
    )
    thresholds = {"score": 0.6, "iou": 0.3}
    return Guess(head, 1, SURE, evidence, "yunet", label_set="face", size_px=(320, 320), thresholds=thresholds)


_MEDIAPIPE: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    ((8, 16), (2, 6)),
    ((16, 32), (2, 6)),
    ((4,), (1,)),
    ((8, 16, 32), (2, 2, 6)),
)
"""Strides and rows a cell of its models: short range and palms; back camera; full range; palms of 256 px and persons."""
_OF_WIDTH = {16: ("face", 6), 18: ("palm", 7), 12: ("person", 4)}


def mediapipe(facts: Facts) -> Guess | None:
    """``[1, N, 4 + 2 K]`` and ``[1, N, 1]`` with N a sum of MediaPipe's anchors; all at once or map by map."""
    shapes = [s for s in facts.shapes.values() if len(s) == 3 and s[0] == 1]  # noqa: PLR2004  (rank)
    widths = {s[2] for s in shapes} - {1}
    if len(shapes) != len(facts.shapes) or len(widths) != 1 or len(shapes) % 2:
        return None
    width = next(iter(widths))
    if width not in _OF_WIDTH:
        return None
    n = sum(s[1] for s in shapes if s[2] == width)
    found = [one for one in _MEDIAPIPE if sum(facts.cells(s) * k for s, k in zip(*one, strict=True)) == n]
    if not found or n != sum(s[1] for s in shapes if s[2] == 1):
        return None
    what, points = _OF_WIDTH[width]
    strides, per_cell = found[0]
    score = next(o for o in facts.outputs if o.shape[-1] == 1)
    applied = facts.applied(score.name)
    head = MediaPipeHead(strides=strides, per_cell=per_cell, points=points, activation="none" if applied else "sigmoid")
    said = f"boxes with {points} points and one score for {n} anchors of strides {', '.join(map(str, strides))}"
    # Palms of 192 px came later and take 0..1; all others take -1..1.
    changes: dict[str, Any] = {"mean": (0.0,), "std": (1.0,)} if what == "palm" and facts.width == 192 else {}  # noqa: PLR2004
    return Guess(
        head, 1, LIKELY, (f"{said}: MediaPipe's {what} detector", _seen(facts.shapes)), "mediapipe", (what,),
        input_changes=changes, thresholds={"score": 0.5, "iou": 0.3}, labels_why="what such models find has one name",
    )  # fmt: skip
