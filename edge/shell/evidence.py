"""Thread ``evidence``: pictures for people, after everything that is urgent.

::

    KeepEvidence ─▶ frame taken from the store ─▶ at most 8 wait ─▶ overlay ─▶ scale ─▶ JPEG ─▶ journal ─▶ EvidenceStored
                                                                                         └──▶ the page's last pictures
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from edge.domain import Verdict
from edge.errors import StoreError
from edge.events import AgentEvent, EvidenceStored, KeepEvidence
from edge.messages import Evidence
from edge.ports import Image
from edge.shell.framestore import FrameStore, Shot
from edge.shell.worker import OnCrash, Worker
from edge.topics import MAX_RECORD_BYTES
from edge.vision.draw import overlay

QUEUE_LIMIT = 8
PICTURES = 12
HEAD_BYTES = 4096
"""Room for everything of a record but the JPEG."""
MAX_JPEG_BYTES = MAX_RECORD_BYTES["evidence"] - HEAD_BYTES
LEAST_QUALITY = 30
QUALITY_STEP = 15
LEAST_WIDTH_PX = 64
NICENESS = 10


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture as the page shows it. ``n`` counts since boot, from 1."""

    n: int
    record: Evidence


class EvidenceThread(Worker):
    """Draws, encodes and journals. ``append`` gives the record's sequence number, 0 if it was refused.

    ``utc_ms(at_ns)`` labels pictures that have no result. Counters since boot: ``stored``, ``gone`` (the frame was no
    longer there), ``dropped`` (the oldest, as too many waited), ``failed``.
    """

    def __init__(
        self,
        store: FrameStore,
        append: Callable[[Evidence], int],
        post: Callable[[AgentEvent], None],
        on_crash: OnCrash,
        *,
        overlay: bool = True,
        jpeg_quality: int = 85,
        max_width_px: int = 1280,
        utc_ms: Callable[[int], int],
    ) -> None:
        super().__init__("evidence", on_crash)
        self._store = store
        self._append = append
        self._post = post
        self._utc_ms = utc_ms
        self._overlay = overlay
        self._jpeg_quality = jpeg_quality
        self._max_width_px = max_width_px
        self._queue: deque[tuple[KeepEvidence, Shot]] = deque()
        self._pictures: deque[Picture] = deque(maxlen=PICTURES)
        self.stored = self.gone = self.dropped = self.failed = 0

    def configure(
        self, *, overlay: bool | None = None, jpeg_quality: int | None = None, max_width_px: int | None = None
    ) -> None:
        """Change what later pictures look like; None leaves a setting as it is."""
        self._overlay = self._overlay if overlay is None else overlay
        self._jpeg_quality = self._jpeg_quality if jpeg_quality is None else jpeg_quality
        self._max_width_px = self._max_width_px if max_width_px is None else max_width_px

    def keep(self, effect: KeepEvidence) -> None:
        """Take the frame out of the store and queue it; from the core's thread, never blocks."""
        newest = effect.ref.captured_ns == 0  # a snapshot: whatever was seen last
        shot = self._store.newest(effect.ref.source) if newest else self._store.take(effect.ref)
        if shot is None:
            self.gone += 1
            self._post(EvidenceStored(effect.ref, 0, effect.ask_id, "FRAME_GONE"))
            return
        with self.wake:
            oldest = self._queue.popleft() if len(self._queue) >= QUEUE_LIMIT else None
            self._queue.append((effect, shot))
            self.wake.notify_all()
        if oldest is not None:
            self.dropped += 1
            self._post(EvidenceStored(oldest[0].ref, 0, oldest[0].ask_id, "EVIDENCE_DROPPED"))

    def pictures(self) -> list[Picture]:
        """The last pictures, newest first; from any thread."""
        with self.wake:
            return list(reversed(self._pictures))

    def work(self) -> None:
        _step_back()
        while True:
            with self.wake:
                self.wake.wait_for(lambda: self._queue or self.stopping)
                if not self._queue:
                    return  # stopping, and nothing is left to be kept
                effect, shot = self._queue.popleft()
            self._post(self._keep(effect, shot))

    def _keep(self, effect: KeepEvidence, shot: Shot) -> EvidenceStored:
        try:
            record = self._record(effect, shot)
            seq = self._append(record)
        except StoreError as error:
            self.failed += 1
            return EvidenceStored(effect.ref, 0, effect.ask_id, error.code)
        except cv2.error:
            # A picture that cannot be drawn costs a picture, never the inspection.
            self.failed += 1
            return EvidenceStored(effect.ref, 0, effect.ask_id, "EVIDENCE_FAILED")
        if not seq:
            self.failed += 1
            return EvidenceStored(effect.ref, 0, effect.ask_id, "EVIDENCE_REFUSED")
        self.stored += 1
        with self.wake:
            self._pictures.append(Picture(self.stored, record))
        return EvidenceStored(effect.ref, seq, effect.ask_id)

    def _record(self, effect: KeepEvidence, shot: Shot) -> Evidence:
        result, ref = effect.result, effect.ref
        image, drawn = shot.frame.image, False
        if image.dtype != np.uint8:  # a sensor's window
            from edge.series.draw import plot

            image = plot(image)
        if self._overlay and shot.prediction is not None:
            verdict = Verdict(result.decision, result.reasons) if result is not None else None
            image, drawn = overlay(image, shot.prediction, verdict), True
        image, jpeg = encode(scaled(image, self._max_width_px), self._jpeg_quality)
        return Evidence(
            source=ref.source,
            frame_no=ref.frame_no,
            utc_ms=result.utc_ms if result is not None else self._utc_ms(ref.captured_ns),
            why=effect.why,
            jpeg=jpeg,
            part_id=(result.part_id if result is not None else shot.part_id) or 0,
            boot_no=result.boot_no if result is not None else 0,
            part_no=result.part_no if result is not None else None,
            decision=result.decision if result is not None else "none",
            width_px=image.shape[1],
            height_px=image.shape[0],
            overlay=drawn,
            ask_id=effect.ask_id,
        )


def scaled(image: Image, max_width_px: int) -> Image:
    """At most so wide, proportions kept; smaller pictures stay as they are."""
    height, width = image.shape[:2]
    if width <= max_width_px:
        return image
    size = (max_width_px, max(1, round(height * max_width_px / width)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def encode(image: Image, quality: int, limit_bytes: int = MAX_JPEG_BYTES) -> tuple[Image, bytes]:
    """A JPEG of at most ``limit_bytes``, and the picture that is in it: quality goes down first, then the size."""
    while True:
        for step in range(quality, min(quality, LEAST_QUALITY) - 1, -QUALITY_STEP):
            jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, step])[1].tobytes()
            if len(jpeg) <= limit_bytes or image.shape[1] <= LEAST_WIDTH_PX:
                return image, jpeg
        image = scaled(image, max(1, image.shape[1] // 2))


def _step_back() -> None:
    """Let the threads that inspect go first, where the system lets a thread be nicer than its process (Linux)."""
    try:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
    except (OSError, AttributeError):
        return
