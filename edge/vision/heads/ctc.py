"""A line of text from one class a step, see :class:`CtcHead`."""

from __future__ import annotations

import numpy as np

from edge.vision.conventions.reading import CtcHead
from edge.vision.heads.base import Context, Floats, Head, Outputs, Shapes, activate, floats, pick
from edge.vision.prediction import Prediction

LABELS = ("text",)


def decode_ctc(head: CtcHead, outputs: Outputs, context: Context) -> Prediction:
    """One row, or none where nothing was read: the text, and the mean of its characters' scores."""
    steps = activate(_steps(head, floats(outputs, head.output)), head.activation, axis=1)
    text, score = read(steps, tuple(head.characters), blank=0 if head.blank == "first" else steps.shape[1] - 1)
    geometry = context.geometry
    width, height = geometry.frame_width_px, geometry.frame_height_px
    limit = context.limits[0] if len(context.limits) else np.float32(context.thresholds.score)
    n = int(bool(text.strip()) and score >= limit)
    box = np.array([[0, 0, width, height]], np.float32)
    return Prediction(
        "ocr",
        context.labels or LABELS,
        width,
        height,
        box[:n],
        np.array([score], np.float32)[:n],
        np.zeros(n, np.int64),
        np.full(n, width * height, np.float32),
        mm_per_px=context.mm_per_px,
        quads=box[:, [[0, 1], [2, 1], [2, 3], [0, 3]]][:n],
        texts=(text,)[:n],
    )


def read(steps: Floats, characters: tuple[str, ...], blank: int = 0) -> tuple[str, float]:
    """Greedy reading of ``(T, C)``: text, and mean score of the steps that a character was taken from (0 without)."""
    best = steps.argmax(axis=1)
    taken = best != blank
    taken[1:] &= best[1:] != best[:-1]
    at = np.flatnonzero(taken)
    if not len(at):
        return "", 0.0
    shift = 1 if blank == 0 else 0
    text = "".join([characters[i - shift] for i in best[at].tolist()])
    return text, float(np.nan_to_num(steps[at, best[at]]).mean())


def _steps(head: CtcHead, output: Floats) -> Floats:
    """``(T, C)``."""
    match head.layout:
        case "ntc":
            return np.asarray(output[0])
        case "tnc":
            return np.asarray(output[:, 0])
        case _:
            return np.asarray(output[0].T)


def classes_of(head: CtcHead, shape: tuple[int, ...]) -> int:
    """C of an output's shape, 0 where the shape is of no such output."""
    if len(shape) != 3:  # noqa: PLR2004  (rank)
        return 0
    ones, classes = {"ntc": (shape[0], shape[2]), "tnc": (shape[1], shape[2]), "nct": (shape[0], shape[1])}[head.layout]
    return classes if ones == 1 else 0


def _wants(head: CtcHead, shapes: Shapes, _n_labels: int) -> str:
    seen = classes_of(head, pick(shapes, head.output))
    # Before its dictionary is known, any number of classes will do; afterwards each must have its character.
    classes = len(head.characters) + 1 if head.characters else max(seen, 2)
    if seen == classes:
        return ""
    layout = {"ntc": f"[1, T, {classes}]", "tnc": f"[T, 1, {classes}]", "nct": f"[1, {classes}, T]"}[head.layout]
    return f"{layout} ({classes - 1} characters and the blank)"


CTC = Head(decode_ctc, _wants)
