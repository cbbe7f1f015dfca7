"""A free-running camera without pixels: one frame a period, its findings drawn from a confusion matrix."""

from __future__ import annotations

from msgspec import Struct

from edge.domain import FrameRef, Inference
from edge.events import Capture, CaptureFailed, EvidenceStored, Inferred, KeepEvidence, Release, SourceChanged
from edge.messages import Evidence, encode_record
from sims.virtual.delays import DelaySpec
from sims.virtual.kernel import MS, NS
from sims.virtual.rooms import Life
from sims.virtual.statistics import Confusion


class Tally(Struct):
    """What truly came by the cameras that share it. ``closed``: nothing comes any more."""

    frames: int = 0
    bad: int = 0
    found: int = 0
    """Of the bad ones, those the model found."""
    alarms: int = 0
    """Good ones that it found all the same."""
    closed: bool = False


class PacedCamera:
    """``SetRate`` is what sets its pace; it says nothing while that is 0."""

    __slots__ = (
        "_confusion",
        "_delays",
        "_frame_no",
        "_jpeg",
        "_life",
        "_name",
        "_paused",
        "_period_ns",
        "_tally",
        "_turn_no",
    )

    def __init__(
        self, name: str, life: Life, confusion: Confusion, delays: DelaySpec, tally: Tally, jpeg_bytes: int = 0
    ) -> None:
        """``jpeg_bytes``: what a picture for people weighs; 0: there are none."""
        self._name, self._life = name, life
        self._jpeg = bytes(jpeg_bytes)
        self._confusion, self._delays, self._tally = confusion, delays, tally
        self._period_ns = 0
        self._frame_no = 0
        self._turn_no = 0
        self._paused = False

    def start(self, t_ns: int) -> None:
        self._life.handle(SourceChanged(self._name, up=True), t_ns)

    def set_rate(self, max_fps: float, t_ns: int) -> None:
        self._period_ns = int(NS / max_fps) if max_fps > 0 else 0
        self._turn_no += 1
        if self._period_ns:
            # anywhere within the first period: a plant's lines do not beat together
            first_ns = int(self._life.rng.random() * self._period_ns)
            self._life.later(t_ns + first_ns, self._expose, self._turn_no)

    def _expose(self, turn_no: int, t_ns: int) -> None:
        if turn_no != self._turn_no or self._tally.closed:
            return
        life, delays = self._life, self._delays
        life.later(t_ns + self._period_ns, self._expose, turn_no)
        if self._paused:
            return
        rng = life.rng
        bad, found, findings = self._confusion.draw(rng)
        tally = self._tally
        tally.frames += 1
        tally.bad += bad
        tally.found += bad and found
        tally.alarms += found and not bad
        self._frame_no += 1
        at_ns = life.mono(t_ns)
        infer_ms = delays.draw_infer_ms(rng)
        took_ms = delays.capture_ms + delays.preprocess_ms + infer_ms + delays.postprocess_ms
        ref = FrameRef(self._name, self._frame_no, at_ns)
        inference = Inference(findings, 0, delays.preprocess_ms, infer_ms, delays.postprocess_ms)
        inferred = Inferred(ref, None, inference, "drawn", at_ns, delays.capture_ms)
        life.tell_at(t_ns + int(took_ms * MS), inferred)

    def capture(self, effect: Capture, t_ns: int) -> None:
        self._life.handle(CaptureFailed(self._name, effect.part_id, "CAPTURE_UNKNOWN", "it runs freely"), t_ns)

    def keep(self, effect: KeepEvidence, t_ns: int) -> None:
        result, seq, code = effect.result, 0, "FRAME_GONE"
        if self._jpeg and result is not None:
            utc_ms = self._life.utc_ms(t_ns)
            record = Evidence(self._name, effect.ref.frame_no, utc_ms, effect.why, self._jpeg, result.part_id)
            seq = self._life.journal("evidence", encode_record(record), t_ns)
            code = "" if seq else "EVIDENCE_REFUSED"
        self._life.handle(EvidenceStored(effect.ref, seq, effect.ask_id, code), t_ns)

    def release(self, effect: Release) -> None:
        """There are no pixels to let go."""

    def pause(self, *, paused: bool) -> None:
        self._paused = paused

    def use_recipe(self, recipe: str) -> None:
        """One confusion matrix for all."""
