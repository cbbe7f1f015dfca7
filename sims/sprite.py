"""One part as the camera resolves it: colour, what of the belt is covered, labels. Pure and seeded.

The plate is drawn straight at twice the camera's resolution, blurred by lens and motion, then turned and scaled down
into a small picture (a sprite) that frames are composed from. Lighting and noise belong to the frame, not the part.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from sims.defects import PAINTERS, Canvas, cut_chip
from sims.parts import CORNER_RADIUS_MM, Part
from sims.texture import F32, U8

_FINER = 2
_MARGIN_MM = 5.0  # room for the turned corners and the shadow
_REFLECTANCE = 0.58
_METAL_TINT = np.array([1.03, 1.0, 0.975], np.float32)  # BGR of bare steel
_STAIN_TINT = np.array([-0.6, -0.15, 0.25], np.float32)  # BGR change at full stain


@dataclass(frozen=True, slots=True, eq=False)
class Sprite:
    """``colour`` uint8 BGR (h, w, 3), already multiplied by the plate's coverage; ``behind`` uint8 (h, w, 3), how much
    of the belt is seen (255 all; less under the plate and in its shadow); ``labels`` and ``numbers`` uint8 (h, w);
    ``origin_px`` the plate's middle (x, y).
    """

    colour: U8
    behind: U8
    labels: U8
    numbers: U8
    origin_px: tuple[float, float]


def make_sprite(part: Part, relief: F32, mm_per_px: float, defocus_px: float, motion_px: float) -> Sprite:
    """Draw ``part``. ``relief`` is a sheet of brushed metal at twice the camera's resolution, of which the part's seed
    chooses a piece; ``defocus_px`` (standard deviation) and ``motion_px`` (length) blur it, in camera pixels.
    """
    px_per_mm = _FINER / mm_per_px
    canvas, edge_light = _draw(part, relief, px_per_mm)
    shade = canvas.reflectance + edge_light
    rows, cols = canvas.labels.shape
    out_size = (cols // _FINER, rows // _FINER)
    out_origin = (out_size[0] / 2, out_size[1] / 2)
    cos, sin = np.cos(part.angle_rad) / _FINER, np.sin(part.angle_rad) / _FINER
    ox, oy = canvas.origin_px
    turn = np.array([[cos, -sin, out_origin[0] - cos * ox + sin * oy], [sin, cos, out_origin[1] - sin * ox - cos * oy]])

    def seen(plane: F32) -> F32:
        soft = _blur(plane, defocus_px * _FINER, motion_px * _FINER)
        return cv2.warpAffine(soft, turn, out_size, flags=cv2.INTER_LINEAR)

    solid = seen(canvas.solid)
    colour = seen(shade * canvas.solid)[..., None] * (255.0 * _METAL_TINT)
    if canvas.stain.any():
        colour *= 1.0 + seen(canvas.stain)[..., None] * _STAIN_TINT
    reach = 1.6 / mm_per_px
    shadow = cv2.GaussianBlur(solid, (0, 0), reach)
    shadow = cv2.warpAffine(shadow, np.array([[1, 0, 0.8 * reach], [0, 1, reach]]), out_size)
    behind = np.clip((1.0 - solid) * (1.0 - 0.65 * shadow), 0.0, 1.0)
    nearest = {"flags": cv2.INTER_NEAREST}
    return Sprite(
        np.clip(np.rint(colour), 0, 255).astype(np.uint8),
        cv2.merge([np.rint(255.0 * behind).astype(np.uint8)] * 3),
        cv2.warpAffine(canvas.labels, turn, out_size, **nearest),
        cv2.warpAffine(canvas.numbers, turn, out_size, **nearest),
        out_origin,
    )


def _draw(part: Part, relief: F32, px_per_mm: float) -> tuple[Canvas, F32]:
    """The plate with its defects, straight, and the light its edges catch (to be added to the reflectance)."""
    cols = 2 * round((part.length_mm / 2 + _MARGIN_MM) * px_per_mm)
    rows = 2 * round((part.width_mm / 2 + _MARGIN_MM) * px_per_mm)
    origin = (cols / 2, rows / 2)
    rng = np.random.default_rng([0x59, part.seed])
    y0 = int(rng.integers(relief.shape[0] - rows))
    x0 = int(rng.integers(relief.shape[1] - cols))
    piece = relief[y0 : y0 + rows, x0 : x0 + cols]
    piece = cv2.flip(piece, int(rng.integers(-1, 2)))
    brightness = _REFLECTANCE * float(rng.uniform(0.95, 1.05))
    canvas = Canvas(
        reflectance=brightness * (1.0 + part.finish * float(rng.uniform(0.035, 0.05)) * piece),
        solid=_plate(rows, cols, part, px_per_mm),
        stain=np.zeros((rows, cols), np.float32),
        labels=np.zeros((rows, cols), np.uint8),
        numbers=np.zeros((rows, cols), np.uint8),
        px_per_mm=px_per_mm,
        origin_px=origin,
    )
    for number, defect in enumerate(part.defects, 1):
        if defect.kind == "chip":
            cut_chip(canvas, defect, number)
    edge_light = _edge_light(canvas.solid, px_per_mm)
    for number, defect in enumerate(part.defects, 1):
        if defect.kind != "chip":
            PAINTERS[defect.kind](canvas, defect, number)
    return canvas, edge_light


def _plate(rows: int, cols: int, part: Part, px_per_mm: float) -> F32:
    """Coverage of a rectangle with round corners: float32, 1 on it, 0 off it, one pixel of slope."""
    x = np.abs(np.arange(cols, dtype=np.float32) - cols / 2)[None, :] / px_per_mm
    y = np.abs(np.arange(rows, dtype=np.float32) - rows / 2)[:, None] / px_per_mm
    qx = x - (part.length_mm / 2 - CORNER_RADIUS_MM)
    qy = y - (part.width_mm / 2 - CORNER_RADIUS_MM)
    outside = np.hypot(np.maximum(qx, 0.0), np.maximum(qy, 0.0)) + np.minimum(np.maximum(qx, qy), 0.0)
    return np.clip((CORNER_RADIUS_MM - outside) * px_per_mm + 0.5, 0.0, 1.0).astype(np.float32)


def _edge_light(solid: F32, px_per_mm: float) -> F32:
    """A broken edge of half a millimetre: bright towards the lamp (up and left), dark away from it."""
    soft = cv2.GaussianBlur(solid, (0, 0), 0.28 * px_per_mm)
    slope = 0.35 * cv2.Sobel(soft, cv2.CV_32F, 1, 0) + 0.65 * cv2.Sobel(soft, cv2.CV_32F, 0, 1)
    return np.clip(slope * (0.13 * px_per_mm), -0.28, 0.34)


def _blur(plane: F32, defocus_px: float, motion_px: float) -> F32:
    if motion_px >= 1.0:
        plane = cv2.blur(plane, (round(motion_px), 1))
    return cv2.GaussianBlur(plane, (0, 0), defocus_px) if defocus_px > 0.0 else plane
