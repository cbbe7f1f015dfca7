"""Text on pictures: measured before it is drawn, shortened where there is no room."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
from msgspec import Struct

from edge.ports import Image

Bgr = tuple[int, int, int]

_MIN_TEXT_PX, _MAX_TEXT_PX = 9, 64
_TEXT_SHARE = 1 / 30  # of the shorter side: readable when the picture fills a screen
_HERSHEY_CAP_PX = 22  # height of a capital of the Simplex face at scale 1


class Typeface(Struct, frozen=True):
    """Sizes in pixels for one picture: of text, its margin, thin and bold lines."""

    text_px: int
    margin_px: int
    line_px: int
    thin_px: int

    @classmethod
    def for_picture(cls, width_px: int, height_px: int) -> Typeface:
        """Sizes that follow the picture's area."""
        short = (width_px * height_px) ** 0.5 * 0.82  # of a 3:2 picture the shorter side, yet panoramas keep readable
        text = int(min(max(short * _TEXT_SHARE, _MIN_TEXT_PX), _MAX_TEXT_PX))
        line = max(1, round(short / 240))
        return cls(text, max(1, text // 4), line, max(1, line // 2))

    def thinner(self) -> Typeface:
        """The same with thin lines only, for what lies in something else."""
        return Typeface(self.text_px, self.margin_px, self.thin_px, self.thin_px)

    def larger(self) -> Typeface:
        """Half as large again, for the one thing that must be read from afar."""
        text = self.text_px * 3 // 2
        return Typeface(text, max(2, text // 3), self.line_px, self.thin_px)


def box_of(text: str, face: Typeface) -> tuple[int, int]:
    """Width and height in pixels that the text takes, margins included. The height is the same for every text."""
    return _width(text, face.text_px) + 2 * face.margin_px, _line_height(face.text_px) + 2 * face.margin_px


def write(picture: Image, text: str, corner: tuple[int, int], face: Typeface, color: Bgr, *, width_px: int) -> None:
    """Write into a box whose left upper corner is ``corner`` and which is ``width_px`` wide; what does not fit is cut
    with an ellipsis. Nothing is drawn outside the picture.
    """
    text = _fitted(text, face.text_px, min(width_px, picture.shape[1] - corner[0]) - 2 * face.margin_px)
    if not text:
        return
    x, y = corner[0] + face.margin_px, corner[1] + face.margin_px + face.text_px
    _draw(picture, text, (x, y), face.text_px, color)


def _fitted(text: str, text_px: int, width_px: int) -> str:
    if _width(text, text_px) <= width_px:
        return text
    while text and _width(text + "…", text_px) > width_px:
        text = text[:-1]
    return text.rstrip() + "…" if text else ""


def _line_height(text_px: int) -> int:
    return round(text_px * 1.25)  # room for descenders


_SANS_END = 0x2E80
"""Below are the alphabets; from here on the signs of Chinese, Japanese and Korean, which only ``uni`` has."""


@lru_cache(maxsize=2)
def _face(name: str) -> Any:
    """A built-in outline font of OpenCV 5, ``sans`` or ``uni``; None before OpenCV 5."""
    return cv2.FontFace(name) if hasattr(cv2, "FontFace") else None


def _font(text: str) -> Any:
    return _face("uni" if any(ord(c) >= _SANS_END for c in text) else "sans")


@lru_cache(maxsize=4096)
def _width(text: str, text_px: int) -> int:
    font = _font(text)
    if font is not None:
        _, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), font, text_px, 500)
        return int(width) + 1
    (width, _), _ = cv2.getTextSize(_ascii(text), cv2.FONT_HERSHEY_SIMPLEX, _scale(text_px), 1)
    return int(width)


def _draw(picture: Image, text: str, baseline: tuple[int, int], text_px: int, color: Bgr) -> None:
    font = _font(text)
    if font is not None:
        cv2.putText(picture, text, baseline, color, font, text_px, 500)
        return
    thickness = max(1, text_px // 14)
    cv2.putText(
        picture, _ascii(text), baseline, cv2.FONT_HERSHEY_SIMPLEX, _scale(text_px), color, thickness, cv2.LINE_AA
    )


def _scale(text_px: int) -> float:
    return text_px * 0.72 / _HERSHEY_CAP_PX


def _ascii(text: str) -> str:
    return text.replace("…", "..").replace("²", "2").encode("ascii", "replace").decode()
