"""The pictures of the report: the worst cases, the truth on the left, the answer on the right."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from msgspec import Struct

from edge.errors import JidokaError
from edge.evaluate.document import sides
from edge.evaluate.metrics.pixels import IGNORE
from edge.evaluate.results import Evaluation, Record
from edge.evaluate.run import Evaluator, load_picture, look
from edge.evaluate.shapes import mask_of, truth_of
from edge.evaluate.truth import Sample
from edge.ports import Image
from edge.vision.draw import overlay
from edge.vision.imageio import encode_jpeg
from edge.vision.prediction import Prediction
from edge.vision.region import move_back
from edge.vision.text import Typeface, box_of, write

WIDTH_PX = 440
_TRUE = (60, 200, 255)
_INK = (20, 20, 20)
_QUALITY = 82
_SHELF = 12
_CLOSEST = 1 / 3  # of the frame is shown at least, so that one still sees where it is
_CLOSEST_PX = 96

Window = tuple[int, int, int, int]
"""Left, top, right, bottom in frame pixels."""


class Shown(Struct, frozen=True):
    """One case: two pictures as JPEG bytes, and its words."""

    truth: bytes
    answer: bytes
    title: str
    text: str


class Shelf(Struct, frozen=True):
    """One row of the gallery."""

    title: str
    about: str
    cases: tuple[Shown, ...]


def shelves(evaluator: Evaluator, evaluation: Evaluation, advance: Callable[[], None] = lambda: None) -> list[Shelf]:
    """Escapes, overkill, what is wrong most, what is nearest to the threshold: the model runs on these once more."""
    escapes, overkill = sides(evaluation)
    used = {record.index for record in (*escapes, *overkill)}
    wrong = sorted((r for r in evaluation.records if r.fault > 0 and r.index not in used), key=lambda r: -r.fault)
    rows: list[tuple[str, str, Sequence[Record]]] = [
        ("Escapes", "bad pictures that pass; those that look best to the model first", escapes),
        ("Overkill", "good pictures that are rejected; the surest first", overkill),
        ("Furthest from the truth", "by the task's own measure, whatever is decided", wrong),
        ("Closest calls", "rightly decided, nearest to the threshold", _close(evaluation, used)),
    ]
    out = []
    for title, about, records in rows:
        cases = []
        for record in records[:_SHELF]:
            cases += [case] if (case := _case(evaluator, record, decided=evaluation.inspection is not None)) else []
            advance()
        if cases:
            more = len(records) - len(cases)
            shown = f"{about}; {more} more are not shown" if more > 0 and title != "Closest calls" else about
            head = title if title == "Closest calls" else f"{title} ({len(records)})"
            out.append(Shelf(head, shown, tuple(cases)))
    return out


def _close(evaluation: Evaluation, used: set[int]) -> list[Record]:
    found = evaluation.inspection
    if found is None or found.threshold is None:
        return []
    threshold = found.threshold
    there = [r for r in evaluation.records if r.index not in used and r.score is not None and r.bad is not None]
    return sorted(there, key=lambda r: abs((r.score or 0.0) - threshold))[:4]


def _case(evaluator: Evaluator, record: Record, *, decided: bool) -> Shown | None:
    sample = evaluator.dataset.samples[record.index]
    try:
        image = load_picture(sample)
        found = look(evaluator.model, image, evaluator.settings.mm_per_px).found
        window = _window(image, sample, found)
        truth = _cut(mark(image, sample, evaluator, window), window)
    except JidokaError:
        return None  # it was there a moment ago; the rest of the report stands
    verdict = "" if record.rejected is None else ("rejected, " if record.rejected else "passed, ")
    score = "" if record.score is None or not decided else f"{verdict}score {record.score:.4g}"
    heat = found.anomaly.heat if found.anomaly is not None else None
    below = _cut(image if heat is None else _heated(image, heat), window)
    shape = (window[3] - window[1], window[2] - window[0])
    answer = overlay(below, move_back(found, (-window[0], -window[1]), shape))
    return Shown(_small(truth), _small(answer), record.name, "; ".join(filter(None, (score, record.note))))


def _window(image: Image, sample: Sample, found: Prediction) -> Window:
    """What to show: all of the frame, or the part that holds truth and answer where that is much smaller."""
    height, width = image.shape[:2]
    boxes = [found.boxes.astype(np.float64)]
    if sample.things is not None or sample.mask is not None:
        boxes.append(truth_of(sample, height, width, "").boxes)
    both = np.concatenate(boxes)
    if found.task in {"classify", "ocr", "codes"} or not len(both):
        return (0, 0, width, height)
    low, high = both[:, :2].min(axis=0), both[:, 2:].max(axis=0)
    sides = np.maximum(np.maximum((high - low) * 1.6, _CLOSEST_PX), np.array([width, height]) * _CLOSEST)
    sides = np.minimum(sides, [width, height])
    start = np.clip((low + high - sides) / 2, 0, np.array([width, height]) - sides).astype(int)
    end = start + np.ceil(sides).astype(int)
    return (int(start[0]), int(start[1]), min(int(end[0]), width), min(int(end[1]), height))


def _cut(image: Image, window: Window) -> Image:
    return np.ascontiguousarray(image[window[1] : window[3], window[0] : window[2]])


def mark(image: Image, sample: Sample, evaluator: Evaluator, window: Window) -> Image:
    """The truth, drawn on a BGR copy: areas as outlines, boxes with their class; what cannot be judged is darker.

    Lines and words are of the size that suits ``window``, the part that will be shown.
    """
    picture = np.array(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image, np.uint8, order="C")  # noqa: PLR2004
    height, width = picture.shape[:2]
    face = Typeface.for_picture(window[2] - window[0], window[3] - window[1])
    if sample.mask is not None:
        everything: Any = dict.fromkeys(evaluator.dataset.classes, 1)
        mask = mask_of(sample, height, width, everything, evaluator.dataset.classes)
        picture[mask == IGNORE] //= 2
        outlines, _ = cv2.findContours((mask > 0).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
        cv2.polylines(picture, outlines, True, _TRUE, face.line_px, cv2.LINE_AA)
    elif sample.things is not None:
        truth = truth_of(sample, height, width, "")
        for row, box in enumerate(truth.boxes.round().astype(int).tolist()):
            if truth.patches is not None:
                patch = truth.patches[row]
                outlines, _ = cv2.findContours(
                    patch.mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=(patch.left, patch.top)
                )
                cv2.polylines(picture, outlines, True, _TRUE, face.line_px, cv2.LINE_AA)
            else:
                cv2.rectangle(picture, (box[0], box[1]), (box[2] - 1, box[3] - 1), _TRUE, face.line_px, cv2.LINE_AA)
            _word(picture, truth.labels[row], box[0], box[1], face)
    else:
        words = (
            sample.label or "; ".join(sample.texts or ()) or ", ".join(f"{k} {v:.4g}" for k, v in sample.values.items())
        )
        _word(picture, words, 0, box_of(words, face)[1], face)
    return picture


def _word(picture: Image, text: str, left: int, bottom: int, face: Typeface) -> None:
    width, height = box_of(text, face)
    x = max(0, min(left, picture.shape[1] - width))
    y = max(0, min(bottom - height, picture.shape[0] - height))
    cv2.rectangle(picture, (x, y), (x + width - 1, y + height - 1), _TRUE, cv2.FILLED)
    write(picture, text, (x, y), face, _INK, width_px=width)


def _heated(image: Image, heat: np.ndarray) -> Image:
    """The map over the picture: 0..1, one half at its threshold."""
    gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)  # noqa: PLR2004
    level = np.clip(np.nan_to_num(heat), 0.0, 1.0) * 255
    sized = cv2.resize(level.astype(np.uint8), (gray.shape[1], gray.shape[0]), interpolation=cv2.INTER_LINEAR)
    colored = cv2.applyColorMap(sized, cv2.COLORMAP_INFERNO)
    return np.asarray(cv2.addWeighted(cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR), 0.6, colored, 0.4, 0), np.uint8)


def _small(image: Image) -> bytes:
    height, width = image.shape[:2]
    scale = WIDTH_PX / max(width, height)
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    return encode_jpeg(image, _QUALITY)


def as_data_url(jpeg: bytes) -> str:
    """The picture inside the page."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()
