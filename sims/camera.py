"""The simulated camera's sensor: turns the world as it is at one moment into a numbered JPEG."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Protocol, cast

import cv2

from sims.lens import bumped, dirty
from sims.parts import Part
from sims.scenario import CameraSpec
from sims.scene import Box, Light, PartAt, Scene
from sims.texture import U8
from sims.world import Exposure

EXPECTED_OFFSET_MM = 2.0
"""So far past the axis a part usually is when the agent has seen the trigger and asked for its picture."""
MOST_SHIFT_PX = 24
_DARK_GAIN = 0.06


class Sight(Protocol):
    """What is before the lens: a line in real or in virtual time."""

    def expose(self, view_mm: float) -> tuple[Exposure, int]:
        """What is seen at this moment, and the moment as ns of the camera's clock."""
        ...

    def expect(self, view_mm: float, index: int, offset_mm: float) -> Exposure | None:
        """What will be seen when a part is so far past the axis; None if it will not be."""
        ...


@dataclass(frozen=True, slots=True)
class Picture:
    """One JPEG with its number and the moment of its exposure."""

    frame_no: int
    captured_ns: int
    jpeg: bytes


@dataclass(frozen=True, slots=True, eq=False)
class _Ahead:
    """A picture drawn before its moment: which part is how far past the axis in it (px), and in what light."""

    index: int
    offset_px: float
    light: Light
    image: U8


class Camera:
    """Turns an exposure of the world into a picture. One sensor, so one exposure at a time.

    Drawing takes longer than a real sensor's read-out, so pictures are drawn ahead where the next part will be. At the
    exposure only the few pixels that the part is elsewhere are made good: belt and parts move as one.
    """

    draws: ClassVar[bool] = True
    """Whether its pictures are pictures."""

    def __init__(self, spec: CameraSpec, live: Sight, parts: tuple[Part, ...], gradient: float, seed: int) -> None:
        self.spec = spec
        self._live = live
        self._parts = parts
        self._gradient = gradient
        self._seed = seed
        self._lock = threading.Lock()
        self._ahead: _Ahead | None = None
        self._frame_no = 0
        self.last: Picture | None = None
        self.grime = 0.0
        self.bump_mm = 0.0
        self.exposures: dict[int, Exposure] = {}
        """Every exposure by frame number, for the score: where each part stood in its picture."""
        self.boxes: dict[int, list[Box]] = {}
        """Where the defects of a part are in a picture in which it is centred."""

    @cached_property
    def _scene(self) -> Scene:
        """Made when the first picture is drawn: its textures take a tenth of a second."""
        return Scene(self.spec.width_px, self.spec.height_px, self.spec.mm_per_px, self._seed)

    @property
    def view_mm(self) -> float:
        """Width of the field of view."""
        return self.spec.width_px * self.spec.mm_per_px

    def snapshot(self, *, dark: bool = False) -> Picture:
        """Expose now."""
        with self._lock:
            exposure, captured_ns = self._live.expose(self.view_mm)
            self._frame_no += 1
            self.exposures[self._frame_no] = exposure
            jpeg = self._draw(exposure, self._frame_no, dark=dark)
            self.last = Picture(self._frame_no, captured_ns, jpeg)
            return self.last

    def prepare(self, indices: range, coming: int | None = None) -> None:
        """Find these parts' defects' boxes (which draws the parts), and draw the picture of the one ``coming`` next."""
        for index in indices:
            if 0 <= index < len(self._parts):
                with self._lock:
                    self.boxes[index] = self._scene.boxes([(self._parts[index], self.view_mm / 2)])
        expected = None if coming is None else self._live.expect(self.view_mm, coming, EXPECTED_OFFSET_MM)
        if coming is None or expected is None:
            return
        with self._lock:
            light = self._light(expected, dark=False)
            offset_px = EXPECTED_OFFSET_MM / self.spec.mm_per_px
            self._ahead = _Ahead(coming, offset_px, light, self._render(expected, light, coming))

    def find(self, index: int) -> None:
        """Find one part's defects' boxes, if that was not done; cheapest while it is in a picture."""
        if index not in self.boxes:
            self.prepare(range(index, index + 1))

    def warm(self) -> None:
        """Draw once, unseen: the first picture of a lamp takes longer."""
        with self._lock:
            exposure, _ = self._live.expose(self.view_mm)
            self._draw(exposure, 0, dark=False)

    def again(self, frame_no: int) -> bytes:
        """The picture of an exposure that was made, drawn again (JPEG); without what broke the camera then."""
        with self._lock:
            self._ahead = None  # drawn for another moment
            return self._draw(self.exposures[frame_no], frame_no, dark=False, clean=True)

    def _light(self, exposure: Exposure, *, dark: bool) -> Light:
        # in steps, so that the scene's map of the light can be used again; 1 % is below the sensor's noise
        gain = round(exposure.gain, 2) * (_DARK_GAIN if dark else 1.0)
        return Light(gain=gain, gradient=self._gradient, drift=round(exposure.drift * 50) / 50)

    def _draw(self, exposure: Exposure, frame_no: int, *, dark: bool, clean: bool = False) -> bytes:
        light = self._light(exposure, dark=dark)
        image = self._shifted(exposure, light)
        if image is None:
            image = self._render(exposure, light, frame_no)
        if not clean:
            image = dirty(bumped(image, self.bump_mm / self.spec.mm_per_px), self.grime)
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, self.spec.jpeg_quality])
        return data.tobytes()

    def _render(self, exposure: Exposure, light: Light, noise: int) -> U8:
        seen: list[PartAt] = [(self._parts[i], self.view_mm / 2 + offset) for i, offset in exposure.parts]
        return self._scene.render(seen, light, noise, exposure.belt_mm)

    def _shifted(self, exposure: Exposure, light: Light) -> U8 | None:
        """The picture drawn ahead, moved to where the part really is; None if there is none that fits."""
        ahead = self._ahead
        if ahead is None or not _alike(ahead.light, light):
            return None
        offset_mm = dict(exposure.parts).get(ahead.index)
        if offset_mm is None:
            return None
        shift = round(offset_mm / self.spec.mm_per_px - ahead.offset_px)
        if abs(shift) > MOST_SHIFT_PX:
            return None
        left, right = max(0, shift), max(0, -shift)
        width = self.spec.width_px
        moved = ahead.image[:, right : width - left]
        return cast("U8", cv2.copyMakeBorder(moved, 0, 0, left, right, cv2.BORDER_REPLICATE))


def _alike(one: Light, other: Light) -> bool:
    """The same light, but for a step of brightness that the sensor's noise hides."""
    return one.drift == other.drift and abs(one.gain - other.gain) < 0.011
