"""Points of the one object in the picture, and what only looks like classes: embeddings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from edge.models.inspect.facts import Facts
from edge.models.inspect.rules.base import FAIR, LIKELY, POOR, Guess, shown
from edge.vision.conventions import HeatmapsHead, LandmarksHead, RawHead, SimccHead

_POINT_WORDS = (
    "landmark",
    "keypoint",
    "kpt",
    "pfld",
    "lmk",
    "pose",
    "points",
    "facemesh",
    "heatmap",
    "hrnet",
    "movenet",
)
_SMALL_PX = 256
_INSIGHTFACE_PX = 192
"""Side of 2d106det's input; PFLD with as many points has 112, and fractions instead of -1..1."""
_EMBEDDING = {128, 192, 256, 384, 512, 768, 1024, 1280, 2048}
"""Usual lengths of embeddings and features; few classifiers have just so many classes."""
_CLASS_WORDS = ("class", "logit", "prob", "softmax", "score", "label")
_ELSEWHERE = "the picture must show this one thing and little else: a cascade crops it with a detector before"


@dataclass(frozen=True, slots=True)
class _Kind:
    """A set of points that is known by how many numbers it has."""

    points: int
    values: int
    what: str
    label: str
    unit: str
    prior: str


_KINDS = {
    136: _Kind(68, 2, "68 points of a face, as PFLD and 300-W have them", "face", "normalised", "plain"),
    196: _Kind(98, 2, "98 points of a face, as PFLD and WFLW have them", "face", "normalised", "plain"),
    212: _Kind(106, 2, "106 points of a face, as insightface and PFLD have them", "face", "centred", "insightface"),
    1404: _Kind(468, 3, "468 points of a face in three dimensions: MediaPipe's mesh", "face", "input", "plain"),
    1434: _Kind(
        478, 3, "478 points of a face in three dimensions: MediaPipe's mesh with irises", "face", "input", "plain"
    ),
    63: _Kind(21, 3, "21 points of a hand in three dimensions: MediaPipe", "hand", "input", "plain"),
    213: _Kind(
        71, 3, "71 points of an eye and its brow in three dimensions: MediaPipe's iris", "eye", "input", "plain"
    ),
    42: _Kind(21, 2, "21 points of a hand", "hand", "normalised", "plain"),
}
_OF_POINTS = {17: "person", 133: "person", 16: "person", 14: "person", 26: "person", 21: "hand", 68: "face", 98: "face",
              106: "face", 5: "face"}  # fmt: skip
"""What has so many points: COCO, COCO-WholeBody, MPII, CrowdPose, Halpe; hands; 300-W, WFLW, JD-landmark."""


def simcc(facts: Facts) -> Guess | None:
    """Two tensors ``[1, K, width * split]`` and ``[1, K, height * split]``: RTMPose."""
    shapes = list(facts.shapes.items())
    if len(shapes) != 2 or not facts.height or any(len(s) != 3 or s[0] != 1 for _, s in shapes):  # noqa: PLR2004
        return None
    (_, x), (_, y) = shapes
    if x[1] != y[1] or x[1] < 2 or x[2] * facts.height != y[2] * facts.width or x[2] < facts.width:  # noqa: PLR2004
        return None
    split = x[2] / facts.width
    evidence = (
        f"outputs {shown(x)} and {shown(y)}: {x[1]} points, {split:g} bins a pixel of {facts.width} x {facts.height}: RTMPose",
    )
    head = SimccHead(points=x[1], split=split)
    return _guess(head, LIKELY, evidence, "mmpose", _OF_POINTS.get(x[1], "object"), threshold=0.3)


def heatmaps(facts: Facts) -> Guess | None:
    """``[1, K, h / 4, w / 4]`` with a number of points that people label, or called heat maps."""
    shape = facts.only
    if len(shape) != 4 or shape[0] != 1 or not facts.height or facts.applied(facts.outputs[0].name) == "softmax":  # noqa: PLR2004
        return None
    points, step = shape[1], 4
    if points == 1 or (facts.height, facts.width) not in {
        (shape[2] * step, shape[3] * step),
        (shape[2] * 2, shape[3] * 2),
    }:
        return None
    named = _named(facts)
    upright = facts.height * 3 == facts.width * 4
    if not named and not (points in {17, 133} or (upright and points in _OF_POINTS)):
        return None
    why = "its name speaks of points" if named else f"{points} are the points of a {_OF_POINTS[points]}"
    evidence = (
        f"{points} maps {shown(shape)} at a fraction of {facts.width} x {facts.height}: heat maps of points",
        why,
    )
    unsure = ("maps of classes (segmentation) look the same",) if not named else ()
    return _guess(
        HeatmapsHead(points=points), LIKELY if named else FAIR, evidence, "mmpose", _OF_POINTS.get(points, "object"),
        unsure=unsure, threshold=0.3,
    )  # fmt: skip


def movenet(facts: Facts) -> Guess | None:
    """``[1, 1, 17, 3]``: y, x and score of the points of one person."""
    if facts.only not in {(1, 1, 17, 3), (1, 17, 3)}:
        return None
    evidence = (f"{shown(facts.only)}: y, x and score of 17 points of one person: MoveNet",)
    head = LandmarksHead(points=17, values=3, order="yx", unit="normalised", third="score")
    return _guess(head, LIKELY, evidence, "movenet", "person", threshold=0.2, size_px=(192, 192))


def landmarks(facts: Facts) -> Guess | None:
    """One row of two or three numbers for each of a well-known number of points."""
    if not facts.outputs or not facts.height:
        return None
    # Maps beside the points are features for a second head (PFLD's own export gives them).
    rows = {n: math.prod(s) for n, s in facts.shapes.items() if s and 0 not in s and not _is_map(s)}
    name = next((n for n, size in rows.items() if size in _KINDS), "")
    if not name or facts.applied(name) in {"softmax", "sigmoid"}:
        return None
    kind = _KINDS[rows[name]]
    named = _named(facts)
    if not named and not _believed(facts, rows[name], several=len(rows) > 1):
        return None
    tensor = next(o for o in facts.outputs if o.name == name)
    pixels = tensor.high > facts.width / 3
    unit: Any = "input" if pixels else kind.unit if kind.unit != "input" else "normalised"
    prior = kind.prior
    if unit == "centred" and facts.width != _INSIGHTFACE_PX:
        unit, prior = "normalised", "plain"
    evidence = (
        f"{rows[name]} numbers, {shown(facts.shapes[name])}: {kind.what}",
        "values reach the picture's size: pixels" if pixels else f"values are small: taken as {unit}",
    )
    flag = next((n for n, size in rows.items() if n != name and size == 1 and len(rows) > 1), "")
    head = LandmarksHead(
        output=name if len(facts.outputs) > 1 else "", points=kind.points, values=kind.values, unit=unit, third="depth",  # type: ignore[arg-type]
        score_output=flag, activation="none" if not flag or facts.applied(flag) else "sigmoid",
    )  # fmt: skip
    unsure = () if named else (f"if these are {rows[name]} classes and no points, set output.head to classify",)
    return _guess(head, LIKELY if named else FAIR, evidence, f"landmarks-{prior}", kind.label, unsure=unsure)


def _is_map(shape: tuple[int, ...]) -> bool:
    return len(shape) == 4 and min(shape[-2:]) > 4  # noqa: PLR2004  (rank; a row of numbers may have four axes, too)


def _believed(facts: Facts, n: int, *, several: bool) -> bool:
    """Whether so many numbers are points though no name says so: 196 are Stanford's cars as well, at 224 px."""
    if n == 196:  # noqa: PLR2004  (as above)
        return facts.width <= _SMALL_PX / 2
    if n in {42, 63}:
        return several and n == 63  # noqa: PLR2004  (a hand comes with its presence)
    return max(facts.height, facts.width) <= _SMALL_PX


def embedding(facts: Facts) -> Guess | None:
    """One row of a usual length without a softmax, or features: what two pictures have in common, no classes."""
    if len(facts.outputs) != 1 or not facts.height:
        return None
    output = facts.outputs[0]
    n = math.prod(d or 0 for d in output.shape)
    if n not in _EMBEDDING or len([d for d in output.shape if d != 1]) != 1:
        return None
    if facts.ends.get(output.name) in {"softmax", "sigmoid", "logsoftmax"}:
        return None
    if any(word in output.name.lower() for word in _CLASS_WORDS):
        return None
    evidence = (f"{n} numbers without a softmax, {shown(facts.only)}: an embedding or features, no classes",)
    said = (
        "an embedding says how alike two pictures are, and there is no head for that: compare by a plug-in head, or let "
        f'`jidoka model bank` use it; if these are {n} classes, set output.head = "classify" and name them'
    )
    unsure = (said,)
    return Guess(RawHead(), 0, POOR, evidence, "embedding", unsure=unsure, size_px=(224, 224))


def _named(facts: Facts) -> bool:
    names = f"{facts.name} {' '.join(facts.shapes)}".lower()
    return any(word in names for word in _POINT_WORDS)


def _guess(
    head: Any,
    sure: float,
    evidence: tuple[str, ...],
    prior: str,
    label: str,
    *,
    unsure: tuple[str, ...] = (),
    threshold: float = 0.5,
    size_px: tuple[int, int] | None = None,
) -> Guess:
    return Guess(
        head, 1, sure, evidence, prior, (label,), unsure=(*unsure, _ELSEWHERE), thresholds={"score": threshold},
        size_px=size_px, labels_why="what such models find has one name",
    )  # fmt: skip
