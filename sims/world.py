"""The physical truth of the line: a belt, parts, a photo eye, a light and a gate, advanced by dt, seeded.

::

     enter          camera + eye        decision        gate          end
    ───┼───────────────┼──────────────────┼───────────────┼────────────┼──▶ x, mm
       0           camera_mm         decision_mm       gate_mm       end_mm
                                                         ╲ bin of rejects    good parts

Nothing here knows what anybody decided: the gate diverts whatever part is in front of it while it stands open, so a
wrong or late command rejects the wrong part. All positions are those of a part's centre. The eye is mounted half a
part behind the camera's axis, so that its edge comes when the part is centred in the picture, and the encoder is
latched at that very edge, as a PLC's fast counter does. No clock: :meth:`World.step` is told how much time passed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from msgspec import Struct

NS = 1_000_000_000
U32 = 1 << 32

Fate = Literal["on_belt", "passed", "rejected", "held"]
"""Where a part ended: still there, good bin, reject bin, or taken off by the operator while the line stood."""


class Belt(Struct, frozen=True, forbid_unknown_fields=True):
    """Geometry and motion of the line. Defaults: 3.6 parts a second, 0.3 s from camera to decision."""

    speed_mm_s: float = 500.0
    speed_jitter_pct: float = 1.0
    """Standard deviation of the speed around its set point; it wanders with a time constant of 0.5 s."""
    ramp_s: float = 0.15
    """Time to stop from full speed, and to start again."""
    pitch_mm: float = 140.0
    pitch_jitter_mm: float = 6.0
    part_length_mm: float = 80.0
    counts_per_mm: float = 10.0
    encoder_start: int = U32 - 100_000
    """The u32 count at the start; the default wraps within the first minute, so that wrapping is always tried."""
    camera_mm: float = 200.0
    decision_mm: float = 350.0
    gate_mm: float = 410.0
    end_mm: float = 540.0
    gate_reach_mm: float = 20.0
    """A part whose centre is within so much of ``gate_mm`` while the gate stands open is diverted."""
    gate_lag_ms: float = 10.0
    """From the output to the gate's movement, both ways."""


class Lamp(Struct, frozen=True, forbid_unknown_fields=True):
    """The light over the camera: its brightness wanders slowly, and a fault may age it."""

    wander_pct: float = 3.0
    wander_period_s: float = 40.0
    gradient: float = 0.12
    """Brightness change from the middle of the picture to its border, 0 to 0.5."""


@dataclass(slots=True)
class BeltPart:
    """One part's way. Times are ns since the world began; None where it has not happened."""

    index: int
    x_mm: float
    entered_ns: int
    eye_ns: int | None = None
    latched: int = 0
    decision_ns: int | None = None
    fate: Fate = "on_belt"
    fate_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Exposure:
    """What is before the camera at one moment: parts in view with their centre's offset from the axis (mm), how far
    the belt has run, and the light (``gain`` 1.0 and ``drift`` 0.0 as set up).
    """

    t_ns: int
    parts: tuple[tuple[int, float], ...]
    belt_mm: float
    gain: float
    drift: float


@dataclass(slots=True)
class _Gate:
    """The gate follows its output with a lag; ``pending`` are (due_ns, open) still under way."""

    is_open: bool = False
    last: bool = False
    pending: list[tuple[int, bool]] = field(default_factory=list)

    def drive(self, t_ns: int, output: bool, lag_ns: int) -> None:
        if output != self.last:
            self.pending.append((t_ns + lag_ns, output))
            self.last = output
        while self.pending and self.pending[0][0] <= t_ns:
            self.is_open = self.pending.pop(0)[1]


class World:
    """The belt with ``n_parts`` parts to come. Same seed, same steps, same world."""

    def __init__(self, belt: Belt, lamp: Lamp, n_parts: int, seed: int) -> None:
        self.belt = belt
        self.t_ns = 0
        self.speed_mm_s = belt.speed_mm_s
        self.travelled_mm = 0.0
        self.parts: list[BeltPart] = []
        self.eye_latched = belt.encoder_start % U32
        self._lamp = lamp
        self._n_parts = n_parts
        self._rng = np.random.default_rng([seed, 0x0BE17])
        self._wander = 0.0
        self._run_share = 1.0
        self._next_entry_mm = 0.0
        self._first_live = 0
        self._gate = _Gate()
        self._drift = 0.0
        self._drift_to = 0.0
        self._drift_per_s = 0.0

    @property
    def encoder(self) -> int:
        """u32 counts, wrapping."""
        return (self.belt.encoder_start + round(self.travelled_mm * self.belt.counts_per_mm)) % U32

    @property
    def eye(self) -> bool:
        """True while a part covers the photo eye."""
        near, far = self.belt.camera_mm, self.belt.camera_mm + self.belt.part_length_mm
        return any(part.fate == "on_belt" and near <= part.x_mm < far for part in self._live())

    @property
    def done(self) -> bool:
        """True when all parts have come and gone."""
        return len(self.parts) == self._n_parts and self._first_live == len(self.parts)

    @property
    def gate_open(self) -> bool:
        """Where the gate really stands."""
        return self._gate.is_open

    def age_light(self, to: float, within_s: float) -> None:
        """Begin to drift the light to ``to`` (0.0 as set up, 1.0 badly aged), evenly within so many seconds."""
        self._drift_to = to
        self._drift_per_s = abs(to - self._drift) / max(within_s, 1e-3)

    def step(self, dt_s: float, *, gate: bool, run: bool) -> list[BeltPart]:
        """Advance by ``dt_s`` with these outputs on; returns the parts that reached the eye in this step."""
        start_ns = self.t_ns
        self.t_ns += round(dt_s * NS)
        self._drive(dt_s, run)
        moved_mm = self.speed_mm_s * dt_s
        self.travelled_mm += moved_mm
        self._drift += max(-self._drift_per_s * dt_s, min(self._drift_per_s * dt_s, self._drift_to - self._drift))
        self._gate.drive(self.t_ns, gate, round(self.belt.gate_lag_ms * 1e6))
        self._feed()
        seen = []
        for part in self._live():
            if part.fate == "on_belt" and part.entered_ns < self.t_ns:
                before_mm, part.x_mm = part.x_mm, part.x_mm + moved_mm
                if self._pass_marks(part, before_mm, moved_mm, start_ns):
                    seen.append(part)
        while self._first_live < len(self.parts) and self.parts[self._first_live].fate != "on_belt":
            self._first_live += 1
        return seen

    def take_off(self, index: int) -> None:
        """The operator takes a part off the standing belt."""
        part = self.parts[index]
        if part.fate == "on_belt":
            part.fate, part.fate_ns = "held", self.t_ns

    def expose(self, view_mm: float, ahead_s: float = 0.0) -> Exposure:
        """What a camera with a field of view of ``view_mm`` sees ``ahead_s`` after the last step, as the belt runs."""
        return self._exposure(view_mm, self.speed_mm_s * ahead_s, ahead_s)

    def expect(self, view_mm: float, index: int, offset_mm: float) -> Exposure | None:
        """What it will see when part ``index`` is ``offset_mm`` past the axis; None if that is past or not yet in sight."""
        part = self.parts[index] if index < len(self.parts) else None
        if part is None or part.fate != "on_belt" or self.speed_mm_s <= 0.0:
            return None
        moved_mm = self.belt.camera_mm + offset_mm - part.x_mm
        return self._exposure(view_mm, moved_mm, moved_mm / self.speed_mm_s) if moved_mm >= 0.0 else None

    def _exposure(self, view_mm: float, moved_mm: float, ahead_s: float) -> Exposure:
        reach_mm = (view_mm + self.belt.part_length_mm) / 2 + 10.0
        offsets = [
            (part.index, part.x_mm + moved_mm - self.belt.camera_mm) for part in self._live() if part.fate == "on_belt"
        ]
        t_ns = self.t_ns + round(ahead_s * NS)
        phase = 2.0 * math.pi * t_ns / NS / self._lamp.wander_period_s
        return Exposure(
            t_ns,
            tuple((index, offset_mm) for index, offset_mm in offsets if abs(offset_mm) <= reach_mm),
            self.travelled_mm + moved_mm,
            1.0 + self._lamp.wander_pct / 100.0 * math.sin(phase),
            self._drift,
        )

    def _live(self) -> list[BeltPart]:
        return self.parts[self._first_live :]

    def _drive(self, dt_s: float, run: bool) -> None:
        change = dt_s / max(self.belt.ramp_s, 1e-3)
        self._run_share = min(1.0, self._run_share + change) if run else max(0.0, self._run_share - change)
        # an Ornstein-Uhlenbeck walk: wanders, but always comes back to the set point
        decay = math.exp(-dt_s / 0.5)
        kick = math.sqrt(1.0 - decay * decay) * self.belt.speed_jitter_pct / 100.0
        self._wander = decay * self._wander + kick * float(self._rng.standard_normal())
        self.speed_mm_s = self.belt.speed_mm_s * self._run_share * max(0.0, 1.0 + self._wander)

    def _feed(self) -> None:
        while len(self.parts) < self._n_parts and self.travelled_mm >= self._next_entry_mm:
            x_mm = self.travelled_mm - self._next_entry_mm
            self.parts.append(BeltPart(len(self.parts), x_mm, self.t_ns))
            jitter_mm = float(self._rng.uniform(-1.0, 1.0)) * self.belt.pitch_jitter_mm
            self._next_entry_mm += max(self.belt.part_length_mm * 1.2, self.belt.pitch_mm + jitter_mm)

    def _pass_marks(self, part: BeltPart, before_mm: float, moved_mm: float, start_ns: int) -> bool:
        """Eye, decision point, gate, end. Returns True if the part reached the eye in this step."""
        belt = self.belt

        def crossed(mark_mm: float) -> bool:
            return before_mm < mark_mm <= part.x_mm

        def share(mark_mm: float) -> float:
            return (mark_mm - before_mm) / moved_mm

        at_eye = crossed(belt.camera_mm)
        if at_eye:
            back_mm = part.x_mm - belt.camera_mm
            part.eye_ns = start_ns + round(share(belt.camera_mm) * (self.t_ns - start_ns))
            part.latched = (belt.encoder_start + round((self.travelled_mm - back_mm) * belt.counts_per_mm)) % U32
            self.eye_latched = part.latched
        if crossed(belt.decision_mm):
            part.decision_ns = self.t_ns
        if self._gate.is_open and abs(part.x_mm - belt.gate_mm) <= belt.gate_reach_mm:
            part.fate, part.fate_ns = "rejected", self.t_ns
        elif part.x_mm >= belt.end_mm:
            part.fate, part.fate_ns = "passed", self.t_ns
        return at_eye
