"""Pictures for people, in virtual time: what the frame store and thread ``evidence`` do, without drawing over them."""

from __future__ import annotations

from edge.domain import FrameRef
from edge.events import EvidenceStored, KeepEvidence, Release
from edge.messages import Evidence, encode_record
from sims.camera import Picture
from sims.scenario import CameraSpec
from sims.virtual.kernel import MS
from sims.virtual.rooms import Life

EVIDENCE_NS = 15 * MS
"""Drawing, scaling and encoding one picture, in the evidence thread."""
SHOTS = 64


class Album:
    """The last frames of one camera, until they are kept or let go."""

    def __init__(self, name: str, life: Life, spec: CameraSpec) -> None:
        self._name, self._life, self._spec = name, life, spec
        self._free_ns = 0
        self._shots: dict[FrameRef, Picture] = {}

    def put(self, ref: FrameRef, picture: Picture) -> None:
        """One more; the oldest goes where there are too many."""
        if len(self._shots) >= SHOTS:
            del self._shots[next(iter(self._shots))]
        self._shots[ref] = picture

    def keep(self, effect: KeepEvidence, t_ns: int) -> None:
        if effect.ref.captured_ns:
            found = effect.ref if effect.ref in self._shots else None
        else:
            found = next(reversed(self._shots), None)  # a snapshot: whatever was seen last
        if found is None:
            self._life.handle(EvidenceStored(effect.ref, 0, effect.ask_id, "FRAME_GONE"), t_ns)
            return
        picture = self._shots[found] if effect.ask_id else self._shots.pop(found)
        self._free_ns = max(t_ns, self._free_ns) + EVIDENCE_NS
        self._life.later(self._free_ns, lambda _, at_ns: self._store(effect, picture, at_ns), None)

    def _store(self, effect: KeepEvidence, picture: Picture, t_ns: int) -> None:
        result, spec = effect.result, self._spec
        record = Evidence(
            source=self._name,
            frame_no=effect.ref.frame_no,
            utc_ms=result.utc_ms if result else self._life.utc_ms(t_ns),
            why=effect.why,
            jpeg=picture.jpeg,
            part_id=result.part_id if result else 0,
            boot_no=result.boot_no if result else 0,
            part_no=result.part_no if result else None,
            decision=result.decision if result else "none",
            width_px=spec.width_px,
            height_px=spec.height_px,
            ask_id=effect.ask_id,
        )
        seq = self._life.journal("evidence", encode_record(record), t_ns)
        code = "" if seq else "EVIDENCE_REFUSED"
        self._life.handle(EvidenceStored(effect.ref, seq, effect.ask_id, code), t_ns)

    def release(self, effect: Release) -> None:
        self._shots.pop(effect.ref, None)
