"""Overlays: what a model found and what was decided, drawn so that a person at the line sees it at a glance.

Everything follows the picture's scale: a line that is right at 640 px is invisible at 4,000. Colours belong to
labels, by name, so that a scratch is the same colour in every picture and every model. Text never leaves the picture
and never covers the banner; it stands on its own ground, dark or light as the colour needs.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.domain import Reason, Verdict
from edge.ports import Image
from edge.vision.captions import against_limit, caption
from edge.vision.draw_points import draw_points
from edge.vision.heat import lay_heat
from edge.vision.prediction import Anomaly, Prediction
from edge.vision.text import Typeface, box_of, write

Bgr = tuple[int, int, int]

# Twelve hues that stay apart on grey metal and in daylight, also for most people who see red and green alike.
PALETTE: tuple[Bgr, ...] = (
    (60, 90, 255),
    (255, 170, 40),
    (70, 210, 90),
    (0, 190, 255),
    (235, 90, 190),
    (200, 220, 40),
    (40, 130, 245),
    (250, 120, 110),
    (140, 230, 200),
    (150, 70, 245),
    (110, 180, 120),
    (230, 200, 150),
)
_VERDICT_COLORS: dict[str, Bgr] = {
    "pass": (80, 160, 50),
    "fail": (50, 50, 215),
    "unsure": (20, 160, 235),
    "none": (120, 120, 120),
}
_INK_DARK: Bgr = (20, 20, 20)
_INK_LIGHT: Bgr = (255, 255, 255)
_FILL_ALPHA = 0.38
_MAX_LABELLED = 40
"""Above so many, names would cover what they name: only the likeliest are labelled, all are outlined."""


def color_of(label: str) -> Bgr:
    """The colour of a label, the same in every process."""
    return PALETTE[zlib.crc32(label.encode()) % len(PALETTE)]


def overlay(image: Image, prediction: Prediction, verdict: Verdict | None = None) -> Image:
    """A new BGR picture of the frame's size with findings, and a verdict banner where there is a verdict.

    ``image`` uint8 ``(h, w, 3)`` BGR or ``(h, w)`` grey, the frame the prediction is of.
    """
    gray = image.ndim == 2  # noqa: PLR2004  (as ports.Image says)
    picture = np.array(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if gray else image, np.uint8, order="C")
    face = Typeface.for_picture(picture.shape[1], picture.shape[0])
    canvas = _Canvas(picture, face, colors_of(prediction.labels))
    if prediction.task == "classify":
        top = _banner(canvas, verdict)
        _classes(canvas, prediction, top)
        return canvas.picture
    if prediction.anomaly is not None:
        _anomaly(canvas, prediction, prediction.anomaly, verdict)
        return canvas.picture
    _fill_regions(canvas, prediction)
    _outlines(canvas, prediction)
    _labels(canvas, prediction, _banner(canvas, verdict))
    return canvas.picture


def _outlines(canvas: _Canvas, prediction: Prediction) -> None:
    """Boxes, or quads where there are; of what further models saw as well, in thin lines."""
    if prediction.quads is not None:
        _quads(canvas, prediction)
    elif prediction.task == "detect":
        _boxes(canvas, prediction)
    thin = _Canvas(canvas.picture, canvas.face.thinner(), canvas.colors)
    if prediction.keypoints is not None:
        _boxes(thin, prediction)
        draw_points(canvas.picture, prediction, canvas.color, canvas.face)
    for other in prediction.beside:
        _outlines(canvas, other)
    for inner in prediction.nested:
        if inner.task != "classify":
            _fill_regions(thin, inner)
            _outlines(thin, inner)


def colors_of(labels: tuple[str, ...]) -> dict[str, Bgr]:
    """Colours of a model's labels: each its own by name, moved on where two of the first twelve would be alike."""
    taken: dict[str, Bgr] = {}
    for label in labels:
        first = zlib.crc32(label.encode())
        order = [PALETTE[(first + i) % len(PALETTE)] for i in range(len(PALETTE))]
        free = [color for color in order if color not in taken.values()]
        taken[label] = (free or order)[0]
    return taken


@dataclass(slots=True, eq=False)
class _Canvas:
    picture: Image
    face: Typeface
    colors: dict[str, Bgr]

    def color(self, name: str) -> Bgr:
        """Of a label; those of further models are not in the first one's list."""
        return self.colors.get(name) or color_of(name)


def _fill_regions(canvas: _Canvas, prediction: Prediction) -> None:
    """All regions in one blend: translucent inside, a clear outline around."""
    if not prediction.polygons:
        return
    # The outline's points are pixel centres; drawing counts centres as whole numbers.
    outlines = [np.round(p - 0.5).astype(np.int32) for p in prediction.polygons]
    left, top = np.maximum(np.min([o.min(axis=0) for o in outlines], axis=0), 0)
    right, bottom = np.max([o.max(axis=0) for o in outlines], axis=0) + 1
    window = canvas.picture[top:bottom, left:right]
    tinted = window.copy()
    names = prediction.names
    for outline, name in zip(outlines, names, strict=True):
        cv2.fillPoly(tinted, [outline - (left, top)], canvas.color(name))
    cv2.addWeighted(tinted, _FILL_ALPHA, window, 1 - _FILL_ALPHA, 0, dst=window)
    for outline, name in zip(outlines, names, strict=True):
        cv2.polylines(canvas.picture, [outline], True, canvas.color(name), canvas.face.thin_px, cv2.LINE_AA)


def _anomaly(canvas: _Canvas, prediction: Prediction, anomaly: Anomaly, verdict: Verdict | None) -> None:
    """Heat, an outline around what is beyond the limit (dark under light, to be seen on any ground), and the score in
    words.
    """
    if anomaly.heat is not None:
        place = anomaly.heat_xyxy or (0, 0, prediction.frame_width_px, prediction.frame_height_px)
        left, top, right, bottom = (round(v) for v in place)
        lay_heat(canvas.picture[top:bottom, left:right], anomaly.heat)
    outlines = [np.round(p - 0.5).astype(np.int32) for p in prediction.polygons]
    thin = canvas.face.thin_px
    cv2.polylines(canvas.picture, outlines, True, _INK_DARK, thin + 2, cv2.LINE_AA)
    cv2.polylines(canvas.picture, outlines, True, _INK_LIGHT, thin, cv2.LINE_AA)
    top = _banner(canvas, verdict)
    w, h = box_of(text := against_limit(anomaly), canvas.face)
    if top + h <= canvas.picture.shape[0]:
        known = anomaly.threshold != float("inf")
        judged = "none" if not known else "pass" if anomaly.score < anomaly.threshold else "fail"
        _plate(canvas, (0, top, min(w, canvas.picture.shape[1]), top + h), text, _VERDICT_COLORS[judged])


def _boxes(canvas: _Canvas, prediction: Prediction) -> None:
    # Weakest first, so that the likeliest lies on top.
    for box, name in reversed(list(zip(prediction.boxes, prediction.names, strict=True))):
        half = canvas.face.line_px // 2
        height, width = canvas.picture.shape[:2]
        x0, y0, x1, y1 = (int(v) for v in np.round(box))
        start = (min(max(x0, half), width - 1), min(max(y0, half), height - 1))
        end = (max(min(x1 - 1, width - 1 - half), 0), max(min(y1 - 1, height - 1 - half), 0))
        cv2.rectangle(canvas.picture, start, end, canvas.color(name), canvas.face.line_px, cv2.LINE_AA)


def _quads(canvas: _Canvas, prediction: Prediction) -> None:
    """Rotated outlines; of what is read with a dot where a reader begins."""
    assert prediction.quads is not None
    face = canvas.face
    for quad, name in reversed(list(zip(prediction.quads, prediction.names, strict=True))):
        # The outline's points are corners; drawing counts pixel centres as whole numbers.
        outline = np.round(quad - 0.5).astype(np.int32)
        color = canvas.color(name)
        cv2.polylines(canvas.picture, [outline], True, color, face.line_px, cv2.LINE_AA)
        if prediction.task != "detect":
            cv2.circle(canvas.picture, [int(v) for v in outline[0]], 2 * face.line_px, color, cv2.FILLED, cv2.LINE_AA)


def _labels(canvas: _Canvas, prediction: Prediction, top: int) -> None:
    """Name and score, or what was read, above each box, or inside its top where there is no room above, never on another label if one
    of a few places nearby is free.
    """
    taken: list[tuple[int, int, int, int]] = []
    placed: list[tuple[tuple[int, int, int, int], str, str]] = []
    # What a person may want to read beside the label stays free where it can.
    printed = [
        tuple(map(round, box)) for one in (prediction, *prediction.beside) if one.texts for box in one.boxes.tolist()
    ]
    for found in (prediction, *prediction.beside):
        for row in range(min(len(found), _MAX_LABELLED - len(placed))):
            text = caption(found, row)
            place = _place(canvas, _corner(found, row), text, top, taken, printed)
            taken.append(place)
            placed.append((place, text, found.names[row]))
    for place, text, name in reversed(placed):
        _plate(canvas, place, text, canvas.color(name))


def _corner(prediction: Prediction, row: int) -> NDArray[np.float32]:
    """The box whose left top the label stands at: of a rotated one, from its highest corner on."""
    box: NDArray[np.float32] = prediction.boxes[row]
    if prediction.quads is None or prediction.task != "detect":
        return box
    quad = prediction.quads[row]
    high = quad[quad[:, 1] <= quad[:, 1].min() + 0.1 * np.ptp(quad[:, 1])]
    return np.array([max(high[:, 0].min(), box[0]), *box[1:]], np.float32)


def _place(
    canvas: _Canvas,
    box: NDArray[np.float32],
    text: str,
    top: int,
    taken: list[tuple[int, int, int, int]],
    printed: Sequence[tuple[int, ...]] = (),
) -> tuple[int, int, int, int]:
    """A rectangle (left, top, right, bottom) for the text, inside the picture."""
    height, width = canvas.picture.shape[:2]
    w, h = box_of(text, canvas.face)
    x0, y0, x1, y1 = (round(float(v)) for v in box)
    spots = [(x0, y0 - h), (x0, y0), (x0, y1), (x1 - w, y0 - h), (x0, y1 - h), (x1, y0), (x0 - w, y0)]
    inside = [(max(0, min(x, width - w)), max(top, min(y, height - h))) for x, y in spots]
    rectangles = [(x, y, x + w, y + h) for x, y in inside]
    # A spot that had to be pushed back into the picture is second choice.
    untouched = [r for r, spot in zip(rectangles, spots, strict=True) if (r[0], r[1]) == spot]
    free = [r for r in (*untouched, *rectangles) if not any(_overlap(r, t) for t in taken)]
    clear = [r for r in free if not any(_overlap(r, p) for p in printed)]
    return (clear or free or untouched or rectangles)[0]


def _overlap(a: tuple[int, int, int, int], b: tuple[int, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _plate(canvas: _Canvas, place: tuple[int, int, int, int], text: str, color: Bgr) -> None:
    x0, y0, x1, y1 = place
    cv2.rectangle(canvas.picture, (x0, y0), (x1 - 1, y1 - 1), color, cv2.FILLED)
    write(canvas.picture, text, (x0, y0), canvas.face, _ink_on(color), width_px=x1 - x0)


def _ink_on(color: Bgr) -> Bgr:
    """Dark on light, light on dark (luma of ITU-R BT.601)."""
    blue, green, red = color
    return _INK_DARK if 0.114 * blue + 0.587 * green + 0.299 * red > 120 else _INK_LIGHT  # noqa: PLR2004  (of 255)


def _classes(canvas: _Canvas, prediction: Prediction, top: int) -> None:
    """The likeliest classes as lines of text in the upper left corner."""
    for name, score in list(zip(prediction.names, prediction.scores.tolist(), strict=True))[:5]:
        w, h = box_of(text := f"{name} {score:.2f}", canvas.face)
        if top + h > canvas.picture.shape[0]:
            return
        _plate(canvas, (0, top, min(w, canvas.picture.shape[1]), top + h), text, canvas.color(name))
        top += h


def _banner(canvas: _Canvas, verdict: Verdict | None) -> int:
    """A strip along the top with the decision and its first reasons; returns where the free picture begins."""
    if verdict is None:
        return 0
    face = canvas.face.larger()
    text = "  ".join([verdict.decision.upper(), *(_spoken(r) for r in verdict.reasons[:3])])
    height = min(box_of(text, face)[1], int(canvas.picture.shape[0]))
    color = _VERDICT_COLORS[verdict.decision]
    strip = canvas.picture[:height]
    cv2.addWeighted(np.full_like(strip, color), 0.88, strip, 0.12, 0, dst=strip)
    write(canvas.picture, text, (0, 0), face, _ink_on(color), width_px=canvas.picture.shape[1])
    return height


def _spoken(reason: Reason) -> str:
    if reason.wanted:
        return f"{reason.rule} {reason.label}: {reason.text or 'nothing'} (wanted {reason.wanted})"
    limit = f"(limit {_number(reason.limit)})" if reason.limit else ""
    return " ".join(filter(None, (reason.rule, reason.label, _number(reason.seen), limit)))


def _number(value: float) -> str:
    """Three digits, and never the 1.03e+03 that nobody reads."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004  (three digits)
