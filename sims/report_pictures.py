"""The pictures of the report: which parts are shown, and what is drawn on them."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from msgspec import Struct

from sims.parts import REJECT_SIZE_MM as LIMIT_MM
from sims.parts import DefectKind, Part, visible_size_mm
from sims.score_model import Box, Outcome

WIDTH_PX = 520
QUALITY = 82
_TRUE_BGR = (60, 200, 255)

Taken = Callable[[Outcome], bytes | None]
"""Gives a part's JPEG: the kept evidence, or the exposure drawn again."""


class Shown(Struct, frozen=True):
    """One picture with its words."""

    jpeg: bytes
    title: str
    text: str


class Shelf(Struct, frozen=True):
    """One row of the gallery."""

    title: str
    about: str
    pictures: tuple[Shown, ...]


def shelves(
    outcomes: Sequence[Outcome],
    parts: Sequence[Part],
    evidence: Taken,
    again: Taken,
    offset_px: Callable[[Outcome], float],
) -> list[Shelf]:
    """What went wrong first, then what went right, then what took long."""

    def truth_marked(o: Outcome) -> Shown | None:
        jpeg = again(o)
        boxes = [(d.kind, d.box) for d in o.fact.defects]
        return _shown(o, parts, mark(jpeg, boxes, offset_px(o)) if jpeg else None)

    def as_seen(o: Outcome) -> Shown | None:
        return _shown(o, parts, evidence(o) or again(o))

    right = [o for o in outcomes if o.fact.grade == "reject" and o.decision == "fail" and evidence(o)]
    slow = sorted((o for o in outcomes if o.truth.latency_ms is not None), key=lambda o: -(o.truth.latency_ms or 0.0))
    rows: list[tuple[str, str, list[Outcome], Callable[[Outcome], Shown | None], int]] = [
        ("Wrong part", "the gate and the verdict disagree", [o for o in outcomes if o.wrong_part], as_seen, 6),
        (
            "Escapes",
            "bad parts among the good ones; the box is the truth",
            [o for o in outcomes if o.escape],
            truth_marked,
            8,
        ),
        (
            "Overkill",
            "good parts that were rejected, as the agent marked them",
            [o for o in outcomes if o.overkill],
            as_seen,
            8,
        ),
        (
            "Rightly rejected",
            "as the agent marked them: smallest flaws first",
            sorted(right, key=_largest),
            as_seen,
            12,
        ),
        ("Slowest verdicts", "from trigger to verdict at the PLC", slow, as_seen, 4),
    ]
    found = []
    for title, about, chosen, take, most in rows:
        pictures = tuple(one for one in (take(o) for o in chosen[:most]) if one is not None)
        if pictures:
            more = len(chosen) - len(pictures)
            note = f"{about}; {more} more are not shown" if more > 0 and title != "Slowest verdicts" else about
            found.append(Shelf(f"{title} ({len(chosen)})" if title != "Slowest verdicts" else title, note, pictures))
    return found


def mark(jpeg: bytes, boxes: Sequence[tuple[DefectKind | str, Box]], offset_px: float) -> bytes:
    """Draw the true defects' boxes."""
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        return jpeg
    for kind, (left, top, right, bottom) in boxes:
        corner = (round(left + offset_px) - 6, round(top) - 6)
        cv2.rectangle(image, corner, (round(right + offset_px) + 6, round(bottom) + 6), _TRUE_BGR, 2, cv2.LINE_AA)
        place = (max(2, corner[0]), max(14, corner[1] - 6))
        cv2.putText(image, str(kind), place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, _TRUE_BGR, 1, cv2.LINE_AA)
    return _jpeg(image)


def as_data_url(jpeg: bytes) -> str:
    """The picture, scaled to what the page shows, inside the page."""
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if image is not None and image.shape[1] > WIDTH_PX:
        height = round(image.shape[0] * WIDTH_PX / image.shape[1])
        jpeg = _jpeg(cv2.resize(image, (WIDTH_PX, height), interpolation=cv2.INTER_AREA))
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


def _jpeg(image: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes())


def _largest(o: Outcome) -> float:
    return max((d.size_ratio for d in o.fact.defects), default=0.0)


def _shown(o: Outcome, parts: Sequence[Part], jpeg: bytes | None) -> Shown | None:
    if jpeg is None:
        return None
    truth = o.truth
    defects = [
        f"{d.kind} {d.size_mm:.1f} mm ({visible_size_mm(d) / LIMIT_MM[d.kind]:.1f} × limit)"
        for d in parts[truth.index].defects
    ]
    ms = f", {truth.latency_ms:.1f} ms" if truth.latency_ms is not None else ""
    title = f"part {truth.part_no}: {o.decision}, {truth.fate}{ms}"
    return Shown(jpeg, title, f"truth: {o.fact.grade}" + (f"; {', '.join(defects)}" if defects else ""))
