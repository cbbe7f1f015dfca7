"""Draws defects on a plate. Pure and seeded: a defect looks the same wherever and whenever it is drawn.

A plate is drawn straight and finer than the camera sees it (see :mod:`sims.sprite`), so positions here are part
coordinates in mm and become pixels of that canvas. Each painter changes the reflectance where the flaw is and writes
the flaw's label and number there.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from sims.parts import KINDS, Defect
from sims.texture import F32, U8

_MIN_LABEL_WIDTH_MM = 0.8  # a scratch is thinner than a pixel; its label must not fall apart into dashes


@dataclass(slots=True)
class Canvas:
    """A plate being drawn, all arrays (height, width). ``origin_px`` is the plate's middle.

    ``reflectance`` float32, 1 is white; ``solid`` float32, 1 where there is metal; ``stain`` float32, how brown;
    ``labels`` uint8, 0 or 1 + index in KINDS; ``numbers`` uint8, 0 or 1 + index in the part's defects.
    """

    reflectance: F32
    solid: F32
    stain: F32
    labels: U8
    numbers: U8
    px_per_mm: float
    origin_px: tuple[float, float]

    def window(self, defect: Defect, reach_mm: float) -> tuple[slice, slice, F32, F32]:
        """Rows and columns within ``reach_mm`` of the defect, and the part coordinates (mm, relative to the defect)
        of their pixels: x as a row vector, y as a column vector.
        """
        cx = self.origin_px[0] + defect.x_mm * self.px_per_mm
        cy = self.origin_px[1] + defect.y_mm * self.px_per_mm
        reach = reach_mm * self.px_per_mm + 2
        height, width = self.reflectance.shape
        x0, x1 = max(0, int(cx - reach)), min(width, int(cx + reach) + 1)
        y0, y1 = max(0, int(cy - reach)), min(height, int(cy + reach) + 1)
        x = ((np.arange(x0, x1, dtype=np.float32) - np.float32(cx)) / np.float32(self.px_per_mm))[None, :]
        y = ((np.arange(y0, y1, dtype=np.float32) - np.float32(cy)) / np.float32(self.px_per_mm))[:, None]
        return slice(y0, y1), slice(x0, x1), x, y

    def mark(self, rows: slice, cols: slice, where: np.ndarray, defect: Defect, number: int) -> None:
        """Write label and number where ``where`` (bool) holds."""
        self.labels[rows, cols][where] = 1 + KINDS.index(defect.kind)
        self.numbers[rows, cols][where] = number


def paint_scratch(canvas: Canvas, defect: Defect, number: int) -> None:
    """A slightly bowed groove: one flank throws the light back, the other lies in shadow, and it fades at the ends."""
    rng = np.random.default_rng([1, defect.seed])
    t = np.linspace(-0.5, 0.5, 33)
    wobble = np.cumsum(rng.normal(0.0, 0.002, t.size))
    across = defect.size_mm * (
        rng.uniform(-0.12, 0.12) * (1 - 4 * t * t) + np.clip(wobble - wobble.mean(), -0.02, 0.02)
    )
    cos, sin = np.cos(defect.angle_rad), np.sin(defect.angle_rad)
    along = defect.size_mm * t
    x_mm, y_mm = along * cos - across * sin, along * sin + across * cos
    width_mm = float(rng.uniform(0.3, 0.42)) + 0.003 * defect.size_mm
    flank = 1.0 if rng.random() < 0.5 else -1.0

    rows, cols, x, y = canvas.window(defect, 0.66 * defect.size_mm + 1.5)
    points = np.stack([(x_mm - x[0, 0]) * canvas.px_per_mm, (y_mm - y[0, 0]) * canvas.px_per_mm], axis=1)
    shape = (y.shape[0], x.shape[1])
    core = _stroke(shape, points, width_mm * canvas.px_per_mm, fade=True)
    offset = np.array([-sin, cos]) * width_mm * canvas.px_per_mm
    other = _stroke(shape, points + offset, 0.6 * width_mm * canvas.px_per_mm, fade=True)
    relief = defect.contrast * flank * (core - 0.45 * other)
    canvas.reflectance[rows, cols] *= 1.0 + relief
    label = _stroke(shape, points, max(width_mm, _MIN_LABEL_WIDTH_MM) * canvas.px_per_mm, fade=False)
    canvas.mark(rows, cols, label > 0.5, defect, number)


def paint_pit(canvas: Canvas, defect: Defect, number: int) -> None:
    """A small crater: dark inside, with a bright crescent on the rim away from the light."""
    rng = np.random.default_rng([2, defect.seed])
    rows, cols, x, y = canvas.window(defect, 0.8 * defect.size_mm + 0.6)
    radius = _ragged_radius(rng, x, y, defect, squash=float(rng.uniform(0.75, 1.0)), raggedness=0.07)
    core = _smooth_step(1.05, 0.6, radius)
    facing = 0.5 + 0.5 * np.cos(np.arctan2(y, x) - np.float32(rng.uniform(0.5, 1.4)))
    rim = np.exp(-np.square((radius - 1.12) / 0.14)) * facing
    canvas.reflectance[rows, cols] *= 1.0 + defect.contrast * (0.6 * rim - core)
    canvas.mark(rows, cols, radius < 1.05, defect, number)


def paint_stain(canvas: Canvas, defect: Defect, number: int) -> None:
    """A dried drop of oil: soft, ragged, a little darker where its border dried last, brownish."""
    rng = np.random.default_rng([3, defect.seed])
    rows, cols, x, y = canvas.window(defect, 0.85 * defect.size_mm + 1.0)
    radius = _ragged_radius(rng, x, y, defect, squash=float(rng.uniform(0.7, 1.0)), raggedness=0.12)
    cloud = rng.uniform(0.0, 1.0, (7, 7)).astype(np.float32)
    cloud = cv2.resize(cloud, (x.shape[1], y.shape[0]), interpolation=cv2.INTER_CUBIC)
    border = np.exp(-np.square((radius - 0.9) / 0.1))
    density = _smooth_step(1.1, 0.85, radius) * (0.72 + 0.28 * cloud + 0.2 * border)
    canvas.reflectance[rows, cols] *= 1.0 - defect.contrast * density
    canvas.stain[rows, cols] = np.maximum(canvas.stain[rows, cols], defect.contrast * density)
    canvas.mark(rows, cols, radius < 1.0, defect, number)


def cut_chip(canvas: Canvas, defect: Defect, number: int) -> None:
    """Broken-off edge: the more contrast, the more the belt shows through; what is left is a rough, dark fracture."""
    rng = np.random.default_rng([4, defect.seed])
    rows, cols, x, y = canvas.window(defect, defect.size_mm + 1.0)
    cos, sin = np.float32(np.cos(defect.angle_rad)), np.float32(np.sin(defect.angle_rad))
    inward, along = -(x * cos + y * sin), -x * sin + y * cos
    knots = rng.uniform(0.75, 1.15, 11)
    u = np.clip(2.0 * along / defect.size_mm, -1.0, 1.0)
    depth_mm = defect.size_mm * float(rng.uniform(0.4, 0.6)) * np.power(1.0 - u * u, 0.6)
    depth_mm = depth_mm * np.interp(u, np.linspace(-1, 1, knots.size), knots).astype(np.float32)
    broken = _smooth_step(0.1, -0.1, inward - depth_mm) * (np.abs(along) < defect.size_mm / 2)
    metal = canvas.solid[rows, cols] > 0.5
    gone = min(1.0, max(0.0, (defect.contrast - 0.3) / 0.5))
    rough = 1.0 + 0.3 * rng.standard_normal(broken.shape, np.float32)
    canvas.reflectance[rows, cols] *= np.maximum(1.0 - defect.contrast * broken * rough, 0.0)
    canvas.solid[rows, cols] *= 1.0 - broken * gone
    canvas.mark(rows, cols, (broken > 0.5) & metal, defect, number)


PAINTERS = {"scratch": paint_scratch, "pit": paint_pit, "stain": paint_stain}
"""What lies on the surface; chips are cut before, because the plate's edges are shaded after the cut."""


def _stroke(shape: tuple[int, int], points_px: np.ndarray, width_px: float, *, fade: bool) -> F32:
    """A line through ``points_px`` (n, 2), float32 0..1 of ``shape``, its ends faded out if asked."""
    line = np.zeros(shape, np.uint8)
    fixed = np.rint(points_px * 16.0).astype(np.int32)  # 4 fractional bits
    n = len(fixed) - 1
    for i in range(n):
        ends = min(i + 1, n - i) / (0.2 * n)
        level = 255.0 * min(1.0, 0.35 + 0.65 * ends) if fade else 255.0
        cv2.line(line, fixed[i].tolist(), fixed[i + 1].tolist(), level, max(1, round(width_px)), cv2.LINE_AA, 4)
    return cv2.blur(line, (3, 3)).astype(np.float32) / 255.0 if fade else line.astype(np.float32) / 255.0


def _ragged_radius(
    rng: np.random.Generator, x: F32, y: F32, defect: Defect, *, squash: float, raggedness: float
) -> F32:
    """Distance from the middle in units of the defect's own outline: 1 on the outline, float32 (h, w)."""
    cos, sin = np.float32(np.cos(defect.angle_rad)), np.float32(np.sin(defect.angle_rad))
    u, v = x * cos + y * sin, (y * cos - x * sin) / np.float32(squash)
    theta = np.arctan2(v, u)
    outline = np.ones_like(theta)
    for k in range(2, 8):
        outline += np.float32(raggedness * rng.normal() / np.sqrt(k)) * np.cos(
            k * theta + np.float32(rng.uniform(0, 6.3))
        )
    return (np.hypot(u, v) / (defect.size_mm / 2) / np.clip(outline, 0.6, 1.4)).astype(np.float32)


def _smooth_step(outside: float, inside: float, value: F32) -> F32:
    """0 at ``outside``, 1 at ``inside``, smooth between."""
    t = np.clip((value - outside) / (inside - outside), 0.0, 1.0)
    return (t * t * (3.0 - 2.0 * t)).astype(np.float32)
