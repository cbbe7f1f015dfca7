"""What a line camera sees: parts on a moving belt under a lamp. Pure and seeded: same arguments, same pixels.

Camera coordinates: origin at the top left of the field of view; x to the right, the way the belt runs; y downwards;
in mm or px as the name says. A part's ``x_center_mm`` is its middle in these coordinates and may lie outside the view.

    belt strip (rolls with belt_mm) -> sprites of the parts -> lamp (gain map) -> blur -> sensor noise -> uint8 BGR
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from msgspec import Struct

from sims.parts import DefectKind, Part
from sims.sprite import Sprite, make_sprite
from sims.texture import F32, U8, brushed_metal, conveyor_belt, sensor_noise

PartAt = tuple[Part, float]
"""A part and ``x_center_mm``, its middle in the field of view."""

_SPRITES_KEPT = 32  # about 0.9 MB each; a field of view holds two or three parts
_LIGHTS_KEPT = 4
_SHEET_PX = 2048  # side of the sheet of metal that parts are cut from
_NOISE_UNIT = 24.0  # the noise sheet's standard deviation, so that int8 resolves it
_NOISE_ROOM_PX = 128


class Light(Struct, frozen=True):
    """The lamp and the lens, which change slowly.

    ``gain`` exposure, 1 as set up; ``gradient`` brightness change from the middle to the border, 0 to 0.5, towards
    ``angle_rad``; ``drift`` ageing, 0 as set up to 1: a quarter of the light gone, the spot moved, the colour warmer;
    ``blur_px`` standard deviation of a lens out of focus, beyond the usual.
    """

    gain: float = 1.0
    gradient: float = 0.12
    angle_rad: float = 0.6
    drift: float = 0.0
    blur_px: float = 0.0


class Box(NamedTuple):
    """Where a defect is in the picture. ``number`` is its index in the part's defects; ``xyxy`` in px, far edges
    excluded; ``area_px`` what of it is in view.
    """

    part_id: int
    number: int
    kind: DefectKind
    xyxy: tuple[int, int, int, int]
    area_px: int


class Scene:
    """A camera over a belt. Keeps sprites of the parts seen last, so a Scene belongs to one thread.

    ``defocus_px`` and ``motion_px`` (standard deviation, length) are the usual blur of lens and exposure; ``noise`` is
    the sensor's standard deviation in grey levels.
    """

    def __init__(
        self,
        width_px: int = 640,
        height_px: int = 480,
        mm_per_px: float = 0.25,
        seed: int = 0,
        *,
        defocus_px: float = 0.55,
        motion_px: float = 1.0,
        noise: float = 2.0,
    ) -> None:
        if width_px < 16 or height_px < 16 or not mm_per_px > 0.0:
            raise ValueError(f"Scene: {width_px} x {height_px} px at {mm_per_px} mm/px")
        self.width_px, self.height_px, self.mm_per_px = width_px, height_px, mm_per_px
        self.noise = noise
        self._blur = (defocus_px, motion_px)
        self._relief = brushed_metal(seed, _SHEET_PX, _SHEET_PX, 2.0 / mm_per_px)
        self._period_px = 2 * width_px
        strip = conveyor_belt(seed, height_px, self._period_px, 1.0 / mm_per_px)
        self._belt = np.concatenate([strip, strip[:, :width_px]], axis=1)
        self._noise = sensor_noise(seed, height_px + _NOISE_ROOM_PX, width_px + _NOISE_ROOM_PX, _NOISE_UNIT)
        self._sprites: dict[Part, Sprite] = {}
        self._lights: dict[Light, F32] = {}

    def render(
        self, parts: Sequence[PartAt], light: Light | None = None, frame_seed: int = 0, belt_mm: float = 0.0
    ) -> U8:
        """One frame, uint8 BGR (height, width, 3), fresh. ``belt_mm`` is how far the belt has run: its surface moves
        to the right with it; ``frame_seed`` chooses the noise.
        """
        light = light or Light()
        start = round(-belt_mm / self.mm_per_px) % self._period_px
        image = self._belt[:, start : start + self.width_px].copy()
        for part, x_center_mm in parts:
            self._compose(image, part, x_center_mm)
        image = cv2.multiply(image, self._gain_map(light), dtype=cv2.CV_8U)
        if light.blur_px > 0.0:
            image = cv2.GaussianBlur(image, (0, 0), light.blur_px)
        if self.noise > 0.0:
            rng = np.random.default_rng([0xF2, frame_seed])
            y, x = rng.integers(_NOISE_ROOM_PX, size=2)
            noise = self._noise[y : y + self.height_px, x : x + self.width_px]
            image = cv2.addWeighted(image, 1.0, noise, self.noise / _NOISE_UNIT, 0.0, dtype=cv2.CV_8U)
        return image

    def prepare(self, part: Part) -> None:
        """Draw the part now, so that its first frame is as quick as the others (a new part costs about three frames)."""
        self._sprite(part)

    def mask(self, parts: Sequence[PartAt]) -> U8:
        """Label map, uint8 (height, width): 0, or 1 + index in :data:`sims.parts.KINDS` where a defect is."""
        labels = np.zeros((self.height_px, self.width_px), np.uint8)
        for part, x_center_mm in parts:
            sprite, dst, src = self._placed(part, x_center_mm)
            np.maximum(labels[dst], sprite.labels[src], out=labels[dst])
        return labels

    def boxes(self, parts: Sequence[PartAt]) -> list[Box]:
        """Every defect of which at least one pixel is in view, in the parts' order."""
        found = []
        for part, x_center_mm in parts:
            sprite, dst, src = self._placed(part, x_center_mm)
            numbers = sprite.numbers[src]
            for number, defect in enumerate(part.defects):
                spot = (numbers == number + 1).view(np.uint8)
                left, top, width, height = cv2.boundingRect(spot)
                if width and height:
                    x0, y0 = left + dst[1].start, top + dst[0].start
                    xyxy = (x0, y0, x0 + width, y0 + height)
                    found.append(Box(part.part_id, number, defect.kind, xyxy, cv2.countNonZero(spot)))
        return found

    def defect_map(self, part: Part, x_center_mm: float) -> U8:
        """Which defect is where: uint8 (height, width), 0 or 1 + index in ``part.defects``."""
        numbers = np.zeros((self.height_px, self.width_px), np.uint8)
        sprite, dst, src = self._placed(part, x_center_mm)
        numbers[dst] = sprite.numbers[src]
        return numbers

    def _sprite(self, part: Part) -> Sprite:
        sprite = self._sprites.pop(part, None)
        if sprite is None:
            sprite = make_sprite(part, self._relief, self.mm_per_px, *self._blur)
            if len(self._sprites) >= _SPRITES_KEPT:
                del self._sprites[next(iter(self._sprites))]
        self._sprites[part] = sprite  # last used, last out
        return sprite

    def _corner_px(self, sprite: Sprite, part: Part, x_center_mm: float) -> tuple[float, float]:
        x = x_center_mm / self.mm_per_px - sprite.origin_px[0]
        y = self.height_px / 2 + part.y_offset_mm / self.mm_per_px - sprite.origin_px[1]
        return x, y

    def _placed(self, part: Part, x_center_mm: float) -> tuple[Sprite, tuple[slice, slice], tuple[slice, slice]]:
        """The sprite, where in the frame it goes to the nearest pixel, and which piece of it; empty when out of view."""
        sprite = self._sprite(part)
        x, y = self._corner_px(sprite, part, x_center_mm)
        cols_dst, cols_src = _overlap(math.floor(x + 0.5), sprite.labels.shape[1], self.width_px)
        rows_dst, rows_src = _overlap(math.floor(y + 0.5), sprite.labels.shape[0], self.height_px)
        return sprite, (rows_dst, cols_dst), (rows_src, cols_src)

    def _compose(self, image: U8, part: Part, x_center_mm: float) -> None:
        """Lay the part over the belt, to a fraction of a pixel."""
        sprite, dst, src = self._placed(part, x_center_mm)
        patch = image[dst]
        if patch.size == 0:
            return
        x, y = self._corner_px(sprite, part, x_center_mm)
        shift = np.array([[1.0, 0.0, x - math.floor(x + 0.5)], [0.0, 1.0, y - math.floor(y + 0.5)]])
        size = (sprite.labels.shape[1], sprite.labels.shape[0])
        behind = cv2.warpAffine(sprite.behind, shift, size, borderValue=(255, 255, 255))
        colour = cv2.warpAffine(sprite.colour, shift, size)
        patch[:] = cv2.add(cv2.multiply(patch, behind[src], scale=1.0 / 255.0), colour[src])

    def _gain_map(self, light: Light) -> F32:
        """How much light falls where, and its colour: float32 (height, width, 3), about 1."""
        kept = self._lights.get(light)
        if kept is None:
            kept = _gain_map(light, self.height_px, self.width_px)
            if len(self._lights) >= _LIGHTS_KEPT:
                del self._lights[next(iter(self._lights))]
            self._lights[light] = kept
        return kept


def _gain_map(light: Light, height_px: int, width_px: int) -> F32:
    # light is smooth: an eighth of the points, then interpolated, so that a drifting lamp costs little
    x = np.linspace(-1.0, 1.0, width_px // 8 + 1, dtype=np.float32)[None, :]
    y = np.linspace(-1.0, 1.0, height_px // 8 + 1, dtype=np.float32)[:, None]
    angle = light.angle_rad + 0.5 * light.drift
    slope = np.float32(math.cos(angle)) * x + np.float32(math.sin(angle)) * y
    spot_x, spot_y = 0.25 * math.cos(angle) + 0.2 * light.drift, 0.25 * math.sin(angle)
    spot = np.exp(-0.5 * (np.square(x - np.float32(spot_x)) / 1.6 + np.square(y - np.float32(spot_y)) / 0.5))
    level = light.gain * (1.0 - 0.25 * light.drift)
    plane = np.float32(level) * (1.0 + np.float32(light.gradient) * slope) * (0.9 + 0.16 * spot)
    plane = cv2.resize(plane, (width_px, height_px), interpolation=cv2.INTER_LINEAR)
    warm = (1.0 - 0.07 * light.drift, 1.0, 1.0 + 0.04 * light.drift)
    return cv2.merge([cv2.multiply(plane, share) for share in warm])


def _overlap(start: int, length: int, limit: int) -> tuple[slice, slice]:
    """Where ``[start, start + length)`` meets ``[0, limit)``: as slices of the frame and of the sprite."""
    first = min(max(0, start), limit)
    last = max(first, min(limit, start + length))
    return slice(first, last), slice(first - start, last - start)
