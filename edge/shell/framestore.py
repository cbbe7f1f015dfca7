"""Where pixels wait while a core, which never sees them, decides what becomes of them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

from edge.domain import FrameRef
from edge.ports import Frame
from edge.vision.prediction import Prediction

DEFAULT_FRAMES = 32
DEFAULT_BYTES = 128 * 1024 * 1024


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """One frame with what the model said about it, and for which part."""

    frame: Frame
    prediction: Prediction | None = None
    part_id: int | None = None
    recipe: str = ""
    model: str = ""


class FrameStore:
    """Bounded in frames and in bytes; the oldest gives way and is counted. Safe from any thread.

    The newest shot of every source stays at hand besides (one each), for snapshots and the page.
    """

    def __init__(self, limit: int = DEFAULT_FRAMES, limit_bytes: int = DEFAULT_BYTES) -> None:
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._shots: OrderedDict[FrameRef, Shot] = OrderedDict()
        self._newest: dict[str, Shot] = {}
        self._bytes = 0
        self.evicted = 0
        self.missed = 0
        """Frames that were asked for after they were gone."""

    def __len__(self) -> int:
        return len(self._shots)

    @property
    def held_bytes(self) -> int:
        return self._bytes

    def put(self, shot: Shot) -> None:
        """Keep ``shot`` until it is taken, released or evicted. The same name again replaces it."""
        ref = shot.frame.ref
        with self._lock:
            self._drop(ref)
            self._shots[ref] = shot
            self._bytes += shot.frame.image.nbytes
            self._newest[ref.source] = shot
            while len(self._shots) > self._limit or (self._bytes > self._limit_bytes and len(self._shots) > 1):
                self._drop(next(iter(self._shots)))
                self.evicted += 1

    def take(self, ref: FrameRef) -> Shot | None:
        """Remove and return; the newest of a source is still found after its release. None (counted) when gone."""
        with self._lock:
            shot = self._drop(ref)
            if shot is None:
                newest = self._newest.get(ref.source)
                shot = newest if newest is not None and newest.frame.ref == ref else None
            if shot is None:
                self.missed += 1
            return shot

    def release(self, ref: FrameRef) -> None:
        """Not needed any more; unknown names are fine."""
        with self._lock:
            self._drop(ref)

    def newest(self, source: str) -> Shot | None:
        """The last shot of ``source``, or None before the first."""
        with self._lock:
            return self._newest.get(source)

    def _drop(self, ref: FrameRef) -> Shot | None:
        shot = self._shots.pop(ref, None)
        if shot is not None:
            self._bytes -= shot.frame.image.nbytes
        return shot
