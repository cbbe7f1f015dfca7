"""Surfaces seen by the line camera: brushed metal, conveyor belt, sensor noise. Pure and seeded.

Each is made once, larger than needed, and windows are cut from it afterwards: drawing new random numbers for every
frame would cost more than all the rest of the rendering.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
I8 = NDArray[np.int8]


def brushed_metal(seed: int, height_px: int, width_px: int, px_per_mm: float) -> F32:
    """Relief of a surface brushed along x: float32 (height, width), mean 0, standard deviation 1.

    Three lengths of streak (about 1, 6 and 30 mm) and a weak mottle, as a belt sander leaves them.
    """
    rng = np.random.default_rng([0xB205, seed])
    relief = np.zeros((height_px, width_px), np.float32)
    for streak_mm, width_mm, weight in ((1.0, 0.11, 0.7), (6.0, 0.14, 0.75), (30.0, 0.22, 0.5)):
        grain = rng.standard_normal((height_px, width_px), np.float32)
        size = (_odd(streak_mm * px_per_mm), 1)
        grain = cv2.blur(cv2.blur(grain, size, borderType=cv2.BORDER_REFLECT_101), size)
        grain = cv2.GaussianBlur(grain, (1, _odd(4 * width_mm * px_per_mm)), 0.1, sigmaY=width_mm * px_per_mm)
        relief += weight * _standardise(grain)
    mottle = rng.standard_normal((height_px // 32 + 2, width_px // 64 + 2), np.float32)
    relief += 0.35 * _standardise(cv2.resize(mottle, (width_px, height_px), interpolation=cv2.INTER_CUBIC))
    return _standardise(relief)


def conveyor_belt(seed: int, height_px: int, period_px: int, px_per_mm: float) -> U8:
    """A dark woven belt that repeats along x: uint8 BGR (height, period, 3), mean about 30."""
    rng = np.random.default_rng([0xBE17, seed])
    wide = period_px + 256  # blended back into a loop below
    grain = _standardise(cv2.GaussianBlur(rng.standard_normal((height_px, wide), np.float32), (3, 3), 0.8))
    cloud = rng.standard_normal((height_px // 48 + 2, wide // 48 + 2), np.float32)
    cloud = _standardise(cv2.resize(cloud, (wide, height_px), interpolation=cv2.INTER_CUBIC))
    rubbed = cv2.blur(rng.standard_normal((height_px, wide), np.float32), (_odd(25 * px_per_mm), 1))
    belt = 29.0 + 2.2 * grain + 2.0 * cloud + 1.3 * _standardise(rubbed)
    y, x = np.arange(height_px, dtype=np.float32), np.arange(wide, dtype=np.float32)
    pitch_px = 1.5 * px_per_mm
    belt += 1.2 * np.sin(2 * np.pi * y / pitch_px)[:, None] * np.sin(2 * np.pi * x / pitch_px)[None, :]
    for _ in range(90):  # dust and fluff
        at = (int(rng.integers(wide)), int(rng.integers(height_px)))
        cv2.circle(belt, at, int(rng.integers(0, 2)), float(rng.uniform(38, 62)), -1, cv2.LINE_AA)
    ramp = np.linspace(0.0, 1.0, 256, dtype=np.float32)[None, :]
    belt[:, :256] = belt[:, :256] * ramp + belt[:, period_px:] * (1.0 - ramp)
    tint = np.array([1.04, 1.02, 0.94], np.float32)
    return np.clip(cv2.GaussianBlur(belt[:, :period_px], (3, 3), 0.7)[..., None] * tint, 0, 255).astype(np.uint8)


def sensor_noise(seed: int, height_px: int, width_px: int, unit: float) -> I8:
    """Noise of a colour sensor: int8 (height, width, 3), standard deviation ``unit``, mean 0.

    Half of the power is common to the three channels, as demosaicing makes it.
    """
    rng = np.random.default_rng([0x0153, seed])
    common = rng.standard_normal((height_px, width_px, 1), np.float32)
    own = rng.standard_normal((height_px, width_px, 3), np.float32)
    noise = (common + own) * (unit / np.sqrt(2.0))
    return np.clip(np.rint(noise), -127, 127).astype(np.int8)


def _standardise(field: F32) -> F32:
    mean, deviation = cv2.meanStdDev(field)
    return ((field - float(mean[0, 0])) / max(float(deviation[0, 0]), 1e-6)).astype(np.float32)


def _odd(length: float) -> int:
    return max(1, round(length)) | 1
