"""A camera without pixels for one line: pictures that say what is on them, and a model that reads it.

For runs of which the story of records and commands matters, and no picture: some twenty times as fast. A reject's defect
is found, and so is half of what is borderline; a good part is found good. In the dark nothing is found.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from edge.domain import Finding, Inference, ModelRef
from sims.camera import Camera
from sims.parts import grade, visible_size_mm
from sims.world import Exposure

REF = ModelRef("stated", "1.0.0", "0" * 64)
SCORES = {"reject": 0.9, "borderline": 0.5}


class Stated(Struct, frozen=True):
    """The whole picture."""

    findings: tuple[Finding, ...]


class StatedCamera(Camera):
    """As the rendered one, exposure by exposure."""

    draws = False

    def prepare(self, indices: range, coming: int | None = None) -> None:  # noqa: ARG002 - nothing is drawn ahead
        for index in indices:
            self.boxes[index] = []

    def _draw(self, exposure: Exposure, frame_no: int, *, dark: bool, clean: bool = False) -> bytes:  # noqa: ARG002 - no noise
        found = []
        for index, offset_mm in exposure.parts:
            part = self._parts[index]
            worst = max(part.defects, key=visible_size_mm, default=None)
            if worst is None or dark or (grade(part) == "borderline" and index % 2):
                continue
            x = self.spec.width_px / 2 + offset_mm / self.spec.mm_per_px
            y = self.spec.height_px / 2
            found.append(Finding(worst.kind, SCORES[grade(part)], (x - 10, y - 10, x + 10, y + 10), 400.0))
        return msgspec.json.encode(Stated(tuple(found)))


class StatedLooker:
    """A :class:`sims.virtual.camera.Looker` of such pictures."""

    name = REF.name
    ref = REF

    def look(self, jpeg: bytes) -> Inference:
        return Inference(msgspec.json.decode(jpeg, type=Stated).findings)
