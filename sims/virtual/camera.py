"""A camera over HTTP and its inference, in virtual time: what threads ``capture``, ``infer`` and ``evidence`` do.

::

    ask ─(exposure)─▶ light ─(transfer)─▶ frame ─(preprocess)─▶ model is free ─(infer, postprocess)─▶ Inferred
                        └ drawn and looked at here, once, by the real model; only its time is drawn from the delays

    closed ──first frame──▶ up          SourceChanged(up=True), once
       ▲                     │ an error, and a second one at once
       └──── back-off ◀── down ◀──┘     SourceChanged(up=False), once; asks fail meanwhile
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol

from msgspec.structs import replace

from drivers.camera_http import FrameCounter
from edge.core.backoff import Backoff
from edge.domain import FrameRef, Inference
from edge.errors import DeviceError
from edge.events import (
    Capture,
    CaptureFailed,
    InferFailed,
    Inferred,
    KeepEvidence,
    Release,
    SourceChanged,
)
from sims.camera import Camera, Picture
from sims.virtual.album import Album
from sims.virtual.delays import DelaySpec
from sims.virtual.kernel import MS
from sims.virtual.rooms import Life

Health = Literal["ok", "frozen", "hang", "gone", "slow", "dark"]

ASK_LIMIT = 8
REFUSED_NS = MS


class Looker(Protocol):
    """A model: JPEG in, findings out. Its own timings are not used."""

    @property
    def name(self) -> str: ...

    def look(self, jpeg: bytes) -> Inference: ...


class Sensor:
    """The device itself, which outlives every agent."""

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        self.health: Health = "ok"

    def snapshot(self, *, dark: bool) -> Picture:
        """Expose now."""
        picture = self.camera.snapshot(dark=dark)
        for index, _ in self.camera.exposures[picture.frame_no].parts:
            self.camera.find(index)
        return picture


class _Ask(NamedTuple):
    effect: Capture
    asked_ns: int  # true time


class _Shot(NamedTuple):
    picture: Picture
    ref: FrameRef


Done = Callable[["_Shot | DeviceError", int], None]


class HttpCameraRoom:
    """A :class:`sims.virtual.rooms.Camera` that exposes on demand. ``timeout_s`` is for one picture."""

    def __init__(
        self, name: str, life: Life, sensor: Sensor, looker: Looker, delays: DelaySpec, timeout_s: float = 0.5
    ) -> None:
        self._name, self._life, self._sensor, self._looker, self._delays = name, life, sensor, looker, delays
        self._timeout_ns = int(timeout_s * 1000 * MS)
        self._counter = FrameCounter()
        self._backoff = Backoff(0.2, 5.0, life.rng)
        self._asks: deque[_Ask] = deque()
        self._busy = True
        self._up: bool | None = None
        self._missed = 0
        self._model_free_ns = 0
        self._album = Album(name, life, sensor.camera.spec)

    def start(self, t_ns: int) -> None:
        self._open(None, t_ns)

    # --- asks

    def capture(self, effect: Capture, t_ns: int) -> None:
        if len(self._asks) >= ASK_LIMIT:
            self._fail(effect, "CAPTURE_QUEUE_FULL", f"{ASK_LIMIT} captures of {self._name} wait already", t_ns)
            return
        if self._up is False:
            self._missed += 1
            self._fail(effect, "SOURCE_ABSENT", f"{self._name} is out of reach", t_ns)
            return
        self._asks.append(_Ask(effect, t_ns))
        if not self._busy:
            self._next(t_ns)

    def pause(self, *, paused: bool) -> None:
        """Asks are answered all the same, and nothing else is taken."""

    def set_rate(self, max_fps: float, t_ns: int) -> None:
        """It takes frames for asks only."""

    def use_recipe(self, recipe: str) -> None:
        """Frames of asks carry their recipe."""

    def _next(self, t_ns: int) -> None:
        self._busy = bool(self._asks)
        if not self._asks:
            return
        ask = self._asks.popleft()
        left_ns = ask.effect.deadline_ns - self._life.mono(t_ns)
        if left_ns <= 0:
            self._fail_late(ask, t_ns)
            self._next(t_ns)
            return
        self._read(min(self._timeout_ns, left_ns), lambda shot, at_ns: self._exposed(ask, shot, at_ns), t_ns)

    def _exposed(self, ask: _Ask, shot: _Shot | DeviceError, t_ns: int) -> None:
        if isinstance(shot, DeviceError):
            first = shot
            self._fail(ask.effect, shot.code, str(shot), t_ns)
            # a time-out cut short by a deadline proves nothing: ask once more, for nobody
            self._read(self._timeout_ns, lambda again, at_ns: self._proved(again, at_ns, first), t_ns)
            return
        self._submit(ask, shot, t_ns)

    # --- the connection

    def _open(self, _: object, t_ns: int) -> None:
        """One frame for nobody: the camera is not only there, it takes pictures."""
        self._busy = True
        self._read(self._timeout_ns, lambda shot, at_ns: self._proved(shot, at_ns, None), t_ns)

    def _proved(self, shot: _Shot | DeviceError, t_ns: int, first: DeviceError | None) -> None:
        if isinstance(shot, DeviceError):
            self._down(first or shot, t_ns)
        else:
            self._next(t_ns)

    def _down(self, error: DeviceError, t_ns: int) -> None:
        if self._up is not False:
            self._up = False
            self._life.handle(SourceChanged(self._name, up=False, code=error.code, what=str(error)), t_ns)
        while self._asks:
            self._missed += 1
            self._fail(self._asks.popleft().effect, error.code, str(error), t_ns)
        self._life.later(t_ns + int(self._backoff.next_s() * 1000 * MS), self._open, None)

    def _read(self, timeout_ns: int, done: Done, t_ns: int) -> None:
        """One request. ``done`` gets the frame, or why there is none, when that is known."""
        sensor, delays = self._sensor, self._delays
        expose_ns = int(delays.exposure_ms * MS)
        whole_ns = int(delays.capture_ms * MS)
        if sensor.health == "slow":
            slow_ns = int(sensor.camera.spec.slow_s * 1000 * MS)
            expose_ns, whole_ns = expose_ns + slow_ns, whole_ns + slow_ns
        if sensor.health == "gone":
            gone = DeviceError("SOURCE_ABSENT", f"{self._name} refuses connections")
            self._life.later(t_ns + REFUSED_NS, lambda _, at_ns: done(gone, at_ns), None)
        elif sensor.health == "hang" or whole_ns > timeout_ns:
            late = DeviceError("SOURCE_TIMEOUT", f"{self._name} gave no picture in time")
            self._life.later(t_ns + timeout_ns, lambda _, at_ns: done(late, at_ns), None)
        else:
            arrive_ns = t_ns + whole_ns
            self._life.later(t_ns + expose_ns, lambda _, at_ns: self._light(at_ns, arrive_ns, done), None)

    def _light(self, t_ns: int, arrive_ns: int, done: Done) -> None:
        camera, health = self._sensor.camera, self._sensor.health
        last = camera.last if health == "frozen" else None
        picture = last or self._sensor.snapshot(dark=health == "dark")
        shot: _Shot | DeviceError
        try:
            number = self._counter.next(picture.frame_no)
        except DeviceError as frozen:
            shot = frozen
        else:
            shot = _Shot(picture, FrameRef(self._name, number, self._life.mono(t_ns)))
        self._life.later(arrive_ns, lambda _, at_ns: self._arrived(shot, at_ns, done), None)

    def _arrived(self, shot: _Shot | DeviceError, t_ns: int, done: Done) -> None:
        if not isinstance(shot, DeviceError):
            self._backoff.reset()
            if not self._up:
                self._up = True
                self._life.handle(SourceChanged(self._name, up=True, missed=self._missed), t_ns)
                self._missed = 0
        done(shot, t_ns)

    # --- the model

    def _submit(self, ask: _Ask, shot: _Shot, t_ns: int) -> None:
        if self._life.mono(t_ns) > ask.effect.deadline_ns:
            self._fail_late(ask, t_ns)
            self._next(t_ns)
            return
        ready_ns = t_ns + int(self._delays.preprocess_ms * MS)
        self._life.later(ready_ns, self._prepared, None)  # preprocessing is the capture thread's
        begin_ns = max(ready_ns, self._model_free_ns)
        infer_ms = self._delays.draw_infer_ms(self._life.rng)
        took_ns = int((infer_ms + self._delays.postprocess_ms) * MS)
        if self._life.mono(begin_ns) > ask.effect.deadline_ns:
            what = "its deadline passed before the model was free"
            self._life.tell_at(begin_ns, InferFailed(self._name, ask.effect.part_id, "FRAME_LATE", what))
            return
        self._model_free_ns = begin_ns + took_ns
        found = replace(
            self._looker.look(shot.picture.jpeg),
            preprocess_ms=self._delays.preprocess_ms,
            infer_ms=infer_ms,
            postprocess_ms=self._delays.postprocess_ms,
        )
        self._album.put(shot.ref, shot.picture)
        inferred = Inferred(
            shot.ref,
            ask.effect.part_id,
            found,
            self._looker.name,
            self._life.mono(ask.asked_ns),
            (t_ns - ask.asked_ns) / MS,
            (begin_ns - ready_ns) / MS,
            recipe=ask.effect.recipe,
        )
        self._life.tell_at(begin_ns + took_ns, inferred)

    def _prepared(self, _: object, t_ns: int) -> None:
        self._next(t_ns)

    # --- pictures for people

    def keep(self, effect: KeepEvidence, t_ns: int) -> None:
        self._album.keep(effect, t_ns)

    def release(self, effect: Release) -> None:
        self._album.release(effect)

    # --- failures

    def _fail_late(self, ask: _Ask, t_ns: int) -> None:
        self._fail(ask.effect, "CAPTURE_LATE", f"no frame of {self._name} in time", t_ns)

    def _fail(self, effect: Capture, code: str, what: str, t_ns: int) -> None:
        self._life.handle(CaptureFailed(self._name, effect.part_id, code, what), t_ns)
