"""Which pictures are worth keeping, and how many a second."""

from __future__ import annotations

from edge.core.settings import EvidenceSettings, S
from edge.domain import FrameRef
from edge.events import KeepEvidence, Release
from edge.messages import Result


class EvidenceRule:
    """Failed and unsure parts, and every n-th other one; a token bucket of one second bounds the rate."""

    def __init__(self) -> None:
        self._since_sample = 0
        self._tokens = 1.0
        self._filled_ns = 0
        self._fresh = True

    def for_result(
        self, settings: EvidenceSettings, ref: FrameRef, result: Result, now_ns: int
    ) -> KeepEvidence | Release:
        """Keep this frame, or let go of it."""
        why: str = result.decision if result.decision in settings.keep else ""
        self._since_sample += 1
        if not why and settings.sample_every_n and self._since_sample >= settings.sample_every_n:
            why = "sample"
        if not why or not self._take(settings.max_fps, now_ns):
            return Release(ref)
        if why == "sample":
            self._since_sample = 0
        return KeepEvidence(ref, why, result)

    def _take(self, per_s: float, now_ns: int) -> bool:
        most = max(1.0, per_s)
        self._tokens = most if self._fresh else min(most, self._tokens + per_s * (now_ns - self._filled_ns) / S)
        self._fresh = False
        self._filled_ns = now_ns
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
